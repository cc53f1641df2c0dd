"""The promise of a store: what the platform keeps, whoever keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from attrs import frozen

from tocsin.protocol.values import DropReason, NotificationType

REMEMBERED = 4096
"""How many of the newest payload ids a store remembers: more than a service may send without an acknowledgement."""


@frozen
class StoredChannel:
    """A channel that the device holds; ``expires`` in seconds since the epoch. The URI is a secret."""

    channel: str
    app: str
    remote_id: str
    uri: str
    expires: float


@frozen
class StoredPayload:
    """A payload in the inbox; ``attempt`` counts how often it was handed on, this time included."""

    sequence: int
    channel: str
    id: str
    type: NotificationType
    body: bytes
    attempt: int
    expires: float | None


@frozen
class DeadPayload:
    """A payload that ended without being handled; ``at`` in seconds since the epoch."""

    sequence: int
    reason: DropReason
    detail: str
    at: float


@frozen
class Inbox:
    """What was found on start: the last sequence number, the newest ids, and the channels with open payloads."""

    last_sequence: int
    recent_ids: tuple[str, ...]
    open_channels: tuple[str, ...]


class Store(Protocol):
    """What the platform's actors need; every change is on disk when its call returns.

    All methods raise ``StateUnavailable`` when the store fails; then nothing of that call may be taken as done.
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
        """Forget channels."""
        ...

    async def inbox(self) -> Inbox:
        """Look at the inbox, on start."""
        ...

    async def commit(
        self, accepted: Sequence[StoredPayload], handled: Sequence[int], dead: Sequence[DeadPayload]
    ) -> None:
        """Add payloads, and end others as handled or dead, in one transaction."""
        ...

    async def take(self, channel: str, after: int, limit: int) -> list[StoredPayload]:
        """Return the next open payloads of a channel in order, each with its ``attempt`` raised by one."""
        ...

    async def open_sequences(self, channel: str) -> list[int]:
        """Return the sequence numbers of all open payloads of a channel."""
        ...

    async def aclose(self) -> None:
        """Close the store."""
        ...
