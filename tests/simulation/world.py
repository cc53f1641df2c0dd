"""The world: it lets acts happen, looks at what always holds, and brings everything to its end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from inspect import iscoroutine

import anyio
from anyio.lowlevel import checkpoint
from attrs import fields

from tests.simulation.agent_acts import AgentActs
from tests.simulation.invariants import ALWAYS, AT_THE_END, TIMED, check
from tests.simulation.script import Act
from tests.simulation.service import FOREVER
from tocsin.protocol.platform.conditions import AppSettings, HostState
from tocsin.protocol.platform.host_facts import HostFacts
from tocsin.protocol.platform.policy import NO_POLICY

SETTLED = 900.0
"""Virtual seconds in which all must have ended once nothing fails any more."""


class World(AgentActs):
    """Plays scripts."""

    def __init__(self, *, agent: bool = False) -> None:
        super().__init__(self._tick, agent=agent)
        self.settled = SETTLED
        self.calls = 0
        """Store calls before the end began."""

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Let it begin with a platform that runs."""
        async with self.sim.opened():
            await self.sim.start()
            yield

    async def play(self, acts: Iterable[Act]) -> None:
        """Let things happen one after the other, and look at what always holds after each.

        :raises Violation: it does not.
        """
        for act in acts:
            self.record.say("act", act)
            self.record.counts["acts"] += 1
            result = getattr(self, act.name)(*act.arguments)
            if iscoroutine(result):
                await result
            await self._settle(act.turns)
            if await self.sim.revive():
                self.forget()
            check(self, ALWAYS)

    async def end(self) -> None:
        """When nothing fails any more, everything comes to its end.

        :raises Violation: it does not.
        """
        await self.play([Act("calm")])
        await self.play([Act("mend"), Act("pass_time", [SETTLED])])
        check(self, AT_THE_END)
        await self.sim.stop()
        check(self, ALWAYS)

    # The end

    def calm(self) -> None:
        """No further fault happens."""
        self.calls = self.sim.disk.calls
        self.sim.disk.planned.clear()
        self.sim.wire.planned.clear()
        self.life.crashes.clear()
        self.service.refusals.clear()
        self.service.reachable = True
        self.service.delay = 0.0
        self.service.lifetime = FOREVER

    async def mend(self) -> None:
        """Every app does its work, and the service sends again what it has not heard of."""
        await self.service.cut()
        self.sim.sensor.tell(HostFacts())
        self.sim.policy.told.set(NO_POLICY)
        self.life.platform.host_owner.set_over_budget(frozenset())
        await anyio.wait_all_tasks_blocked()
        for app, manager in enumerate(self.life.managers.values()):
            await manager.conditions.set_host(**{each.name: bool(each.default) for each in fields(HostState)})
            settings = AppSettings()
            self.decide(app, settings.notifications, settings.background, settings.exempt_from_energy_saver)
            self.register(app, 0, False, "completes")  # noqa: FBT003  # acts have plain arguments
        if self.sim.agent:
            self.mend_processes()
        for channel in list(self.attached):  # also from those that are gone
            self._detach(channel)
        for channel in self.channels():
            self.put_handler(channel, "handles")

    # How it happens

    async def _settle(self, turns: int | None) -> None:
        if turns is None:
            await anyio.wait_all_tasks_blocked()
            self.sim.at_rest()
        for _ in range(turns or 0):
            await checkpoint()

    def _tick(self) -> None:
        self.sim.processes.note_unsupervised()
        check(self, TIMED)
