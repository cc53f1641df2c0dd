"""Where channels are found by their tokens: what was read of the store is remembered, until it has changed there."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum, auto, unique

from tocsin.service.registry.apps import Apps
from tocsin.service.registry.service_store import ChannelRow, ServiceStore, hash_of

_CACHE = 65_536  # channels


@unique
class ChannelFault(Enum):
    """Why a channel's token leads nowhere."""

    UNKNOWN = auto()
    EXPIRED = auto()
    REVOKED = auto()


class ChannelDirectory:
    """Finds channels; :class:`Channels` gives them out, and tells it what it has changed.

    Methods that go to the store raise ``StateUnavailable`` where it cannot be used.
    """

    def __init__(self, store: ServiceStore, registrations: Apps, now: Callable[[], float]) -> None:
        self._store = store
        self._registrations = registrations
        self._now = now
        self._found: dict[bytes, ChannelRow] = {}
        self._lent: dict[bytes, bytes] = {}  # hashes of tokens that stand for channels, and those of theirs
        self.changes = 0
        """How often something was forgotten, or revoked: what was read before that is not remembered after it."""

    def keep(self, channel: ChannelRow) -> None:
        """Remember a channel as it is in the store."""
        self._found.pop(channel.hash, None)
        if len(self._found) >= _CACHE:
            del self._found[next(iter(self._found))]
        self._found[channel.hash] = channel

    def forget(self, hashes: Iterable[bytes] | None = None) -> None:
        """Know no more what was read of channels that have changed in the store since; None: of any.

        What is being read just now is not remembered either.
        """
        self.changes += 1
        if hashes is None:
            self._found.clear()
        else:
            for token_hash in hashes:
                self._found.pop(token_hash, None)

    def known(self, token: str) -> ChannelRow | None:
        """Return the channel with that token, if it is in memory and may be used."""
        channel = self._found.get(hash_of(token))
        return None if channel is None or channel.revoked or channel.expires <= self._now() else channel

    def newest(self, channel: ChannelRow) -> ChannelRow:
        """Return what is known of a channel that was read from the store a while ago: it may have been revoked since."""
        return self._found.get(channel.hash, channel)

    async def live(self, limit: int) -> list[ChannelRow]:
        """Return so many of the channels that may be used, the newest first."""
        return await self._store.newest_channels(self._now(), limit)

    async def search(self, app: str, begins: str, limit: int) -> list[ChannelRow]:
        """Return so many of the channels that may be used and are of some app, device or name, the newest first.

        :param app: what is in the name of the app's registration; empty for any.
        :param begins: how the name of the channel or the device begins; empty for any.
        """
        return await self._store.find_channels(self._now(), app, begins, limit)

    @contextmanager
    def lend(self, channel: ChannelRow) -> Iterator[str]:
        """Give a token that stands for a channel's own while the block runs: that is not known here, but by its hash."""
        token = secrets.token_urlsafe(32)
        token_hash = hash_of(token)
        self._lent[token_hash] = channel.hash
        try:
            yield token
        finally:
            del self._lent[token_hash]

    async def kept(self, token: str) -> ChannelRow | None:
        """Return the channel with that token, ended ones included; None where none is kept."""
        token_hash = self._hash_of(token)
        return self._found.get(token_hash) or (await self._load([token_hash])).get(token_hash)

    def _hash_of(self, token: str) -> bytes:
        token_hash = hash_of(token)
        return self._lent.get(token_hash, token_hash)

    async def know_apps(self, channels: Iterable[ChannelRow | None]) -> None:
        """See that the apps of channels are known, before what names one that is not is forgotten: others may have registered it just now."""
        if any(channel is not None and not self._registrations.known(channel.client_id) for channel in channels):
            await self._registrations.reload()

    def fault_of(self, channel: ChannelRow | None) -> ChannelFault | None:
        """Return why a channel leads nowhere; None where it may be used."""
        if channel is None or not self._registrations.known(channel.client_id):
            return ChannelFault.UNKNOWN
        if channel.revoked:
            return ChannelFault.REVOKED
        return None if channel.expires > self._now() else ChannelFault.EXPIRED

    async def find(self, token: str) -> ChannelRow | ChannelFault:
        """Return the channel with that token, or why it leads nowhere."""
        return (await self.find_all([token]))[0]

    async def find_all(self, tokens: Sequence[str]) -> list[ChannelRow | ChannelFault]:
        """Return for each token the channel, or why it leads nowhere; what is not known is read together."""
        hashes = [self._hash_of(token) for token in tokens]
        known = {each: self._found[each] for each in hashes if each in self._found}
        unknown = list(dict.fromkeys(each for each in hashes if each not in known))
        if unknown:
            known |= await self._load(unknown)
        channels = [known.get(each) for each in hashes]
        return [self.fault_of(channel) or channel or ChannelFault.UNKNOWN for channel in channels]

    async def _load(self, hashes: Sequence[bytes]) -> dict[bytes, ChannelRow]:
        before = self.changes
        channels = await self._store.channels(hashes)
        if before == self.changes:  # else they may have been revoked since
            for channel in channels.values():
                self.keep(channel)
        return channels
