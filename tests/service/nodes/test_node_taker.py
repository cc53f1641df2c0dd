"""What a node does with what others forward to it, whatever these know of it."""

from __future__ import annotations

import asyncio

import pytest

from tests.service.nodes.link_world import until
from tests.service.nodes.post_world import CHANNEL, DEVICE, MAY_WAIT, NOW_OR_NEVER, Node, payload_of, post_world
from tocsin.protocol.messages import Suspended
from tocsin.protocol.messages.node_protocol import WithdrawThere
from tocsin.protocol.service.nodes.device_row import Home
from tocsin.protocol.service.notification import Notification
from tocsin.service.devices.outbox import PushResult
from tocsin.service.nodes import node_taker
from tocsin.service.nodes.forwarding import ForwardedPost, ForwardResult, NotPushed
from tocsin.service.nodes.storing import NotKept

pytestmark = pytest.mark.anyio


def forward(home: Home, notification: Notification = MAY_WAIT) -> ForwardedPost:
    """Make a forward for a connection."""
    return ForwardedPost(home.lease, home.epoch, CHANNEL, payload_of(notification), notification)


async def take(node: Node, post: ForwardedPost) -> ForwardResult:
    """Let a node take a forward, as its link does."""
    settled: asyncio.Future[ForwardResult] = asyncio.get_running_loop().create_future()
    if node.taker.take_now(post, settled.set_result):
        return await settled
    return await node.taker.take(post)


def home_of(node: Node) -> Home:
    """Return what the device's connection is called."""
    home = node.queues.home_of(DEVICE)
    assert home is not None
    return home


async def test_it_is_brought_to_the_connection_that_it_names() -> None:
    """At once, without a task."""
    async with post_world("a") as world:
        a = world.nodes["a"]
        device = await a.connect()
        said: list[ForwardResult] = []
        assert a.taker.take_now(forward(home_of(a)), said.append)
        await until(lambda: said == [PushResult.ACKNOWLEDGED])
        assert len(device.ids) == 1
        assert (a.counters.pushed, a.counters.acknowledged) == (1, 0)  # that counts the node that has the sender


@pytest.mark.parametrize("change", [(1, 0), (0, 1)])
async def test_another_connection_than_the_one_here_is_not_here(change: tuple[int, int]) -> None:
    """Whether it was under another lease, or before this one."""
    async with post_world("a") as world:
        a = world.nodes["a"]
        device = await a.connect()
        home = home_of(a)
        assert await take(a, forward(Home(home.lease + change[0], home.epoch + change[1]))) is NotPushed.NOT_HERE
        assert await a.taker.take(forward(Home(home.lease, home.epoch + 1))) is NotPushed.NOT_HERE
        assert device.ids == []


async def test_a_device_that_has_left_is_not_here() -> None:
    """Also where its row is not cleared yet, and the forward has waited for its turn."""
    async with post_world("a") as world:
        a = world.nodes["a"]
        device = await a.connect()
        home = home_of(a)
        device.leave()
        assert await take(a, forward(home)) is NotPushed.NOT_HERE
        assert await a.taker.take(forward(home)) is NotPushed.NOT_HERE
        a.queues.homes.clear()
        assert await take(a, forward(home)) is NotPushed.NOT_HERE


async def test_a_node_without_a_lease_takes_nothing() -> None:
    """Such as a forward that comes late to one that has stood still or stops: it says nothing of its devices."""
    async with post_world("a") as world:
        a = world.nodes["a"]
        device = await a.connect()
        a.standing.good = False
        for home in (home_of(a), Home(99, 99)):
            assert await take(a, forward(home)) is NotPushed.UNAVAILABLE
            assert await a.taker.take(forward(home)) is NotPushed.UNAVAILABLE
        assert device.ids == []


