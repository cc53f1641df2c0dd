"""The ways of posts among nodes that are linked over sockets: each end of a way, and what its sender hears."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from attrs import evolve

from tests.service.nodes.link_world import hasty, until
from tests.service.nodes.post_world import (
    CHANNEL,
    DEVICE,
    MAY_WAIT,
    NO_CACHE,
    NOW_OR_NEVER,
    Node,
    PlayedDevice,
    payload_of,
    post_world,
)
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages import Suspended
from tocsin.protocol.platform.unwanted import Unwanted
from tocsin.protocol.service.nodes.device_row import ABSENT, Unchanged
from tocsin.protocol.service.nodes.post_route import LOOKS
from tocsin.protocol.service.notification import Notification
from tocsin.protocol.toast_label import ToastMatch
from tocsin.service.devices.outbox import PushResult
from tocsin.service.nodes.known_devices import TURN
from tocsin.service.nodes.post_way import Places
from tocsin.service.nodes.storing import NotKept
from tocsin.service.registry.node_store import SeenDevice

pytestmark = pytest.mark.anyio

NOWHERE = "127.0.0.1:1"


async def posted(node: Node, device: PlayedDevice, notification: Notification) -> asyncio.Task[PushResult]:
    """Post, and wait until the device has it."""
    payload = payload_of(notification)
    post = asyncio.ensure_future(node.post(notification, payload))
    await until(lambda: payload.id in device.ids)
    return post


class TestTheOtherNodeHasIt:
    """The device is connected to node b, and the posts come to node a."""

    @pytest.mark.parametrize("notification", [MAY_WAIT, NO_CACHE, NOW_OR_NEVER])
    async def test_it_is_brought_there(self, notification: Notification) -> None:
        """It is looked once where the device is, and then gone by that."""
        async with post_world("a", "b") as world:
            a, b = world.nodes.values()
            device = await b.connect()
            payloads = [payload_of(notification) for _ in range(3)]
            for payload in payloads:
                assert await a.post(notification, payload) is PushResult.ACKNOWLEDGED
            assert device.ids == [each.id for each in payloads]
            assert a.queues.looks == 1
            assert (a.counters.acknowledged, b.counters.pushed, world.stored()) == (3, 3, [])

    async def test_posts_keep_their_order(self) -> None:
        """Also where the first have to be looked for, and the later are not."""
        async with post_world("a", "b") as world:
            a, b = world.nodes.values()
            device = await b.connect()
            payloads = [payload_of(MAY_WAIT) for _ in range(20)]
            posts = [asyncio.ensure_future(a.post(MAY_WAIT, each)) for each in payloads[:10]]
            await until(lambda: a.posts.have(DEVICE))
            posts += [asyncio.ensure_future(a.post(MAY_WAIT, each)) for each in payloads[10:]]
            assert set(await asyncio.gather(*posts)) == {PushResult.ACKNOWLEDGED}
            assert device.ids == [each.id for each in payloads]

    async def test_a_sender_is_told_that_the_device_is_connected(self) -> None:
        """As far as it was read lately; a device here is, and one that is away is not."""
        async with post_world("a", "b") as world:
            a, b = world.nodes.values()
            await b.connect()
            assert not a.devices.connected(DEVICE)
            await a.post()
            assert a.devices.connected(DEVICE)
            assert not a.devices.has(DEVICE)
            assert b.devices.connected(DEVICE)

    @pytest.mark.parametrize(
        ("notification", "result", "stored"),
        [(MAY_WAIT, PushResult.STORED, 1), (NO_CACHE, PushResult.LOST, 0), (NOW_OR_NEVER, PushResult.LOST, 0)],
    )
    async def test_what_its_connection_loses_is_stored_there(
        self, notification: Notification, result: PushResult, stored: int
    ) -> None:
        """If its sender lets it wait; the other node, which knows what went out, does it."""
        async with post_world("a", "b") as world:
            a, b = world.nodes.values()
            device = await b.connect()
            await a.post()
            device.acknowledges = False
            post = await posted(a, device, notification)
            device.leave()
            assert await post is result
            assert (len(world.stored()), b.counters.stored, a.counters.stored) == (stored, stored, 0)

    @pytest.mark.parametrize(
        ("notification", "result"), [(MAY_WAIT, PushResult.STORED), (NOW_OR_NEVER, PushResult.SUSPENDED)]
    )
    async def test_a_device_that_can_store_nothing(self, notification: Notification, result: PushResult) -> None:
        """Is sent nothing at the other node either."""
        async with post_world("a", "b") as world:
            a, b = world.nodes.values()
            device = await b.connect()
            device.tell(Suspended(suspended=True))
            assert await a.post(notification) is result
            assert device.ids == []

    @pytest.mark.parametrize(
        ("notification", "result"),
        [
            (MAY_WAIT, PushResult.STORED),
            (NO_CACHE, PushResult.STORED),
            (NOW_OR_NEVER, PushResult.HELD_BACK),
            (evolve(MAY_WAIT, ttl=60), PushResult.STORED),
        ],
    )
    async def test_a_device_that_saves_power(self, notification: Notification, result: PushResult) -> None:
        """Has it held back by the other node, which knows that; the cache policy does not forbid it."""
        async with post_world("a", "b") as world:
            a, b = world.nodes.values()
            device = await b.connect()
            device.save_power()
            assert await a.post(notification) is result
            assert device.ids == []

    async def test_a_device_that_does_not_want_it(self) -> None:
        """Is sent nothing, whichever of both nodes knows it."""
        async with post_world("a", "b") as world:
            device = await world.nodes["b"].connect()
            for node in reversed(world.nodes.values()):
                await node.unwanted.note(DEVICE, Unwanted(everything=True))
                assert await world.nodes["a"].post() is PushResult.CLOUD_DISABLED
            assert (device.ids, world.stored()) == ([], [])


class TestAway:
    """The device is connected to no node."""

    @pytest.mark.parametrize(
        ("notification", "result"),
        [(MAY_WAIT, PushResult.STORED), (NO_CACHE, PushResult.OFFLINE), (NOW_OR_NEVER, PushResult.OFFLINE)],
    )
    async def test_it_is_stored_if_its_sender_lets_it_wait(
        self, notification: Notification, result: PushResult
    ) -> None:
        """Nothing else has to be done."""
        async with post_world("a") as world:
            a = world.nodes["a"]
            assert await a.post(notification) is result
            assert len(world.stored()) == a.counters.stored == (result is PushResult.STORED)

    @pytest.mark.parametrize("notification", [MAY_WAIT, NOW_OR_NEVER])
    async def test_what_was_kept_of_another_look_drops_nothing(self, notification: Notification) -> None:
        """A device that has come to another node since has it: the store finds out, or it is looked anew."""
        async with post_world("a", "b") as world:
            a, b = world.nodes.values()
            await a.queues.look(DEVICE)
            device = await b.connect()
            assert await a.post(notification) is PushResult.ACKNOWLEDGED
            assert len(device.ids) == 1

    async def test_a_row_that_names_a_node_without_a_lease_is_cleared(self) -> None:
        """What may not wait is dropped at once, and the row cleared meanwhile."""
        async with post_world("a", "b") as world:
            a, b = world.nodes.values()
            await b.connect()
            world.end_lease("b")
            assert await a.post(NOW_OR_NEVER) is PushResult.OFFLINE
            await until(lambda: world.store.rows[DEVICE].home is None)

    async def test_a_row_that_cannot_be_cleared_is_left(self) -> None:
        """Its next post finds it."""
        async with post_world("a", "b") as world:
            a, b = world.nodes.values()
            await b.connect()
            world.end_lease("b")
            post = asyncio.ensure_future(a.post(NOW_OR_NEVER))
            await until(lambda: a.queues.looks == 1)
            while not post.done():  # noqa: ASYNC110  # it is the turn after that
                await asyncio.sleep(0)
            world.store.gone = True
            assert await post is PushResult.OFFLINE
            await asyncio.sleep(0.01)
            world.store.gone = False
            assert await a.post() is PushResult.STORED

    async def test_there_may_be_no_room(self) -> None:
        """Then it is dropped, and that is said."""
        async with post_world("a") as world:
            world.nodes["a"].queues.results.append(NotKept.NO_ROOM)
            assert await world.nodes["a"].post() is PushResult.NO_ROOM

    async def test_a_row_that_moves_on_again_and_again_is_locked(self) -> None:
        """After so many looks it is stored whatever has changed."""
        async with post_world("a") as world:
            queues = world.nodes["a"].queues
            queues.results += [Unchanged.MOVED] * (LOOKS - 1)
            assert await world.nodes["a"].post() is PushResult.STORED
            assert (queues.looks, queues.locked) == (LOOKS, 1)

    async def test_all_its_turns_together_have_one_time(self) -> None:
        """Also of what moves on again and again, from when the connection here has not brought it to its device."""
        async with post_world("a") as world:
            a = world.nodes["a"]
            device = await a.connect()
            device.acknowledges = False
            post = await posted(a, device, MAY_WAIT)
            a.queues.results += [Unchanged.MOVED] * (LOOKS - 1)
            a.queues.untils.clear()
            began = anyio.current_time()
            device.leave()
            assert await post is PushResult.STORED
            (until,) = set(a.queues.untils)
            assert until is not None
            assert began <= until - TURN <= anyio.current_time()


class TestTheOtherNodeIsGone:
    """The row names node b, which does not have the device, or is not there."""

    @pytest.mark.parametrize(
        ("notification", "result"), [(MAY_WAIT, PushResult.STORED), (NOW_OR_NEVER, PushResult.OFFLINE)]
    )
    async def test_its_lease_is_over(self, notification: Notification, result: PushResult) -> None:
        """It is not asked any more, and nothing is waited for; also where a look from before led there."""
        async with post_world("a", "b") as world:
            a, b = world.nodes.values()
            await b.connect()
            world.store.leases["b"] = evolve(world.store.leases["b"], address=NOWHERE)
            await a.learn()
            world.end_lease("b")
            assert await a.post(notification) is result
            assert not world.woken("b")

    @pytest.mark.parametrize(
        ("notification", "result"), [(MAY_WAIT, PushResult.STORED), (NOW_OR_NEVER, PushResult.OFFLINE)]
    )
    async def test_it_does_not_have_the_connection_any_more(
        self, notification: Notification, result: PushResult
    ) -> None:
        """It says so, which is the whole truth: the home is cleared, and nothing is waited for."""
        async with post_world("a", "b") as world:
            a, b = world.nodes.values()
            device = await b.connect()
            await a.post()
            device.leave()
            b.queues.homes.clear()
            assert await a.post(notification) is result
            await until(lambda: world.store.rows[DEVICE].home is None or result is PushResult.OFFLINE)
            assert not world.woken("b")

    @pytest.mark.parametrize("notification", [MAY_WAIT, NO_CACHE, NOW_OR_NEVER])
    async def test_the_device_is_at_a_third(self, notification: Notification) -> None:
        """It is looked anew, and brought there; the node that it has left forwards nothing by itself."""
        async with post_world("a", "b", "c") as world:
            a, b, c = world.nodes.values()
            (await b.connect()).leave()
            b.queues.homes.clear()
            await a.learn()
            device = await c.connect()
            assert await a.post(notification) is PushResult.ACKNOWLEDGED
            assert (len(device.ids), b.counters.pushed) == (1, 0)

    @pytest.mark.parametrize("known", [False, True])
    async def test_it_cannot_be_reached_though_its_lease_is_good(self, known: bool) -> None:
        """Then it is stored with a wake for it, and its sender hears that once that node must have read it."""
        async with post_world("a", "b") as world:
            a, b = world.nodes.values()
            await b.connect()
            world.store.leases["b"] = evolve(world.store.leases["b"], address=NOWHERE)
            if known:
                await a.learn()
            began = anyio.current_time()
            post = asyncio.ensure_future(a.post())
            await until(lambda: bool(world.stored()))
            assert world.woken("b")
            assert await post is PushResult.STORED
            assert anyio.current_time() >= began + a.standing.terms.outlast
            assert world.store.rows[DEVICE].home is not None

    async def test_what_may_not_wait_and_cannot_be_known_is_to_be_sent_again(self) -> None:
        """The other node may have the device."""
        async with post_world("a", "b") as world:
            a, b = world.nodes.values()
            await b.connect()
            world.store.leases["b"] = evolve(world.store.leases["b"], address=NOWHERE)
            assert await a.post(NOW_OR_NEVER) is PushResult.TIMED_OUT

    @pytest.mark.parametrize(
        ("notification", "result"), [(MAY_WAIT, PushResult.STORED), (NOW_OR_NEVER, PushResult.TIMED_OUT)]
    )
    async def test_it_does_not_answer(self, notification: Notification, result: PushResult) -> None:
        """It may have handed it over or not: what may wait is stored all the same, and the device knows its id."""
        async with post_world("a", "b", terms=hasty(answer_timeout=0.3)) as world:
            a, b = world.nodes.values()
            device = await b.connect()
            await a.post()
            device.acknowledges = False
            post = await posted(a, device, notification)
            assert await post is result

    @pytest.mark.parametrize(
        ("notification", "result"), [(MAY_WAIT, PushResult.STORED), (NOW_OR_NEVER, PushResult.TIMED_OUT)]
    )
    async def test_it_has_no_lease_by_its_own_clock(self, notification: Notification, result: PushResult) -> None:
        """Then it takes nothing, and the others do as with one that they cannot reach."""
        async with post_world("a", "b") as world:
            a, b = world.nodes.values()
            device = await b.connect()
            b.standing.good = False
            assert await a.post(notification) is result
            assert (device.ids, world.woken("b")) == ([], result is PushResult.STORED)

    async def test_it_is_told_of_a_wake_at_once(self) -> None:
        """Where it can be told, though a forward did not reach it."""
        async with post_world("a", "b") as world:
            a, b = world.nodes.values()
            await b.connect()
            b.standing.good = False
            post = asyncio.ensure_future(a.post())
            await until(lambda: b.queues.stale_devices == [DEVICE])
            assert not post.done()
            await post


class TestThisNode:
    """What this node may do, and what it has."""

    @pytest.mark.parametrize("notification", [MAY_WAIT, NOW_OR_NEVER])
    async def test_without_a_lease_it_answers_that_it_is_unavailable(self, notification: Notification) -> None:
        """At once, also for a device that is connected here."""
        async with post_world("a") as world:
            a = world.nodes["a"]
            device = await a.connect()
            assert await a.post(notification) is PushResult.ACKNOWLEDGED
            a.standing.good = False
            payload = payload_of(notification)
            assert not a.devices.push_now(CHANNEL, payload, notification, lambda _: None)
            assert await a.devices.push(CHANNEL, payload, notification) is PushResult.LAPSED
            assert payload.id not in device.ids

    @pytest.mark.parametrize("known", [False, True])
    async def test_a_lease_that_is_over_while_it_looks(self, known: bool) -> None:
        """Is asked for again before anything follows from what it has read."""
        async with post_world("a", "b") as world:
            a, b = world.nodes.values()
            await b.connect()
            if known:
                await a.learn()
                b.queues.homes.clear()  # it says "not here"
            bringing = asyncio.ensure_future(a.posts.bring(CHANNEL, payload_of(MAY_WAIT), MAY_WAIT))
            await asyncio.sleep(0)
            a.standing.good = False
            assert await bringing is PushResult.LAPSED
            assert world.stored() == []

    async def test_what_was_found_out_under_another_lease_is_not_stored(self) -> None:
        """Nor is it where the database knows better than this node's clock."""
        async with post_world("a") as world:
            a = world.nodes["a"]
            bringing = asyncio.ensure_future(a.posts.bring(CHANNEL, payload_of(MAY_WAIT), MAY_WAIT))
            await asyncio.sleep(0)
            a.standing.lease += 1
            assert await bringing is PushResult.LAPSED
            world.end_lease("a")
            assert await a.post() is PushResult.LAPSED
            assert world.stored() == []

    @pytest.mark.parametrize("notification", [MAY_WAIT, NOW_OR_NEVER])
    async def test_a_database_that_is_gone(self, notification: Notification) -> None:
        """Nothing can be known or stored: its sender is to try again."""
        async with post_world("a") as world:
            world.store.gone = True
            assert await world.nodes["a"].post(notification) is PushResult.NOT_STORED

    async def test_a_store_that_fails(self) -> None:
        """It is said as with one node."""
        async with post_world("a") as world:
            world.nodes["a"].queues.results.append(NotKept.FAILED)
            assert await world.nodes["a"].post() is PushResult.NOT_STORED

    @pytest.mark.parametrize("notification", [MAY_WAIT, NOW_OR_NEVER])
    async def test_a_device_that_comes_here_meanwhile(self, notification: Notification) -> None:
        """Has it from here."""
        async with post_world("a") as world:
            a = world.nodes["a"]
            post = asyncio.ensure_future(a.post(notification))
            await asyncio.sleep(0)
            device = a.accept()
            assert await post is PushResult.ACKNOWLEDGED
            assert len(device.ids) == 1

    async def test_a_device_that_comes_here_and_does_not_acknowledge(self) -> None:
        """What may wait is stored, as for any other connection here."""
        async with post_world("a") as world:
            a = world.nodes["a"]
            payload = payload_of(MAY_WAIT)
            post = asyncio.ensure_future(a.post(MAY_WAIT, payload))
            await asyncio.sleep(0)
            device = a.accept()
            device.acknowledges = False
            await until(lambda: device.ids == [payload.id])
            device.leave()
            assert await post is PushResult.STORED
            assert world.stored() == [payload.id]

    @pytest.mark.parametrize("moved", [False, True])
    async def test_what_the_connection_here_did_not_bring(self, moved: bool) -> None:
        """Is stored, or is brought to the node that has the device since: the row's version tells."""
        async with post_world("a", "b") as world:
            a, b = world.nodes.values()
            device = await a.connect()
            await a.queues.look(DEVICE)
            device.acknowledges = False
            post = await posted(a, device, MAY_WAIT)
            there = await b.connect() if moved else None
            device.leave()
            assert await post is (PushResult.STORED if there is None else PushResult.ACKNOWLEDGED)
            assert (world.stored() if there is None else there.ids) == device.ids

    async def test_what_is_held_back_here(self) -> None:
        """Is stored, also where nothing is known of the row yet, and whatever the cache policy."""
        async with post_world("a") as world:
            a = world.nodes["a"]
            (await a.connect()).save_power()
            assert await a.post(NO_CACHE) is PushResult.STORED
            assert await a.post(NOW_OR_NEVER) is PushResult.HELD_BACK


