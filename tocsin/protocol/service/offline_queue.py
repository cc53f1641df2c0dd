"""The offline queue: one stored notification's life, and what a device's queue keeps, replaces and sends, in order.

Kept are the newest badge of a channel, the newest toasts and tiles by tag and group, the newest raw notifications, and the newest
messages of Web Push, of each topic one. Sources: "WNS overview", expiration and offline storage; RFC 8030 section 5.4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from enum import auto
from itertools import islice
from math import inf

from attrs import Factory, define, evolve, field, frozen

from tocsin.protocol.kernel.machine import Label, step
from tocsin.protocol.platform.power import BATCH_TIME, Passage, Power, passage
from tocsin.protocol.toast_label import ToastMatch
from tocsin.protocol.values import NotificationType

MAX_ENTRIES = 4_096
"""Notifications that are stored for one device at most; the oldest gives way."""


class Phase(Label):
    """Where a stored notification stands."""

    WRITING = auto()
    """Its sender has no answer yet."""
    STORED = auto()
    SENT = auto()
    """The device has been sent it on this connection, and has not acknowledged it."""
    DELIVERED = auto()
    REPLACED = auto()
    """A newer one of its channel, type, tag and group took its place."""
    OVERFLOWED = auto()
    """It was the oldest of too many."""
    EXPIRED = auto()
    WITHDRAWN = auto()
    """Its sender has deleted it."""
    CHANNEL_ENDED = auto()
    NOT_STORED = auto()
    """It could not be written, and its sender knows."""
    ELSEWHERE = auto()
    """Another node has ended it, and knows how."""


class Event(Label):
    """What happens to it."""

    COMMITTED = auto()
    COMMITTED_SENT = auto()
    """It is on disk, and was sent before on this connection: the device may acknowledge it yet."""
    FAILED = auto()
    SENT = auto()
    LOST = auto()
    """The connection ended, or what was sent was taken back."""
    ACKNOWLEDGED = auto()
    REPLACED = auto()
    OVERFLOWED = auto()
    EXPIRED = auto()
    WITHDRAWN = auto()
    CHANNEL_ENDED = auto()
    GONE = auto()
    """It is not there where it was read anew."""


class Effect(Label):
    """What has to be done about it."""

    ERASE = auto()
    """Erase its row; one that was replaced is erased in the transaction of what took its place."""
    COUNT = auto()
    """Count it among those that have ended, and keep it no more."""


_KEPT = (Phase.WRITING, Phase.STORED, Phase.SENT)
_BOTH = (Effect.ERASE, Effect.COUNT)
TABLE: dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]] = {
    (Phase.WRITING, Event.COMMITTED): (Phase.STORED, ()),
    (Phase.WRITING, Event.COMMITTED_SENT): (Phase.SENT, ()),
    (Phase.WRITING, Event.FAILED): (Phase.NOT_STORED, (Effect.COUNT,)),
    (Phase.WRITING, Event.LOST): (Phase.WRITING, ()),
    (Phase.STORED, Event.SENT): (Phase.SENT, ()),
    (Phase.STORED, Event.LOST): (Phase.STORED, ()),
    (Phase.SENT, Event.LOST): (Phase.STORED, ()),
    **{(phase, Event.ACKNOWLEDGED): (Phase.DELIVERED, _BOTH) for phase in _KEPT},
    **{(phase, Event.REPLACED): (Phase.REPLACED, (Effect.COUNT,)) for phase in _KEPT},
    **{(phase, Event.OVERFLOWED): (Phase.OVERFLOWED, _BOTH) for phase in _KEPT},
    **{(phase, Event.EXPIRED): (Phase.EXPIRED, _BOTH) for phase in _KEPT},
    **{(phase, Event.WITHDRAWN): (Phase.WITHDRAWN, _BOTH) for phase in _KEPT},
    **{(phase, Event.CHANNEL_ENDED): (Phase.CHANNEL_ENDED, _BOTH) for phase in _KEPT},
    **{(phase, Event.GONE): (Phase.ELSEWHERE, (Effect.COUNT,)) for phase in _KEPT},
}


@frozen
class Depths:
    """How many notifications of one channel are kept, by type; the oldest gives way to one more."""

    raw: int = 100
    """Raw ones, and messages of Web Push."""
    tagged: int = 5
    """Toasts, and tiles, of different tag or group; without either they have one place together."""

    def of(self, kind: NotificationType) -> int:
        """Return the depth for a type."""
        depths = {NotificationType.RAW: self.raw, NotificationType.PUSH: self.raw, NotificationType.BADGE: 1}
        return depths.get(kind, self.tagged)


STRICT = Depths(raw=1, tagged=1)
"""As WNS documents it: one of each type, whatever its tag."""


@define(eq=False)
class Entry:
    """What a queue knows of a notification; its body is on disk only. Times are the service's.

    ``expires`` is None without a TTL, ``ends`` is its channel's end; ``sent`` tells that the device was sent it before
    it was stored, on the connection that there is.
    """

    sequence: int
    id: str
    channel: str
    app: str
    type: NotificationType
    tag: str
    group: str
    priority: int
    received: float
    expires: float | None
    ends: float
    suppress_popup: bool = False
    sent: bool = False
    phase: Phase = Phase.WRITING
    replaces: tuple[int, ...] = ()

    @property
    def good_until(self) -> float:
        """When it is of no use any more."""
        return self.ends if self.expires is None else min(self.expires, self.ends)


def _replaced_by(entry: Entry, others: Iterable[Entry]) -> tuple[int, ...]:
    """Return those of its channel and type whose place a notification takes, by sequence number.

    A raw one takes none; a message of Web Push takes that of its topic, if it has one (RFC 8030 section 5.4).
    """
    if entry.type is NotificationType.RAW or (entry.type is NotificationType.PUSH and not entry.tag):
        return ()
    return tuple(other.sequence for other in others if (other.tag, other.group) == (entry.tag, entry.group))


def _as_written(entry: Entry) -> Entry:
    """Return an entry of one queue's own: what was read may be read by several, or come from a queue."""
    return evolve(entry, sent=False, phase=Phase.WRITING, replaces=())


