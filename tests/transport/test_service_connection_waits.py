"""When a device comes back, and what its log says, in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import chain, repeat
from typing import Any

import anyio
import pytest
import trio.testing

from tests.protocol.tables import erase
from tests.transport.short_wires import ENDLESS, HOUR, MOMENTS, ShortWire, forbidden_life, said
from tocsin.mailbox import Mailbox
from tocsin.protocol import messages as m
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.protocol.platform.service_connection import TABLE, Effect
from tocsin.transport.frame_traffic import ArrivalHandlers
from tocsin.transport.service_connection import ServiceConnection
from tocsin.transport.wire import Wire, WireBroken


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


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
    forbidden = [await forbidden_life(*each) for each in MOMENTS]
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
