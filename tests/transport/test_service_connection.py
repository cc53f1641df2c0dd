"""The device's connection against a service that the test plays."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from tests.helpers import PATIENCE, FakeService, next_messages, payload
from tests.protocol.frames import arrivals
from tocsin.mailbox import Mailbox
from tocsin.protocol.errors import ProtocolViolation
from tocsin.protocol.messages import (
    Acknowledge,
    Arrivals,
    ConnectionDown,
    ConnectionUp,
    Hello,
    Message,
    Payload,
    UnwantedChanged,
    Welcome,
)
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.protocol.platform.service_connection import Phase
from tocsin.protocol.platform.unwanted import Unwanted
from tocsin.protocol.values import PROTOCOL_VERSION
from tocsin.transport.frame_traffic import ArrivalHandlers
from tocsin.transport.service_connection import ServiceConnection
from tocsin.transport.wire import Wire


class Device:
    """A connection and what came out of it."""

    def __init__(self, service: FakeService) -> None:
        self.service = service
        self.outbox = Mailbox("outbox")
        self.inbox = Mailbox("inbox")
        self.connection = ServiceConnection(
            service.dial, "the key", self.outbox, ArrivalHandlers(self._deliver, self.inbox.send), lambda: 0.0
        )

    async def _deliver(self, messages: list[tuple[Message, bytes]]) -> None:
        for message, frame in messages:
            if not isinstance(message, Arrivals):
                raise ProtocolViolation(f"{type(message).__name__} is not for devices")
            await self.inbox.send_frame(frame)


@asynccontextmanager
async def device() -> AsyncIterator[Device]:
    """Run a device that is not connected yet."""
    service = FakeService()
    service.now = lambda: 5e8
    one = Device(service)
    with one.outbox, one.inbox:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.connection.run)
            yield one
            tasks.cancel_scope.cancel()
    assert one.connection.phase is Phase.CLOSED
    service.close()


async def test_it_greets_with_its_key_and_reports_the_welcome() -> None:
    """The service hears version and key first, and the platform that the connection is up."""
    async with device() as d:
        assert await d.service.accept() == Hello(PROTOCOL_VERSION, "the key")
        assert await next_messages(d.inbox) == [ConnectionUp(1024, 5e8)]


async def test_frames_go_both_ways() -> None:
    """What is put into the outbox reaches the service, what the service sends is delivered, in order."""
    async with device() as d:
        await d.service.accept()
        await next_messages(d.inbox)
        await d.service.send(payload("A"), payload("B"))
        assert await next_messages(d.inbox) == [arrivals(payload("A"), payload("B"))]
        d.outbox.send_urgent(Acknowledge(("A",)))
        assert await d.service.expect(Acknowledge) == Acknowledge(("A",))


async def test_payloads_right_behind_the_welcome_are_not_lost() -> None:
    """A service need not wait after its welcome, not even for the next message."""
    async with device() as d:
        await d.service.accept(welcome=False)
        await d.service.send(Welcome(PROTOCOL_VERSION, 7, 0.0), payload("A"))
        messages: list[Message] = []
        while len(messages) < 2:
            messages += await next_messages(d.inbox)
        assert messages == [ConnectionUp(7, 0.0), arrivals(payload("A"))]


async def test_a_lost_connection_is_reported_and_made_again() -> None:
    """The platform hears of the loss with its cause and the time to the next attempt, then of the next connection."""
    async with device() as d:
        await d.service.accept()
        await next_messages(d.inbox)
        await d.service.cut()
        (down,) = await next_messages(d.inbox)
        assert down == ConnectionDown(ConnectionCause.LOST, "the wire was cut", 0.125)
        await d.service.accept()
        assert await next_messages(d.inbox) == [ConnectionUp(1024, 5e8)]


async def test_a_service_that_is_away_is_tried_again() -> None:
    """Each failed attempt is reported with its cause, and the next is later."""
    async with device() as d:
        await d.service.accept()
        d.service.reachable = False
        await d.service.cut()
        reports: list[Message] = []
        while len(reports) < 4:
            reports += await next_messages(d.inbox)
        assert reports[2:4] == [ConnectionDown(ConnectionCause.REFUSED, "the service is away", n) for n in (0.25, 0.5)]
        d.service.reachable = True
        await d.service.accept()
        assert (await next_messages(d.inbox))[-1] == ConnectionUp(1024, 5e8)


async def test_frames_meant_for_a_lost_connection_are_thrown_away_and_counted() -> None:
    """An acknowledgement from before is not sent on the next connection: the service sends its payload again."""
    async with device() as d:
        d.outbox.send_urgent(Acknowledge(("from before",)))
        await d.service.accept()
        await next_messages(d.inbox)
        d.outbox.send_urgent(Acknowledge(("now",)))
        assert await d.service.expect(Acknowledge) == Acknowledge(("now",))
        assert d.outbox.statistics().dead == 1


@pytest.mark.parametrize(
    "chunk",
    [
        b"",
        b"\xc1",
        encode(Hello(PROTOCOL_VERSION, "I am a device too")),
        encode(payload("A")),
    ],
)
async def test_a_service_that_does_not_welcome_is_left(chunk: bytes) -> None:
    """Whatever comes instead of a welcome ends the connection with a sentence."""
    async with device() as d:
        await d.service.accept(welcome=False)
        await d.service.send_bytes(chunk)
        (down,) = await next_messages(d.inbox)
        assert isinstance(down, ConnectionDown)
        assert down.cause is ConnectionCause.PROTOCOL
        assert down.text.startswith("the protocol was broken between the push service and this device (")


async def test_a_service_of_another_version_is_left() -> None:
    """What speaks another version may mean something else by the same messages."""
    async with device() as d:
        await d.service.accept(welcome=False)
        await d.service.send(Welcome(PROTOCOL_VERSION + 1, 1, 0.0))
        (down,) = await next_messages(d.inbox)
        assert isinstance(down, ConnectionDown)
        assert down.cause is ConnectionCause.OTHER_VERSION
        assert f"it speaks {PROTOCOL_VERSION + 1}, this device {PROTOCOL_VERSION}" in down.text


@pytest.mark.parametrize(
    "chunk", [b"\xc1", encode(Hello(PROTOCOL_VERSION, "k")), encode(payload("A"))[:-1], b"\x91\x00"]
)
async def test_a_service_that_breaks_the_protocol_is_left(chunk: bytes) -> None:
    """A bad frame, or a message that is not for devices, ends the connection; what came before it counts."""
    async with device() as d:
        await d.service.accept()
        await next_messages(d.inbox)
        await d.service.send(payload("A"))
        assert await next_messages(d.inbox) == [arrivals(payload("A"))]
        await d.service.send_bytes(chunk)
        (down,) = await next_messages(d.inbox)
        assert isinstance(down, ConnectionDown)
        assert down.cause is ConnectionCause.PROTOCOL
        assert down.text.startswith("the protocol was broken between the push service and this device (")
        await d.service.accept()


async def test_finished_it_says_what_is_left_to_say_and_takes_nothing_more() -> None:
    """It ends when the outbox is closed and empty; it is not lost, so nothing is reported and it does not come again."""
    async with device() as d:
        await d.service.accept()
        await next_messages(d.inbox)
        d.connection.finish()
        d.connection.finish()  # once more changes nothing
        await d.service.send(payload("A"))
        d.outbox.send_urgent(Acknowledge(("B",)))
        assert await d.service.expect(Acknowledge) == Acknowledge(("B",))
        assert not d.connection.ended.is_set()
        d.outbox.send_urgent(Acknowledge(("C",)))
        d.outbox.close()
        assert await d.service.expect(Acknowledge) == Acknowledge(("C",))
        with anyio.fail_after(PATIENCE):
            await d.connection.ended.wait()
        d.connection.finish()  # nor does it after the end
        assert (d.service.dials, d.inbox.statistics().depth) == (1, 0)


async def test_forbidden_it_tells_what_is_to_be_told_and_leaves() -> None:
    """Nothing more is taken in; allowed again it comes back, and what was not told then is not told now."""
    async with device() as d:
        await d.service.accept()
        await next_messages(d.inbox)
        d.outbox.send_urgent(Acknowledge(("A",)))
        d.outbox.send_state(UnwantedChanged(Unwanted(everything=True)))
        d.connection.allow(False)  # noqa: FBT003
        assert await d.service.expect(Message) == Acknowledge(("A",))
        assert await d.service.expect(Message) == UnwantedChanged(Unwanted(everything=True))
        (down,) = await next_messages(d.inbox)
        assert isinstance(down, ConnectionDown)
        assert (down.cause, down.wait) == (ConnectionCause.CLOUD_DISABLED, 0.0)
        d.outbox.send_urgent(Acknowledge(("B",)))
        assert d.service.dials == 1
        d.connection.allow(True)  # noqa: FBT003
        await d.service.accept()
        assert await next_messages(d.inbox) == [ConnectionUp(1024, 5e8)]
        d.outbox.send_urgent(Acknowledge(("C",)))
        assert await d.service.expect(Acknowledge) == Acknowledge(("C",))


async def test_finished_it_ends_although_the_service_has_gone() -> None:
    """A wire that breaks meanwhile is the end, too."""
    async with device() as d:
        await d.service.accept()
        await next_messages(d.inbox)
        d.connection.finish()
        await d.service.cut()
        d.outbox.send_urgent(Acknowledge(("A",)))
        with anyio.fail_after(PATIENCE):
            await d.connection.ended.wait()
        assert d.inbox.statistics().depth == 0


@pytest.mark.parametrize("reachable", [False, True])
async def test_finished_while_there_is_no_connection_it_ends_at_once(*, reachable: bool) -> None:
    """Neither the wait for the next attempt nor that for the welcome is sat out."""
    async with device() as d:
        d.service.reachable = reachable
        if reachable:
            await d.service.accept(welcome=False)
        else:
            await next_messages(d.inbox)
        d.connection.finish()
        with anyio.fail_after(PATIENCE):
            await d.connection.ended.wait()


class PlayedPromptWire:
    """Welcomes at once; then the test lets chunks come."""

    def __init__(self) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[bytes](8)
        self._send.send_nowait(encode(Welcome(PROTOCOL_VERSION, 8, 0.0)))
        self._take: Callable[[bytes], bool] | None = None
        self.has_room = True
        self.sent = list[bytes]()
        self.sent_now = list[bytes]()

    def follow(self, take: Callable[[bytes], bool] | None) -> None:
        """Let chunks be taken as they come."""
        self._take = take

    def come(self, *payloads: Payload) -> bool:
        """Let a chunk come; tell whether it was taken at once."""
        chunk = b"".join(map(encode, payloads))
        if self._take is not None and self._take(chunk):
            return True
        self._send.send_nowait(chunk)
        return False

    async def receive(self) -> bytes:
        """Return what was not taken."""
        return await self._receive.receive()

    async def send(self, chunk: bytes) -> None:
        """Take anything."""
        self.sent.append(chunk)

    def send_now(self, chunk: bytes) -> None:
        """Take anything, and note it."""
        self.sent_now.append(chunk)

    def close(self) -> None:
        """Close both ends."""
        self._send.close()
        self._receive.close()


async def test_what_a_wire_brings_is_taken_in_the_turn_in_which_it_comes() -> None:
    """As far as the platform takes it; what it does not, and what comes while that is being delivered, waits its turn."""
    wire, outbox = PlayedPromptWire(), Mailbox("outbox")
    taken, delivered = list[str](), list[str]()
    room, takes = anyio.Event(), True

    def ids(messages: list[tuple[Message, bytes]]) -> list[str]:
        return [id_ for message, _ in messages if isinstance(message, Arrivals) for id_ in message.ids]

    def deliver_now(messages: list[tuple[Message, bytes]]) -> bool:
        if takes:
            taken.extend(ids(messages))
        return takes

    async def deliver(messages: list[tuple[Message, bytes]]) -> None:
        if ids(messages):
            await room.wait()
        delivered.extend(ids(messages))

    @asynccontextmanager
    async def dial() -> AsyncIterator[Wire]:
        yield wire

    async def report(_: ConnectionUp | ConnectionDown) -> None:
        pass

    handlers = ArrivalHandlers(deliver, report, deliver_now)
    connection = ServiceConnection(dial, "key", outbox, handlers, lambda: 0.0)
    with outbox:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.run)
            await anyio.wait_all_tasks_blocked()
            assert wire.come(payload("A"), payload("B"))
            takes = False
            assert not wire.come(payload("C"))
            await anyio.wait_all_tasks_blocked()
            takes = True
            assert not wire.come(payload("D"))  # C is waiting for room
            room.set()
            await anyio.wait_all_tasks_blocked()
            assert wire.come(payload("E"))
            connection.finish()
            assert not wire.come(payload("F"))
            outbox.close()
    wire.close()
    assert (taken, delivered) == (["A", "B", "E"], ["C", "D"])


async def test_what_is_put_is_sent_at_once_where_there_is_room() -> None:
    """As soon as the wire is welcomed, in one chunk; what has to wait is left to the task that writes."""
    wire, outbox = PlayedPromptWire(), Mailbox("outbox")

    @asynccontextmanager
    async def dial() -> AsyncIterator[Wire]:
        yield wire

    async def ignore(_: object) -> None:
        pass

    handlers = ArrivalHandlers(ignore, ignore)
    connection = ServiceConnection(dial, "key", outbox, handlers, lambda: 0.0)
    with outbox:
        async with anyio.create_task_group() as tasks:
            connection.send_now()
            tasks.start_soon(connection.run)
            await anyio.wait_all_tasks_blocked()
            wire.sent.clear()
            outbox.send_frame_nowait(b"1")
            outbox.send_frame_urgent(b"2")
            connection.send_now()
            await anyio.wait_all_tasks_blocked()
            assert (wire.sent, wire.sent_now) == ([], [b"21"])
            wire.has_room = False
            outbox.send_frame_nowait(b"3")
            connection.send_now()
            await anyio.wait_all_tasks_blocked()
            assert (wire.sent, wire.sent_now) == ([b"3"], [b"21"])
            wire.has_room = True
            connection.finish()
            outbox.send_frame_nowait(b"4")
            connection.send_now()
            outbox.close()
            await connection.ended.wait()
            connection.send_now()
    wire.close()
    assert (wire.sent, wire.sent_now) == ([b"3"], [b"21", b"4"])


async def test_a_chunk_that_is_no_frame_is_left_to_the_task_that_says_so() -> None:
    """The connection ends by it, and is made again."""
    wire, outbox = PlayedPromptWire(), Mailbox("outbox")
    downs = list[ConnectionDown]()

    async def deliver(_: list[tuple[Message, bytes]]) -> None:
        pass

    @asynccontextmanager
    async def dial() -> AsyncIterator[Wire]:
        yield wire

    async def report(message: ConnectionUp | ConnectionDown) -> None:
        if isinstance(message, ConnectionDown):
            downs.append(message)
            tasks.cancel_scope.cancel()

    with outbox:
        async with anyio.create_task_group() as tasks:
            connection = ServiceConnection(dial, "key", outbox, ArrivalHandlers(deliver, report, bool), lambda: 0.0)
            tasks.start_soon(connection.run)
            await anyio.wait_all_tasks_blocked()
            assert wire._take is not None
            assert not wire._take(b"\xc1")
            wire._send.send_nowait(b"\xc1")
    wire.close()
    assert [down.cause for down in downs] == [ConnectionCause.PROTOCOL]
