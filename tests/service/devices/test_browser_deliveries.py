"""What browsers are sent: until they are done with it, in order, and nothing of a subscription that has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.service.devices.browser_world import BASE, CHANNEL, OTHER_CHANNEL, UAID, BrowserWorld, run, settle
from tocsin.service.devices.outbox import PushResult
from tocsin.service.registry.channel_directory import ChannelFault
from tocsin.service.registry.service_store import ChannelRow
from tocsin.service.url_paths import PUSH_PATH


def test_a_message_is_sent_and_ends_with_its_acknowledgement() -> None:
    """Its version is the message's id; the sender waits no more, and nothing is stored."""

    async def play(world: BrowserWorld) -> None:
        browser = await world.greeted()
        endpoint = await world.subscribed(browser)
        id_ = await world.posted(endpoint, body=b"\xff\xfe")
        assert browser.last == {
            "messageType": "notification",
            "channelID": CHANNEL,
            "version": id_,
            "data": "__4",
            "headers": {"encoding": "aes128gcm"},
        }
        assert id_ not in world.results
        browser.ack(id_, code=100)
        await settle()
        assert world.results == {id_: PushResult.ACKNOWLEDGED}
        assert world.counters.browser_acks == {"100": 1}
        assert world.offline.kept == 0

    run(play)


@pytest.mark.parametrize("code", [100, 101, 102, None])
def test_any_acknowledgement_ends_what_was_stored(code: int | None) -> None:
    """Whatever became of it in the browser; the codes are counted."""

    async def play(world: BrowserWorld) -> None:
        browser = await world.greeted()
        endpoint = await world.subscribed(browser)
        browser.leave()
        ids = [await world.posted(endpoint) for _ in range(3)]
        assert {world.results[each] for each in ids} == {PushResult.STORED}
        browser = await world.greeted()
        assert browser.versions == ids
        browser.ack(*ids, code=code)
        await settle()
        assert world.offline.kept == 0
        assert world.counters.browser_acks == {"none" if code is None else str(code): 3}
        assert (await world.greeted()).versions == []

    run(play)


def test_a_nack_is_an_end_too() -> None:
    """The page's handler failed: it was handed the message, which does not come again."""

    async def play(world: BrowserWorld) -> None:
        browser = await world.greeted()
        endpoint = await world.subscribed(browser)
        id_ = await world.posted(endpoint)
        browser.tell(messageType="nack", version=id_, code=301)
        await settle()
        assert world.results == {id_: PushResult.ACKNOWLEDGED}
        browser.tell(messageType="nack", version=id_, code=302)
        assert world.counters.browser_acks == {"301": 1, "302": 1}

    run(play)


def test_what_was_not_acknowledged_comes_again_after_a_start_of_either_side() -> None:
    """It was answered as stored, and is sent until the browser is done with it."""

    async def play(world: BrowserWorld) -> None:
        endpoint = await world.subscribed(await world.greeted())
        await world.start()
        id_ = await world.posted(endpoint)
        assert world.results[id_] is PushResult.STORED
        for _ in range(2):
            browser = await world.greeted()
            assert browser.versions == [id_]
            await world.start()
        browser = await world.greeted()
        browser.ack(id_)
        await settle()
        await world.start()
        assert (await world.greeted()).versions == []

    run(play)


def test_what_waits_goes_before_what_comes_now() -> None:
    """In the order in which it was sent."""

    async def play(world: BrowserWorld) -> None:
        browser = await world.greeted()
        endpoint = await world.subscribed(browser)
        browser.leave()
        ids = [await world.posted(endpoint) for _ in range(2)]
        browser = await world.greeted()
        ids.append(await world.posted(endpoint))
        assert browser.versions == ids

    run(play)


def test_a_subscription_that_is_ended_gets_nothing_more() -> None:
    """Neither what waits for it nor what is queued; others of the browser go on, and the code is counted."""

    async def play(world: BrowserWorld) -> None:
        browser = await world.greeted()
        endpoint, other = [await world.subscribed(browser, each) for each in (CHANNEL, OTHER_CHANNEL)]
        browser.leave()
        waiting = [await world.posted(each) for each in (endpoint, other, endpoint)]
        browser = world.connect()
        browser.is_writable = False
        browser.hello(world.keys[UAID])
        await settle()
        browser.unregister(code=202)
        await settle()
        browser.read_on()
        await settle()
        assert browser.versions == [waiting[1]]
        assert [each["status"] for each in browser.told if each["messageType"] == "unregister"] == [200]
        assert await world.post(endpoint) is ChannelFault.REVOKED
        assert world.counters.browser_ended == {"202": 1}
        assert world.offline.kept == 1

    run(play)


def test_a_message_that_meets_the_end_of_its_subscription_is_not_sent() -> None:
    """It was on its way when the browser ended that, and ends with it."""

    async def play(world: BrowserWorld) -> None:
        browser = await world.greeted()
        endpoint = await world.subscribed(browser)
        revoke = world.channels.revoke
        going, revoked = asyncio.Event(), asyncio.Event()

        async def slowly(device: str, app: str) -> Sequence[str]:
            going.set()
            await revoked.wait()
            return await revoke(device, app)

        world.channels.revoke = slowly  # type: ignore[method-assign, assignment]
        browser.unregister()
        await going.wait()
        id_ = await world.posted(endpoint)
        assert world.results[id_] is PushResult.ACKNOWLEDGED
        revoked.set()
        await settle()
        assert browser.versions == []
        assert world.counters.browser_dropped == {"unregistered": 1}

    run(play)


def test_what_is_taken_back_before_it_was_sent_is_not_sent() -> None:
    """Though it was queued behind what the browser has yet to acknowledge; what was sent may be taken back until then."""

    async def play(world: BrowserWorld) -> None:
        browser = await world.greeted()
        endpoint = await world.subscribed(browser)
        browser.leave()
        ids = [await world.posted(endpoint) for _ in range(5)]
        browser = await world.greeted()
        channel = await world.channels.directory.find(endpoint.removeprefix(f"{BASE}{PUSH_PATH}"))
        assert isinstance(channel, ChannelRow)
        for each, waits in [(ids[3], True), (ids[3], False), (ids[0], True)]:
            assert await world.devices.withdraw_message(channel, each) is waits
        await settle()
        browser.ack(*ids[:2])
        await settle()
        browser.ack(ids[2])
        await settle()
        assert browser.versions == [*ids[:3], ids[4]]

    run(play, {"device_window": 2})
