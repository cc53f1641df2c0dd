"""The exchange: what is decided is on disk before it is told, and what cannot be written has not happened."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import pytest
import trio.testing

from tests.calling_service.exchanging import ExchangeWorld, MemoryLine
from tests.protocol.calling.board import ANN, BEN, BEN_PHONE, CARA
from tocsin.calling_service.event_queue import ROOM
from tocsin.calling_service.exchange import LOOKS_EVERY, Exchange
from tocsin.protocol.calling.call_at_service import GRACE, Phase
from tocsin.protocol.errors import PlatformUnavailable, StateUnavailable
from tocsin.protocol.messages.base import Message
from tocsin.protocol.messages.calling import (
    AttendCall,
    CallDone,
    CallPhase,
    CallPushRegistered,
    CallReady,
    CallRefused,
    CallReport,
)

BEN_URI = "https://push.test/ben"
PHONE_URI = "https://push.test/phone"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture
async def world() -> AsyncIterator[ExchangeWorld]:
    """An exchange runs."""
    world = ExchangeWorld()
    async with world.running():
        yield world


async def settle() -> None:
    """Let everything run that does not wait for time."""
    await trio.testing.wait_all_tasks_blocked()


async def test_a_call_goes_through(world: ExchangeWorld) -> None:
    """It rings, is answered and is hung up, and both sides are told of each step."""
    ann, ben, phone = [await world.line(endpoint) for endpoint in (ANN, BEN, BEN_PHONE)]
    report = await ann.start(BEN)
    assert isinstance(report, CallReport)
    assert (report.request, report.phase) == (1, CallPhase.RINGING)
    await ben.accept()
    await phone.accept()
    await ann.hang_up()
    assert ann.phases == [CallPhase.RINGING, CallPhase.CONNECTING, CallPhase.ENDED]
    assert ben.phases == [CallPhase.RINGING, CallPhase.CONNECTING, CallPhase.ENDED]
    assert phone.phases == [CallPhase.RINGING, CallPhase.ENDED, CallPhase.ENDED]
    assert phone.last(CallReport).subcode == 10003


async def test_what_is_told_is_written_before(world: ExchangeWorld) -> None:
    """A line that is told of a phase finds it in the store."""
    seen: list[tuple[CallPhase, Phase]] = []

    class Looking(MemoryLine):
        def tell(self, message: Message) -> None:
            assert isinstance(message, CallReport)
            seen.append((message.phase, world.store.calls[message.call].phase))

    world.store.delay = 0.1
    ann = await world.line(ANN)
    await Looking(world.exchange, BEN).connect()
    await ann.start(BEN)
    await ann.hang_up()
    assert seen == [(CallPhase.RINGING, Phase.RINGING), (CallPhase.ENDED, Phase.ENDED)]


async def test_an_answer_and_what_is_told_later_keep_their_order(world: ExchangeWorld) -> None:
    """An end that comes at once is told behind the answer."""
    ann, ben = await world.line(ANN), await world.line(BEN)
    await ann.start(BEN)
    world.store.delay = 0.1
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ben.accept)
        await settle()
        tasks.start_soon(ann.hang_up)
    assert ben.phases == [CallPhase.RINGING, CallPhase.CONNECTING, CallPhase.ENDED]
    assert ann.phases == [CallPhase.RINGING, CallPhase.CONNECTING, CallPhase.ENDED]


async def test_two_accept_in_the_same_moment(world: ExchangeWorld) -> None:
    """One is in the call, and the other reads that it was answered elsewhere."""
    ann, ben, phone = [await world.line(endpoint) for endpoint in (ANN, BEN, BEN_PHONE)]
    await ann.start(BEN)
    world.store.delay = 0.1
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ben.accept)
        tasks.start_soon(phone.accept)
    found = {(line.last(CallReport).phase, line.last(CallReport).subcode) for line in (ben, phone)}
    assert found == {(CallPhase.CONNECTING, 0), (CallPhase.ENDED, 10003)}


async def test_what_cannot_be_written_has_not_happened(world: ExchangeWorld) -> None:
    """The one who asked is told so, the others nothing; asked again, it is done."""
    ann, ben = await world.line(ANN), await world.line(BEN)
    await ann.start(BEN)
    world.store.fault = "the disk is full"
    refused = await ben.accept()
    assert isinstance(refused, CallRefused)
    assert (refused.request, refused.error, refused.text) == (2, "StateUnavailable", "the disk is full")
    assert ann.phases == [CallPhase.RINGING]
    with pytest.raises(StateUnavailable):
        await world.exchange.remove_user(BEN.user)
    assert ben.last_word is None
    world.store.fault = None
    await ben.accept()
    assert ann.phases == [CallPhase.RINGING, CallPhase.CONNECTING]


@pytest.mark.parametrize("what", ["begun", "accepted", "registered"])
async def test_what_may_have_been_written_all_the_same_is_undone(world: ExchangeWorld, what: str) -> None:
    """It was refused, so no new start takes it for so: as soon as the store can be written, and without another event."""
    ann, ben, phone = await world.line(ANN), await world.line(BEN), await world.line(BEN_PHONE)
    await ben.register(BEN_URI)
    await ann.start(BEN)
    await settle()
    before = world.store.calls.copy(), world.store.registrations.copy()
    world.store.fault, world.store.is_in_doubt = "the disk is slow", True
    ask: dict[str, Callable[[], Awaitable[Message]]] = {
        "begun": lambda: ann.start(CARA, "c2"),
        "accepted": ben.accept,
        "registered": lambda: phone.register(BEN_URI),
    }
    refused = await ask[what]()
    assert isinstance(refused, CallRefused)
    assert refused.error == "StateUnavailable"
    assert (world.store.calls, world.store.registrations) != before
    assert isinstance(await ann.ask(AttendCall(5, "c1", "")), CallReport)
    await anyio.sleep(5)
    world.store.fault = None
    await anyio.sleep(31)
    assert (world.store.calls, world.store.registrations) == before
    commits = world.store.commits
    await anyio.sleep(5)
    assert world.store.commits == commits


async def test_what_time_has_brought_about_is_tried_again(
    world: ExchangeWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """However long the store fails, the call ends once it can be written, and the log says once why it waits."""
    ann, _ = await world.line(ANN), await world.line(BEN)
    await ann.start(BEN)
    world.store.fault = "the disk is full"
    await anyio.sleep(300)
    assert (ann.phases, world.store.commits < 20) == ([CallPhase.RINGING], True)
    world.store.fault = None
    await anyio.sleep(31)
    assert ann.last(CallReport).subcode == 10004
    assert sum("the disk is full" in record.getMessage() for record in caplog.records) == 1


async def test_a_call_that_is_not_answered_ends_in_time(world: ExchangeWorld) -> None:
    """After the ring time, whatever else happens meanwhile."""
    ann, ben = await world.line(ANN), await world.line(BEN)
    await ann.start(BEN)
    for _ in range(11):
        await anyio.sleep(10)
        await ben.ask(AttendCall(5, "c1", ""))
    assert ann.phases == [CallPhase.RINGING]
    await anyio.sleep(10)
    await settle()
    assert (ann.last(CallReport).subcode, ben.last(CallReport).subcode) == (10004, 10004)


async def test_a_call_that_is_not_answered_while_the_machine_sleeps_ends_soon_after(world: ExchangeWorld) -> None:
    """The loop's clock has stood still meanwhile, so the wait for it goes on as if nothing were."""
    ann, _ = await world.line(ANN), await world.line(BEN)
    await ann.start(BEN)
    await settle()
    world.ahead += 3_600
    await anyio.sleep(LOOKS_EVERY + 1)
    assert (ann.last(CallReport).phase, ann.last(CallReport).subcode) == (CallPhase.ENDED, 10004)


