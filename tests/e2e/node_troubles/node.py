"""One node: a process of ``tocsin serve`` that is killed, stopped, and started anew on its state folder."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import aiohttp
import anyio
from attrs import define, field

from bench.processes import resident
from tests.e2e.crash.victims import Stuck, Victim, within
from tests.e2e.node_troubles.wires import Address

PATIENCE = 60.0
"""Seconds in which a node has to be there, which finds no database for some of them."""

AGAIN = 0.3
"""Seconds until it is started again."""

PROBE = 0.25
"""Seconds between two looks at a node."""

ANSWERS = 1.0
"""Seconds in which it has to answer to be taken for one that is there."""


@define(eq=False)
class Node:
    """A node; ``answers`` and ``is_ready`` are what a load balancer knows of it."""

    number: int
    address: Address
    log: Path
    process: Victim
    answers: bool = False
    is_ready: bool = False
    most: float = 0.0
    """MiB that it has held at most."""
    starts_in_vain: int = 0
    trouble: tuple[str, float] | None = None
    """The kind of trouble in which its devices may be served or not, and since when."""
    _lives: int = 0
    _changed: anyio.Event = field(factory=anyio.Event)

    @property
    def name(self) -> str:
        """What it is called."""
        return self.process.name

    async def start(self) -> None:
        """Start it, and wait until it is ready; what ends since there is no database is started again, as systemd does.

        :raises Stuck: it takes too long.
        """
        self.process.start()
        with within(PATIENCE, f"{self.name} was not ready"):
            while not self.is_ready:
                if not self.process.is_running:
                    await self.process.reap()
                    self.starts_in_vain += 1
                    await anyio.sleep(AGAIN)
                    self.process.start()
                await self._look()

    async def kill_while_it_starts(self, seconds: float) -> None:
        """Start it, and end it with kill -9 after a while, whether it is ready or has ended since there is no database."""
        self.process.start()
        await anyio.sleep(seconds)
        await self.process.remove()
        self.away()

    async def ready(self) -> None:
        """Wait until it says so.

        :raises Stuck: it has ended instead, or it takes too long.
        """
        with within(PATIENCE, f"{self.name} was not ready"):
            while not self.is_ready:
                self._check()
                await self._look()

    async def _look(self) -> None:
        with anyio.move_on_after(PROBE):
            await self._changed.wait()

    def _check(self) -> None:
        if not self.process.is_running:
            raise Stuck(f"{self.name} ended by itself:\n{self.log.read_text()[-3000:]}")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal.

        :raises Stuck: it has ended by itself.
        """
        self._check()
        os.kill(self.process.pid, number)

    async def kill(self) -> None:
        """End it with kill -9.

        :raises Stuck: it has ended by itself.
        """
        self._check()
        self.process.kill()
        self.away()
        code = await self.process.reap()
        if code != -signal.SIGKILL:
            raise Stuck(f"{self.name} was not killed, but ended with {code}:\n{self.log.read_text()[-3000:]}")

    async def leave(self) -> None:
        """End it in order.

        :raises Stuck: it does not end, or not in order.
        """
        self.signal(signal.SIGTERM)
        code = await self.process.reap()
        self.away()
        if code != 0:
            raise Stuck(f"{self.name} did not end in order, but with {code}:\n{self.log.read_text()[-3000:]}")

    def away(self) -> None:
        """Note that it does not answer."""
        self.answers = self.is_ready = False
        self._lives += 1

    def weigh(self) -> None:
        """Look how much memory it holds."""
        if self.process.is_running:
            self.most = max(self.most, resident(self.process.pid))

    async def watch(self, http: aiohttp.ClientSession) -> None:
        """Look at it again and again, as a load balancer does."""
        while True:
            life = self._lives
            try:
                async with http.get(
                    f"{self.address.url}/readyz", timeout=aiohttp.ClientTimeout(total=ANSWERS)
                ) as answer:
                    if life == self._lives:  # else it was one that is no more that has answered
                        self.answers, self.is_ready = True, answer.status == 200
            except (aiohttp.ClientError, OSError, TimeoutError):
                self.away()
            self._changed.set()
            self._changed = anyio.Event()
            await anyio.sleep(PROBE)
