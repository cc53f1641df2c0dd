"""Browsers as devices: their conversation, their subscriptions, and what is sent to them."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from typing import Any, NoReturn

import pytest
from websockets.frames import CloseCode

from tests.service.devices.browser_world import (
    CHANNEL,
    KEY,
    OTHER_CHANNEL,
    UAID,
    BrowserWorld,
    run,
    settle,
)
from tests.service.played_socket import PlayedSocket
from tests.service.registry.memory_service_store import MemoryServiceStore
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages import Hello, codec
from tocsin.protocol.network.causes import REPLACED
from tocsin.protocol.values import PROTOCOL_VERSION, SUBSCRIPTION_LIFETIME
from tocsin.protocol.webpush.sender import web_push_sender
from tocsin.service.devices.outbox import PushResult
from tocsin.service.operations import limits
from tocsin.service.registry import channels as registry
from tocsin.service.registry.channels import ChannelFault
from tocsin.service.registry.service_store import ChannelRow

DEVICE = hashlib.sha256(UAID.encode()).hexdigest()


def test_a_browser_without_a_key_is_given_one_that_cannot_be_guessed() -> None:
    """Each has its own; what is stored of it is its hash."""

    async def play(world: BrowserWorld) -> None:
        keys = [(await world.greeted(None)).last["uaid"] for _ in range(2)]
        assert len(set(keys)) == 2
        assert all(len(key) == 43 for key in keys)
        await world.subscribed(await world.greeted(keys[0]))
        assert keys[0] not in repr(world.store)

    run(play)


@pytest.mark.parametrize("firefox", [True, False])
def test_a_browser_with_a_key_keeps_it_whether_it_is_known_or_not(firefox: bool) -> None:
    """With another one Firefox would forget its subscriptions; what it says of Web Push is said back."""

    async def play(world: BrowserWorld) -> None:
        browser = await world.greeted(firefox=firefox)
        said = {"messageType": "hello", "status": 200, "uaid": UAID}
        assert browser.told == [said | ({"use_webpush": True} if firefox else {})]

    run(play)


@pytest.mark.parametrize("key", [None, KEY, f"{KEY}="])
def test_the_same_subscription_has_the_same_endpoint(key: str | None) -> None:
    """Also after a start of the service, so that an answer that was lost leaves nothing behind; its senders are those with the key."""

    async def play(world: BrowserWorld) -> None:
        keys = {} if key is None else {"key": key}
        endpoints = set()
        for _ in range(2):
            browser = await world.greeted()
            for _ in range(2):
                browser.register(**keys)
                await settle()
                endpoints.add(browser.last["pushEndpoint"])
            await world.start()
        (endpoint,) = endpoints
        found = await world.channels.find(endpoint.removeprefix("http://host:1/p/"))
        assert isinstance(found, ChannelRow)
        assert (found.device, found.app) == (DEVICE, f"browser:{CHANNEL}")
        assert found.client_id == web_push_sender(None) + ("" if key is None else KEY)
        assert await world.store.count_channels() == 1

    run(play)


def test_endpoints_of_other_browsers_channels_and_keys_are_others() -> None:
    """What one knows says nothing of another."""

    async def play(world: BrowserWorld) -> None:
        endpoints = []
        for uaid in (UAID, UAID[::-1]):
            browser = await world.greeted(uaid)
            for channel_id in (CHANNEL, OTHER_CHANNEL):
                for keys in ({}, {"key": KEY}):
                    browser.register(channel_id, **keys)
                    await settle()
                    endpoints.append(browser.last["pushEndpoint"])
        assert len(set(endpoints)) == 8

    run(play)


@pytest.mark.parametrize(
    ("question", "status", "words"),
    [
        ({"messageType": "register", "channelID": "x"}, 400, "channelID is a UUID, not 'x'"),
        ({"messageType": "register", "channelID": CHANNEL, "key": "AAAA"}, 400, "key is an application server key"),
        ({"messageType": "unregister", "channelID": "x"}, 400, "channelID is a UUID, not 'x'"),
    ],
)
def test_a_wrong_question_is_refused_by_its_status(question: dict[str, Any], status: int, words: str) -> None:
    """The answer says what is wrong, and the connection goes on."""

    async def play(world: BrowserWorld) -> None:
        browser = await world.greeted()
        browser.tell(**question)
        await settle()
        told = browser.last
        assert (told["messageType"], told["channelID"]) == (question["messageType"], question["channelID"])
        assert told["status"] == status
        assert told["reason"].startswith(words)
        await world.subscribed(browser)

    run(play)


def test_a_subscription_that_ended_does_not_come_back() -> None:
    """Its senders were told that it is gone: the browser is told to choose another name."""

    async def play(world: BrowserWorld) -> None:
        browser = await world.greeted()
        await world.subscribed(browser)
        browser.unregister()
        browser.register()
        await settle()
        assert (browser.last["status"], browser.last["channelID"]) == (409, CHANNEL)
        await world.subscribed(browser, OTHER_CHANNEL)

    run(play)


def test_an_address_that_asks_too_often_is_told_so() -> None:
    """By the limit for channels of all devices."""

    async def play(world: BrowserWorld) -> None:
        browser = world.connect()
        browser.client = "192.0.2.7", 1
        browser.receiver = world.devices.open_browser(browser)
        browser.hello()
        for number in range(3):
            browser.register(f"{number:08}-0000-4000-8000-000000000000")
        await settle()
        assert [each["status"] for each in browser.told] == [200, 200, 200, 429]
        assert browser.last["reason"] == "too many subscriptions are asked for from this address"

    run(play, {"grant_rate": 0.001, "grant_burst": 2})


def test_a_device_has_so_many_subscriptions_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser that asks for more is refused, and nothing is kept of that."""
    monkeypatch.setattr(registry, "MAX_SUBSCRIPTIONS", 3)

    async def play(world: BrowserWorld) -> None:
        browser = await world.greeted()
        for number in range(50):
            browser.register(f"{number:08}-0000-4000-8000-000000000000")
            await settle()
        assert [each["status"] for each in browser.told[1:]] == [200] * 3 + [403] * 47
        assert await world.store.count_channels() == 3
        browser.unregister("00000001-0000-4000-8000-000000000000")
        await settle()
        await world.subscribed(browser)

    run(play)


