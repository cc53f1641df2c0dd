"""The promise of what nodes are told of each other's changes: which part of what they keep in memory has to be read anew."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, unique
from typing import Protocol

from attrs import frozen


@unique
class ChangeKind(Enum):
    """What has changed; of another kind, which a newer version writes, nothing is kept in memory here."""

    APPS = "apps"
    """Apps, or their secrets."""
    CHANNELS = "channels"
    """Channels that were revoked; the key is the SHA-256 of a token in hex."""
    HUBS = "hubs"
    """Hubs, or their keys."""
    UNWANTED = "unwanted"
    """What a device does not want to be sent; the key is the device."""
    MESSAGES = "messages"
    """A hub has accepted a message."""
    ERASED = "erased"
    """Changes were erased up to this one: who has not read them reads everything anew."""


@frozen
class Change:
    """Something was changed in the transaction of that number; ``key`` says what, and is empty where that may be all of its kind."""

    number: int
    kind: str
    key: str = ""


@frozen
class Seen:
    """The changes from a place on, and the place from which on others may come still: some of these may be behind it."""

    place: int
    changes: frozenset[Change]


class ChangeFeed(Protocol):
    """The changes of what nodes keep in memory; each is there with the commit of what it tells of."""

    async def place(self) -> int:
        """Return the place from which on changes come that what is read from now on may not show.

        :raises StateUnavailable: the store cannot be read.
        """
        ...

    async def since(self, place: int) -> Seen:
        """Return the changes from a place on: none is missed by who goes on from where the last answer says, whatever is committed in which order.

        :raises StateUnavailable: the store cannot be read.
        """
        ...

    async def listen(self, wake: Callable[[], object]) -> None:
        """Call this soon after something has changed, until it is cancelled: a wake may be lost, and may come for nothing."""
        ...

    async def erase(self) -> None:
        """Erase the changes of long ago.

        :raises StateUnavailable: the store cannot be written.
        """
        ...
