"""When a device comes back, and what its log says, in virtual time."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import chain, repeat
from typing import Any, cast

import anyio
import pytest
import trio.testing

from tests.protocol.tables import erase
from tocsin.mailbox import Mailbox
from tocsin.protocol import messages as m
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.protocol.platform.service_connection import TABLE, Effect, Phase
from tocsin.protocol.values import PROTOCOL_VERSION
from tocsin.transport.service_connection import ArrivalHandlers, ServiceConnection
from tocsin.transport.wire import Wire, WireBroken

HOUR = 3600.0
ENDLESS = 1e9


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class ShortWire:
    """Welcomes at once, and is cut when it is told to be."""

    def __init__(self) -> None:
        self.welcomed = False
        self.over = anyio.Event()
        self.end = WireBroken("")

    def cut(self, cause: ConnectionCause, retry_after: float | None = None) -> None:
        """End."""
        self.end = WireBroken(f"words for {cause}", cause, retry_after)
        self.over.set()

    async def receive(self) -> bytes:
        """Return the welcome, then nothing until the end."""
        if self.welcomed:
            await self.over.wait()
            raise self.end
        self.welcomed = True
        return encode(m.Welcome(PROTOCOL_VERSION, 100, 5e8))

    async def send(self, chunk: bytes) -> None:
        """Take anything."""
        assert chunk


class Service:
    """What becomes of each attempt, in order: refused for a cause, or up for so many seconds and then cut for a cause."""

    def __init__(self, *fates: tuple[float | None, ConnectionCause], retry_after: float | None = None) -> None:
        self.fates: Iterator[tuple[float | None, ConnectionCause]] = chain(fates, repeat(fates[-1]))
        self.attempts: list[float] = []
        self._retry_after = retry_after

    @asynccontextmanager
    async def dial(self) -> AsyncIterator[Wire]:
        """Connect, as a device does."""
        self.attempts.append(anyio.current_time())
        held, cause = next(self.fates)
        if held is None:
            raise WireBroken(f"words for {cause}", cause, self._retry_after)
        wire = ShortWire()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._cut, wire, held, cause)
            try:
                yield wire
            finally:
                tasks.cancel_scope.cancel()

    async def _cut(self, wire: ShortWire, held: float, cause: ConnectionCause) -> None:
        await anyio.sleep(held)
        wire.cut(cause, self._retry_after)


class Shared:
    """A service that lets one connection of a device live at a time, as ours does."""

    def __init__(self) -> None:
        self.attempts: list[float] = []
        self._wire: ShortWire | None = None

    @asynccontextmanager
    async def dial(self) -> AsyncIterator[Wire]:
        """Connect, which ends the connection before."""
        self.attempts.append(anyio.current_time())
        if self._wire is not None:
            self._wire.cut(ConnectionCause.REPLACED)
        self._wire = ShortWire()
        yield self._wire


async def run(service: Service | Shared, seconds: float, devices: int = 1) -> list[m.Message]:
    """Let devices run for so long, and return what the first has reported."""
    reports: list[m.Message] = []

    async def report(message: m.Message) -> None:
        reports.append(message)

    async def deliver(messages: list[tuple[m.Message, bytes]]) -> None:
        assert not messages

    async with anyio.create_task_group() as tasks:
        for number in range(devices):
            outbox = Mailbox("outbox")
            handlers = ArrivalHandlers(deliver, report)
            connection = ServiceConnection(service.dial, "key", outbox, handlers, partial(float, 0.3 + number / 10))
            tasks.start_soon(connection.run)
        await anyio.sleep(seconds)
        tasks.cancel_scope.cancel()
    return reports


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what is in the log, for an operator."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]


@pytest.mark.parametrize("held", [0.0, 1.0, 29.0])
async def test_a_service_that_cuts_after_its_welcome_is_not_hammered(
    held: float, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection that does not last counts as a failed one; the log has one line."""
    service = Service((held, ConnectionCause.LOST))
    await run(service, HOUR)
    waits = [later - earlier - held for earlier, later in zip(service.attempts, service.attempts[1:], strict=False)]
    assert waits[:9] == pytest.approx([0.65 * span for span in (0.25, 0.5, 1, 2, 4, 8, 16, 30, 30)])
    assert said(caplog) == ["no connection to the push service, next attempt in 0.2 s: words for lost"]


