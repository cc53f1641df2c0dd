"""Makes the script of a violation short: acts go as long as the same invariant fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import evolve

from tests.simulation.script import Act, Script
from tests.simulation.seeds import Outcome, run

MOST_RUNS = 600
"""Runs that shrinking takes at most."""


def shrink(outcome: Outcome, play: Callable[[Script], Outcome] = run, most: int = MOST_RUNS) -> Outcome:
    """Return the shortest run that was found in which the invariant fails that fails in this one."""
    assert outcome.violation is not None
    return _Shrinking(outcome, play, most).best()


class _Shrinking:
    def __init__(self, outcome: Outcome, play: Callable[[Script], Outcome], most: int) -> None:
        assert outcome.violation is not None
        self._invariant = outcome.violation.invariant
        self._best = outcome
        self._play = play
        self._left = most

    def best(self) -> Outcome:
        """Cut off what came after, then remove runs of acts, the longest first, until no single act can go."""
        self._try(self._best.script.acts[: self._best.counts["acts"]])
        removed = True
        while removed and self._left:
            removed = False
            length = max(1, len(self._best.script.acts) // 2)
            while length:
                removed |= self._remove(length)
                length //= 2
        for number, act in enumerate(self._best.script.acts):
            if act.turns is not None:
                self._try(_replaced(self._best.script.acts, number, evolve(act, turns=None)))
        return self._best

    def _remove(self, length: int) -> bool:
        removed, start = False, 0
        while start < len(self._best.script.acts):
            acts = self._best.script.acts
            if self._try(acts[:start] + acts[start + length :]):
                removed = True
            else:
                start += length
        return removed

    def _try(self, acts: Sequence[Act]) -> bool:
        """Run that, if runs are left, and keep it if the same invariant fails."""
        if not self._left:
            return False
        self._left -= 1
        outcome = self._play(evolve(self._best.script, acts=acts))
        if outcome.violation is None or outcome.violation.invariant != self._invariant:
            return False
        self._best = outcome
        return True


def _replaced(acts: Sequence[Act], number: int, act: Act) -> Sequence[Act]:
    return [*acts[:number], act, *acts[number + 1 :]]
