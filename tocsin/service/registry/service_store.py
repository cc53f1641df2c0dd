"""The promise of the service's store: apps, hashes of secrets, channels, stored notifications, and a few values of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, Protocol

from attrs import frozen

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.kernel.changed_meanwhile import ChangedMeanwhile
from tocsin.protocol.platform.unwanted import Unwanted
from tocsin.protocol.service.offline_queue import Entry

PATIENCE = 5.0
"""Seconds that a caller waits for the store, where it says nothing else; the service says its ``acknowledge_timeout``."""

SEARCHED = 20_000
"""Channels that are looked at for those of an app."""

PORT_KEY = "port"
"""The value of the service's own that is the port of the last time, of a service with one node."""

URL_KEY = "url"
"""The one that is what channel URIs begin with."""

SERVICE_KEY = "service"
"""The one that tells it from other services, once it has been moved or has nodes."""

MOVE_KEY = "move"
"""The one that is there only while it is being moved into this store, and has not wholly arrived."""


@frozen
class AppRow:
    """A registered app: ids are GUIDs in lower case; ``family`` is its package family name, or empty."""

    client_id: str
    name: str
    remote_id: str
    family: str = ""


@frozen
class SecretRow:
    """A client secret's SHA-256; ``expires`` is None for the newest of its app."""

    hash: bytes
    client_id: str
    created: float
    expires: float | None


@frozen
class KeptApps:
    """All registered apps and all of their secrets, as a change of one of them was decided from; at first there are none."""

    apps: frozenset[AppRow] = frozenset()
    secrets: frozenset[SecretRow] = frozenset()


@frozen
class ChannelRow:
    """A channel: the SHA-256 of its token, and whose it is; ``device`` is the SHA-256 of the device's key in hex.

    ``client_id`` is that of the app that may send to it; of a push subscription it is what stands for its senders
    (:mod:`tocsin.protocol.webpush.sender`).
    """

    hash: bytes
    name: str
    client_id: str
    app: str
    device: str
    expires: float
    revoked: bool


NO_APPS: Final = KeptApps()
"""What is kept before the first app is registered."""


def hash_of(secret: str) -> bytes:
    """Return all that the service keeps of a secret or a channel's token: its SHA-256."""
    return hashlib.sha256(secret.encode()).digest()


def may_be_there(failure: BaseException) -> bool:
    """Tell whether what could not be written for that reason may be on disk all the same."""
    if isinstance(failure, StateUnavailable):
        return failure.in_doubt
    return not isinstance(failure, ChangedMeanwhile)


