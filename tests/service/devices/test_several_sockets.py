"""KDE's distributor as a device: no codes, no old coding, and several connections at a time."""

from __future__ import annotations

import asyncio

import pytest

from tests.service.devices.browser_world import CHANNEL, UAID, BrowserWorld, PlayedBrowser, run, settle
from tocsin.service.devices.browser_connection import SETTLING
from tocsin.service.devices.outbox import PushResult
from tocsin.service.devices.parting import Parting


async def distributor(world: BrowserWorld) -> PlayedBrowser:
    """Let it connect, and be there for long enough."""
    socket = await world.greeted(firefox=False)
    await asyncio.sleep(SETTLING)
    return socket


def test_its_recorded_conversation() -> None:
    """From its first start to the end of a subscription, as kunifiedpush 26.04 says it; each question is answered at once."""

    async def play(world: BrowserWorld) -> None:
        first = world.connect()
        first.say('{"messageType":"hello"}')
        await settle()
        uaid = first.last["uaid"]
        assert first.last == {"messageType": "hello", "status": 200, "uaid": uaid}
        first.say(f'{{"channelID":"{CHANNEL}","messageType":"register"}}')
        await settle()
        endpoint = first.last["pushEndpoint"]
        assert first.last["status"] == 200
        await asyncio.sleep(SETTLING)
        id_ = await world.posted(endpoint, body=b"x")
        assert first.last == {
            "messageType": "notification",
            "channelID": CHANNEL,
            "version": id_,
            "data": "eA",
            "headers": {"encoding": "aes128gcm"},
        }
        first.say(f'{{"messageType":"ack","updates":[{{"channelID":"{CHANNEL}","version":"{id_}"}}]}}')
        await settle()
        assert world.results[id_] is PushResult.ACKNOWLEDGED
        first.leave()
        second = world.connect()
        second.say(f'{{"messageType":"hello","uaid":"{uaid}"}}')
        await settle()
        assert second.last == {"messageType": "hello", "status": 200, "uaid": uaid}
        second.say(f'{{"channelID":"{CHANNEL}","messageType":"unregister"}}')
        await settle()
        assert second.last == {"messageType": "unregister", "channelID": CHANNEL, "status": 200}
        assert world.counters.browser_acks == world.counters.browser_ended == {"none": 1}

    run(play)


def test_what_comes_goes_to_the_newest_and_no_socket_is_closed() -> None:
    """Where one were closed, it would drop both."""

    async def play(world: BrowserWorld) -> None:
        sockets = [await distributor(world) for _ in range(3)]
        endpoint = await world.subscribed(sockets[0])
        ids = [await world.posted(endpoint) for _ in range(2)]
        assert [each.versions for each in sockets] == [[], [], ids]
        assert [each.closed for each in sockets] == [None] * 3
        assert world.devices.count() == 1

    run(play)


@pytest.mark.parametrize("stored", [False, True])
def test_an_acknowledgement_counts_on_any_socket(stored: bool) -> None:
    """Of what was sent now, and of what had waited."""

    async def play(world: BrowserWorld) -> None:
        older = await distributor(world)
        endpoint = await world.subscribed(older)
        if stored:
            older.leave()
            ids = [await world.posted(endpoint) for _ in range(2)]
            older = await distributor(world)
        newer = await distributor(world)
        if not stored:
            ids = [await world.posted(endpoint) for _ in range(2)]
        assert newer.versions == ids
        older.ack(ids[0])
        newer.ack(ids[1])
        await settle()
        assert set(world.results.values()) == {PushResult.STORED if stored else PushResult.ACKNOWLEDGED}
        assert world.offline.kept == 0
        assert (await distributor(world)).versions == []

    run(play)


def test_two_hellos_at_once_are_one_return() -> None:
    """What waits, and what comes in that second, is sent once, to the last of them, in order."""

    async def play(world: BrowserWorld) -> None:
        first = await distributor(world)
        endpoint = await world.subscribed(first)
        first.leave()
        ids = [await world.posted(endpoint) for _ in range(2)]
        sockets = [await world.greeted(firefox=False)]
        ids.append(await world.posted(endpoint))
        await asyncio.sleep(SETTLING / 2)
        sockets.append(await world.greeted(firefox=False))
        ids.append(await world.posted(endpoint))
        await asyncio.sleep(3 * SETTLING)
        assert [each.versions for each in sockets] == [[], ids]
        sockets[0].ack(*ids)
        await settle()
        assert world.offline.kept == 0
        assert world.results[ids[-1]] is PushResult.ACKNOWLEDGED

    run(play)


def test_what_was_sent_to_the_older_and_not_acknowledged_is_sent_again_to_the_newer() -> None:
    """The older may be cut off without a word: its senders are told that it is stored."""

    async def play(world: BrowserWorld) -> None:
        older = await distributor(world)
        endpoint = await world.subscribed(older)
        ids = [await world.posted(endpoint) for _ in range(3)]
        older.ack(ids[0])
        newer = await distributor(world)
        assert newer.versions == ids[1:]
        assert [world.results[each] for each in ids[1:]] == [PushResult.STORED] * 2
        newer.ack(*ids)
        await settle()
        assert world.offline.kept == 0

    run(play)