async def test_after_a_connection_that_has_lasted_the_next_comes_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """What went wrong before is forgotten, and each time is told anew."""
    service = Service(
        *[(None, ConnectionCause.REFUSED)] * 4, (40.0, ConnectionCause.LOST), (ENDLESS, ConnectionCause.LOST)
    )
    await run(service, HOUR)
    assert service.attempts[5] - service.attempts[4] == pytest.approx(40 + 0.65 * 0.25)
    again = "there is a connection to the push service again, and it lasts"
    assert said(caplog) == [
        "no connection to the push service, next attempt in 0.2 s: words for refused",
        again,
        "no connection to the push service, next attempt in 0.2 s: words for lost",
        again,
    ]


async def test_the_log_hears_of_each_cause_once(caplog: pytest.LogCaptureFixture) -> None:
    """However often they take turns."""
    causes = [ConnectionCause.REFUSED, ConnectionCause.TIMED_OUT, ConnectionCause.BUSY]
    await run(Service(*[(None, cause) for cause in causes * 40]), 600)
    assert [line.rpartition(" ")[2] for line in said(caplog)] == ["refused", "timed_out", "busy"]


async def test_each_failure_is_reported_with_its_cause_and_the_next_attempt() -> None:
    """The platform knows at any time why there is no connection, and until when."""
    service = Service((None, ConnectionCause.REFUSED), (0.0, ConnectionCause.GOING_AWAY))
    first, up, down, *_ = await run(service, 10)
    assert first == m.ConnectionDown(ConnectionCause.REFUSED, "words for refused", 0.25 * 0.65)
    assert up == m.ConnectionUp(100, 5e8)
    assert down == m.ConnectionDown(ConnectionCause.GOING_AWAY, "words for going_away", 0.5 * 0.65)
    assert service.attempts[1] == pytest.approx(service.attempts[0] + 0.25 * 0.65)


async def test_a_service_that_asks_for_time_has_it() -> None:
    """Retry-After, or what is like it, with some jitter so that not all come back together."""
    service = Service((None, ConnectionCause.BUSY), retry_after=100)
    await run(service, 1000)
    gaps = [later - earlier for earlier, later in zip(service.attempts, service.attempts[1:], strict=False)]
    assert gaps == pytest.approx([103.0] * 9)


async def test_two_devices_with_one_identity_leave_each_other_in_peace(caplog: pytest.LogCaptureFixture) -> None:
    """They used to throw each other out five times a second, for ever; now it is twice in the first minute, and ever less."""
    service = Shared()
    reports = await run(service, 24 * HOUR, devices=2)
    start = service.attempts[0]
    assert sum(each < start + 60 for each in service.attempts) == 2
    assert sum(each < start + HOUR for each in service.attempts) < 16
    assert sum(each >= start + 23 * HOUR for each in service.attempts) <= 4
    replaced = [each for each in reports if isinstance(each, m.ConnectionDown)]
    assert {each.cause for each in replaced} == {ConnectionCause.REPLACED}
    assert all(150 <= each.wait <= HOUR for each in replaced)
    lines = said(caplog)
    assert len(lines) == 2  # one for each device
    assert all(line.endswith("min: words for replaced") for line in lines)


async def test_a_device_whose_copy_is_gone_forgets_it(caplog: pytest.LogCaptureFixture) -> None:
    """After an hour alone all is as it was before, and the log says that it is over."""
    service = Service(
        (10.0, ConnectionCause.REPLACED), (2 * HOUR, ConnectionCause.LOST), (ENDLESS, ConnectionCause.LOST)
    )
    await run(service, 2.5 * HOUR)
    assert service.attempts[2] - service.attempts[1] == pytest.approx(2 * HOUR + 0.65 * 0.25)
    assert [line.split(":")[-1] for line in said(caplog)[:2]] == [
        " words for replaced",
        "there is a connection to the push service again, and it lasts",
    ]


