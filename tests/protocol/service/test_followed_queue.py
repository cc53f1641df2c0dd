"""A device's queue that several nodes change: one in memory follows what was read anew."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.protocol.service.test_offline_queue import entry
from tocsin.protocol.platform.power import PLUGGED_IN
from tocsin.protocol.service.offline_queue import STRICT, Depths, Entry, OfflineQueue, Phase
from tocsin.protocol.values import NotificationType

SMALL = Depths(raw=3, tagged=2)
NEW = st.tuples(st.sampled_from(NotificationType), st.sampled_from(["c1", "c2"]), st.sampled_from(["", "a", "b", "c"]))


def _entry(number: int, new: tuple[NotificationType, str, str]) -> Entry:
    kind, channel, tag = new
    return entry(number, kind, channel=channel, tag=tag)


class FollowedQueue(RuleBasedStateMachine):
    """Two nodes store and erase by what each has read; the device is at one of them."""

    @initialize(depths=st.sampled_from([SMALL, STRICT]))
    def start(self, depths: Depths) -> None:
        """Begin with nothing."""
        self.queues = [OfflineQueue(depths), OfflineQueue(depths)]
        self.disk: dict[int, Entry] = {}
        self.sent: set[int] = set()
        self.number = 0

    @rule(node=st.integers(0, 1), new=NEW)
    def store(self, node: int, new: tuple[NotificationType, str, str]) -> None:
        """A node reads the queue, and stores one more in one transaction."""
        queue = self._read(node)
        self.number += 1
        added = _entry(self.number, new)
        for sequence in (*queue.admit(added), *self._make_room(queue, added)):
            del self.disk[sequence]
        self.disk[self.number] = _entry(self.number, new)
        queue.committed(added)
        assert not queue.erase, "the oldest gives way in the transaction of what comes"
        assert list(queue.entries) == list(self.disk)

    @rule(new=NEW, is_there=st.booleans())
    def store_in_doubt(self, new: tuple[NotificationType, str, str], is_there: bool) -> None:
        """What was not written is gone from memory with the next reading, and what gave way for it is there in its place."""
        queue = self._read(0)
        self.number += 1
        added = _entry(self.number, new)
        erase = (*queue.admit(added), *self._make_room(queue, added))
        if is_there:
            self.disk[self.number] = _entry(self.number, new)
            for sequence in erase:
                del self.disk[sequence]
        self._read(0)
        assert list(queue.entries) == list(self.disk)
        self.sent -= set(erase)

    def _make_room(self, queue: OfflineQueue, added: Entry) -> list[int]:
        queue.make_room_for(added)
        erase, queue.erase = queue.erase, []
        return erase

    @rule()
    def send(self) -> None:
        """The node that has the device sends it what it knows of."""
        due = self.queues[0].due(PLUGGED_IN, 0.0, 10)
        self.queues[0].note_sent(due)
        assert not self.sent & {each.sequence for each in due}
        self.sent |= {each.sequence for each in due}

    @rule(node=st.integers(0, 1), data=st.data())
    def erase(self, node: int, data: st.DataObject) -> None:
        """What the device has is erased, by either."""
        queue = self._read(node)
        if queue.entries:
            ended = data.draw(st.sampled_from(list(queue.entries.values())))
            queue.acknowledge([ended])
            assert queue.erase == [ended.sequence]
            queue.erase.clear()
            del self.disk[ended.sequence]

    def _read(self, node: int) -> OfflineQueue:
        queue = self.queues[node]
        queue.ended.clear()
        before = set(queue.entries)
        queue.follow(list(self.disk.values()))
        assert queue.ended == Counter({Phase.ELSEWHERE: gone} if (gone := len(before - set(self.disk))) else {})
        return queue

    @rule(node=st.integers(0, 1))
    def look(self, node: int) -> None:
        """What is read is what is in memory then, in its order, and nothing more is to be done."""
        queue = self._read(node)
        assert list(queue.entries) == list(self.disk)
        assert not queue.erase

    @invariant()
    def what_was_sent_stays_sent(self) -> None:
        """However often it is read; nothing is on its way into the store for ever."""
        assert all(each.phase is not Phase.WRITING for each in self.queues[0].entries.values())
        phases = {each.sequence: each.phase for each in self.queues[0].entries.values()}
        assert {number for number in phases if phases[number] is Phase.SENT} == self.sent & set(phases)
        assert all(each.phase is Phase.WRITING for each in self.disk.values()), "what was read is of all who read it"


TestFollowedQueue = FollowedQueue.TestCase


@given(st.lists(NEW, max_size=20), st.sampled_from([SMALL, STRICT]))
def test_room_that_is_made_before_is_what_would_be_made_after(
    several: list[tuple[NotificationType, str, str]], depths: Depths
) -> None:
    """One transaction leaves what two would have left."""
    one, two = OfflineQueue(depths), OfflineQueue(depths)
    for number, new in enumerate(several):
        for queue in (one, two):
            added = _entry(number, new)
            queue.admit(added)
            if queue is one:
                queue.make_room_for(added)
            queue.committed(added)
        assert list(one.entries) == list(two.entries)
        assert one.erase == two.erase
        assert one.ended == two.ended
