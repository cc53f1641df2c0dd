"""The pushes that ring devices, as an exchange has them made."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
import trio.testing

from tests.calling_service.exchanging import ExchangeWorld
from tests.calling_service.test_exchange import BEN_URI, PHONE_URI, settle
from tests.protocol.calling.board import ANN, BEN, BEN_PHONE
from tocsin.calling_service.call_pushes import AT_A_TIME
from tocsin.protocol.calling.push_notification import PushEventType, PushNotificationDetails
from tocsin.protocol.calling.switchboard_rows import Endpoint, Pushed
from tocsin.protocol.messages.calling import AttendCall, CallPhase, CallReport, UnregisterFromCallPush


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture
async def world() -> AsyncIterator[ExchangeWorld]:
    """Ben's desk and his phone are rung by pushes; neither is connected."""
    world = ExchangeWorld()
    async with world.running():
        for endpoint, uri in ((BEN, BEN_URI), (BEN_PHONE, PHONE_URI)):
            line = await world.line(endpoint)
            await line.register(uri)
            await line.leave()
        yield world


async def test_a_push_says_who_calls(world: ExchangeWorld) -> None:
    """In the fields that clients of Azure read; it is of use as long as the call rings."""
    ann = await world.line(ANN)
    await ann.start(BEN)
    await settle()
    first, second = world.pusher.pushes
    assert {first.uri, second.uri} == {BEN_URI, PHONE_URI}
    assert first.ttl == pytest.approx(120)
    fields = json.loads(first.body)
    assert fields["videoCall"] == "true"
    details = PushNotificationDetails.parse(first.body)
    assert (details.event_type, details.call_id, details.display_name) == (PushEventType.INCOMING_CALL, "c1", "desk")
    assert details.caller is not None
    assert details.recipient is not None
    assert (details.caller.raw_id, details.recipient.raw_id) == (ANN.user, BEN.user)
    phone = await world.line(BEN_PHONE, quiet=True)
    report = await phone.ask(AttendCall(5, "", details.context))
    assert isinstance(report, CallReport)
    assert (report.call, report.phase) == ("c1", CallPhase.RINGING)


async def test_a_push_that_fails_is_made_again_while_the_call_rings(world: ExchangeWorld) -> None:
    """After half a second, one, two and so on; not after the end, when it is stopped instead."""
    world.pusher.outcomes[BEN_URI] = [Pushed.FAILED] * 100
    ann = await world.line(ANN)
    start = anyio.current_time()
    await ann.start(BEN)
    await anyio.sleep(20)
    times = [push.at - start for push in world.pusher.pushes if push.uri == BEN_URI]
    assert times == pytest.approx([0, 0.5, 1.5, 3.5, 7.5, 15.5])
    assert world.pusher.kinds(PHONE_URI) == [107]
    world.pusher.outcomes.clear()
    await ann.hang_up()
    await anyio.sleep(60)
    assert world.pusher.kinds(BEN_URI)[6:] == [110]
    assert world.pusher.kinds(PHONE_URI)[1:] == [110]


async def test_a_push_is_not_made_when_its_call_rings_no_more(world: ExchangeWorld) -> None:
    """The ring time is over for pushes, too; those that stop are tried for two minutes."""
    world.pusher.outcomes[BEN_URI] = [Pushed.FAILED] * 1000
    ann = await world.line(ANN)
    start = anyio.current_time()
    await ann.start(BEN)
    await anyio.sleep(1000)
    rings = [push.at - start for push in world.pusher.pushes if (push.uri, push.kind) == (BEN_URI, 107)]
    stops = [push.at - start for push in world.pusher.pushes if (push.uri, push.kind) == (BEN_URI, 110)]
    assert rings[-1] < 120
    assert stops[0] >= 120
    assert 230 < stops[-1] < 240


async def test_a_slow_push_holds_up_no_other(world: ExchangeWorld) -> None:
    """Nor the call itself: it is answered by a push that was faster, and the slow one is given up."""
    world.pusher.delay = 10.0
    ann = await world.line(ANN)
    await ann.start(BEN)
    phone = await world.line(BEN_PHONE)
    report = await phone.accept()
    assert isinstance(report, CallReport)
    assert report.phase is CallPhase.CONNECTING
    await settle()
    assert (world.pusher.kinds(BEN_URI), world.pusher.kinds(PHONE_URI)) == ([107, 110], [107])
    assert world.pusher.under_way == 1


async def test_a_defect_of_the_pusher_ends_nothing(world: ExchangeWorld, caplog: pytest.LogCaptureFixture) -> None:
    """It counts as a failure, and is logged without what it says."""
    world.pusher.outcomes[BEN_URI] = [ZeroDivisionError(BEN_URI)]
    ann = await world.line(ANN)
    await ann.start(BEN)
    await anyio.sleep(1)
    assert world.pusher.kinds(BEN_URI) == [107, 107]
    assert "ZeroDivisionError" in caplog.text
    assert BEN_URI not in caplog.text


async def test_a_call_ends_that_no_push_reaches(world: ExchangeWorld) -> None:
    """And a channel that is gone is forgotten on disk."""
    world.pusher.outcomes = {BEN_URI: [Pushed.GONE], PHONE_URI: [Pushed.DROPPED]}
    ann = await world.line(ANN)
    await ann.start(BEN)
    await settle()
    assert ann.last(CallReport).subcode == 10077
    assert set(world.store.registrations) == {BEN_PHONE}


async def test_what_a_push_comes_to_and_cannot_be_kept_is_logged(
    world: ExchangeWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """It comes again with the next push."""
    world.pusher.outcomes = {BEN_URI: [Pushed.GONE, Pushed.GONE]}
    world.pusher.delay = 1.0
    ann = await world.line(ANN)
    await ann.start(BEN)
    world.store.fault = "the disk is full"
    await anyio.sleep(2)
    assert "the disk is full" in caplog.text
    world.store.fault = None
    await ann.start(BEN, "c2")
    await anyio.sleep(2)
    assert set(world.store.registrations) == {BEN_PHONE}


async def test_a_device_that_unregisters_is_rung_no_more(world: ExchangeWorld) -> None:
    """A push that is tried again for it is given up."""
    world.pusher.outcomes[BEN_URI] = [Pushed.FAILED] * 1000
    ann = await world.line(ANN)
    await ann.start(BEN)
    await anyio.sleep(2)
    count = len(world.pusher.kinds(BEN_URI))
    ben = await world.line(BEN)
    await ben.ask(UnregisterFromCallPush(5, every_device=False))
    await anyio.sleep(60)
    assert len(world.pusher.kinds(BEN_URI)) == count
    await ann.hang_up()
    assert not world.exchange._pushes._rings


async def test_so_many_pushes_are_under_way_at_a_time(world: ExchangeWorld) -> None:
    """The others wait, and are made when there is room."""
    for number in range(3):
        for device in range(30):
            line = await world.line(Endpoint(f"8:acs:tocsin_{number}", str(device)))
            await line.register(f"https://push.test/{number}/{device}")
            await line.leave()
    world.pusher.delay = 1.0
    ann = await world.line(ANN)
    for number in range(3):
        await ann.start(Endpoint(f"8:acs:tocsin_{number}", ""), f"c{number}")
    await settle()
    assert world.pusher.under_way == AT_A_TIME
    await anyio.sleep(2)
    assert len(world.pusher.pushes) == 90
    assert world.pusher.most_at_a_time == AT_A_TIME
