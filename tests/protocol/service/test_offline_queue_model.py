"""A device's offline queue against a model of what is promised."""

from __future__ import annotations

from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.protocol.service.test_offline_queue import entry
from tocsin.protocol.platform.power import PLUGGED_IN
from tocsin.protocol.service.offline_queue import STRICT, Depths, Entry, OfflineQueue, Phase
from tocsin.protocol.toast_label import ToastMatch
from tocsin.protocol.values import NotificationType

SMALL = Depths(raw=3, tagged=2)
RAW, PUSH = NotificationType.RAW, NotificationType.PUSH


class QueueMachine(RuleBasedStateMachine):
    """Senders, a device, a disk and time do anything in any order; the service may restart.

    The model is a list of promises: what is on disk and nothing newer has taken the place of, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.queue = OfflineQueue(SMALL)
        self.disk: dict[int, Entry] = {}
        self.writing: list[Entry | list[int]] = []
        """What waits for the writer: a notification, or the sequence numbers of rows to erase."""
        self.got: list[int] = []
        self.promised: dict[int, Entry] = {}
        self.now = 0.0
        self.number = 0

    @initialize(depths=st.sampled_from([SMALL, STRICT]))
    def configure(self, depths: Depths) -> None:
        """Choose the depths."""
        self.queue = OfflineQueue(depths)

    @rule(
        kind=st.sampled_from(NotificationType),
        channel=st.sampled_from(["c1", "c2"]),
        tag=st.sampled_from(["", "a", "b", "c"]),
        life=st.none() | st.integers(1, 100),
    )
    def sender_pushes(self, kind: NotificationType, channel: str, tag: str, life: int | None) -> None:
        """A notification is to be stored; its row waits for the writer."""
        self.number += 1
        expires = None if life is None else self.now + life
        new = entry(self.number, kind, channel=channel, tag=tag, received=self.now, expires=expires)
        self.queue.expire(self.now)
        self._erase()
        self.queue.admit(new)
        self.writing.append(new)

    @precondition(lambda self: self.writing)
    @rule(fails=st.booleans())
    def writer_writes(self, fails: bool) -> None:
        """The oldest write is through, or failed: rows change with it in one transaction."""
        new = self.writing.pop(0)
        if not isinstance(new, Entry):
            for sequence in new:
                self.disk.pop(sequence, None)
        elif fails:
            self.queue.failed(new)
        else:
            self.disk[new.sequence] = new
            for sequence in new.replaces:
                self.disk.pop(sequence, None)
            self.queue.committed(new)
            self._promise(new)
        self._erase()

    @rule(limit=st.integers(1, 4))
    def device_is_sent(self, limit: int) -> None:
        """What is due goes out, the oldest first; nothing twice on one connection, nothing that was not promised."""
        self.queue.expire(self.now)
        self._expire_promises()
        due = self.queue.due(PLUGGED_IN, self.now, limit)
        self.queue.note_sent(due)
        self.got += [each.sequence for each in due]
        assert self.got == sorted(set(self.got))
        self._erase()

    @precondition(lambda self: self.got)
    @rule(data=st.data())
    def device_acknowledges(self, data: st.DataObject) -> None:
        """Anything it was sent, in any order, more than once."""
        sequences = data.draw(st.lists(st.sampled_from(self.got), min_size=1), label="acknowledged")
        ids = [f"id{sequence}" for sequence in sequences]
        for _ in range(2):
            self.queue.acknowledge(self.queue.held(ids))
        for sequence in sequences:
            self.promised.pop(sequence, None)
        self._erase()

    @rule()
    def connection_breaks(self) -> None:
        """Whatever was not acknowledged is to be sent again."""
        self.queue.connection_lost()
        self.got.clear()

    @rule(seconds=st.integers(1, 60))
    def time_passes(self, seconds: int) -> None:
        """The wall clock goes on."""
        self.now += seconds

    @rule(tag=st.none() | st.sampled_from(["a", "b"]))
    def sender_deletes(self, tag: str | None) -> None:
        """Stored toasts are deleted, those being written with them."""
        match = ToastMatch(tag=tag)
        self.queue.withdraw("c1", match)
        for sequence, each in list(self.promised.items()):
            if (each.channel, each.type) == ("c1", NotificationType.TOAST) and match.fits(each.tag, each.group):
                del self.promised[sequence]
        self._erase()

    @rule(data=st.data(), channel=st.sampled_from(["c1", "c2"]))
    def sender_takes_back(self, data: st.DataObject, channel: str) -> None:
        """A message of Web Push is deleted by its id, once, and only by that of its channel; nothing else can be so."""
        sequence = data.draw(st.integers(0, self.number), label="taken back")
        there = self.queue.held([f"id{sequence}"])
        found = any(each.type is PUSH and each.channel == channel for each in there)
        assert self.queue.withdraw_message(channel, f"id{sequence}") is found
        assert not self.queue.withdraw_message(channel, f"id{sequence}")
        if found:
            self.promised.pop(sequence, None)
        self._erase()

    @rule()
    def channel_ends(self) -> None:
        """Everything of a channel goes."""
        self.queue.end(each for each in self.queue.entries.values() if each.channel == "c2")
        self.promised = {sequence: each for sequence, each in self.promised.items() if each.channel != "c2"}
        self._erase()

    @precondition(lambda self: not self.writing)
    @rule()
    def service_restarts(self) -> None:
        """The queue is built anew from the rows, of which nothing has to give way."""
        ended = self.queue.ended
        self.queue = OfflineQueue(self.queue.depths, ended=ended)
        for row in self.disk.values():
            fresh = entry(
                row.sequence, row.type, channel=row.channel, tag=row.tag, received=row.received, expires=row.expires
            )
            assert self.queue.admit(fresh) == ()
            self.queue.committed(fresh)
        assert self.queue.erase == []
        self.got.clear()

    @invariant()
    def the_disk_holds_what_the_queue_holds(self) -> None:
        """Rows and entries are the same, but for what waits for the writer."""
        stored = {each.sequence for each in self.queue.entries.values() if each.phase is not Phase.WRITING}
        erased = {sequence for each in self.writing if not isinstance(each, Entry) for sequence in each}
        assert stored == set(self.disk) - erased

    @invariant()
    def what_is_promised_is_there(self) -> None:
        """Whatever was accepted, has not expired, and nothing newer took the place of, is kept."""
        self._expire_promises()
        assert set(self.promised) <= {each.sequence for each in self.queue.entries.values()}

    @invariant()
    def no_shelf_has_too_many(self) -> None:
        """Of what is on disk nothing is beyond its depth, and no two are alike."""
        kept = [each for each in self.queue.entries.values() if each.phase is not Phase.WRITING]
        shelves = Counter((each.channel, each.type) for each in kept)
        assert all(count <= self.queue.depths.of(kind) for (_, kind), count in shelves.items())
        slots = Counter((each.channel, each.type, each.tag) for each in kept if _has_slot(each))
        assert all(count == 1 for count in slots.values())

    def _promise(self, new: Entry) -> None:
        """Note what is promised after a commit: replacement first, then the depth, as the documents have it."""
        shelf = [e for e in self.promised.values() if (e.channel, e.type) == (new.channel, new.type)]
        like = [e for e in shelf if _has_slot(new) and e.tag == new.tag]
        for each in like:
            del self.promised[each.sequence]
        rest = [e for e in shelf if e not in like]
        surplus = len(rest) + 1 - self.queue.depths.of(new.type)
        for each in rest[: max(surplus, 0)]:
            del self.promised[each.sequence]
        if new.sequence in self.queue.entries:  # else it was deleted, or expired, while it was being written
            self.promised[new.sequence] = new

    def _expire_promises(self) -> None:
        self.promised = {
            sequence: each
            for sequence, each in self.promised.items()
            if each.expires is None or each.expires > self.now
        }

    def _erase(self) -> None:
        """Let the writer do what the queue asks for, in its turn."""
        if self.queue.erase:
            self.writing.append(self.queue.erase)
            self.queue.erase = []


def _has_slot(each: Entry) -> bool:
    """Tell whether a notification takes the place of what has its tag: raw ones do not, nor messages without a topic."""
    return each.type is not RAW and (each.type is not PUSH or bool(each.tag))


TestQueueMachine = QueueMachine.TestCase