def test_when_the_newest_ends_the_one_before_gets_what_comes() -> None:
    """Also what the newest had not acknowledged; and so on, to the last."""

    async def play(world: BrowserWorld) -> None:
        sockets = [await distributor(world) for _ in range(3)]
        endpoint = await world.subscribed(sockets[2])
        lost = await world.posted(endpoint)
        sockets[1].leave()
        sockets[2].leave()
        await settle()
        assert sockets[0].versions == [lost]
        new = await world.posted(endpoint)
        assert sockets[0].versions == [lost, new]
        sockets[0].leave()
        await settle()
        assert world.devices.count() == 0
        assert world.results[new] is PushResult.STORED

    run(play)


def test_an_older_socket_is_answered_too() -> None:
    """While a question is open it acknowledges nothing."""

    async def play(world: BrowserWorld) -> None:
        older, newer = await distributor(world), await distributor(world)
        endpoint = await world.subscribed(older)
        older.say("{}")
        await settle()
        assert older.last == {}
        older.unregister()
        await settle()
        assert older.last["status"] == 200
        assert not isinstance(await world.post(endpoint), str)
        assert newer.versions == []

    run(play)


def test_a_replay_that_is_overtaken_goes_on_at_the_newer() -> None:
    """Each message is sent once to it, however far the other was."""

    async def play(world: BrowserWorld) -> None:
        first = await world.greeted()
        endpoint = await world.subscribed(first)
        first.leave()
        ids = [await world.posted(endpoint) for _ in range(10)]
        older = world.connect()
        older.is_writable = False
        older.hello(world.keys[UAID])
        await settle()
        newer = await world.greeted()
        assert newer.versions == ids
        older.read_on()
        await settle()
        assert older.versions == []
        newer.leave()
        await settle()
        assert older.versions == ids

    run(play, {"device_window": 16})


def test_a_window_that_was_full_is_free_when_another_takes_over() -> None:
    """What the older had been sent takes no place at it when it is the newest again."""

    async def play(world: BrowserWorld) -> None:
        older = await distributor(world)
        endpoint = await world.subscribed(older)
        ids = [await world.posted(endpoint) for _ in range(4)]
        assert older.versions == ids[:2]
        newer = await distributor(world)
        for each in ids:
            newer.ack(each)
            await settle()
        assert newer.versions == ids
        newer.leave()
        await settle()
        more = [await world.posted(endpoint) for _ in range(2)]
        assert older.versions == [*ids[:2], *more]

    run(play, {"device_window": 2})


def test_a_message_in_the_old_coding_is_not_sent_to_it() -> None:
    """It could not be decrypted, and would reach the app as it is: it ends, and is counted. Firefox gets it."""

    async def play(world: BrowserWorld) -> None:
        socket = await distributor(world)
        endpoint = await world.subscribed(socket)
        device = next(iter(world.devices.some(1)))
        assert not world.devices.reads_aesgcm(device)
        assert world.results[await world.posted(endpoint, coding="aesgcm")] is PushResult.ACKNOWLEDGED
        socket.leave()
        assert world.devices.reads_aesgcm(device)
        ids = [await world.posted(endpoint, coding=each) for each in ("aes128gcm", "aesgcm", "", "aesgcm")]
        socket = await distributor(world)
        assert socket.versions == [ids[0], ids[2]]
        assert world.counters.browser_dropped == {"aesgcm": 3}
        assert world.offline.kept == 2
        firefox = await world.greeted()
        ids.append(await world.posted(endpoint, coding="aesgcm"))
        assert firefox.last["headers"] == {"encoding": "aesgcm", "encryption": "salt=x", "crypto_key": "dh=y"}
        assert world.devices.reads_aesgcm(device)

    run(play)


def test_a_service_that_stops_closes_all_sockets() -> None:
    """Going away: each comes back by itself."""

    async def play(world: BrowserWorld) -> None:
        sockets = [await distributor(world) for _ in range(3)]
        await world.devices.aclose()
        assert [each.closed for each in sockets] == [(1001, "the service is stopping")] * 3

    run(play)


def test_a_node_that_sends_devices_away_closes_all_their_sockets() -> None:
    """The older first, so that none becomes the newest again."""

    async def play(world: BrowserWorld) -> None:
        sockets = [await distributor(world) for _ in range(3)]
        assert world.devices.part_with(None, Parting(1001, "this node is leaving")) == 1
        assert [each.closed for each in sockets] == [(1001, "this node is leaving")] * 3
        assert world.devices.count() == 0

    run(play)


def test_a_socket_that_was_overtaken_by_one_at_another_node_stays() -> None:
    """What comes for the device goes there, and none of those that are here becomes the newest again."""

    async def play(world: BrowserWorld) -> None:
        sockets = [await distributor(world) for _ in range(2)]
        endpoint = await world.subscribed(sockets[1])
        device = next(iter(world.devices.some(1)))
        world.devices._here.displaced(device)
        assert not world.devices.has(device)
        id_ = await world.posted(endpoint)
        assert [each.versions for each in sockets] == [[], []]
        assert world.results[id_] is PushResult.STORED
        sockets[1].say("{}")
        sockets[1].ack(id_)
        sockets[1].leave()
        await settle()
        assert not world.devices.has(device)
        assert sockets[0].closed is None
        assert (await distributor(world)).versions == []

    run(play)


def test_the_key_of_a_browser_is_shown_nowhere() -> None:
    """It is what its subscriptions are made of."""

    async def play(world: BrowserWorld) -> None:
        socket = await distributor(world)
        assert socket.receiver is not None
        assert UAID not in repr(socket.receiver)

    run(play)
