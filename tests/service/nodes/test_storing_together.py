"""Payloads of one device that are stored together: it ends as if they had been stored one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from tests.service.nodes.memory_node_store import MemoryNodeStore
from tests.service.nodes.queue_world import PlayedStanding, Road, StoredNow, channel_of, device_of, payload_of
from tests.service.nodes.virtual_loop import VirtualLoop
from tocsin.protocol.messages import Payload
from tocsin.protocol.service.nodes.device_row import RowChange
from tocsin.protocol.service.nodes.lease_row import Joining
from tocsin.protocol.service.offline_queue import Depths, OfflineQueue, Phase
from tocsin.protocol.values import NotificationType
from tocsin.service.nodes.device_turn import DeviceTurn
from tocsin.service.nodes.shared_queues import SharedQueues
from tocsin.service.nodes.storing import Kept, NotKept
from tocsin.service.registry.node_store import Renewed
from tocsin.service.registry.service_store import ChannelRow

KEY = "k" * 32
DEVICE = device_of(KEY)
CHANNELS = [evolve(channel_of(KEY), name=name) for name in "cd"]
NOW = 1_000.0
SMALL = Depths(raw=3, tagged=2)

RAW, BADGE, TOAST = NotificationType.RAW, NotificationType.BADGE, NotificationType.TOAST


def post(
    id: str,  # noqa: A002 - the field's name
    kind: NotificationType = RAW,
    label: str = "",
    expires: float | None = None,
    channel: ChannelRow = CHANNELS[0],
) -> tuple[ChannelRow, Payload]:
    """Make one."""
    return channel, evolve(payload_of(KEY, id, kind, label=label, expires=expires), channel=channel.name)


POSTS = st.lists(
    st.builds(
        post,
        st.sampled_from("123456789"),
        st.sampled_from([RAW, BADGE, TOAST]),
        st.sampled_from(["", "a", "b", "a/g"]),
        st.sampled_from([None, NOW, NOW + 5]),
        st.sampled_from(CHANNELS),
    ),
    max_size=12,
)
Posts = Sequence[tuple[ChannelRow, Payload]]


class NoneHere:
    """No device is connected."""

    def may_acknowledge(self, device: str, id: str) -> bool:  # noqa: A002 - the field's name
        """Tell that it was sent nothing."""
        return not (device and id)


class Queues:
    """A node's, for one device."""

    def __init__(self, limit: int) -> None:
        self.store = MemoryNodeStore(lambda: NOW, length=1e9)
        self.road = Road(self.store)
        self.standing = PlayedStanding()
        self.queues = SharedQueues(
            *(self.road, StoredNow(self.store), self.standing, SMALL, lambda: NOW, limit)  # type: ignore[arg-type]
        )
        self.queues.serve(NoneHere())  # type: ignore[arg-type]

    async def join(self) -> None:
        """Take a lease."""
        joined = await self.store.join(Joining("a", "a", "", "1"))
        assert isinstance(joined, Renewed)
        self.standing.lease = joined.lease.number

    async def turn(self) -> DeviceTurn:
        """Take the device's turn, with what is known."""
        turn = self.queues.take_turn(DEVICE)
        assert turn is not None
        if not turn.is_current:
            turn.begin_look()
            await turn.looked()
        return turn

    async def keep(self, posts: Posts) -> list[Kept]:
        """Store payloads together."""
        turn = await self.turn()
        try:
            await turn.begin_store(posts, frozenset(), None)
            return [*await turn.stored()]
        finally:
            turn.end()

    def ends(self) -> tuple[Any, ...]:
        """Return all that there is, but for the numbers; what has expired may wait for the next change."""
        known = self.queues.of(DEVICE) or OfflineQueue()
        stored = {entry.sequence: entry.id for entry in self.store.queues.get(DEVICE, {}).values()}
        assert stored.keys() == self.store.bodies.keys()
        ids = [id for sequence, id in stored.items() if sequence not in known.erase]  # noqa: A001 - the field's name
        assert ids == [entry.id for entry in known.entries.values()]
        assert all(entry.phase is Phase.STORED for entry in known.entries.values())
        assert known.ended.total() == len(known.erase) == len(stored) - len(ids)
        return ids, self.queues.kept - known.ended.total(), self.queues.counts + known.ended


def said(kept: Kept) -> object:
    """Return what a sender hears of it."""
    return RowChange if isinstance(kept, RowChange) else kept


async def _both(before: Posts, posts: Posts, limit: int) -> None:
    one, other = Queues(limit), Queues(limit)
    for queues in (one, other):
        await queues.join()
        for each in before:
            await queues.keep([each])
    assert one.ends() == other.ends()
    together = await one.keep(posts)
    alone = [kept for each in posts for kept in await other.keep([each])]
    assert [*map(said, together)] == [*map(said, alone)]
    assert one.ends() == other.ends()


@given(POSTS, POSTS, st.sampled_from([2, 4, 6, 1_000]))
@example([post("1")], [post("2", expires=NOW), post("3")], 2)
@example([post("1")], [post("2"), post("3")], 2)
@example([post("1", TOAST), post("2", TOAST, "b")], [post("3", TOAST, "b"), post("4", TOAST, "c")], 1_000)
@example([post("1", TOAST)], [post("2", TOAST), post("1", TOAST)], 1_000)
def test_it_ends_as_one_after_the_other(before: Posts, posts: Posts, limit: int) -> None:
    """What is replaced, what is too much, for what there is no room, what is there already, and what is counted."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(_both(before, posts, limit))


async def test_what_is_there_is_stored_though_the_others_fail() -> None:
    """A write that fails is the end of what was to be written; the queue is read before more is decided from it."""
    queues = Queues(2)
    await queues.join()
    first, second, third = map(post, "123")
    await queues.keep([first])
    turn = await queues.turn()
    await turn.begin_store([first, second, third], frozenset(), None)
    queues.store.gone = True
    stored = [said(each) for each in await turn.stored()]
    turn.end()
    assert stored == [RowChange, NotKept.FAILED, NotKept.NO_ROOM]
    assert queues.queues.counts == {Phase.NOT_STORED: 1}
    assert queues.queues.known(DEVICE) is None
    queues.store.gone = False
    assert [said(each) for each in await queues.keep([third])] == [RowChange]
    assert queues.ends()[:2] == (["1", "3"], 2)