class ServiceStore(Protocol):
    """What the service needs of what outlives it.

    Each method that changes something is one transaction, or a part of one that several calls share: all of it is done
    or nothing, it is on disk when the call returns, and calls that overlap do not fail with one another. What a call has
    written is seen by each call that begins after it has returned. Times are the service's, in seconds since the epoch.

    Others may use the same store. A change that was decided from what was read says so by ``was``; where another has changed
    that since, nothing is written, and it raises ``ChangedMeanwhile``: the caller reads and decides anew (``decided.py``).

    All methods raise ``StateUnavailable`` where the store cannot be read or written, or not within its patience; its
    ``in_doubt`` says whether the change may be on disk all the same (:func:`may_be_there`).
    """

    @property
    def fault(self) -> str | None:
        """Why nothing can be written just now, as a sentence; None while all is well."""
        ...

    async def meta(self, key: str) -> bytes | None:
        """Return a value of the service's own, or None."""
        ...

    async def set_meta(self, key: str, value: bytes) -> None:
        """Keep a value of the service's own, or replace it."""
        ...

    async def meta_or_set(self, key: str, value: bytes) -> bytes:
        """Return a value of the service's own, having kept this one where there was none: of several who do so one counts."""
        ...

    async def apps(self) -> list[AppRow]:
        """Return all registered apps, by name."""
        ...

    async def secrets(self) -> list[SecretRow]:
        """Return all secrets, the oldest first."""
        ...

    async def save_app(self, app: AppRow, secrets: Sequence[SecretRow], was: KeptApps = NO_APPS) -> None:
        """Keep an app with these secrets, and no others, in one transaction.

        A registered app stays as it is. One of the same name with another client id goes with its secrets: it is what a
        registration left whose caller was told that it had failed.

        :param was: all that was kept when this was decided: names and families are of one app among all.
        :raises ChangedMeanwhile: something else is kept by now.
        """
        ...

    async def remove_app(self, client_id: str, was: KeptApps) -> None:
        """Forget an app with its secrets, and what is stored for its channels, in one transaction.

        The channels stay until they would have ended, so that each of their devices can be told.

        :raises ChangedMeanwhile: as :meth:`save_app`.
        """
        ...

    async def channels(self, hashes: Sequence[bytes]) -> dict[bytes, ChannelRow]:
        """Return the channels whose tokens have these SHA-256s, ended ones included, by those; at most 256 are asked for."""
        ...

    async def live_channels(self, device: str, app: str, now: float) -> list[ChannelRow]:
        """Return the channels of an app on a device that are neither revoked nor expired, in any order."""
        ...

    async def subscriptions(self, device: str, now: float) -> list[ChannelRow]:
        """Return the push subscriptions of a device that are neither revoked nor expired, in any order."""
        ...

    async def count_subscriptions(self, device: str, now: float) -> int:
        """Count them."""
        ...

    async def prolong(self, channels: Sequence[ChannelRow], expires: float) -> None:
        """Put off the end of these channels, in one transaction; those that are not there, or revoked, are passed over."""
        ...

    async def newest_channels(self, now: float, limit: int) -> list[ChannelRow]:
        """Return so many of the channels of registered apps that are neither revoked nor expired, the newest first."""
        ...

    async def find_channels(self, now: float, app: str, begins: str, limit: int) -> list[ChannelRow]:
        """Return so many of the channels as :meth:`newest_channels` that are of some app, device or name, the newest first.

        :param app: what is in the name of the app's registration, in whatever case of ASCII; empty for any.
        :param begins: how the name of the channel or the device begins; empty for any. Then only the newest
            :data:`SEARCHED` channels are looked at.
        """
        ...

    async def devices_of(self, client_id: str, now: float) -> set[str]:
        """Return the devices with channels of an app that are neither revoked nor expired."""
        ...

    async def orphaned_devices(self, now: float) -> set[str]:
        """Return the devices with channels of apps that were removed."""
        ...

    async def orphans(self, device: str, now: float) -> list[str]:
        """Return the names of a device's channels of apps that were removed."""
        ...

    async def add_channel(self, channel: ChannelRow, forget: Sequence[bytes] = ()) -> None:
        """Keep a new channel, and forget those with these hashes, in one transaction.

        :raises StateUnavailable: also where a channel of this hash or name is kept already; then nothing is changed.
        """
        ...

    async def revoke(self, channels: Sequence[ChannelRow], now: float) -> None:
        """Mark these channels as revoked, in one transaction; those that are not there are passed over.

        :param now: when that is, in seconds since the epoch, which is their end, unless they have ended before.
        """
        ...

    async def count_channels(self) -> tuple[int, int]:
        """Count the channels that are kept, ended ones included, and those of them that are push subscriptions."""
        ...

    async def prune_channels(self, before: float) -> None:
        """Forget the channels that expired before that time, in one transaction."""
        ...

    async def unwanted(self) -> dict[str, Unwanted]:
        """Return what devices do not want to be sent, by device, of those that do not want something."""
        ...

    async def set_unwanted(self, device: str, unwanted: Unwanted | None) -> None:
        """Keep what a device does not want to be sent, or replace it; None: it wants whatever comes."""
        ...

    async def unwanting_without_channels(self) -> set[str]:
        """Return the devices that do not want something, and have no channel, not even one that has ended."""
        ...

    async def forget_unwanted(self, device: str) -> None:
        """Forget what a device does not want to be sent.

        :raises ChangedMeanwhile: it is none of :meth:`unwanting_without_channels` any more.
        """
        ...

    async def add_stored(self, device: str, entry: Entry, body: bytes, erase: Sequence[int]) -> None:
        """Keep a notification for a device that is away, and erase those with these sequence numbers, in one transaction.

        :raises StateUnavailable: also where its sequence number is in use; then nothing is changed.
        """
        ...

    async def erase_stored(self, sequences: Sequence[int]) -> None:
        """Erase the notifications with these sequence numbers, in one transaction; missing ones are passed over."""
        ...

    async def stored(self, device: str) -> list[Entry]:
        """Return what is stored for a device, the oldest first, without the bodies."""
        ...

    async def stored_bodies(self, sequences: Sequence[int]) -> dict[int, bytes]:
        """Return the bodies of those of these notifications that are there, by sequence number."""
        ...

    async def last_stored(self) -> int:
        """Return the highest sequence number of a stored notification, or 0."""
        ...

    async def count_stored(self) -> dict[str, int]:
        """Return the devices that something is stored for, and how much."""
        ...

    async def total_stored(self) -> tuple[int, int]:
        """Count the notifications that are stored, for all devices, and those of them that are messages of Web Push."""
        ...

    async def devices_with_spent(self, now: float) -> set[str]:
        """Return the devices that something is stored for which has expired, or whose channel has ended."""
        ...

    async def count_ended(self, since: float, until: float) -> tuple[int, int]:
        """Count the channels, and the stored notifications, whose time was over after the one moment and by the other."""
        ...

    async def prune_stored(self, now: float) -> tuple[int, int]:
        """Erase what has expired, and what belongs to channels that have ended; return how many there were of each.

        Ended is a channel that has expired, was revoked, or is not there; what expired before that time counts as expired.
        For the start, while nothing else is written: what is erased goes in one transaction, the counts are read before.
        """
        ...
