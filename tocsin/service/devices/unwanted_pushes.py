"""What devices do not want to be sent, which the service remembers while they are away, and over its restarts."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from sys import getsizeof

import anyio

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.kernel.changed_meanwhile import ChangedMeanwhile
from tocsin.protocol.platform.unwanted import NOTHING, Unwanted
from tocsin.protocol.values import DropReason, NotificationType
from tocsin.repeat_log import RepeatLog
from tocsin.service.registry.service_store import ChannelRow, ServiceStore

MAX_SIZE = 64 * 1024 * 1024
"""Bytes of memory that it may take, of all devices together; what finds no room is not known here, and dropped on the device."""

_OF_ONE = 256  # bytes that one device counts for, besides its names

logger = logging.getLogger(__name__)


class UnwantedPushes:
    """Knows it by device, of those that do not want something: usually of none. Made by :meth:`load`.

    :param max_size: as ``MAX_SIZE``.
    """

    def __init__(self, store: ServiceStore, recurring: RepeatLog, max_size: int = MAX_SIZE) -> None:
        self.known: dict[str, Unwanted] = {}
        """What is not wanted, by device."""
        self._store = store
        self._recurring = recurring
        self._max_size = max_size
        self._size = 0
        self._in_doubt: set[str] = set()  # devices of which the store may have something else
        self._to_write: Counter[str] = Counter()  # devices that are being written, and how often
        self._writing = anyio.Lock(fast_acquire=True)

    @classmethod
    async def load(cls, store: ServiceStore, recurring: RepeatLog, max_size: int = MAX_SIZE) -> UnwantedPushes:
        """Read what is remembered.

        :raises StateUnavailable: the store cannot be used.
        """
        pushes = cls(store, recurring, max_size)
        for device, unwanted in (await store.unwanted()).items():
            pushes._know(device, unwanted)
        return pushes

    def reason(self, channel: ChannelRow, kind: NotificationType) -> DropReason | None:
        """Return why the channel's device does not want what is of this type; None where it does."""
        unwanted = self.known.get(channel.device)
        return None if unwanted is None else unwanted.reason(channel.app, kind)

    async def note(self, device: str, unwanted: Unwanted) -> None:
        """Go by what a device says, at once, and remember it; where it cannot be stored, that is tried when it says so again.

        It is stored also where the device goes meanwhile, as it does when it may have no connection.
        """
        if unwanted == self.known.get(device, NOTHING) and device not in self._in_doubt:
            return
        self._know(device, unwanted)
        with anyio.CancelScope(shield=True):  # as long as the store's patience
            await self._keep(device)

    def follow(self, devices: Iterable[str], unwanted: Mapping[str, Unwanted]) -> None:
        """Know what another node has stored of these devices; what is about to be stored here tells of itself."""
        for device in devices:
            if not self._to_write[device]:
                self._know(device, unwanted.get(device, NOTHING))

    async def reload(self) -> None:
        """Read anew what is remembered.

        :raises StateUnavailable: the store cannot be read.
        """
        unwanted = await self._store.unwanted()
        self.follow(self.known.keys() | unwanted.keys(), unwanted)

    async def prune(self, is_connected: Callable[[str], bool]) -> None:
        """Forget devices that have no channels, and are not there to ask for any."""
        for device in await self._store.unwanting_without_channels():
            if not is_connected(device):
                with suppress(ChangedMeanwhile):  # it has come, to whichever node
                    await self._forget(device)

    async def _forget(self, device: str) -> None:
        self._in_doubt.add(device)  # what it says meanwhile is stored, also if that is what is known
        async with self._writing:
            await self._store.forget_unwanted(device)
        if not self._to_write[device]:
            self._in_doubt.discard(device)
            self._know(device, NOTHING)

    def _know(self, device: str, unwanted: Unwanted) -> None:
        before = self.known.pop(device, None)
        self._size -= 0 if before is None else _size(before)
        if unwanted != NOTHING and self._size + _size(unwanted) <= self._max_size:
            self._size += _size(unwanted)
            self.known[device] = unwanted

    async def _keep(self, device: str) -> None:
        """Store what is known of a device now, one after the other: the last word is what stays."""
        self._in_doubt.add(device)
        self._to_write[device] += 1
        try:
            async with self._writing:
                await self._store.set_unwanted(device, self.known.get(device))
        except StateUnavailable as failure:
            text = "what a device does not want to be sent could not be stored: %s"
            self._recurring.log(logger, logging.WARNING, "unwanted", text, failure)
        else:
            self._in_doubt.discard(device)
        finally:
            self._to_write[device] -= 1
            if not self._to_write[device]:
                del self._to_write[device]


def _size(unwanted: Unwanted) -> int:
    return _OF_ONE + sum(map(getsizeof, unwanted.names))
