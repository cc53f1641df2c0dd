"""Browsers as devices: their conversation, their subscriptions, and what is sent to them."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import CloseCode

from tests.service.devices.browser_world import (
    CHANNEL,
    KEY,
    UAID,
    BrowserWorld,
    run,
    settle,
)
from tests.service.played_socket import PlayedSocket
from tocsin.protocol.messages import Hello, codec
from tocsin.protocol.network.causes import REPLACED
from tocsin.protocol.values import PROTOCOL_VERSION
from tocsin.service.devices import browser_connection
from tocsin.service.devices.browser_connection import BrowserConnection
from tocsin.service.devices.outbox import PushResult
from tocsin.service.operations import limits
from tocsin.service.registry.service_store import ChannelRow

SAID = st.text(max_size=40) | st.builds(
    lambda kind, fields: json.dumps({"messageType": kind, **fields}),
    st.sampled_from(["hello", "register", "unregister", "ack", "nack", "broadcast_subscribe"]),
    st.dictionaries(
        st.sampled_from(["channelID", "key", "uaid", "updates", "version", "code", "use_webpush"]),
        st.none()
        | st.integers()
        | st.text(max_size=9)
        | st.sampled_from(
            [CHANNEL, KEY, UAID, "m1", [{"version": "m1"}], [{"channelID": CHANNEL, "version": "v", "code": 100}]]
        ),
    ),
)


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
        row = await world.channels.directory.find(endpoint.removeprefix("http://host:1/p/"))
        assert isinstance(row, ChannelRow)
        of_app = ChannelRow(b"h", "name", "id", "contoso.mail", world.device, row.expires, revoked=False)
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


@given(says=st.lists(SAID, min_size=1, max_size=6), greeted=st.booleans())
def test_nothing_that_is_said_makes_a_connection_fail(says: list[str], greeted: bool) -> None:
    """It is answered, passed over, or closed with words; and others go on."""

    async def play(world: BrowserWorld) -> None:
        browser = world.connect()
        if greeted:
            browser.hello()
        for each in says:
            browser.say(each)
        await settle()
        assert browser.failures == []
        assert browser.closed is None or browser.closed[1]
        assert (await world.greeted(UAID[::-1])).closed is None

    run(play)


def test_what_ended_is_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser that subscribes and ends that without end costs the memory of a few."""
    monkeypatch.setattr(browser_connection, "_ENDED", 3)

    async def play(world: BrowserWorld) -> None:
        browser = await world.greeted()
        for number in range(20):
            browser.unregister(f"{number:08}-0000-4000-8000-000000000000")
        await settle()
        assert isinstance(browser.receiver, BrowserConnection)
        assert len(browser.receiver._ended) == 3

    run(play)