@define(eq=False)
class OfflineQueue:
    """What is stored for one device, in order of arrival; what is to be done gathers in ``erase`` and ``ended``."""

    depths: Depths = Factory(Depths)
    entries: dict[int, Entry] = Factory(dict)
    erase: list[int] = Factory(list)
    """The sequence numbers of rows to be erased."""
    ended: Counter[Phase] = Factory(Counter)
    """How many have ended how."""
    ended_messages: Counter[Phase] = Factory(Counter)
    """Those of them that were messages of Web Push."""
    _by_id: dict[str, Entry] = Factory(dict)
    _shelves: dict[tuple[str, NotificationType], dict[int, Entry]] = Factory(dict)
    _next_end: float = field(default=inf)

    def takes_a_place(self, entry: Entry) -> bool:
        """Tell whether a notification would take the place of another, so that in the end no more are kept."""
        shelf = self._shelves.get((entry.channel, entry.type), {})
        if len(shelf) >= self.depths.of(entry.type) or len(self.entries) >= MAX_ENTRIES:
            return True
        return bool(_replaced_by(entry, shelf.values()))

    def admit(self, entry: Entry) -> tuple[int, ...]:
        """Take a notification in, and return those that it replaces when it is on disk, by sequence number."""
        shelf = self._shelves.get((entry.channel, entry.type), {})
        entry.replaces = _replaced_by(entry, shelf.values())
        self._place(entry)
        return entry.replaces

    def _place(self, entry: Entry) -> None:
        shelf = self._shelves.setdefault((entry.channel, entry.type), {})
        self.entries[entry.sequence] = self._by_id[entry.id] = shelf[entry.sequence] = entry
        self._next_end = min(self._next_end, entry.good_until)

    def committed(self, entry: Entry) -> None:
        """Note that a notification is on disk, and what it replaced is not; the oldest go where there are too many."""
        for sequence in entry.replaces:
            self._step(self.entries.get(sequence), Event.REPLACED)
        if entry.sequence in self.entries:
            self._step(entry, Event.COMMITTED_SENT if entry.sent else Event.COMMITTED)
            self._make_room(self._shelves[entry.channel, entry.type], self.depths.of(entry.type))
            self._make_room(self.entries, MAX_ENTRIES)

    def failed(self, entry: Entry) -> None:
        """Note that a notification could not be written: nothing has changed."""
        if entry.sequence in self.entries:
            self._step(entry, Event.FAILED)

    def make_room_for(self, entry: Entry) -> None:
        """Let those go that this one replaces, which was admitted, and the oldest that are too many: so they are erased in its transaction.

        For a queue that is read again where the transaction fails.
        """
        for sequence in entry.replaces:
            self._step(self.entries.get(sequence), Event.REPLACED)
        for places, depth in (
            (self._shelves[entry.channel, entry.type], self.depths.of(entry.type)),
            (self.entries, MAX_ENTRIES),
        ):
            if len(places) > depth:
                staying = [each for each in places.values() if each is not entry]
                for each in staying[: max(len(staying) + 1 - depth, 0)]:
                    self._step(each, Event.OVERFLOWED)

    def follow(self, entries: Iterable[Entry]) -> None:
        """Take over what was read anew, where others change it too; what was here before and is there stands where it stood.

        :param entries: all that is stored, the oldest first. What has ended here is among it, if that was not written.
        """
        there = {entry.sequence: entry for entry in entries}
        for entry in [entry for sequence, entry in self.entries.items() if sequence not in there]:
            self._step(entry, Event.GONE)
        mine = dict(self.entries)
        self.entries.clear()
        self._by_id.clear()
        self._shelves.clear()
        for sequence, entry in there.items():
            own = mine.get(sequence)
            if own is None:
                own = _as_written(entry)
                self.erase += self.admit(own)  # the depths may have been larger where it was stored
            else:
                self._place(own)
            if own.phase is Phase.WRITING:
                self.committed(own)

    def due(self, power: Power, now: float, limit: int) -> list[Entry]:
        """Return what is to be sent now, the oldest first."""
        may_go = self._may_go(power, now)
        stored = (entry for entry in self.entries.values() if entry.phase is Phase.STORED)
        return list(islice(filter(may_go, stored), limit))

    def blocks(self, power: Power, now: float) -> bool:
        """Tell whether something stored has to go before what comes now."""
        may_go = self._may_go(power, now)
        return any(
            may_go(entry)
            for entry in self.entries.values()
            if entry.phase is Phase.STORED or (entry.phase is Phase.WRITING and not entry.sent)
        )

    def next_due(self, power: Power) -> float | None:
        """Return when the time of the oldest is up that waits for others to go with, or None."""
        waiting = (
            entry.received + BATCH_TIME
            for entry in self.entries.values()
            if entry.phase is Phase.STORED and passage(power, entry.app, entry.priority) is Passage.BATCH
        )
        return min(waiting, default=None)

    def note_sent(self, entries: Iterable[Entry]) -> None:
        """Note that these are on their way."""
        for entry in entries:
            self._step(entry, Event.SENT)

    def take_back(self, ids: Iterable[str]) -> None:
        """Note that these were not sent after all."""
        for id in ids:  # noqa: A001 - the field's name
            self._step(self._by_id.get(id), Event.LOST)

    def connection_lost(self) -> None:
        """Note that nothing is on its way any more."""
        for entry in self.entries.values():
            entry.sent = False
            self._step(entry, Event.LOST)

    def held(self, ids: Iterable[str]) -> list[Entry]:
        """Return those of these that are kept here."""
        return [entry for id in ids if (entry := self._by_id.get(id))]  # noqa: A001 - the field's name

    def acknowledge(self, entries: Iterable[Entry]) -> None:
        """Note that the device has committed these."""
        for entry in entries:
            self._step(self.entries.get(entry.sequence), Event.ACKNOWLEDGED)

    def expire(self, now: float) -> None:
        """Let go what is of no use any more."""
        if now < self._next_end:
            return
        for entry in [entry for entry in self.entries.values() if entry.good_until <= now]:
            self._step(entry, Event.CHANNEL_ENDED if entry.ends <= now else Event.EXPIRED)
        self._next_end = min((entry.good_until for entry in self.entries.values()), default=inf)

    def withdraw(self, channel: str, match: ToastMatch) -> None:
        """Let go the toasts that a sender deletes."""
        toasts = [each for each in self.entries.values() if each.type is NotificationType.TOAST]
        for entry in [each for each in toasts if each.channel == channel and match.fits(each.tag, each.group)]:
            self._step(entry, Event.WITHDRAWN)

    def withdraw_message(self, channel: str, id: str) -> bool:  # noqa: A002 - the field's name
        """Let go a message of Web Push that its sender deletes; tell whether it was here."""
        entry = self._by_id.get(id)
        if entry is None or entry.channel != channel or entry.type is not NotificationType.PUSH:
            return False
        self._step(entry, Event.WITHDRAWN)
        return True

    def end(self, entries: Iterable[Entry]) -> None:
        """Let go what belongs to a channel that has ended."""
        for entry in list(entries):
            self._step(self.entries.get(entry.sequence), Event.CHANNEL_ENDED)

    def lose(self, entries: Iterable[Entry]) -> None:
        """Let go what is not on disk any more: its channel's app was removed, unless it is only being replaced."""
        leaving = {each for entry in self.entries.values() if entry.phase is Phase.WRITING for each in entry.replaces}
        self.end(entry for entry in entries if entry.sequence not in leaving)

    def forget_ended(self) -> None:
        """Begin anew to count what ends."""
        self.ended.clear()
        self.ended_messages.clear()

    def _make_room(self, places: dict[int, Entry], depth: int) -> None:
        """Let the oldest go beyond the depth; what is not on disk yet may fail, and does not count."""
        if len(places) > depth:
            kept = [entry for entry in places.values() if entry.phase is not Phase.WRITING]
            for entry in kept[: max(len(kept) - depth, 0)]:
                self._step(entry, Event.OVERFLOWED)

    def _may_go(self, power: Power, now: float) -> Callable[[Entry], bool]:
        """Build what tells whether a notification may be sent in that state."""
        oldest = self.next_due(power)
        batch = oldest is not None and oldest <= now
        allowed = {Passage.DELIVER, Passage.BATCH} if batch else {Passage.DELIVER}
        return lambda entry: passage(power, entry.app, entry.priority) in allowed

    def _step(self, entry: Entry | None, event: Event) -> None:
        if entry is None:
            return
        entry.phase, effects = step(TABLE, entry.phase, event)
        for effect in effects:
            _PERFORM[effect](self, entry)

    def _erase(self, entry: Entry) -> None:
        self.erase.append(entry.sequence)

    def _count(self, entry: Entry) -> None:
        self.ended[entry.phase] += 1
        if entry.type is NotificationType.PUSH:
            self.ended_messages[entry.phase] += 1
        del self.entries[entry.sequence], self._by_id[entry.id]
        shelf = self._shelves[entry.channel, entry.type]
        del shelf[entry.sequence]
        if not shelf:
            del self._shelves[entry.channel, entry.type]


_PERFORM: dict[Effect, Callable[[OfflineQueue, Entry], None]] = {
    Effect.ERASE: OfflineQueue._erase,  # noqa: SLF001  # one table for all queues: each would be larger by its own
    Effect.COUNT: OfflineQueue._count,  # noqa: SLF001
}
