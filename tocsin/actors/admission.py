"""The payload router's way in: which payloads are duplicates, which pass the gates, and which go on at once."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import compress, repeat

from attrs import astuple

from tocsin.actors.clock import ServiceClock
from tocsin.actors.inbox_effects import InboxEffects
from tocsin.persistence.store import REMEMBERED, DeadLetter, InboxSummary
from tocsin.protocol.delivery.batches import earliest
from tocsin.protocol.delivery.channel_windows import ChannelWindows
from tocsin.protocol.delivery.plain_rows import PlainRow, channel_of, id_of, sequence_of
from tocsin.protocol.delivery.recent_ids import RecentIds
from tocsin.protocol.messages import Arrivals
from tocsin.protocol.platform.conditions import Gate
from tocsin.protocol.platform.service_time import Verdict
from tocsin.protocol.values import DropReason


class Admission:
    """Gives payloads their sequence numbers, and notes in the effects of the batch what becomes of each."""

    def __init__(
        self, at_service: ServiceClock, windows: ChannelWindows, effects: InboxEffects, inbox: InboxSummary
    ) -> None:
        self._at_service = at_service
        self._windows = windows
        self._effects = effects
        self._sequence = inbox.last_sequence
        self._recent = RecentIds(REMEMBERED, inbox.recent_ids)

    def admit(self, arrivals: Arrivals, unreadable: Mapping[str, str]) -> list[PlainRow]:
        """Take payloads in, and return those that go on at once; a duplicate is left out, and acknowledged all the same.

        :param unreadable: why payloads die of that they cannot be read, by their ids.
        """
        rows, priorities = self._number_new(arrivals)
        passed = rows
        if unreadable:
            passed, priorities = self._bury_unreadable(rows, priorities, unreadable)
        first = earliest(arrivals.expires)  # where that is ahead, all are
        in_time = first is None or self.judge(first) is Verdict.AHEAD
        if not (in_time and self._windows.gates.wide_open):
            passed = [row for row, priority in zip(passed, priorities, strict=True) if self._passes(row, priority)]
        going = self._windows.admit(passed)
        if len(going) < len(rows):
            on_their_way = set(map(sequence_of, going))
            rows = [row if sequence_of(row) in on_their_way else _unsent(row) for row in rows]
            for row in passed:
                if channel_of(row) not in self._windows.channels:
                    self._effects.bury(sequence_of(row), DropReason.UNKNOWN_CHANNEL, "")
        self._effects.accepted += rows
        return going

    def readmit(self, letter: DeadLetter) -> list[PlainRow]:
        """Take a dead letter in as a new arrival, whatever ids are remembered, and return it if it goes on at once.

        Its ``attempt`` goes on to count. No gate is asked: its priority is not known any more, and the user wants it.
        """
        self._sequence += 1
        self._recent.add([letter.id])
        waiting = letter.again(self._sequence, self._at_service.wall())
        going = self._windows.admit([_sent(waiting)])
        self._effects.accepted += going or [waiting]
        self._effects.unbury(letter.sequence)
        return going

    def judge(self, expires: float | None) -> Verdict:
        """Tell whether it is too late for a payload; after a start that may be in doubt, until the service is heard."""
        return Verdict.AHEAD if expires is None else self._at_service.judge(expires)

    def _number_new(self, arrivals: Arrivals) -> tuple[list[PlainRow], tuple[int, ...]]:
        """Make rows of those that are new, as if all of them went on for the first time; return their priorities too."""
        new = self._recent.add(arrivals.ids)
        if new is not None:
            arrivals = Arrivals(*(tuple(compress(column, new)) for column in astuple(arrivals, recurse=False)))
        count = len(arrivals.ids)
        numbers = range(self._sequence + 1, self._sequence + 1 + count)
        self._sequence += count
        of_payload = arrivals.ids, arrivals.types, arrivals.bodies
        behind = arrivals.expires, arrivals.channels, arrivals.labels
        rows = zip(numbers, *of_payload, repeat(1, count), *behind, repeat(self._at_service.wall(), count), strict=True)
        return list(rows), arrivals.priorities

    def _bury_unreadable(
        self, rows: list[PlainRow], priorities: tuple[int, ...], unreadable: Mapping[str, str]
    ) -> tuple[list[PlainRow], tuple[int, ...]]:
        """Let those die that cannot be read, and return the others."""
        for row in rows:
            if id_of(row) in unreadable:
                self._effects.bury(sequence_of(row), DropReason.UNREADABLE, unreadable[id_of(row)])
        good = [id_of(row) not in unreadable for row in rows]
        return list(compress(rows, good)), tuple(compress(priorities, good))

    def _passes(self, row: PlainRow, priority: int) -> bool:
        """Send a payload through the gates: it passes, or it dies, or it waits for another state of the machine."""
        sequence, _, _, _, _, expires, channel, _, _ = row
        app = self._windows.channels.get(channel)
        if app is None:
            return True  # that there is no such channel is said first
        gate, reason = self._windows.gates.judge(app, priority)
        if self.judge(expires) is Verdict.PAST:  # never in doubt here: the service was heard with it
            gate, reason = Gate.DROP, DropReason.EXPIRED
        if reason is not None:
            self._effects.bury(sequence, reason, "")
        elif gate is Gate.HOLD:
            self._windows.set_aside(channel)
            if not self._windows.gates.holds(app):
                self._effects.gate(sequence)  # the app's windows are open, but not for this one
        return gate is Gate.PASS


def _sent(row: PlainRow) -> PlainRow:
    """Return a payload that is handed on once more."""
    sequence, id_, type_, body, attempt, expires, channel, label, received = row
    return sequence, id_, type_, body, attempt + 1, expires, channel, label, received


def _unsent(row: PlainRow) -> PlainRow:
    """Return a payload that was not handed on yet."""
    sequence, id_, type_, body, _, expires, channel, label, received = row
    return sequence, id_, type_, body, 0, expires, channel, label, received
