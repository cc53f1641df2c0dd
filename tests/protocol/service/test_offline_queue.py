"""The offline queue: one notification's life by its table, and a device's queue rule by rule."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis.stateful import invariant

from tests.protocol.tables import AnyEvent, Law
from tocsin.protocol.platform.power import PLUGGED_IN, Power
from tocsin.protocol.service import offline_queue as offline
from tocsin.protocol.service.offline_queue import STRICT, TABLE, Depths, Effect, Entry, Event, OfflineQueue, Phase
from tocsin.protocol.toast_label import ToastMatch
from tocsin.protocol.values import NotificationType

RAW, TOAST, TILE, BADGE = (
    NotificationType.RAW,
    NotificationType.TOAST,
    NotificationType.TILE,
    NotificationType.BADGE,
)
KEPT = {Phase.WRITING, Phase.STORED, Phase.SENT}
FAR = 1e9


class TestTable(Law):
    """A stored notification keeps the law."""

    table = TABLE
    start = Phase.WRITING
    events = Event
    effects = Effect
    ends = frozenset(Phase) - KEPT

    def test_whatever_ends_is_counted(self) -> None:
        """Every way out has its reason, and no other step counts."""
        for after, effects in TABLE.values():
            assert (Effect.COUNT in effects) == (after in self.ends)

    def test_a_row_is_erased_once_it_is_of_no_use(self) -> None:
        """Erased by itself, or in the transaction of what replaced it; what was never written is not."""
        for after, effects in TABLE.values():
            assert (Effect.ERASE in effects) == (
                after in self.ends - {Phase.REPLACED, Phase.NOT_STORED, Phase.ELSEWHERE}
            )


class AnyStored(AnyEvent):
    """Anything happens to a stored notification at any time."""

    law = TestTable

    def happened(self, event: Any, effects: tuple[Any, ...]) -> None:
        """Nothing but the end of its connection brings a sent one back, and only an end asks for anything."""
        assert bool(effects) == (self.phase in TestTable.ends)
        if self.phase is Phase.STORED:
            assert event in {Event.COMMITTED, Event.LOST}

    @invariant()
    def it_ends_once(self) -> None:
        """The count says how many have ended."""
        assert self.count(Effect.COUNT) == (self.phase in TestTable.ends)


TestAnyStored = AnyStored.TestCase


def entry(sequence: int, kind: NotificationType = RAW, **fields: Any) -> Entry:
    """Make an entry of a queue."""
    values: dict[str, Any] = {
        "id": f"id{sequence}",
        "channel": "c1",
        "app": "app",
        "tag": "",
        "group": "",
        "priority": 3,
        "received": 0.0,
        "expires": None,
        "ends": FAR,
        **fields,
    }
    return Entry(sequence=sequence, type=kind, **values)


def keep(queue: OfflineQueue, *entries: Entry) -> None:
    """Store entries, one after the other."""
    for each in entries:
        queue.admit(each)
        queue.committed(each)


def left(queue: OfflineQueue) -> list[int]:
    """Return the sequence numbers of what is kept."""
    return list(queue.entries)


class TestQueue:
    """A device's queue."""

    def test_a_newer_one_replaces_its_like_only(self) -> None:
        """The same channel, type, tag and group."""
        queue = OfflineQueue()
        keep(queue, entry(1, TOAST), entry(2, TOAST, tag="t"), entry(3, TOAST, tag="t", group="g"), entry(4, TILE))
        keep(queue, entry(5, TOAST, channel="c2"), entry(6, BADGE))
        assert left(queue) == [1, 2, 3, 4, 5, 6]
        keep(queue, entry(7, TOAST, tag="t"), entry(8, BADGE, tag="x"))
        assert left(queue) == [1, 3, 4, 5, 7, 8]
        assert queue.ended == {Phase.REPLACED: 1, Phase.OVERFLOWED: 1}
        assert queue.erase == [6]

    def test_too_many_tags_cost_the_oldest(self) -> None:
        """Five of different tag are kept; what a replacement gives room for is kept too."""
        queue = OfflineQueue()
        keep(queue, *(entry(number, TILE, tag=f"t{number}") for number in range(5)), entry(5, TILE, tag="t2"))
        keep(queue, entry(6, TILE, tag="t6"))
        assert left(queue) == [1, 3, 4, 5, 6]

    def test_what_gives_way_stays_until_the_other_is_on_disk(self) -> None:
        """A failure changes nothing: a notification that is not on disk yet takes no other's place."""
        queue = OfflineQueue(Depths(raw=2))
        keep(queue, entry(1), entry(2, BADGE))
        third, fourth, badge, newer = entry(3), entry(4), entry(5, BADGE), entry(6, BADGE)
        assert [queue.admit(each) for each in (third, fourth, badge, newer)] == [(), (), (2,), (2, 5)]
        queue.failed(third)
        queue.failed(badge)
        queue.committed(fourth)
        assert left(queue) == [1, 2, 4, 6]
        queue.committed(newer)
        assert left(queue) == [1, 4, 6]
        keep(queue, entry(7))
        assert (left(queue), queue.erase) == ([4, 6, 7], [1])

    def test_a_device_has_a_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Beyond it the oldest of all channels gives way."""
        monkeypatch.setattr(offline, "MAX_ENTRIES", 3)
        queue = OfflineQueue()
        keep(queue, *(entry(number, channel=f"c{number}") for number in range(5)))
        assert left(queue) == [2, 3, 4]
        assert queue.ended == {Phase.OVERFLOWED: 2}

    def test_what_is_missing_because_it_is_being_replaced_is_replaced(self) -> None:
        """Its row goes with the commit of the newer one, before the queue has heard of that; anything else has ended."""
        queue = OfflineQueue()
        old, other, new = entry(1, TOAST), entry(2), entry(3, TOAST)
        keep(queue, old, other)
        queue.admit(new)
        queue.lose([old, other])
        assert left(queue) == [1, 3]
        queue.committed(new)
        assert queue.ended == {Phase.CHANNEL_ENDED: 1, Phase.REPLACED: 1}

    def test_what_takes_a_place_is_known_before(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """That of its like, that of the oldest on a full shelf, or that of the device's oldest."""
        queue = OfflineQueue(Depths(raw=2))
        assert not queue.takes_a_place(entry(1, TOAST))
        keep(queue, entry(1, TOAST, tag="t"), entry(2))
        assert queue.takes_a_place(entry(3, TOAST, tag="t"))
        assert not queue.takes_a_place(entry(3, TOAST, tag="t", group="g"))
        assert not queue.takes_a_place(entry(3))
        keep(queue, entry(3))
        assert queue.takes_a_place(entry(4))
        assert not queue.takes_a_place(entry(4, BADGE))
        monkeypatch.setattr(offline, "MAX_ENTRIES", 3)
        assert queue.takes_a_place(entry(4, BADGE))

    def test_the_strict_depths_are_those_of_wns(self) -> None:
        """One of each type, whatever its tag."""
        assert {STRICT.of(kind) for kind in NotificationType} == {1}
        assert [Depths().of(kind) for kind in (RAW, TOAST, TILE, BADGE)] == [100, 5, 5, 1]

    def test_only_what_is_on_disk_and_not_sent_is_due(self) -> None:
        """In order, up to the limit."""
        queue = OfflineQueue()
        keep(queue, *map(entry, range(4)))
        queue.admit(entry(4))
        assert queue.due(PLUGGED_IN, 0.0, 2) == [queue.entries[0], queue.entries[1]]
        queue.note_sent(queue.due(PLUGGED_IN, 0.0, 2))
        assert [each.sequence for each in queue.due(PLUGGED_IN, 0.0, 9)] == [2, 3]
        queue.take_back(["id1", "unknown"])
        assert [each.sequence for each in queue.due(PLUGGED_IN, 0.0, 9)] == [1, 2, 3]
        queue.connection_lost()
        assert [each.sequence for each in queue.due(PLUGGED_IN, 0.0, 9)] == [0, 1, 2, 3]

    def test_what_is_being_written_blocks_what_comes_now(self) -> None:
        """Unless the device was sent it already, or its power state holds it back."""
        queue = OfflineQueue()
        assert not queue.blocks(PLUGGED_IN, 0.0)
        first = entry(1)
        queue.admit(first)
        assert queue.blocks(PLUGGED_IN, 0.0)
        assert not queue.blocks(Power(battery_saver=True), 0.0)
        first.sent = True
        assert not queue.blocks(PLUGGED_IN, 0.0)
        queue.committed(first)
        assert first.phase is Phase.SENT
        assert not queue.blocks(PLUGGED_IN, 0.0)

    def test_an_acknowledgement_may_come_before_the_commit(self) -> None:
        """The device was sent it while it was live: its row is erased behind the one that writes it."""
        queue = OfflineQueue()
        first = entry(1)
        queue.admit(first)
        queue.acknowledge(queue.held(["id1", "unknown"]))
        queue.committed(first)
        assert (left(queue), queue.erase, queue.ended) == ([], [1], {Phase.DELIVERED: 1})

    def test_what_was_being_written_is_what_is_read(self) -> None:
        """Where it was in doubt whether it was written, it is there or not: it waits for no answer any more."""
        queue = OfflineQueue()
        keep(queue, entry(1, TOAST, tag="t"))
        there, gone = entry(2, TOAST, tag="t"), entry(3)
        queue.admit(there)
        queue.admit(gone)
        queue.follow([entry(2, TOAST, tag="t")])
        assert [each.sequence for each in queue.due(PLUGGED_IN, 0.0, 9)] == [2]
        assert (queue.erase, queue.ended) == ([], {Phase.ELSEWHERE: 2})

    def test_a_batch_waits_for_its_time(self) -> None:
        """Medium priority on battery: the oldest takes the others with it after a minute; low goes on waiting."""
        battery = Power(screen_on_or_plugged=False)
        queue = OfflineQueue()
        keep(queue, entry(1, priority=2), entry(2), entry(3, priority=2, received=50.0))
        assert queue.next_due(battery) == 60.0
        assert queue.due(battery, 59.0, 9) == []
        assert [each.sequence for each in queue.due(battery, 60.0, 9)] == [1, 3]
        assert queue.next_due(PLUGGED_IN) is None

    def test_what_expires_is_told_from_what_ends_with_its_channel(self) -> None:
        """Each has its own reason, and nothing goes before its time."""
        queue = OfflineQueue()
        keep(queue, entry(1, expires=10.0), entry(2, ends=20.0, expires=30.0), entry(3))
        queue.expire(9.9)
        assert left(queue) == [1, 2, 3]
        queue.expire(10.0)
        queue.expire(20.0)
        assert (left(queue), queue.erase) == ([3], [1, 2])
        assert queue.ended == {Phase.EXPIRED: 1, Phase.CHANNEL_ENDED: 1}

    def test_deleting_goes_by_channel_type_group_and_tag(self) -> None:
        """Nothing but toasts, of that channel, that match."""
        queue = OfflineQueue()
        keep(queue, entry(1, TOAST, tag="t", group="g"), entry(2, TOAST, tag="t"), entry(3, TILE, tag="t", group="g"))
        keep(queue, entry(4, TOAST, tag="t", group="g", channel="c2"))
        queue.withdraw("c1", ToastMatch(group="g", tag="t"))
        assert left(queue) == [2, 3, 4]
        queue.withdraw("c1", ToastMatch())
        assert left(queue) == [3, 4]
