"""What one batch of the payload router changes in the inbox: noted while it receives, committed as a whole."""

from __future__ import annotations

from tocsin.persistence.store import Changes, DeadPayload, Store, StoredPayload
from tocsin.protocol.values import DropReason


class Ledger:
    """The changes that wait for their commit."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.accepted: list[StoredPayload] = []
        """Payloads to be added."""
        self.handled: list[int] = []
        """Sequence numbers of payloads that were handled."""
        self._held: list[int] = []
        self._parked: list[int] = []
        self._released: list[int] = []
        self._dead: list[DeadPayload] = []
        self._release_held = False

    def hold(self, sequence: int) -> None:
        """Note that a gate holds a payload back."""
        self._held.append(sequence)

    def park(self, sequence: int) -> None:
        """Note that a payload waits for the background."""
        self._parked.append(sequence)

    def release(self, sequence: int) -> None:
        """Note that a parked payload may be taken again."""
        self._released.append(sequence)

    def release_held(self) -> None:
        """Note that all that gates held back may be taken again, this batch's included."""
        self._held.clear()
        self._release_held = True

    def bury(self, sequence: int, reason: DropReason, detail: str, at: float) -> None:
        """Note that a payload ended without being handled; ``at`` in seconds since the epoch."""
        self._dead.append(DeadPayload(sequence, reason, detail, at))

    async def commit(self) -> None:
        """Write all of it in one transaction.

        :raises StateUnavailable: it could not be written.
        """
        if self._release_held:
            await self._store.release(parked=False)
            self._release_held = False
        changes = Changes(self.accepted, self._held, self._parked, self._released, self.handled, self._dead)
        if changes:
            await self._store.commit(changes)
            for done in (self.accepted, self._held, self._parked, self._released, self.handled, self._dead):
                done.clear()