class TestWithdrawing:
    """Toasts that their sender deletes."""

    @pytest.mark.parametrize("at", ["a", "b"])
    async def test_a_device_is_told_at_whichever_node_it_is(self, at: str) -> None:
        """Behind what it was sent before."""
        async with post_world("a", "b") as world:
            device = await world.nodes[at].connect()
            await world.nodes["a"].devices.withdraw(CHANNEL, ToastMatch("tag", None))
            await until(lambda: bool(device.withdrawn))
            (told,) = device.withdrawn
            assert (told.channel, told.tag, told.group) == (CHANNEL.name, "tag", None)

    async def test_a_device_that_is_away(self) -> None:
        """Is told nothing."""
        async with post_world("a") as world:
            await world.nodes["a"].devices.withdraw(CHANNEL, ToastMatch(None, None))

    async def test_a_database_that_is_gone(self) -> None:
        """It is not known where the device is: the sender is to try again."""
        async with post_world("a") as world:
            world.store.gone = True
            with pytest.raises(StateUnavailable):
                await world.nodes["a"].devices.withdraw(CHANNEL, ToastMatch(None, None))


class TestTheEnd:
    """A node that stops, and faults of ours."""

    async def test_a_post_that_is_not_at_its_end_is_to_be_sent_again(self) -> None:
        """The sender that waits hears that at once; one that comes too late, too."""
        async with post_world("a", "b") as world:
            a, b = world.nodes.values()
            await b.connect()
            await a.learn()
            b.standing.good = False
            said: list[PushResult] = []
            async with a.posts.running():
                assert a.devices.push_now(CHANNEL, payload_of(MAY_WAIT), MAY_WAIT, said.append)
                await until(lambda: bool(world.stored()))
                assert said == []
            assert said == [PushResult.NOT_STORED]
            await a.learn()
            assert a.devices.push_now(CHANNEL, payload_of(MAY_WAIT), MAY_WAIT, said.append)
            await until(lambda: said == [PushResult.NOT_STORED] * 2)

    async def test_a_fault_of_ours_is_said_to_the_sender(self, caplog: pytest.LogCaptureFixture) -> None:
        """And logged."""
        async with post_world("a", "b") as world:
            a, b = world.nodes.values()
            await b.connect()
            await a.learn()
            b.standing.good = False
            a.queues.results.append(RuntimeError("a fault of ours"))
            assert await a.post() is PushResult.NOT_STORED
            assert "the way of a post has failed" in caplog.text

    async def test_a_look_that_leads_to_this_node_is_none(self) -> None:
        """A row that was read before this node had to let its connection go does not lead back to it."""
        async with post_world("a") as world:
            a = world.nodes["a"]
            device = await a.connect()
            await a.learn()
            device.leave()
            assert not a.posts.have(DEVICE)
            assert await a.post() is PushResult.STORED
            assert world.store.rows[DEVICE].home is None

    async def test_a_look_that_is_answered_under_the_next_lease_is_not_remembered(self) -> None:
        """What was this node's own home looks like that of another then."""
        async with post_world("a") as world:
            a = world.nodes["a"]
            device = await a.connect()
            device.leave()
            bringing = asyncio.ensure_future(a.posts.bring(CHANNEL, payload_of(MAY_WAIT), MAY_WAIT))
            await asyncio.sleep(0)
            a.standing.lease += 1
            assert await bringing is PushResult.LAPSED
            assert not a.posts.have(DEVICE)

    async def test_the_places_of_so_many_devices_are_remembered(self) -> None:
        """The oldest are forgotten."""
        async with post_world("a", "b") as world:
            a, b = world.nodes.values()
            await b.connect()
            seen, places = await a.queues.look(DEVICE), Places(most=2)
            for device in ("first", "second", "first", "third"):
                places.note(device, seen, a.row.number)
            assert [device for device in ("first", "second", "third") if places.get(device)] == ["first", "third"]
            places.note("third", SeenDevice(ABSENT), a.row.number)
            places.note("first", seen, b.row.number)
            assert places.get("first") is places.get("third") is None
