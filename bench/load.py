"""The load of the benches that run in one process: a service's end in memory, and an app that handles what comes.

Both do as little as they can: frames are encoded before the clock starts, and acknowledgements are counted.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import islice
from time import perf_counter, time
from uuid import uuid4

from msgpack import Unpacker

from bench.framework import Sample, percentile
from tocsin.actors.topology import Platform
from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.api.channel import PushNotificationChannel
from tocsin.api.embedded import local_session
from tocsin.api.manager import PushNotificationManager
from tocsin.protocol.messages import Acknowledge, ChannelGranted, Hello, Payload, RequestChannel, Welcome
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.values import PROTOCOL_VERSION, NotificationType
from tocsin.transport.wire import Wire, WireBroken

BODY = 256
"""Bytes of a payload's body."""

CHUNK = 198
"""Frames of one chunk: as many as the service's 64 KiB hold."""

APP = "contoso.mail"
NEVER = 4e9
"""When channels expire, in seconds since the epoch."""


def frame(number: int, channel: str) -> bytes:
    """Encode the payload with that number; its id is the number in hex."""
    return encode(Payload(f"{number:016X}", channel, NotificationType.RAW, bytes(BODY), None, 3))


class ServiceEnd:
    """The service's end of a device's connection: sends frames, ``window`` of them unacknowledged at most."""

    def __init__(self, window: int, *, record: bool = True) -> None:
        self._window = window
        self._record = record
        self._frames: Iterator[bytes] = iter(())
        self._may_send = 0
        self._sent = 0
        self._acknowledged = 0
        self._answers: list[bytes] = []
        self._wake = asyncio.Event()
        self._all_acknowledged = asyncio.Event()
        self.sent_at = array("d")
        """When each payload was sent, by its number; acknowledgements come in the same order."""
        self.acknowledged_at = array("d")

    def load(self, frames: Sequence[bytes]) -> None:
        """Send these frames, as fast as they are acknowledged."""
        self.supply(iter(frames))
        self.release(len(frames))

    def supply(self, frames: Iterator[bytes]) -> None:
        """Take frames from there, when they are released."""
        self._frames = frames

    def release(self, count: int) -> None:
        """Let so many more frames go."""
        self._may_send += count
        self._all_acknowledged.clear()
        self._wake.set()

    @property
    def released(self) -> int:
        """How many frames were let go so far."""
        return self._may_send

    async def all_acknowledged(self) -> None:
        """Wait until all that may go has gone and is acknowledged."""
        await self._all_acknowledged.wait()

    @asynccontextmanager
    async def dial(self) -> AsyncIterator[Wire]:
        """Connect, as a device does."""
        if self._sent:
            raise WireBroken("a bench has one connection")
        yield self

    async def receive(self) -> bytes:
        """Return the next chunk for the device."""
        await asyncio.sleep(0)  # as a socket would
        while True:
            if self._answers:
                answers, self._answers = self._answers, []
                return b"".join(answers)
            room = min(CHUNK, self._window - (self._sent - self._acknowledged), self._may_send - self._sent)
            if room > 0:
                self._sent += room
                if self._record:
                    self.sent_at.extend([perf_counter()] * room)
                return b"".join(islice(self._frames, room))
            self._wake.clear()
            await self._wake.wait()

    async def send(self, chunk: bytes) -> None:
        """Take a chunk from the device."""
        unpacker = Unpacker(use_list=False)
        unpacker.feed(chunk)
        for tag, *fields in unpacker:
            if tag == Acknowledge.TAG:
                self._acknowledged += len(fields[0])
                if self._record:
                    self.acknowledged_at.extend([perf_counter()] * len(fields[0]))
            elif tag == RequestChannel.TAG:
                name = f"c{fields[0]}"
                granted = ChannelGranted(fields[0], name, f"http://push.test/w/?token={name}", NEVER, time())
                self._answers.append(encode(granted))
            elif tag == Hello.TAG:  # what the machine is like changes nothing here
                self._answers.append(encode(Welcome(PROTOCOL_VERSION, self._window, time())))
        if self._acknowledged == self._may_send:
            self._all_acknowledged.set()
        self._wake.set()


class App:
    """Handles payloads by setting ``handled``, and notes when each came, by its number."""

    def __init__(self, expected: int) -> None:
        self.handled_at = array("d", bytes(8 * expected))
        self._left = expected
        self._done = asyncio.Event()

    async def handler(self, args: PushNotificationReceivedEventArgs) -> None:
        """Handle a payload."""
        args.handled = True
        self.handled_at[int(args.id, 16)] = perf_counter()
        self._left -= 1
        if not self._left:
            self._done.set()

    async def all_handled(self) -> None:
        """Wait until all that was expected has come."""
        await self._done.wait()


@asynccontextmanager
async def attached(
    platform: Platform, channels: int, handler: Callable[[PushNotificationReceivedEventArgs], Awaitable[None]]
) -> AsyncIterator[list[str]]:
    """Let an app request so many channels and attach its handler to them; yield their names."""
    async with local_session(platform, APP) as session:
        manager = PushNotificationManager(session, APP, None)
        async with AsyncExitStack() as stack:
            names = []
            for _ in range(channels):
                channel = await _channel(manager)
                stack.enter_context(channel.push_received(handler))
                names.append(channel.uri.partition("token=")[2])
            yield names


async def drive(
    platform: Platform, end: ServiceEnd, payloads: int, channels: int, done: Callable[[], Awaitable[object]]
) -> Sample:
    """Send payloads to an app on so many channels in turn, until they are handled and ``done`` has returned."""
    app = App(payloads)
    async with attached(platform, channels, app.handler) as names:
        frames = [frame(number, names[number % channels]) for number in range(payloads)]
        start = perf_counter()
        end.load(frames)
        await end.all_acknowledged()
        await app.all_handled()
        await done()
        seconds = perf_counter() - start
    return {
        "payloads/s": payloads / seconds,
        **latencies("ack", end.sent_at, end.acknowledged_at),
        **latencies("handler", end.sent_at, app.handled_at),
    }


def latencies(name: str, begins: Sequence[float], ends: Sequence[float]) -> Sample:
    """Return p50 and p99 of what lies between, in milliseconds."""
    waits = [(end - begin) * 1000 for begin, end in zip(begins, ends, strict=True)]
    return {f"{name} p50 ms": percentile(waits, 50), f"{name} p99 ms": percentile(waits, 99)}


async def _channel(manager: PushNotificationManager) -> PushNotificationChannel:
    result = await manager.create_channel(uuid4())
    assert result.channel is not None, result
    return result.channel