def test_a_store_that_fails_is_told_by_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question is answered at once all the same, and the log says it once."""

    async def play(world: BrowserWorld) -> None:
        browser = await world.greeted()
        await world.subscribed(browser)

        async def fail(*_: object) -> NoReturn:
            raise StateUnavailable("the disk is full")

        monkeypatch.setattr(MemoryServiceStore, "live_channels", fail)
        monkeypatch.setattr(MemoryServiceStore, "subscriptions", fail)
        browser.register(OTHER_CHANNEL)
        await settle()
        assert (browser.last["status"], browser.last["reason"]) == (503, "the service cannot use its store")
        browser.unregister()
        await settle()
        assert (browser.last["messageType"], browser.last["status"]) == ("unregister", 503)
        again = await world.greeted()
        assert again.last["status"] == 200

    run(play)


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
        browser.hello()
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


def test_what_is_asked_of_no_subscription_ends_it_all_the_same() -> None:
    """A browser that has forgotten nothing may ask twice."""

    async def play(world: BrowserWorld) -> None:
        browser = await world.greeted()
        browser.unregister(code=200)
        await settle()
        assert browser.last == {"messageType": "unregister", "channelID": CHANNEL, "status": 200}

    run(play)


def test_a_browser_that_is_there_keeps_its_subscriptions() -> None:
    """Their ends are put off when it says hello, far behind what any would have lived by itself."""

    async def play(world: BrowserWorld) -> None:
        endpoint = await world.subscribed(await world.greeted())
        for _ in range(3):
            world.later += 0.7 * SUBSCRIPTION_LIFETIME
            await world.start()
            await world.greeted()
        assert isinstance(await world.post(endpoint), str)

    run(play)


def test_a_ping_is_answered_in_the_turn_in_which_it_comes() -> None:
    """Firefox waits for 20 s at most, and comes again after that."""

    async def play(world: BrowserWorld) -> None:
        browser = await world.greeted()
        browser.say("{}")
        await asyncio.sleep(0)
        assert browser.last == {}

    run(play)


def test_what_is_not_known_is_passed_over_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Browsers may learn new words."""
    caplog.set_level(logging.INFO)

    async def play(world: BrowserWorld) -> None:
        browser = await world.greeted()
        for _ in range(3):
            browser.tell(messageType="broadcast_subscribe", broadcasts={"a/b": "1"})
        await world.subscribed(browser)

    run(play)
    said = [record.getMessage() for record in caplog.records if "passed over" in record.getMessage()]
    assert said == ["browsers say 'broadcast_subscribe', which is passed over"]


