"""The key of a browser: kept, given, or given anew where none of its subscriptions is known."""

from __future__ import annotations

import asyncio

import pytest
from websockets.frames import CloseCode

from tests.service.devices.browser_world import UAID, BrowserWorld, run, settle
from tocsin.protocol.values import SUBSCRIPTION_LIFETIME
from tocsin.service.devices.browser_connection import BrowserConnection


def test_a_browser_without_a_key_is_given_one_that_cannot_be_guessed() -> None:
    """Each has its own; what is stored of it is its hash."""

    async def play(world: BrowserWorld) -> None:
        keys = [(await world.greeted(None)).last["uaid"] for _ in range(2)]
        assert len(set(keys)) == 2
        assert all(len(key) == 43 for key in keys)
        await world.subscribed(await world.greeted(keys[0]))
        assert keys[0] not in repr(world.store)

    run(play)


def test_firefox_with_subscriptions_that_are_not_known_is_given_another_key() -> None:
    """On that it has its sites subscribe anew; under the same key they would wait for what never comes."""

    async def play(world: BrowserWorld) -> None:
        browser = await world.greeted()
        given = browser.last["uaid"]
        assert browser.told == [{"messageType": "hello", "status": 200, "uaid": given, "use_webpush": True}]
        assert given != UAID
        await world.subscribed(browser)
        await world.start()
        assert (await world.greeted()).told[0]["uaid"] == given
        await world.lose_state()
        assert (await world.greeted()).last["uaid"] not in {given, UAID}

    run(play)


def test_firefox_whose_subscriptions_have_all_ended_is_given_another_key() -> None:
    """It was away for a year: their endpoints answer 410, and it does not know."""

    async def play(world: BrowserWorld) -> None:
        browser = await world.greeted()
        await world.subscribed(browser)
        await world.start()
        world.later += SUBSCRIPTION_LIFETIME + 1
        assert (await world.greeted()).last["uaid"] != browser.told[0]["uaid"]

    run(play)


def test_kdes_distributor_keeps_its_key_whether_it_is_known_or_not() -> None:
    """It leaves its subscriptions as they are whatever it is answered, and says hello under one key on several connections."""

    async def play(world: BrowserWorld) -> None:
        for _ in range(2):
            browser = await world.greeted(firefox=False)
            assert browser.told == [{"messageType": "hello", "status": 200, "uaid": UAID}]
            await world.subscribed(browser)
            await world.lose_state()

    run(play)


def test_a_key_stays_while_the_browser_has_another_connection() -> None:
    """It may be about to subscribe on that, in the name of this key."""

    async def play(world: BrowserWorld) -> None:
        older, newer = await world.greeted(), await world.greeted()
        assert newer.last["uaid"] == older.last["uaid"]
        endpoint = await world.subscribed(older)
        id_ = await world.posted(endpoint)
        assert newer.versions == [id_]

    run(play)


def test_a_browser_is_let_in_when_the_store_can_tell_what_it_has() -> None:
    """Until then its connections are closed, which is no final answer: it comes again; others are served."""

    async def play(world: BrowserWorld) -> None:
        given = (await world.greeted()).last["uaid"]
        await world.subscribed(await world.greeted())
        await world.start()
        world.store.is_readable = False
        browser = world.connect()
        browser.hello(given)
        browser.register()
        await settle()
        assert browser.told == []
        assert browser.closed == (CloseCode.TRY_AGAIN_LATER, "the service cannot use its store")
        assert (await world.greeted(None)).closed is (await world.greeted(firefox=False)).closed is None
        await world.start()
        world.store.is_readable = True
        assert (await world.greeted()).last["uaid"] == given

    run(play)


@pytest.mark.parametrize("leaves", [True, False])
def test_a_connection_that_ends_while_its_key_is_looked_up_is_no_device(leaves: bool) -> None:
    """What the store says comes too late, and does no harm."""

    async def play(world: BrowserWorld) -> None:
        browser = world.connect()
        browser.hello()
        await asyncio.sleep(0)
        if leaves:
            browser.leave()
        else:
            assert isinstance(browser.receiver, BrowserConnection)
            browser.receiver.close(1001, "away")
        await settle()
        assert world.devices.count() == 0
        assert browser.told == []
        assert browser.failures == []

    run(play)
