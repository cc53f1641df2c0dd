"""What came of a run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import quantiles

from attrs import Factory, define, frozen

from tests.e2e.node_troubles.waits import KILLED, Wait

SLOW = 0.05
"""The part of the waits, the longest, of which it is told what they went into."""


@frozen
class Spread:
    """Seconds that devices have waited."""

    count: int
    p50: float
    p99: float
    max: float
    spent: dict[str, float]
    """What the longest waits, one of twenty, went into: seconds of each, on average."""


def spread(waits: Sequence[Wait]) -> Spread:
    """Sum up."""
    seconds = sorted(wait.seconds for wait in waits)
    cuts = quantiles(seconds, n=100, method="inclusive") if len(seconds) > 1 else [seconds[0]] * 99
    slow = sorted(waits, key=lambda wait: wait.seconds)[-math.ceil(len(waits) * SLOW) :]
    spent = {on: sum(wait.spent.get(on, 0.0) for wait in slow) for wait in slow for on in wait.spent}
    parts = {on: round(spent[on] / len(slow), 2) for on in sorted(spent, key=spent.__getitem__, reverse=True)}
    return Spread(len(seconds), round(cuts[49], 2), round(cuts[98], 2), round(seconds[-1], 2), parts)


def spreads(waits: Iterable[Wait]) -> dict[str, Spread]:
    """Sum up by what devices have waited for, and what else there was meanwhile; those of dead nodes as a whole as well."""
    kinds: dict[str, list[Wait]] = {}
    for wait in waits:
        if wait.kind == KILLED:
            kinds.setdefault(f"{KILLED}, in all", []).append(wait)
        kinds.setdefault(f"{wait.kind}, beside {wait.beside}", []).append(wait)
    return {kind: spread(those) for kind, those in sorted(kinds.items())}


@define
class TroubleFigures:
    """What came of a run.

    ``served_again`` is by the trouble, and what there was beside it while a device waited: from a kill, and from when a node is told to end;
    of other troubles from when they are over, and for devices that have left by then from when they began, or the device was last sent
    something. A device whose next node is killed goes on to wait.
    """

    wires: str = ""
    cycles: Counter[str] = Factory(Counter)
    received: int = 0
    messages: int = 0
    """Of Web Push, among them."""
    handled: int = 0
    twice_on_the_wire: int = 0
    answers: dict[str, int] = Factory(dict)
    served_again: dict[str, Spread] = Factory(dict)
    starts_in_vain: int = 0
    """How often a node found no database when it was started, and was started again."""
    resident_mib: dict[str, float] = Factory(dict)
    seconds: float = 0.0
    violations: list[str] = Factory(list)
