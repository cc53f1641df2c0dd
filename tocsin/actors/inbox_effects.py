"""What one batch of the payload router changes in the inbox: noted while it receives, committed as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tocsin.actors.actor import Wait, perform
from tocsin.actors.payload_watch import PayloadWatch, ShownPayload
from tocsin.actors.senses import Senses
from tocsin.persistence.store import Changes, DeadPayload, Store
from tocsin.protocol.delivery.dead_letter_policy import PRUNE_AFTER, DeadLetterPolicy
from tocsin.protocol.delivery.payload_events import Stage
from tocsin.protocol.delivery.plain_rows import PlainRow
from tocsin.protocol.kernel.commit_delay import CommitDelay
from tocsin.protocol.values import DropReason, Outcome


class InboxEffects:
    """The changes that wait for their commit."""

    def __init__(
        self, store: Store, senses: Senses, dead_letters: DeadLetterPolicy, watch: PayloadWatch | None = None
    ) -> None:
        self.watch = PayloadWatch(senses.clock) if watch is None else watch
        """Hears of what was committed."""
        self._store = store
        self._clock = senses.clock
        self._at_service = senses.at_service
        self._alarm = senses.alarm
        self._policy = dead_letters
        self._buried = PRUNE_AFTER  # at the start it is looked, too
        self._delay = CommitDelay()
        self.accepted: list[PlainRow] = []
        """Payloads to be added."""
        self.handled: list[int] = []
        """Sequence numbers of payloads that were handled."""
        self._shown: dict[int, ShownPayload] = {}
        """What became of those among them that the shell had."""
        self._gated: list[int] = []
        self._parked: list[int] = []
        self._released: list[int] = []
        self._dead: list[DeadPayload] = []
        self._release_gated = False
        self._retried: list[int] = []
        self._dropped: list[int] = []

    def end(self, sequence: int, outcome: Outcome, reason: DropReason | None, detail: str) -> None:
        """Note that a payload has ended well: it was handled, or shown, or was not to be shown."""
        self.handled.append(sequence)
        if outcome != Outcome.HANDLED:
            stage = Stage.SHOWN if outcome == Outcome.SHOWN else Stage.SUPPRESSED
            self._shown[sequence] = ShownPayload(stage, reason or "", detail)

    def gate(self, sequence: int) -> None:
        """Note that a gate holds a payload back."""
        self._gated.append(sequence)

    def park(self, sequence: int) -> None:
        """Note that a payload waits for the background."""
        self._parked.append(sequence)

    def release(self, sequence: int) -> None:
        """Note that a parked payload may be taken again."""
        self._released.append(sequence)

    def release_gated(self) -> None:
        """Note that all that gates held back may be taken again, this batch's included."""
        self._gated.clear()
        self._release_gated = True

    def bury(self, sequence: int, reason: DropReason, detail: str) -> None:
        """Note that a payload ended without being handled, now."""
        self._dead.append(DeadPayload(sequence, reason, detail, self._clock.wall()))
        self._buried += 1

    def unbury(self, sequence: int) -> None:
        """Note that a dead letter is none any more: it is among those accepted."""
        self._retried.append(sequence)

    def drop(self, sequence: int) -> None:
        """Note that a dead letter is not kept any more."""
        self._dropped.append(sequence)

    def hurry(self) -> None:
        """Let nothing wait any more: the end is near."""
        self._delay.hurry()

    def are_due(self) -> bool:
        """Tell whether there is something to commit, unless all that waits is the end of payloads, which shares the commit of the next ones.

        The alarm rings where none come in time.
        """
        urgent = self.accepted or self._gated or self._parked or self._released or self._release_gated or self._dropped
        ended = self.handled or self._dead
        until = self._delay.until(self._clock.monotonic(), urgent=bool(urgent), ended=bool(ended))
        if until is not None:
            self._alarm.set(until)
        return until is None and bool(urgent or ended)

    def commit(self) -> Iterator[Wait]:
        """Write all of it in one transaction; what is yielded is to be waited for.

        :raises StateUnavailable: there is nothing to wait for; a full disk or a failed fsync is waited out in here.
        """
        if self._release_gated:
            yield partial(self._store.release, parked=False)
            self._release_gated = False
        inbox = self.accepted, self._gated, self._parked, self._released, self.handled, self._dead
        changes = Changes(*inbox, self._retried, self._dropped)
        if changes:
            yield partial(self._store.commit, changes)
            self.watch.committed(changes, self._shown)
            for done in (*inbox, self._retried, self._dropped, self._shown):
                done.clear()

    async def perform(self) -> None:
        """Write all of it, as :meth:`commit`."""
        await perform(self.commit())

    def are_to_prune(self) -> bool:
        """Tell whether many dead letters have come since it was looked last whether there are too many."""
        return self._buried >= PRUNE_AFTER

    async def prune(self) -> None:
        """Let go of dead letters that are too many, or too old.

        :raises StateUnavailable: there is nothing to wait for; a full disk or a failed fsync is waited out in here.
        """
        # A wall clock that was set ahead would make all of them old: the service has to agree.
        now = min(self._clock.wall(), self._at_service.least())
        await self._store.prune_dead_letters(self._policy.keep, self._policy.oldest(now))
        self._buried = 0