async def test_an_error_of_our_own_is_a_lost_connection(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the platform does with a message, an app does not end by it; the log has its traceback once."""

    async def fail(_: list[tuple[m.Message, bytes]]) -> None:
        raise ZeroDivisionError("a mistake")

    reports: list[m.Message] = []

    async def report(message: m.Message) -> None:
        reports.append(message)

    service = Service((ENDLESS, ConnectionCause.LOST))
    connection = ServiceConnection(service.dial, "key", Mailbox("outbox"), ArrivalHandlers(fail, report), lambda: 0.0)
    with anyio.move_on_after(300):
        await connection.run()
    causes = {each.cause: each.text for each in reports if isinstance(each, m.ConnectionDown)}
    assert causes == {ConnectionCause.UNEXPECTED: "ZeroDivisionError: a mistake"}
    assert len([record for record in caplog.records if record.exc_info]) == 1


async def _finished(*fates: tuple[float | None, ConnectionCause]) -> bool:
    """Finish a connection a moment after its start, and tell whether it ends by that."""

    async def report(_: m.Message) -> None:
        pass

    async def deliver(messages: list[tuple[m.Message, bytes]]) -> None:
        assert not messages

    outbox = Mailbox("outbox")
    connection = ServiceConnection(
        Service(*fates).dial, "key", outbox, ArrivalHandlers(deliver, report), partial(float, 0)
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connection.run)
        await anyio.sleep(0.01)
        outbox.close()
        connection.finish()
        with anyio.move_on_after(0.01) as waiting:
            await connection.ended.wait()
        tasks.cancel_scope.cancel()
    return not waiting.cancelled_caught


class SlowWire(ShortWire):
    """Welcomes after three seconds."""

    async def receive(self) -> bytes:
        """Return the welcome, then nothing until the end."""
        if not self.welcomed:
            await anyio.sleep(3)
        return await super().receive()


class SlowService:
    """Lets a device wait for two seconds, then for its welcome; its first attempt is refused."""

    def __init__(self) -> None:
        self.attempts: list[float] = []
        self.hellos: list[float] = []
        self.open = 0

    @asynccontextmanager
    async def dial(self) -> AsyncIterator[Wire]:
        """Connect, as a device does."""
        self.attempts.append(anyio.current_time())
        await anyio.sleep(2)
        if len(self.attempts) == 1:
            raise WireBroken("words", ConnectionCause.REFUSED)
        self.open += 1
        try:
            yield SlowWire()
        finally:
            self.open -= 1


MOMENTS = [
    (-1.0, "before it runs"),
    (1.0, "connecting"),
    (2.1, "waiting"),
    (3.0, "again"),
    (5.0, "greeting"),
    (9.0, "up"),
]


async def _forbidden(moment: float, _: str) -> object:
    """Forbid a connection at a moment of its life, for half an hour; return what was seen of it."""
    reports: list[tuple[float, m.Message]] = []
    start = anyio.current_time()

    async def report(message: m.Message) -> None:
        reports.append((round(anyio.current_time() - start, 1), message))

    async def deliver(messages: list[tuple[m.Message, bytes]]) -> None:
        assert not messages

    service, outbox = SlowService(), Mailbox("outbox")
    connection = ServiceConnection(service.dial, "key", outbox, ArrivalHandlers(deliver, report), partial(float, 0))
    seen = []
    if moment < 0:
        connection.allow(False)  # noqa: FBT003
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connection.run)
        await anyio.sleep(max(0.0, moment))
        outbox.send_urgent(m.Acknowledge(("A",)))
        connection.allow(False)  # noqa: FBT003
        connection.allow(False)  # noqa: FBT003  # once more changes nothing
        await anyio.sleep(HOUR / 2)
        seen += [connection.phase, service.open, [round(each - start, 1) for each in service.attempts]]
        connection.allow(True)  # noqa: FBT003
        await anyio.sleep(HOUR / 2)
        seen += [connection.phase, service.open, [round(each - start, 1) for each in service.attempts]]
        connection.allow(False)  # noqa: FBT003
        await anyio.sleep(60)
        connection.finish()
        outbox.close()
        with anyio.move_on_after(1) as waiting:
            await connection.ended.wait()
        seen += [connection.phase, waiting.cancelled_caught]
        tasks.cancel_scope.cancel()
    return seen, reports


@pytest.mark.parametrize(("moment", "name"), MOMENTS)
async def test_what_is_forbidden_ends_at_once_and_is_not_tried_until_it_is_allowed(
    moment: float, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it is at; then it is tried at once, and the log says both."""
    seen, reports = cast(tuple[list[Any], list[Any]], await _forbidden(moment, name))
    phase, open_, attempts = seen[:3]
    assert (phase, open_) == (Phase.FORBIDDEN, 0)
    assert len(attempts) == {"before it runs": 0, "connecting": 1, "waiting": 1}.get(name, 2)
    now, down = next(each for each in reports if each[1].TAG == m.ConnectionDown.TAG and each[1].cause != "refused")
    assert now == max(0.0, moment)
    assert down == m.ConnectionDown(
        ConnectionCause.CLOUD_DISABLED,
        "group policy forbids notifications from the network, and with them a connection to the push service",
        0.0,
    )
    up, open_, later = seen[3:6]
    assert (up, open_) == (Phase.UP, 1)
    assert later[len(attempts)] == max(0.0, moment) + HOUR / 2
    assert seen[6:] == [Phase.CLOSED, False]
    assert "group policy allows a connection to the push service again" in said(caplog)


async def test_a_service_that_does_not_read_is_left_all_the_same() -> None:
    """After five seconds: what was to be told is told at the next connection."""

    class Deaf(ShortWire):
        async def send(self, chunk: bytes) -> None:
            assert chunk
            if self.welcomed:
                await anyio.sleep(ENDLESS)

    @asynccontextmanager
    async def dial() -> AsyncIterator[Wire]:
        yield Deaf()

    async def ignore(_: object) -> None:
        pass

    outbox = Mailbox("outbox")
    connection = ServiceConnection(dial, "key", outbox, ArrivalHandlers(ignore, ignore), partial(float, 0))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connection.run)
        await anyio.sleep(1)
        for word in "AB":
            outbox.send_urgent(m.Acknowledge((word,)))
            await anyio.wait_all_tasks_blocked()
        connection.allow(False)  # noqa: FBT003
        for seconds, phase in ((4.9, Phase.LEAVING), (0.2, Phase.FORBIDDEN)):
            await anyio.sleep(seconds)
            assert connection.phase is phase
        tasks.cancel_scope.cancel()


