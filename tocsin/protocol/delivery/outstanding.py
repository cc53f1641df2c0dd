"""The payloads that are with apps: most are handled in the order in which they came, and nothing else happens to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import Factory, define

from tocsin.protocol.delivery import payload_life as delivery
from tocsin.protocol.delivery.handler_queues import HandlerQueue, HandlerQueues
from tocsin.protocol.delivery.payload_life import Effect, Event, Phase, Tracked
from tocsin.protocol.delivery.plain_rows import PlainRow, attempt_of, channel_of, sequence_of, type_of
from tocsin.protocol.kernel.machine import step
from tocsin.protocol.values import NotificationType

_SETTLED_AT_ONCE = (Effect.SETTLE,)
"""What can be done to many payloads in one go."""


@define
class Outstanding:
    """All payloads by their sequence numbers; a payload's state is kept from when more is to be said than that it was offered."""

    _rows: dict[int, PlainRow] = Factory(dict)
    _tracked: dict[int, Tracked] = Factory(dict)
    _queues: HandlerQueues = Factory(HandlerQueues)
    _holders: dict[int, str] = Factory(dict)
    """The session that has each of them, while one has."""

    def offer(self, app: str, rows: Sequence[PlainRow], session: str = "") -> None:
        """Let new payloads of an app wait in the queues of the handlers of a session that gets them."""
        self._rows.update(zip(map(sequence_of, rows), rows, strict=True))
        self._queues.enqueue(app, rows, session)

    def hand(self, rows: Sequence[PlainRow], session: str) -> None:
        """Note that a session has payloads from now on."""
        self._holders.update(dict.fromkeys(map(sequence_of, rows), session))

    def holder(self, sequence: int) -> str:
        """Return the session that has a payload; empty where none has."""
        return self._holders.get(sequence, "")

    def held_by(self, session: str) -> list[Tracked]:
        """Return the payloads that a session has, in their order."""
        return [self._track(sequence) for sequence, holder in sorted(self._holders.items()) if holder == session]

    def take_from_holder(self, tracked: Tracked) -> str:
        """Note that no session has a payload any more, and return the one that had it."""
        return self._holders.pop(tracked.sequence, "")

    def known(self, rows: Sequence[PlainRow]) -> list[Tracked]:
        """Return those that are here already, of which these are later attempts."""
        if self._rows.keys().isdisjoint(map(sequence_of, rows)):  # as nearly always
            return []
        return [self._track(sequence) for sequence in sorted(self._rows.keys() & set(map(sequence_of, rows)))]

    def get(self, sequence: int) -> Tracked | None:
        """Return the state of a payload; None where it is not here."""
        return self._track(sequence) if sequence in self._rows else None

    def in_phase(self, phase: Phase) -> list[Tracked]:
        """Return the payloads that stand in a phase other than the first, in their order."""
        return [each for _, each in sorted(self._tracked.items()) if each.phase is phase]

    def toasts_of(self, app: str) -> list[Tracked]:
        """Return the toasts of an app, in their order."""
        rows = sorted(row for row in self._rows.values() if type_of(row) == NotificationType.TOAST)
        return [each for each in map(self._track, map(sequence_of, rows)) if each.app == app]

    def is_current(self, row: PlainRow) -> bool:
        """Tell whether a payload is here as it was offered then, and not in a later attempt."""
        return self._rows.get(sequence_of(row)) is row

    def new_heads(self) -> list[HandlerQueue]:
        """Return the queues that have another first than the last time, and whose budget begins."""
        queues = self._queues.new_heads(self._rows)
        return [queue for queue in queues if self._is_offered(queue.head)] if self._tracked else queues

    def _is_offered(self, sequence: int | None) -> bool:
        tracked = self._tracked.get(sequence) if sequence is not None else None
        return tracked is None or tracked.phase is Phase.OFFERED

    def heads_of(self, queues: Iterable[HandlerQueue]) -> list[Tracked]:
        """Return the payloads at the heads of these queues that are still here."""
        return [self._track(queue.head) for queue in queues if queue.head in self._rows]

    def is_head(self, tracked: Tracked) -> bool:
        """Tell whether a payload is the one of its channel that is with its handler."""
        return self._queues.is_head(tracked.channel, tracked.sequence)

    def leave_queue(self, tracked: Tracked) -> None:
        """Take a payload out of its queue, if it stands there."""
        self._queues.remove(tracked.channel, tracked.sequence)

    def end(self, tracked: Tracked) -> None:
        """Forget a payload that has come to its end and has left its queue."""
        del self._rows[tracked.sequence], self._tracked[tracked.sequence]
        self._holders.pop(tracked.sequence, None)

    def end_handled(self, session: str, sequences: Sequence[int], attempts: Sequence[int]) -> bool:
        """Settle payloads that were handled, all with one step; tell whether that was possible, so that it is to be reported.

        It is not, and nothing has changed, where one of them is not here, is not with that session, was handled in an
        earlier attempt, or is no longer only offered; nor where the table asks for anything but to settle them.
        """
        numbers = set(sequences)
        if len(numbers) < len(sequences) or not self._rows.keys() >= numbers:
            return False
        if set(map(self._holders.get, sequences)) != {session}:
            return False
        rows = [self._rows[sequence] for sequence in sequences]
        tracked = [self._tracked[sequence] for sequence in self._tracked.keys() & numbers]
        if list(map(attempt_of, rows)) != list(attempts) or any(each.phase is not Phase.OFFERED for each in tracked):
            return False
        phase, effects = step(delivery.TABLE, Phase.OFFERED, Event.HANDLED)
        if effects != _SETTLED_AT_ONCE:
            return False
        for each in tracked:
            each.phase, each.deadline = phase, 0.0
            del self._tracked[each.sequence]
        for sequence in sequences:
            del self._rows[sequence], self._holders[sequence]
        self._queues.note_ended(set(map(channel_of, rows)))
        return True

    def clear(self) -> None:
        """Forget all of them, and their deadlines."""
        for tracked in self._tracked.values():
            tracked.deadline = 0.0
        self._rows.clear()
        self._tracked.clear()
        self._holders.clear()
        self._queues.clear()

    def _track(self, sequence: int) -> Tracked:
        tracked = self._tracked.get(sequence)
        if tracked is None:
            row = self._rows[sequence]
            _, _, _, _, attempt, expires, channel, _, _ = row
            tracked = Tracked(sequence, self._queues.app_of(channel), channel, attempt, expires, row)
            self._tracked[sequence] = tracked
        return tracked

    def __len__(self) -> int:
        return len(self._rows)
