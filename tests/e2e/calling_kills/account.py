"""What came of a run: each call has one end, which is the same on every side."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from attrs import Factory, define

from tests.e2e.calling_kills.journal import BEGAN, ENDED, RANG, Record

Reason = tuple[int, int]

ELSEWHERE: Reason = (487, 10003)
"""What an endpoint is told where another one has answered."""

ANSWERED = frozenset({(0, 0), (0, 4521), (408, 10057)})
"""How a call may end that was answered; only those have an end elsewhere."""

UNANSWERED = frozenset({(487, 0), (603, 0), (487, 10004), (480, 10037), (480, 10077)})


@define
class CallFigures:
    """What came of it."""

    kills: int = 0
    killed_at_the_start: int = 0
    killed_while: Counter[str] = Factory(Counter)
    """How far the calls had come that were open at a kill."""
    calls: int = 0
    withdrawn: int = 0
    """Those that the service was killed before it had begun them."""
    rang: Counter[str] = Factory(Counter)
    """How often each endpoint rang."""
    ends: Counter[str] = Factory(Counter)
    """Why calls ended, as their caller saw it."""
    violations: list[str] = Factory(list)
    seconds: float = 0.0


@define
class _Seen:
    """What a program has seen of a call."""

    began: int = 0
    ends: list[Reason | None] = Factory(list)


def judge(records: Iterable[Record], kept: Mapping[str, Reason | None], caller: str, figures: CallFigures) -> None:
    """Compare what all programs have seen of each call, and what the service has ``kept`` of it, and note what does not fit."""
    seen: dict[str, dict[str, _Seen]] = defaultdict(lambda: defaultdict(_Seen))
    for record in records:
        of = seen[record.call][record.program]
        of.began += record.what in {BEGAN, RANG}
        if record.what == ENDED:
            of.ends.append(record.reason)
    figures.calls = len(seen)
    figures.violations += [f"call {call}: the service alone knows of it" for call in kept.keys() - seen.keys()]
    for call, sides in seen.items():
        figures.rang += Counter({name: of.began for name, of in sides.items() if name != caller})
        found = list(_faults(sides, caller))
        if not found and call not in kept:
            figures.withdrawn += 1
            found += [] if set(sides) == {caller} else ["the service knows nothing of it, but it rang"]
        elif not found and kept[call] != sides[caller].ends[0]:
            found = [f"the service has kept its end as {kept[call]}"]
        figures.violations += [f"call {call}: {fault}; {sides}" for fault in found]
        if not found:
            (reason,) = sides[caller].ends
            figures.ends["/".join(map(str, reason or ()))] += 1


def _faults(sides: dict[str, _Seen], caller: str) -> Iterable[str]:
    if caller not in sides:
        yield "it rang, but its caller knows nothing of it"
        return
    for name, of in sides.items():
        if of.began != 1:
            yield f"it began {of.began} times at {name}"
        if len(of.ends) != 1 or of.ends[0] is None:
            yield f"it has the ends {of.ends} at {name}"
            return
    reason = sides[caller].ends[0]
    others = Counter(of.ends[0] for name, of in sides.items() if name != caller)
    if reason in ANSWERED:
        if others[reason] > 1 or others.keys() - {reason, ELSEWHERE}:
            yield f"it ended with {reason}, but for the endpoints with {dict(others)}"
    elif reason not in UNANSWERED:
        yield f"it ended with {reason}, which nothing here leads to"
    elif others.keys() - {reason}:
        yield f"it was not answered and ended with {reason}, but for the endpoints with {dict(others)}"
