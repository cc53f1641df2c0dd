"""The table of conformance cases is whole, honest and up to date."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conformance.cases import numbered_tests
from tests.conformance.listed import SECTIONS
from tests.conformance.page import state

ROOT = Path(__file__).parents[2]
CASES = [case for section in SECTIONS for case in section.cases]


def test_every_number_is_listed_exactly_once() -> None:
    """The list goes from 1 to 39 and from D1 to D13, in this order."""
    assert [case.number for case in CASES] == [*map(str, range(1, 40)), *(f"D{n}" for n in range(1, 14))]


def test_what_applies_has_a_test_and_nothing_else_has() -> None:
    """A number is borne by a test exactly where the list gives no reason why it is not."""
    assert set(numbered_tests()) == {case.number for case in CASES if not case.not_here}


def test_a_case_passes_only_by_its_tests() -> None:
    """One without a test, or with one that is expected to fail, does not pass."""
    assert state(CASES[0], {"a": True, "b": True}) == "passes"
    assert state(CASES[0], {"a": True, "b": False}) == "fails"
    assert state(CASES[0], {}) == "fails"


def test_the_page_is_what_the_generator_prints() -> None:
    """Otherwise: ``python -m tests.conformance > docs/conformance.md``."""
    printed = subprocess.run(
        [sys.executable, "-m", "tests.conformance"], cwd=ROOT, capture_output=True, check=True, encoding="utf-8"
    ).stdout
    assert (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8") == printed
