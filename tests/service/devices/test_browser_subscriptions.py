"""Push subscriptions of browsers: asked for, refused, ended, and as many as there may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import pytest

from tests.service.devices.browser_world import (
    CHANNEL,
    KEY,
    OTHER_CHANNEL,
    UAID,
    BrowserWorld,
    PlayedBrowser,
    run,
    settle,
)
from tests.service.registry.memory_service_store import MemoryServiceStore
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.values import SUBSCRIPTION_LIFETIME
from tocsin.protocol.webpush.sender import web_push_sender
from tocsin.service.registry import channels as registry
from tocsin.service.registry.service_store import ChannelRow


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
        found = await world.channels.directory.find(endpoint.removeprefix("http://host:1/p/"))
        assert isinstance(found, ChannelRow)
        assert (found.device, found.app) == (world.device, f"browser:{CHANNEL}")
        assert found.client_id == web_push_sender(None) + ("" if key is None else KEY)
        assert await world.store.count_channels() == (1, 1)

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


def test_an_address_of_many_browsers_asks_as_one() -> None:
    """Each hello without a key is another device: what they are given together is bounded all the same, and in words."""

    async def play(world: BrowserWorld) -> None:
        told = []
        for number in range(50):
            browser = PlayedBrowser()
            browser.client = "192.0.2.7", number
            browser.receiver = world.devices.open_browser(browser)
            browser.hello(None)
            browser.register()
            await settle()
            told.append((browser.last["status"], browser.last.get("reason", "")))
            browser.leave()
        refused = 429, "too many subscriptions are asked for from this address"
        assert told == [(200, "")] * 2 + [refused] * 48
        assert await world.store.count_channels() == (2, 2)

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
        assert await world.store.count_channels() == (3, 3)
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


def test_a_subscription_of_which_it_was_not_known_whether_it_is_there_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser asks again and gets it; what other devices are given afterwards takes nothing away."""

    async def play(world: BrowserWorld) -> None:
        browser = await world.greeted()
        add = MemoryServiceStore.add_channel

        async def added(store: MemoryServiceStore, channel: ChannelRow, forget: Sequence[bytes] = ()) -> NoReturn:
            await add(store, channel, forget)
            raise StateUnavailable("the disk does not answer", in_doubt=True)

        monkeypatch.setattr(MemoryServiceStore, "add_channel", added)
        browser.register()
        await settle()
        assert browser.last["status"] == 503
        monkeypatch.setattr(MemoryServiceStore, "add_channel", add)
        endpoint = await world.subscribed(browser)
        await world.subscribed(await world.greeted(UAID[::-1]))
        assert isinstance(await world.post(endpoint), str)
        await world.start()
        assert isinstance(await world.post(endpoint), str)

    run(play)
