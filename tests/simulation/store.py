"""The store of the world: it remembers what became of each payload."""

from __future__ import annotations

from collections.abc import Sequence

from tests.simulation.record import Record
from tocsin.actors.push_messages import SEED_KEY
from tocsin.persistence.memory_store import MemoryStore
from tocsin.persistence.store import Changes, InboxSummary
from tocsin.protocol.messages import PayloadRow
from tocsin.protocol.values import DropReason

UNSEEN = frozenset(
    {
        DropReason.CLOUD_DISABLED,
        DropReason.NOTIFICATIONS_DISABLED,
        DropReason.EXPIRED,
        DropReason.UNKNOWN_CHANNEL,
        DropReason.CLOSED,
        DropReason.QUEUE_FULL,
        DropReason.BACKGROUND_DENIED,
        DropReason.LAUNCH_FAILED,
        DropReason.UNREADABLE,
    }
)
"""Of these a payload may die that no handler has been given."""


NOT_CLAIMED = "the process that was launched"
"""How the detail of a payload begins that died while its process was waited for."""

MICROSECOND = 1e-6  # what adding up seconds since the epoch may lose


class WatchedStore(MemoryStore):
    """Sees what is accepted twice, what is taken while it waits, and what dies unseen."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self.record = record
        self.accepted: set[str] = set()
        self.handled: set[int] = set()

    async def inbox(self) -> InboxSummary:
        """Look at the inbox; the channels in an order that does not depend on the process."""
        found = await super().inbox()
        return InboxSummary(found.last_sequence, found.recent_ids, tuple(sorted(found.open_channels)))

    async def drop_channels(self, channels: Sequence[str]) -> None:
        """Drop channels, and take notes."""
        await super().drop_channels(channels)
        self.record.ended.update(channels)

    def forget_time(self) -> None:
        """Forget what time it is at the service; secrets stay."""
        self._values = {key: value for key, value in self._values.items() if key == SEED_KEY}

    async def commit(self, changes: Changes) -> None:
        """Commit, and take notes."""
        accepted = list(map(PayloadRow._make, changes.accepted))
        before = self._open.keys() | {payload.sequence for payload in accepted}
        await super().commit(changes)
        for payload in accepted:
            self.record.accepted[payload.sequence] = payload.channel, payload.expires
            if payload.id in self.accepted:
                self.record.offend("an_id_is_accepted_once", f"{payload.id} was accepted twice")
            self.accepted.add(payload.id)
        for dead in changes.dead:
            id_ = self._ids[dead.sequence]
            if dead.reason == DropReason.UNREADABLE:
                self.record.offend("what_was_sealed_can_be_read", f"{id_} cannot be read: {dead.detail}")
            if dead.reason == DropReason.EXPIRED and self.record.time() < self.record.good_until[id_] - MICROSECOND:
                left = self.record.good_until[id_] - self.record.time()
                self.record.offend("nothing_expires_before_its_time", f"{id_} had {left:.1f} s left")
            if dead.sequence in before and dead.reason not in UNSEEN and id_ not in self.record.seen:
                app = self.record.granted[self.record.accepted[dead.sequence][0]][0]
                if app not in self.record.excused_from_seeing and not dead.detail.startswith(NOT_CLAIMED):
                    self.record.offend("what_dies_of_its_handling_was_seen", f"{id_} died of {dead.reason}")
        self.handled.update(before & set(changes.handled) - self._dead.keys())
        self.record.held.update(changes.gated)

    async def fetch(
        self, channel: str, after: int, limit: int, types: frozenset[str] | None = None
    ) -> list[PayloadRow]:
        """Fetch, and take notes."""
        page = await super().fetch(channel, after, limit, types)
        for payload in page:
            if payload.sequence in self.record.latched:
                self.record.offend("a_latched_payload_waits", f"{payload.id} was taken while it waits")
        return page
