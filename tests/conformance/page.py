"""The page that tells which cases pass: ``docs/conformance.md``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.conformance.cases import numbered_tests
from tests.conformance.listed import SECTIONS, Case

HEAD = """\
# Conformance

Which of the Windows App SDK's own push tests hold for Tocsin, and which cases beyond them. This page is printed by
`python -m tests.conformance`, and a test sees that it is up to date; *passes* stands only where tests bear the number, and
all of them pass. They are in `tests/conformance/`.

*Apps*: P a packaged app, U an unpackaged one, as in the SDK's list. *Passes*: here, mostly in one process, where the SDK
launches an app. *Here:* marks where Tocsin deliberately answers otherwise.
"""

_COLUMNS = "| No. | Case | Apps | Asserts | State | Test, or why not |\n| ---: | --- | --- | --- | --- | --- |"


def page() -> str:
    """Render the whole page."""
    return "\n".join(_lines()) + "\n"


def state(case: Case, tests: Mapping[str, bool]) -> str:
    """Tell where a case stands; it passes only if it has tests, and all of them do."""
    if case.not_here:
        return "does not apply"
    return "passes" if tests and all(tests.values()) else "fails"


def _lines() -> Iterator[str]:
    tests = numbered_tests()
    yield HEAD
    yield _summary(tests)
    for section in SECTIONS:
        yield f"\n## {section.title}\n\n{section.text}\n"
        yield _COLUMNS
        for case in section.cases:
            yield _row(case, tests.get(case.number, {}))


def _summary(tests: Mapping[str, Mapping[str, bool]]) -> str:
    states = [state(case, tests.get(case.number, {})) for section in SECTIONS for case in section.cases]
    counts = [states.count(each) for each in ("passes", "fails", "does not apply")]
    return "Of {} cases, {} pass, {} fail, and {} do not apply.".format(len(states), *counts)


def _row(case: Case, tests: Mapping[str, bool]) -> str:
    what = case.not_here or "<br>".join(f"`{test}`{'' if passes else ' (fails)'}" for test, passes in tests.items())
    note = f"<br>Here: {case.note}." if case.note else ""
    return f"| {case.number} | {case.name} | {case.apps} | {case.claim} | {state(case, tests)} | {what}{note} |"
