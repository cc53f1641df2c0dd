"""What came of a run."""

from __future__ import annotations

from collections import Counter
from statistics import quantiles

from attrs import Factory, define, frozen


@frozen
class Spread:
    """Seconds that devices have waited."""

    count: int
    p50: float
    p99: float
    max: float


def spread(seconds: list[float]) -> Spread:
    """Sum up."""
    cuts = quantiles(seconds, n=100, method="inclusive") if len(seconds) > 1 else [seconds[0]] * 99
    return Spread(len(seconds), round(cuts[49], 2), round(cuts[98], 2), round(max(seconds), 2))


@define
class TroubleFigures:
    """What came of a run; ``served_again`` is by the trouble, from a kill, else from when the trouble is over."""

    wires: str = ""
    cycles: Counter[str] = Factory(Counter)
    received: int = 0
    handled: int = 0
    twice_on_the_wire: int = 0
    answers: dict[str, int] = Factory(dict)
    served_again: dict[str, Spread] = Factory(dict)
    starts_in_vain: int = 0
    """How often a node found no database when it was started, and was started again."""
    resident_mib: dict[str, float] = Factory(dict)
    seconds: float = 0.0
    violations: list[str] = Factory(list)