class TestItsRowIsBeingWritten:
    """Another node may read the row before the one that has written it has the answer."""

    async def test_it_is_waited_for(self) -> None:
        """Then it is brought to the connection, if it is the one that is named."""
        async with post_world("a") as world:
            a = world.nodes["a"]
            device = a.accept()
            first, other = forward(Home(a.standing.lease, 7)), forward(Home(a.standing.lease, 6))
            taking = [asyncio.ensure_future(take(a, each)) for each in (first, other)]
            await asyncio.sleep(0.01)
            assert device.ids == []
            a.queues.homes[DEVICE].set_result(Home(a.standing.lease, 7))
            assert await asyncio.gather(*taking) == [PushResult.ACKNOWLEDGED, NotPushed.NOT_HERE]
            assert device.ids == [first.payload.id]

    async def test_a_connection_under_another_lease_is_not_waited_for(self) -> None:
        """It has no name under that."""
        async with post_world("a") as world:
            a = world.nodes["a"]
            a.accept()
            said: list[ForwardResult] = []
            assert a.taker.take_now(forward(Home(a.standing.lease + 1, 7)), said.append)
            assert said == [NotPushed.NOT_HERE]

    async def test_it_is_not_waited_for_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Then it is not known whether it is the one that is named."""
        monkeypatch.setattr(node_taker, "PATIENCE", 0.01)
        async with post_world("a") as world:
            a = world.nodes["a"]
            a.accept()
            assert await take(a, forward(Home(a.standing.lease, 7))) is NotPushed.UNAVAILABLE

    @pytest.mark.parametrize(("good", "said"), [(True, NotPushed.NOT_HERE), (False, NotPushed.UNAVAILABLE)])
    async def test_the_connection_or_the_lease_may_go_meanwhile(self, good: bool, said: NotPushed) -> None:
        """Both are told apart: the one is the truth of the device, the other says nothing of it."""
        async with post_world("a") as world:
            a = world.nodes["a"]
            a.accept()
            taking = asyncio.ensure_future(take(a, forward(Home(a.standing.lease, 7))))
            await asyncio.sleep(0.01)
            a.standing.good = good
            a.queues.homes[DEVICE].set_result(None)
            assert await taking is said


class TestUndelivered:
    """What the connection does not bring to its device."""

    async def test_it_is_stored_here_if_its_sender_lets_it_wait(self) -> None:
        """A device that can store nothing is there all the same."""
        async with post_world("a") as world:
            a = world.nodes["a"]
            (await a.connect()).tell(Suspended(suspended=True))
            assert await take(a, forward(home_of(a))) is PushResult.STORED
            assert await take(a, forward(home_of(a), NOW_OR_NEVER)) is PushResult.SUSPENDED
            assert len(world.stored()) == 1

    async def test_a_device_that_is_at_another_node_since_is_not_here(self) -> None:
        """The node that forwards looks anew, and this one forwards to no third."""
        async with post_world("a", "b") as world:
            a, b = world.nodes.values()
            device = await a.connect()
            device.acknowledges = False
            await a.queues.look(DEVICE)
            post = forward(home_of(a))
            taking = asyncio.ensure_future(take(a, post))
            await until(lambda: device.ids == [post.payload.id])
            there = await b.connect()
            device.leave()
            assert await taking is NotPushed.NOT_HERE
            assert there.ids == []

    @pytest.mark.parametrize(
        ("failed", "said"),
        [
            (NotKept.FAILED, NotPushed.UNAVAILABLE),
            (NotKept.NO_ROOM, PushResult.NO_ROOM),
            (RuntimeError("a fault of ours"), NotPushed.UNAVAILABLE),
        ],
    )
    async def test_it_may_not_be_stored(self, failed: NotKept | Exception, said: ForwardResult) -> None:
        """A database that cannot be used here may be used by the node that forwards."""
        async with post_world("a") as world:
            a = world.nodes["a"]
            device = await a.connect()
            device.acknowledges = False
            await a.queues.look(DEVICE)
            a.queues.results.append(failed)
            post = forward(home_of(a))
            taking = asyncio.ensure_future(take(a, post))
            await until(lambda: device.ids == [post.payload.id])
            device.leave()
            assert await taking is said


async def test_words_of_other_nodes_on_devices() -> None:
    """What has changed is read anew; deleted toasts are told to a device that is here."""
    async with post_world("a") as world:
        a = world.nodes["a"]
        device = await a.connect()
        a.taker.look([DEVICE, "other"])
        assert a.queues.stale_devices == [DEVICE, "other"]
        a.taker.withdraw(WithdrawThere("other", "c", None, None))
        a.taker.withdraw(WithdrawThere(DEVICE, "c", None, "group"))
        await until(lambda: bool(device.withdrawn))
        assert [(each.channel, each.tag, each.group) for each in device.withdrawn] == [("c", None, "group")]