@pytest.mark.parametrize(
    ("says", "code", "words"),
    [
        ([b"\x00"], CloseCode.UNSUPPORTED_DATA, "a browser's messages are texts, not binary"),
        (["no JSON"], CloseCode.PROTOCOL_ERROR, "a browser's message is no JSON"),
        (["{}"], CloseCode.PROTOCOL_ERROR, "a browser begins with hello"),
        (['{"messageType":"ack","updates":[]}'], CloseCode.PROTOCOL_ERROR, "a browser begins with hello"),
        (['{"messageType":"hello"}'] * 2, CloseCode.PROTOCOL_ERROR, "a browser says hello once"),
    ],
)
def test_a_browser_that_breaks_the_protocol_is_told_so(says: list[str | bytes], code: int, words: str) -> None:
    """The connection is closed with words for its log."""

    async def play(world: BrowserWorld) -> None:
        browser = world.connect()
        for each in says:
            browser.say(each)
        await settle()
        assert browser.closed is not None
        assert browser.closed[0] == code
        assert browser.closed[1].startswith(words)

    run(play)


def test_a_browser_that_talks_too_much_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """What acknowledges nothing is counted, by device."""
    monkeypatch.setattr(limits, "_TALK", (0.001, 5))

    async def play(world: BrowserWorld) -> None:
        browser = await world.greeted()
        for _ in range(4):
            browser.say("{}")
        browser.ack("unknown")
        assert browser.closed is None
        browser.ack("unknown")
        assert browser.closed == (CloseCode.POLICY_VIOLATION, "too many messages that bring nothing new")

    run(play)


def test_what_is_no_message_of_web_push_is_not_sent() -> None:
    """A browser knows no app: what is for one ends, and is counted."""

    async def play(world: BrowserWorld) -> None:
        browser = await world.greeted()
        endpoint = await world.subscribed(browser)
        row = await world.channels.find(endpoint.removeprefix("http://host:1/p/"))
        assert isinstance(row, ChannelRow)
        of_app = ChannelRow(b"h", "name", "id", "contoso.mail", DEVICE, row.expires, revoked=False)
        assert await world.push_raw(of_app) is PushResult.ACKNOWLEDGED
        assert world.counters.browser_dropped == {"no_push": 1}
        assert browser.versions == []

    run(play)


def test_a_key_of_one_of_our_own_devices_is_that_device() -> None:
    """Who has it is that device, whatever it speaks: the older connection gives way."""

    async def play(world: BrowserWorld) -> None:
        platform = PlayedSocket()
        platform.receiver = world.devices.open(platform)
        platform.say(codec.encode(Hello(PROTOCOL_VERSION, UAID)))
        await world.greeted()
        assert platform.closed == (REPLACED, "replaced by a newer connection")
        assert world.devices.count() == 1

    run(play)
