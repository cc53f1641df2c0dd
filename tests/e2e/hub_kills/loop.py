"""The loop: kill the service at a random moment while a hub's messages are on their way, and see what became of each."""

from __future__ import annotations

import random
import signal
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
import anyio
from attrs import frozen

from tests.e2e.crash.loop import free_port
from tests.e2e.crash.victims import PATIENCE, Stuck, Victim, within
from tests.e2e.hub_kills.figures import KNOCK, HubFigures, wait_until
from tests.e2e.hub_kills.hub_client import HubClient, HubReply
from tests.e2e.hub_kills.hub_program import HubPlace, serve_hub
from tests.e2e.hub_kills.recipients import PlatformRecipient, Recipient, SocketRecipient
from tests.e2e.hub_kills.traffic import Traffic
from tests.e2e.hub_kills.verdict import Verdict
from tocsin.tasks import task_group

FEW = 8
"""Messages that are accepted in a cycle before it kills."""

SPREAD = 0.15
"""Seconds after those within which the kill falls."""

AT_THE_START = 0.3
"""In how many of the cycles what was started is killed once more, whether it is ready or not."""

START = 0.4
"""Seconds within which that kill falls: the first of them are its start, the others what it goes on with."""

SENDERS = 4

KEPT_TAGS = 30
"""Tags of cycles that a device keeps: a registration may have 60."""

EVERY = 5.0
"""Seconds between two words on how far it is."""


@frozen
class HubPlan:
    """What to do: how many cycles, by which seed."""

    cycles: int
    seed: int = 0


def _session() -> aiohttp.ClientSession:
    """Return a session in which each request is answered in time, or its connection ends; else the run fails."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=PATIENCE / 2)
    )


class HubKills:
    """One run on one state folder; the devices stay, and so do the clients."""

    def __init__(self, plan: HubPlan, folder: Path) -> None:
        self._plan = plan
        self._folder = folder
        self._figures = HubFigures()
        self._random = random.Random(self._plan.seed)  # noqa: S311  # the same plan again, not a secret
        self._service = Victim("service", serve_hub, (self._folder / "service", free_port()))
        tagged = {
            "one": "live odd",
            "two": "live even",
            "three": "live odd slow",
            "four": "live even",
            "five": "kept leaves",
        }
        self._sockets: list[SocketRecipient] = [
            SocketRecipient(name, frozenset(tags.split())) for name, tags in tagged.items()
        ]
        self._platform = PlatformRecipient("six", frozenset({"kept"}))
        self._recipients: list[Recipient] = [*self._sockets, self._platform]
        self._ids: dict[str, str] = {}  # of registrations, by recipient
        self._given: defaultdict[str, list[str]] = defaultdict(list)  # the tags of cycles, by recipient
        self._began = self._told = time.monotonic()

    async def run(self) -> HubFigures:
        """Do all cycles, let everything come to its end, and judge.

        :raises Stuck: something that had to happen did not.
        """
        try:
            async with self._opened() as client:
                traffic = Traffic(client, self._recipients, self._figures, self._random)
                async with task_group() as tasks:
                    for _ in range(SENDERS):
                        tasks.start_soon(traffic.run)
                    for number in range(1, self._plan.cycles + 1):
                        await self._cycle(number, client, traffic)
                        self._tell(number)
                    traffic.stopping = True
                database = self._folder / "service" / "service.db"
                await Verdict(database, client, self._recipients, self._figures).judge(traffic.sent)
                await self._service.stop()
        finally:
            with anyio.CancelScope(shield=True):  # bounded by PATIENCE
                await self._service.remove()
        self._figures.seconds = time.monotonic() - self._began
        return self._figures

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[HubClient]:
        """Start all, and register the devices while the service is killed the first time."""
        self._service.start()
        place: HubPlace = await self._service.hear("was not ready")
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(_session())
            tasks = await stack.enter_async_context(task_group())
            for socket in self._sockets:
                tasks.start_soon(socket.run, place)
            tasks.start_soon(self._platform.run, self._folder / "platform", place)
            client = HubClient(http, place)
            await self._all_up()
            async with task_group() as registering:
                for recipient in self._recipients:
                    registering.start_soon(self._register, client, recipient, recipient.tags)
                await self._kill(SPREAD / 5)
                await self._start()
            yield client
            tasks.cancel_scope.cancel()

    async def _register(self, client: HubClient, recipient: Recipient, tags: frozenset[str]) -> None:
        """Register until that is answered: what was answered is kept, over all kills."""
        if recipient.name not in self._ids:
            self._ids[recipient.name] = (await self._ask_until(201, client.new_registration_id)).id
        await self._ask_until(200, partial(client.register, self._ids[recipient.name], recipient.uri, tags))

    async def _ask_until(self, status: int, call: Callable[[], Awaitable[HubReply]]) -> HubReply:
        with within(PATIENCE, f"nothing was answered with {status}"):
            while True:
                try:
                    reply = await call()
                except (aiohttp.ClientError, OSError):
                    await anyio.sleep(KNOCK)
                    continue
                if reply.status != status:
                    raise Stuck(f"{status} was expected, but it was {reply.status}: {reply.text}")
                return reply

    # Cycles

    async def _cycle(self, number: int, client: HubClient, traffic: Traffic) -> None:
        accepted = self._figures.accepted.total()
        async with task_group() as tasks:
            tasks.start_soon(self._retag, number, client, traffic)
            few = f"before kill {number}, only {accepted} messages were accepted"
            await wait_until(lambda: self._figures.accepted.total() >= accepted + FEW, few)
            await self._kill(SPREAD, traffic.pause)
            if self._random.random() < AT_THE_START:
                self._figures.killed_at_the_start += 1
                self._service.start()
                await self._kill(START)
            await self._start()
            traffic.ready.set()

    async def _retag(self, number: int, client: HubClient, traffic: Traffic) -> None:
        """Give a device one more tag, and send to it: it was answered, so it is there.

        A device keeps its newest ones: what was sent to an earlier may have to be tried again yet.
        """
        recipient = self._random.choice(self._recipients)
        tag = f"cycle-{number}"
        more = self._given[recipient.name] = [*self._given[recipient.name], tag][-KEPT_TAGS:]
        await self._register(client, recipient, recipient.tags.union(more))
        await traffic.send_to_tag(tag, recipient.name)

    async def _start(self) -> None:
        self._service.start()
        await self._service.hear("was not ready")
        self._platform.restart()
        await self._all_up()

    async def _all_up(self) -> None:
        """Wait for the devices that stay, and the app: what may not be stored would be dropped else, and of more than 100 the oldest."""
        await wait_until(
            lambda: all(each.uri and (each.up or "leaves" in each.tags) for each in self._recipients),
            "the devices did not come back",
        )

    async def _kill(self, spread: float, before: Callable[[], None] = lambda: None) -> None:
        await anyio.sleep(self._random.uniform(0, spread))  # the moment that chance has chosen
        before()
        self._service.kill()
        code = await self._service.reap()
        if code != -signal.SIGKILL:
            raise Stuck(f"the service was not killed, but ended by itself with code {code}")
        self._figures.kills += 1

    def _tell(self, cycle: int) -> None:
        """Say on standard error how far it is, every few seconds."""
        now = time.monotonic()
        if now - self._told >= EVERY:
            self._told = now
            sys.stderr.write(
                f"{cycle} of {self._plan.cycles} cycles, {now - self._began:.0f} s,"
                f" {self._figures.accepted.total()} accepted\n"
            )
