"""Runs scripts, each in an event loop of its own, on virtual time and in one thread."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import anyio
import trio
from attrs import Factory, frozen

from tests.simulation.faults import StoreFault
from tests.simulation.invariants import Violation
from tests.simulation.runner import scheduling
from tests.simulation.script import Script
from tests.simulation.world import World

MOST_STEPS = 10_000
"""Steps of tasks in which no time passes and nothing comes forward, after which it is said that the run goes in circles."""


@frozen
class Outcome:
    """What became of a run."""

    script: Script
    digest: str
    trace: list[str]
    violation: Violation | None
    virtual: float
    """Virtual seconds."""
    steps: int
    """Steps of tasks."""
    calls: int
    """Store calls before the end began."""
    counts: Counter[str] = Factory(Counter)
    faults: Counter[str] = Factory(Counter)
    checks: Counter[str] = Factory(Counter)


class Guard(trio.abc.Instrument):
    """Counts the steps of tasks, and ends a run that goes in circles."""

    def __init__(self, world: World) -> None:
        self.steps = 0
        self.scope = trio.CancelScope()
        self._world = world
        self._stood: tuple[float, int] | None = None
        self._first = 0

    def after_task_step(self, task: trio.lowlevel.Task) -> None:  # noqa: ARG002  # trio calls it so
        """Count, and look now and then at the clock, and at how far the payloads have come.

        Each comes to a first handler or dies once at most, so that hundreds of launches that take no time are no circle.
        """
        self.steps += 1
        if self.steps - self._first > MOST_STEPS:
            world = self._world
            stands = world.sim.clock.current_time(), len(world.record.seen) + len(world.sim.store._dead)
            if stands == self._stood:
                self.scope.cancel()
            self._stood, self._first = stands, self.steps


def run(script: Script, planned: Mapping[int, tuple[StoreFault, float]] | None = None) -> Outcome:
    """Play a script to its end, with store calls that go wrong by their number."""
    world = World(agent=script.has_agent)
    world.sim.disk.planned.update(planned or {})
    guard = Guard(world)
    with scheduling(script.seed), _quietly():
        violation = anyio.run(
            partial(_play, world, script, guard),
            backend="trio",
            backend_options={"clock": world.sim.clock, "instruments": [guard]},
        )
    record = world.record
    record.counts["pushed"] = len(world.pushed)
    record.counts["acknowledged"] = len(world.service.acknowledged)
    record.counts["handled"] = len(world.sim.store.handled)
    record.counts["store calls"] = world.sim.disk.calls
    record.counts.update({f"dead: {reason}": n for reason, n in _dead(world).items()})
    return Outcome(
        script,
        record.digest(),
        record.trace(),
        violation,
        record.now(),
        guard.steps,
        world.calls,
        record.counts,
        record.faults,
        record.checks,
    )


async def _play(world: World, script: Script, guard: Guard) -> Violation | None:
    violation = None
    with guard.scope:
        try:
            async with world.opened():
                await world.play(script.acts)
                await world.end()
        except* AssertionError as broken:
            violation = _first(broken)
    if guard.scope.cancelled_caught:
        return Violation("comes_to_rest", f"{MOST_STEPS} steps, and nothing has come forward")
    return violation


def _first(group: BaseExceptionGroup[AssertionError]) -> Violation:
    failure: BaseException = group
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure if isinstance(failure, Violation) else Violation(type(failure).__name__, str(failure))


def _dead(world: World) -> Counter[str]:
    return Counter(str(letter.reason) for letter in world.sim.store._dead.values())


@contextmanager
def _quietly() -> Iterator[None]:
    """Say nothing of what fails: it is made to."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
