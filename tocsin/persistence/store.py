"""The promise of a store: what the platform keeps, in SQLite or in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol

from attrs import frozen

from tocsin.protocol.delivery.plain_rows import PlainRow
from tocsin.protocol.messages import PayloadRow
from tocsin.protocol.platform.usage import UsageRow
from tocsin.protocol.toast_label import NO_LABEL, LabelText
from tocsin.protocol.values import DropReason

REMEMBERED = 4096
"""How many of the newest payload ids a store remembers: more than a service may send without an acknowledgement."""

FORMER_CHANNELS = 4096
"""How many of the channels that were dropped last a store knows the apps of, for its dead letters."""

MAY_BE_TAKEN, PARKED, HELD = 1, 2, 3
"""How a payload in the inbox stands."""


@frozen
class StoredChannel:
    """A channel that the device holds; ``expires`` in the service's time. The URI is a secret."""

    channel: str
    app: str
    remote_id: str
    uri: str
    expires: float


@frozen
class StoredRequest:
    """A channel request that waits for its next attempt: ``planned`` and ``due`` in seconds since the epoch."""

    app: str
    remote_id: str
    failures: int
    hresult: int
    text: str
    due: float
    planned: float


@frozen
class StoredActivator:
    """An activator that wakes its app also after the process that registered it has left."""

    app: str
    activator: int
    clsid: str
    conditions: tuple[int, ...]
    cancel_on_condition_loss: bool
    command: bytes = b""
    """What starts the app, packed; empty where it is not known."""


@frozen
class Changes:
    """What one commit does to the inbox, in this order."""

    accepted: Sequence[PlainRow] = ()
    gated: Sequence[int] = ()
    """Payloads that a gate holds back: they are open, but not to be taken until they are released."""
    parked: Sequence[int] = ()
    """Payloads that wait for the background: as those held."""
    released: Sequence[int] = ()
    """Held or parked payloads that may be taken again."""
    handled: Sequence[int] = ()
    dead: Sequence[DeadPayload] = ()
    retried: Sequence[int] = ()
    """Dead letters that are none any more, and do not count as such: they are among those accepted, with a new number."""
    dropped: Sequence[int] = ()
    """Dead letters that are not kept any more; they stay counted."""

    def __bool__(self) -> bool:
        inbox = self.accepted, self.gated, self.parked, self.released, self.handled, self.dead
        return any((*inbox, self.retried, self.dropped))


@frozen
class DeadLetter:
    """A dead payload, as it is listed."""

    sequence: int
    app: str
    channel: str
    id: str
    type: str
    body: bytes
    attempt: int
    reason: str
    detail: str
    at: float
    label: LabelText = NO_LABEL

    def again(self, sequence: int, now: float) -> PlainRow:
        """Return the payload as a new arrival: its attempts go on to count, and it does not expire any more."""
        return sequence, self.id, self.type, self.body, self.attempt, None, self.channel, self.label, now


@frozen
class Deaths:
    """How many payloads of an app have died of some reason, and when the last of them did, in seconds since the epoch."""

    count: int
    last: float


@frozen
class DeadPayload:
    """A payload that ended without being handled; ``at`` in seconds since the epoch."""

    sequence: int
    reason: DropReason
    detail: str
    at: float


@frozen
class InboxSummary:
    """What was found on start: the last sequence number, the newest ids, and the channels with open payloads."""

    last_sequence: int
    recent_ids: tuple[str, ...]
    open_channels: tuple[str, ...]


class Store(Protocol):
    """What the platform's actors need; every change is on disk when its call returns.

    A store that cannot be written for now lets its writers wait. All methods raise ``StateUnavailable`` when there is
    nothing to wait for; its ``in_doubt`` says whether the call may be done all the same.
    """

    async def value(self, key: str) -> str | None:
        """Return a setting."""
        ...

    async def keep_value(self, key: str, value: str) -> None:
        """Keep a setting."""
        ...

    async def channels(self) -> list[StoredChannel]:
        """Return all channels."""
        ...

    async def keep_channel(self, channel: StoredChannel) -> None:
        """Add or replace a channel."""
        ...

    async def drop_channels(self, channels: Sequence[str]) -> None:
        """Forget channels; the dead letters of the last ``FORMER_CHANNELS`` go on to name the apps that they were for."""
        ...

    async def inbox(self) -> InboxSummary:
        """Look at the inbox, on start."""
        ...

    async def requests(self) -> list[StoredRequest]:
        """Return the channel requests that wait for their next attempt."""
        ...

    async def keep_request(self, request: StoredRequest) -> None:
        """Add or replace the request of an app."""
        ...

    async def drop_request(self, app: str, remote_id: str) -> None:
        """Forget the request of an app."""
        ...

    async def activators(self) -> list[StoredActivator]:
        """Return all activators."""
        ...

    async def keep_activator(self, activator: StoredActivator) -> None:
        """Add or replace an activator of an app."""
        ...

    async def drop_activator(self, app: str, activator: int) -> None:
        """Forget an activator of an app."""
        ...

    def commit(self, changes: Changes) -> Awaitable[None]:
        """Change the inbox in one transaction; a sequence number that is open is not accepted again.

        Where a :class:`tocsin.tasks.Completion` is returned, it is heard of in the turn in which it is on disk.
        """
        ...

    async def release(self, *, parked: bool) -> None:
        """Let all payloads that are held, or also those that are parked, be taken again."""
        ...

    async def dead_letters(self, limit: int, *, app: str | None = None, reason: str | None = None) -> list[DeadLetter]:
        """Return the newest dead payloads, the newest first; of one app, or that died of one reason, where it is given."""
        ...

    async def dead_letter(self, id_: str) -> DeadLetter | None:
        """Return the dead payload with an id, of several the newest; None where there is none."""
        ...

    async def dead_letter_ids(self, beginning: str, limit: int) -> list[str]:
        """Return the first ids of dead payloads that begin so, in order, each once."""
        ...

    async def prune_dead_letters(self, keep: int, before: float) -> int:
        """Let go of all dead payloads but the newest, and of those from before that time; return how many they were."""
        ...

    async def fetch(
        self, channel: str, after: int, limit: int, types: frozenset[str] | None = None
    ) -> list[PayloadRow]:
        """Return the next open payloads of a channel in order, each with its ``attempt`` raised by one.

        :param types: those of these types only; None for all.
        """
        ...

    async def channels_of(self, sequences: Sequence[int]) -> dict[int, str]:
        """Return the channel of each of these payloads that is open."""
        ...

    async def open_sequences(self, channel: str) -> list[int]:
        """Return the sequence numbers of all open payloads of a channel."""
        ...

    async def dead_letter_counts(self) -> dict[str, int]:
        """Return how many payloads have died of each reason, those that are not kept any more included."""
        ...

    async def usage(self, first: int, last: int, app: str | None = None) -> list[UsageRow]:
        """Return what was sent and received from one day to another, both included; of one app where it is given."""
        ...

    async def keep_usage(self, rows: Sequence[UsageRow], oldest: int) -> None:
        """Add rows, or replace those of the same day, app and network, and forget all days before the oldest."""
        ...

    async def drop_usage(self, app: str) -> None:
        """Forget what an app has sent and received."""
        ...
