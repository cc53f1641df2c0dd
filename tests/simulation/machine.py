"""The rule machine's ground: it lets the acts of the world happen, and looks at what always holds."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import Any

from anyio.from_thread import start_blocking_portal
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant

from tests.simulation.invariants import ALWAYS, check
from tests.simulation.runner import scheduling
from tests.simulation.script import Act
from tests.simulation.world import World

PATIENCE = 20.0
"""Real seconds after which a step that never comes to rest fails."""

TURNS = st.none() | st.integers(0, 12)
"""How far the scheduler goes before the next thing happens: until nothing can go on, or some turns."""


class PlatformMachine(RuleBasedStateMachine):
    """Drives the world, in a thread of its own, for Hypothesis has none that waits."""

    def __init__(self) -> None:
        super().__init__()
        logging.disable(logging.CRITICAL)
        self.stack = ExitStack()
        self.stack.callback(logging.disable, logging.NOTSET)
        self.stack.enter_context(scheduling(0))
        self.world = World()
        self.portal = self.stack.enter_context(start_blocking_portal("trio", {"clock": self.world.sim.clock}))
        self.stack.enter_context(self.portal.wrap_async_context_manager(self.world.opened()))
        self.acts: list[Act] = []

    def do(self, name: str, *arguments: Any, turns: int | None = None) -> None:
        """Do something within the loop and let what follows happen; or go on with the next thing after some turns."""
        self.acts.append(Act(name, arguments, turns))
        if turns is None:
            acts, self.acts = self.acts, []
            self.portal.start_task_soon(self.world.play, acts).result(PATIENCE)

    @invariant()
    def what_always_holds_holds(self) -> None:
        """The same as in the seeded world."""
        check(self.world, ALWAYS)

    def teardown(self) -> None:
        """When nothing fails any more, everything comes to its end."""
        with self.stack:
            self.portal.start_task_soon(self.world.play, self.acts).result(PATIENCE)
            self.portal.start_task_soon(self.world.end).result(PATIENCE)
