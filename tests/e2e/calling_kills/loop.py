"""The loop: kill the calling service at a random moment while it is called and answered, and see how each call has ended."""

from __future__ import annotations

import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import anyio
from attrs import frozen

from tests.e2e.calling_kills.account import CallFigures, judge
from tests.e2e.calling_kills.journal import ACCEPTING, BEGAN, CONNECTED, ENDED, LEAVING, RANG, Journal, open_calls
from tests.e2e.calling_kills.programs import CallPlace, attend, attend_quietly, call_often, serve_calls
from tests.e2e.crash.loop import free_port
from tests.e2e.crash.victims import PATIENCE, Stuck, Victim, within
from tests.e2e.hub_kills.figures import wait_until
from tests.e2e.hub_kills.hub_program import HubPlace, serve_hub

CALLER, ONLINE, QUIET = "caller", "online", "quiet"

FEW = 2
"""Calls that begin in a cycle before it kills."""

SPREAD = 0.5
"""Seconds after those within which the kill falls: calls ring, are answered, are talked in and end."""

AIMED = 0.7
"""In how many of the cycles the kill falls just behind something that happens to a call."""

JUST = 0.02
"""Seconds after that within which it falls."""

AT_THE_START = 0.3
"""In how many of the cycles what was started is killed once more, whether it is ready or not."""

START = 0.4
"""Seconds within which that kill falls."""

LOOK = 0.05
"""Seconds between two looks for calls that are open still."""

EVERY = 5.0
"""Seconds between two words on how far it is."""


@frozen
class CallPlan:
    """What to do: how many cycles, by which seed."""

    cycles: int
    seed: int = 0


class CallKills:
    """One run on one state folder; the push service stays, and so do the caller and the two endpoints."""

    def __init__(self, plan: CallPlan, folder: Path) -> None:
        self._plan = plan
        self._folder = folder
        self._journal = Journal(folder)
        self._figures = CallFigures()
        self._random = random.Random(plan.seed)  # noqa: S311  # the same plan again, not a secret
        self._push = Victim("push service", serve_hub, (folder / "push", free_port()))
        self._service = Victim("calling service", serve_calls, ())
        self._programs: dict[str, Victim] = {}
        self._began = self._told = time.monotonic()

    async def run(self) -> CallFigures:
        """Do all cycles, let every call come to its end, and judge.

        :raises Stuck: something that had to happen did not.
        """
        try:
            await self._open()
            for number in range(1, self._plan.cycles + 1):
                await self._cycle(number)
                self._tell(number)
            await self._settle()
            self._service.say("how all calls have ended")
            kept = await self._service.hear("did not say how its calls have ended")
            judge(self._journal.records(), kept, CALLER, self._figures)
            silent = {ONLINE, QUIET} - self._figures.rang.keys()
            self._figures.violations += [f"the endpoint {name} has never rung" for name in sorted(silent)]
            for victim in (*self._programs.values(), self._service, self._push):
                await victim.stop()
        finally:
            with anyio.CancelScope(shield=True):  # bounded by PATIENCE
                for victim in (*self._programs.values(), self._service, self._push):
                    await victim.remove()
        self._figures.seconds = time.monotonic() - self._began
        return self._figures

    async def _open(self) -> None:
        self._push.start()
        push: HubPlace = await self._push.hear("was not ready")
        self._service.arguments = (self._folder / "calling", free_port(), push)
        self._service.start()
        calls: CallPlace = await self._service.hear("was not ready")
        self._programs = {
            ONLINE: Victim(ONLINE, attend, (self._folder, ONLINE, push, calls)),
            QUIET: Victim(QUIET, attend_quietly, (self._folder, QUIET, push, calls)),
            CALLER: Victim(CALLER, call_often, (self._folder, CALLER, calls)),
        }
        for program in self._programs.values():
            program.start()
            await program.hear("was not ready")

    # Cycles

    async def _cycle(self, number: int) -> None:
        began = self._count()
        few = f"before kill {number}, only {began} calls had begun"
        await wait_until(lambda: self._count() >= began + FEW, few)
        if self._random.random() < AIMED:
            aim = self._random.choice([RANG, ACCEPTING, CONNECTED, LEAVING, ENDED])
            before = self._count("*", aim)
            await wait_until(
                lambda: self._count("*", aim) > before, f"before kill {number}, nothing was noted as {aim}"
            )
            await self._kill(JUST)
        else:
            await self._kill(SPREAD)
        self._figures.killed_while += Counter(open_calls(self._journal.records()).values())
        if self._random.random() < AT_THE_START:
            self._figures.killed_at_the_start += 1
            self._service.start()
            await self._kill(START)
        self._service.start()
        await self._service.hear("was not ready")

    def _count(self, program: str = CALLER, what: str = BEGAN) -> int:
        return sum(record.what == what for record in self._journal.records(program))

    async def _kill(self, spread: float) -> None:
        await anyio.sleep(self._random.uniform(0, spread))  # the moment that chance has chosen
        self._service.kill()
        code = await self._service.reap()
        if code != -signal.SIGKILL:
            raise Stuck(f"the service was not killed, but ended by itself with code {code}")
        self._figures.kills += 1

    async def _settle(self) -> None:
        """Begin no more calls, and wait until none is open anywhere."""
        still: dict[str, str] = {}
        self._programs[CALLER].say("enough")
        await self._programs[CALLER].hear("is in a call that does not end")
        try:
            with within(PATIENCE, "calls ring or go on"):
                while still := open_calls(self._journal.records()):  # noqa: ASYNC110  # other programs write
                    await anyio.sleep(LOOK)
                for name, program in self._programs.items():
                    program.say("what is open")
                    while open_ := await program.hear("did not say what is open"):
                        still = dict.fromkeys(open_, name)
                        await anyio.sleep(LOOK)
                        program.say("what is open")
        except Stuck as stuck:
            raise Stuck(f"{stuck}: {still}") from None

    def _tell(self, cycle: int) -> None:
        """Say on standard error how far it is, every few seconds."""
        now = time.monotonic()
        if now - self._told >= EVERY:
            self._told = now
            sys.stderr.write(
                f"{cycle} of {self._plan.cycles} cycles, {now - self._began:.0f} s, {self._count()} calls began\n"
            )
