"""Devices of which some leave and come back, and some ask for a channel: ``python -m bench.crowd KIND PORT COUNT CONNECTS REQUESTS REMOTE_ID``.

So many do so a second, chosen by chance, from when all are connected until the input ends. They acknowledge at once, and
the process answers lines as ``bench.receiving`` does. Subscribers of nchan leave and come back, and have nothing to ask for.
"""

from __future__ import annotations

import asyncio
import sys
from array import array
from collections.abc import Callable, Iterable
from contextlib import suppress
from random import Random
from time import perf_counter

from attrs import Factory, define

from bench.framework import percentile
from bench.http_load import at_rate
from bench.idle_devices import connected_devices
from bench.load import APP
from bench.prompt_devices import PromptDevice, Subscriber, spare_the_collector
from bench.receiving import Tally, answer
from tocsin.protocol.messages import ChannelGranted, ChannelRefused, RequestChannel
from tocsin.protocol.messages.codec import encode

_ALWAYS = 3_600.0  # seconds, longer than any bench


class Comings(Tally):
    """Counts what comes, and how long it took to come back, and to get a channel."""

    def begin(self) -> None:
        """Count from nothing."""
        super().begin()
        self.connects = array("d")
        self.grants = array("d")

    def found(self) -> dict[str, float]:
        """Return as a tally does, with how many came back and how many channels were granted, and p99 of both in milliseconds."""
        told = super().found()
        for name, waits in (("connects", self.connects), ("grants", self.grants)):
            told[name] = float(len(waits))
            told[f"{name} p99"] = 1000 * percentile(waits, 99) if waits else 0.0
        return told


class Guest(PromptDevice):
    """One device's connection, which may end and may ask for a channel."""

    granted: asyncio.Future[bool] | None = None

    def take_other(self, tag: int) -> None:
        """Take the answer to a request, too."""
        if tag in {ChannelGranted.TAG, ChannelRefused.TAG} and self.granted is not None:
            self.granted.set_result(tag == ChannelGranted.TAG)
        else:
            super().take_other(tag)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of a request that is not answered any more."""
        super().connection_lost(exc)
        if self.granted is not None and not self.granted.done():
            self.granted.cancel()

    async def ask(self, remote_id: str) -> None:
        """Ask for a new channel, and wait for it."""
        self.granted = asyncio.get_running_loop().create_future()
        self.send(self.BINARY, encode(RequestChannel(1, APP, remote_id, "")))
        assert await self.granted, "a channel was refused"


KINDS: dict[str, Callable[[int, Tally], PromptDevice]] = {"tocsin": Guest, "nchan": Subscriber}


@define
class Crowd:
    """All devices, by their numbers."""

    _kind: str
    _port: int
    _remote_id: str
    _guests: dict[int, PromptDevice] = Factory(dict)
    _random: Random = Factory(lambda: Random(1))  # noqa: S311  # the same load each time
    tally: Comings = Factory(Comings)

    def make(self, number: int) -> PromptDevice:
        """Make a device's next connection."""
        guest = self._guests[number] = KINDS[self._kind](number, self.tally)
        return guest

    async def connect(self, numbers: Iterable[int]) -> None:
        """Connect these, and wait until all are welcomed."""
        await connected_devices(self._port, numbers, self.make)

    async def reconnect(self, *_: float) -> None:
        """Have one leave and come back."""
        number = self._random.randrange(len(self._guests))
        if not self._guests[number].welcomed.done():
            return  # it is coming back just now
        begin = perf_counter()
        self._guests[number].leave()
        await self.connect([number])
        self.tally.connects.append(perf_counter() - begin)

    async def request(self, number: int, _: float) -> None:
        """Have one ask for a channel, by turns, as the service gives a device a few only."""
        guest = self._guests[number % len(self._guests)]
        assert isinstance(guest, Guest), "only a push service has channels to ask for"
        if guest.welcomed.done():
            begin = perf_counter()
            with suppress(asyncio.CancelledError):  # it has left before the answer
                await guest.ask(self._remote_id)
                self.tally.grants.append(perf_counter() - begin)


async def serve(crowd: Crowd, count: int, connects: float, requests: float) -> None:
    """Connect so many, and let them come and go until the input ends."""
    await crowd.connect(range(count))
    spare_the_collector()
    async with asyncio.TaskGroup() as tasks:
        lives = [
            tasks.create_task(at_rate(crowd.reconnect, connects, _ALWAYS)),
            tasks.create_task(at_rate(crowd.request, requests, _ALWAYS)),
        ]
        await answer(crowd.tally, {"connected": count})
        for life in lives:
            life.cancel()


if __name__ == "__main__":
    _kind, _port, _count, _connects, _requests, _remote_id = sys.argv[1:]
    asyncio.run(serve(Crowd(_kind, int(_port), _remote_id), int(_count), float(_connects), float(_requests)))