async def test_a_second_connection_displaces_the_first(world: ExchangeWorld) -> None:
    """The first gets a last word, is not told any more, and its end changes nothing."""
    ann, first = await world.line(ANN), await world.line(BEN)
    second = await world.line(BEN)
    assert first.last_word is not None
    assert (first.last_word.request, first.last_word.error) == (0, "IllegalCall")
    await first.leave()
    await ann.start(BEN)
    assert (first.told, second.phases) == ([], [CallPhase.RINGING])
    await world.exchange.ask(first, AttendCall(5, "c1", ""))
    assert first.told == []


async def test_an_endpoint_that_cannot_be_let_in_is_parted_with_a_word(world: ExchangeWorld) -> None:
    """It is no line of the exchange then, and the one that is stays."""
    line = MemoryLine(world.exchange, BEN)
    await line.connect("no\nid")
    assert line.last_word is not None
    assert line.last_word.error == "InvalidArgument"
    await world.exchange.ask(line, AttendCall(5, "c1", ""))
    assert line.told == []


async def test_an_endpoint_that_leaves_is_lost_after_the_grace(world: ExchangeWorld) -> None:
    """Back in time, it is not."""
    ann, ben = await world.line(ANN), await world.line(BEN)
    await ann.start(BEN)
    await ben.accept()
    await ben.leave()
    await anyio.sleep(GRACE - 1)
    ben = await world.line(BEN, "c1")
    assert ben.phases == [CallPhase.CONNECTING]
    await ben.leave()
    await anyio.sleep(GRACE + 1)
    assert ann.last(CallReport).subcode == 10057


async def test_an_endpoint_that_leaves_while_the_store_is_slow_is_lost_all_the_same(world: ExchangeWorld) -> None:
    """However much waits before that, and however short its connection waits for it."""
    ann, ben, cara = await world.line(ANN), await world.line(BEN), await world.line(CARA)
    await ann.start(BEN)
    await ben.accept()
    await ben.ask(CallReady(5, "c1"))
    world.store.delay = 1.0
    async with anyio.create_task_group() as tasks:
        for number in range(ROOM + 10):
            tasks.start_soon(cara.start, CARA, f"c{number + 2}")
        await settle()
        with anyio.move_on_after(0.5):
            await ben.leave()
        tasks.cancel_scope.cancel()
    await anyio.sleep(2 * ROOM + GRACE)
    assert (ann.last(CallReport).phase, ann.last(CallReport).subcode) == (CallPhase.ENDED, 4521)