async def test_a_change_of_mind_is_the_last_word() -> None:
    """Allowed before it was left, it is left all the same, and comes back; forbidden again before it came back, it does not."""
    service, outbox = Service((ENDLESS, ConnectionCause.LOST)), Mailbox("outbox")

    async def ignore(_: object) -> None:
        pass

    connection = ServiceConnection(service.dial, "key", outbox, ArrivalHandlers(ignore, ignore), partial(float, 0))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connection.run)
        await anyio.sleep(1)
        outbox.send_urgent(m.Acknowledge(("A",)))
        for allowed in (False, True):
            connection.allow(allowed)
        await anyio.sleep(1)
        assert (connection.phase, len(service.attempts)) == (Phase.UP, 2)
        outbox.send_urgent(m.Acknowledge(("A",)))
        for allowed in (False, True, False):
            connection.allow(allowed)
        await anyio.sleep(1)
        assert (connection.phase, len(service.attempts)) == (Phase.FORBIDDEN, 2)
        for allowed in (True, False):
            connection.allow(allowed)
        await anyio.sleep(HOUR)
        assert (connection.phase, len(service.attempts)) == (Phase.FORBIDDEN, 2)
        tasks.cancel_scope.cancel()


async def _seen(caplog: pytest.LogCaptureFixture) -> object:
    """Let connections meet all that may happen to them, and return all that was seen of it."""
    caplog.clear()
    service = Service(
        (None, ConnectionCause.REFUSED),
        (40.0, ConnectionCause.LOST),
        (1.0, ConnectionCause.REPLACED),
        (ENDLESS, ConnectionCause.LOST),
    )
    start = anyio.current_time()
    reports = await run(service, HOUR)
    attempts = [round(each - start, 1) for each in service.attempts]
    up = await _finished((ENDLESS, ConnectionCause.LOST))
    down = await _finished((None, ConnectionCause.REFUSED), (ENDLESS, ConnectionCause.LOST))
    forbidden = [await _forbidden(*each) for each in MOMENTS]
    return reports, attempts, said(caplog), up, down, forbidden


@pytest.mark.parametrize("effect", Effect)
async def test_the_connection_does_nothing_that_its_table_does_not_name(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, effect: Effect
) -> None:
    """Without any one of its effects the table makes another connection, and that is seen from outside."""
    right = await _seen(caplog)
    assert right == await _seen(caplog)
    erase(monkeypatch, TABLE, effect)
    assert await _seen(caplog) != right
