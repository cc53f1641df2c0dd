"""The fault of a database: there from a failure until a trial succeeds, whatever else is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest
from attrs import Factory, define
from hypothesis import given
from hypothesis import strategies as st

from tests.persistence.virtual_loop import VirtualLoop
from tocsin.persistence.write_fault import WriteFault
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.kernel.durability import RecoveryPolicy

POLICY = RecoveryPolicy()
LOOK = 0.05
"""Seconds between two looks at the fault; failures come between them."""


@define(eq=False)
class Trials:
    """Trials that fail until a time."""

    until: float
    takes: float = 0.0
    at: list[float] = Factory(list)

    def begin(self) -> asyncio.Future[None]:
        """Begin one."""
        loop = asyncio.get_running_loop()
        self.at.append(loop.time())
        trial: asyncio.Future[None] = loop.create_future()
        loop.call_later(self.takes, self._end, trial)
        return trial

    def _end(self, trial: asyncio.Future[None]) -> None:
        if asyncio.get_running_loop().time() < self.until:
            trial.set_exception(StateUnavailable("full"))
        else:
            trial.set_result(None)


def play(trials: Trials, failures: Sequence[float], then: Callable[[WriteFault], None] | None = None) -> list[float]:
    """Have writes fail at these times, and return when the fault was there first, and when it was no more."""

    async def run() -> list[float]:
        loop, fault = asyncio.get_running_loop(), WriteFault(trials.begin)
        for at in failures:
            loop.call_at(at, fault.failed, f"full at {at}")
        seen: list[float] = []
        while loop.time() < 50:
            if (fault.said is not None) is (len(seen) % 2 == 0):
                seen.append(loop.time())
                if then is not None:
                    then(fault)
            await asyncio.sleep(LOOK)
        return seen

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(run())


@given(st.lists(st.floats(0, 20), min_size=1), st.floats(0, 30), st.floats(0, 3))
def test_it_lasts_until_a_trial_succeeds(failures: list[float], ends: float, takes: float) -> None:
    """However many writes fail meanwhile: it begins with the first, never ends while all fails, and ends in time after that."""
    trials = Trials(ends, takes)
    before = [each for each in failures if each <= ends]
    seen = play(trials, before)
    if not before:
        assert (seen, trials.at) == ([], [])
        return
    begins, over = seen[:2]
    assert begins == pytest.approx(min(before), abs=2 * LOOK)
    assert len(seen) == 2 or over <= max(before) + 2 * LOOK
    assert seen[-1] <= max(ends, *before) + POLICY.longest + 2 * takes + 2 * LOOK
    assert seen[-1] >= ends - LOOK
    assert trials.at[-1] <= seen[-1]


def test_trials_become_fewer_and_none_overlap() -> None:
    """A server in need is not asked without end."""
    trials = Trials(60.0, 0.01)
    play(trials, [0.0, 0.05, 0.2, 5.0])
    pauses = [round(later - before, 1) for before, later in zip(trials.at, trials.at[1:], strict=False)]
    assert pauses[:6] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0]
    assert {*pauses[5:]} == {5.0}


def test_once_it_is_closed_nothing_is_tried() -> None:
    """Neither what was to come, nor anew."""
    trials = Trials(60.0)
    play(trials, [0.0, 5.0], WriteFault.close)
    assert trials.at == []