async def test_a_defect_ends_no_service(
    world: ExchangeWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing was changed by what was only decided, so the next question is answered."""
    ann = await world.line(ANN)

    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(world.exchange._board, "ask", fail)
        refused = await ann.ask(AttendCall(5, "c1", ""))
    assert isinstance(refused, CallRefused)
    assert (refused.request, refused.error) == (5, "PushError")
    assert "ZeroDivisionError" in caplog.text
    assert (await ann.ask(AttendCall(6, "c1", ""))) == CallReport(
        6, "c1", CallPhase.UNKNOWN, False, "", "", False, 0.0, False, 0, 0, False, False  # noqa: FBT003 - the message's fields
    )  # fmt: skip
    refused = await ann.ask(CallDone(7))
    assert isinstance(refused, CallRefused)
    assert refused.error == "ProtocolViolation"


async def test_a_user_is_removed(world: ExchangeWorld) -> None:
    """Its connections end with a word, and its calls for the other side."""
    ann, ben = await world.line(ANN), await world.line(BEN)
    await ann.start(BEN)
    await world.exchange.remove_user(BEN.user)
    assert ben.last_word is not None
    assert ben.last_word.error == "SenderNotAllowed"
    assert ann.last(CallReport).subcode == 5300


async def test_it_goes_on_after_a_kill(caplog: pytest.LogCaptureFixture) -> None:
    """What was written is so: the call rings on until its time is over, and is pushed again."""
    caplog.set_level(logging.INFO)
    world = ExchangeWorld()
    async with world.running():
        ann, ben = await world.line(ANN), await world.line(BEN)
        await ben.register(BEN_URI)
        await ann.start(BEN)
        await settle()
        assert world.pusher.kinds(BEN_URI) == [107]
    await anyio.sleep(20)
    async with world.running():
        await settle()
        assert world.pusher.kinds(BEN_URI) == [107, 107]
        ann, ben = await world.line(ANN, "c1"), await world.line(BEN)
        assert ben.last(CallReport).rings_for == pytest.approx(100)
        await ben.accept()
        assert ann.phases == [CallPhase.RINGING, CallPhase.CONNECTING]
    async with world.running():
        ben = await world.line(BEN, "c1")
        await anyio.sleep(GRACE + 1)
        assert (ben.last(CallReport).phase, ben.last(CallReport).subcode) == (CallPhase.ENDED, 4521)
    for secret in (BEN_URI, world.store.calls["c1"].context):
        assert secret not in caplog.text


async def test_what_waits_when_it_stops_is_refused(world: ExchangeWorld) -> None:
    """It does not wait for ever, and neither does what comes later."""
    other = ExchangeWorld()
    failures: list[PlatformUnavailable] = []

    async def remove() -> None:
        with pytest.raises(PlatformUnavailable) as refused:
            await other.exchange.remove_user(BEN.user)
        failures.append(refused.value)

    async with anyio.create_task_group() as tasks:
        async with other.running():
            ann, _ = await other.line(ANN), await other.line(BEN)
            await ann.start(BEN)
            other.store.delay = 1.0
            for _ in range(300):
                tasks.start_soon(remove)
            await settle()
        await remove()
    assert len(failures) == 301
    assert world.store.commits == 0


async def test_without_a_pusher_only_connected_endpoints_ring() -> None:
    """A device is not registered in vain, and what was registered before is reached by none."""
    world = ExchangeWorld()
    async with world.running():
        phone = await world.line(BEN_PHONE)
        assert await phone.register(PHONE_URI) == CallPushRegistered(4, 86_400.0)
        assert isinstance(await phone.register("https://elsewhere.test/"), CallRefused)
    async with world.running(pushes=False):
        cara, ann = await world.line(CARA), await world.line(ANN)
        refused = await cara.register("https://push.test/cara")
        assert isinstance(refused, CallRefused)
        assert refused.error == "NotSupported"
        await ann.start(BEN_PHONE)
        await settle()
        assert (ann.last(CallReport).phase, ann.last(CallReport).subcode) == (CallPhase.ENDED, 10077)


async def test_contexts_are_not_guessed() -> None:
    """Each call has its own, of 16 random bytes."""
    world = ExchangeWorld()
    async with world.running(Exchange):
        ann, _ = await world.line(ANN), await world.line(BEN)
        for number in range(20):
            await ann.start(BEN, f"c{number}")
    contexts = {row.context for row in world.store.calls.values()}
    assert (len(contexts), {len(context) for context in contexts}) == (20, {24})
    assert not any(row.context in repr(row) for row in world.store.calls.values())
