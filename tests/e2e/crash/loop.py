"""The loop: kill a victim at a random moment, start it anew on the same state, and see that nothing is lost."""

from __future__ import annotations

import random
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import anyio
from attrs import Factory, asdict, define, frozen

from tests.e2e.crash.account import Account
from tests.e2e.crash.senders import Senders
from tests.e2e.crash.victims import PATIENCE, Registered, Stuck, Victim, receive, serve, within
from tests.processes import Sender
from tocsin.tasks import task_group

FEW = 5
"""Acknowledgements that a cycle waits for before it kills."""

SPREAD = 0.05
"""Seconds after those within which the kill falls."""

AT_THE_START = 0.2
"""In how many of the cycles what was started is killed once more, whether it is ready or not."""

START = 0.1
"""Seconds within which that kill falls."""

EVERY = 5.0
"""Seconds between two words on how far it is."""

VICTIMS = {"device": 6, "service": 2, "both": 2}
"""Who may be killed, and how often of ten times."""


@frozen
class Plan:
    """What to do: how many cycles, on whom, by which seed."""

    cycles: int
    victims: str = "mixed"
    """One of ``VICTIMS``, or mixed."""
    seed: int = 0


@define
class Figures:
    """What came of it."""

    cycles: Counter[str] = Factory(Counter)
    killed_at_the_start: int = 0
    acknowledged: int = 0
    messages: int = 0
    """Of Web Push, among them."""
    handed_out: int = 0
    redelivered: int = 0
    unacknowledged: dict[str, int] = Factory(dict)
    dead_letters: dict[str, int] = Factory(dict)
    rows: int = 0
    lost: list[str] = Factory(list)
    doubled: list[str] = Factory(list)
    seconds: float = 0.0


class KillLoop:
    """One run on one pair of state folders."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._plan = plan
        self._random = random.Random(plan.seed)  # noqa: S311  # the same plan again, not a secret
        self._folder = folder
        self._account = Account(folder / "log", folder / "device" / "platform.db")
        self._figures = Figures()
        self._service = Victim("service", serve, (folder / "service", free_port()))
        self._device = Victim("device", receive, ())
        self._began = self._told = time.monotonic()

    async def run(self) -> Figures:
        """Do all cycles, let everything come to its end, and judge.

        :raises Stuck: something that had to happen did not.
        """
        try:
            async with self._opened() as senders:
                async with task_group() as tasks:
                    tasks.start_soon(senders.run)
                    for number in range(self._plan.cycles):
                        await self._cycle(senders)
                        self._tell(number + 1)
                    with within(PATIENCE, "the pushes under way were not answered"):
                        await senders.stop()
                with within(PATIENCE, "the last payload was not acknowledged"):
                    lasts = {await senders.push_last(by_web_push=each) for each in (False, True)}
                await self._settle(lasts)
        finally:
            with anyio.CancelScope(shield=True):  # bounded by PATIENCE
                await self._device.remove()
                await self._service.remove()
        self._account.close()
        return self._sum_up()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Senders]:
        """Start both, and register the app."""
        self._service.start()
        registered: Registered = await self._service.hear("was not ready")
        folder, log = self._folder / "device", self._folder / "log"
        self._device.arguments = (folder, registered.url, registered.remote_id, log)
        self._device.start()
        reached = await self._device.hear("had no channel")
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            server = Sender(http, asdict(registered))
            with within(PATIENCE, "there was no access token"):
                await server.sign_in()
            senders = Senders(server, http, self._account)
            senders.reached = reached
            yield senders

    async def _cycle(self, senders: Senders) -> None:
        self._account.cycle += 1
        whom = self._choose()
        victims = {"device": [self._device], "service": [self._service], "both": [self._service, self._device]}[whom]
        with within(PATIENCE, f"before kill {self._account.cycle}, nothing was acknowledged"):
            await self._account.wait_for(self._account.acknowledged + FEW)
        await self._kill(victims, SPREAD)
        self._account.read_log()
        if self._random.random() < AT_THE_START:
            self._figures.killed_at_the_start += 1
            for victim in victims:
                victim.start()
            await self._kill(victims, START)
        for victim in victims:
            victim.start()
            word = await victim.hear("was not ready")
            if victim is self._device:
                senders.reached = word
        self._account.read_database()
        self._figures.cycles[whom] += 1

    def _choose(self) -> str:
        if self._plan.victims in VICTIMS:
            return self._plan.victims
        return self._random.choices(list(VICTIMS), list(VICTIMS.values()))[0]

    async def _kill(self, victims: list[Victim], spread: float) -> None:
        await anyio.sleep(self._random.uniform(0, spread))  # the moment that chance has chosen
        for victim in self._random.sample(victims, len(victims)):
            victim.kill()
        for victim in victims:
            code = await victim.reap()
            if code != -signal.SIGKILL:
                raise Stuck(f"the {victim.name} was not killed, but ended by itself with code {code}")

    async def _settle(self, lasts: set[int]) -> None:
        """Wait until the app has the last payloads: all before them have come to their end by then. Then stop both."""
        while lasts:  # it also tells of such as were to be the last, but were not acknowledged
            lasts.discard(await self._device.hear("was not handed the last payload"))
        await self._device.stop()
        await self._service.stop()

    def _tell(self, cycle: int) -> None:
        """Say on standard error how far it is, every few seconds."""
        now = time.monotonic()
        if now - self._told >= EVERY:
            self._told = now
            account = self._account
            sys.stderr.write(
                f"{cycle} of {self._plan.cycles} cycles, {now - self._began:.0f} s,"
                f" {account.acknowledged} acknowledged, {account.handed_out} handed out,"
                f" {len(account.lost)} lost, {len(account.doubled)} doubled\n"
            )

    def _sum_up(self) -> Figures:
        account, figures = self._account, self._figures
        figures.acknowledged, figures.messages = account.acknowledged, account.messages
        figures.handed_out, figures.redelivered = account.handed_out, account.redelivered
        figures.unacknowledged = dict(sorted(account.refused.items()))
        figures.dead_letters = dict(sorted(account.dead.items()))
        figures.rows = account.rows
        figures.lost, figures.doubled = account.lost, account.doubled
        figures.seconds = time.monotonic() - self._began
        return figures


def free_port() -> int:
    """Find a port below those that the system gives to outgoing connections, one of which could take it meanwhile."""
    for port in random.sample(range(20_000, 30_000), 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise Stuck("no port from 20000 to 30000 is free")
