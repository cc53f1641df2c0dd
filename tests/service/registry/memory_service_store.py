"""The service's store in memory: what its promise says, in a few lines, for the agreement machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from anyio.lowlevel import checkpoint
from attrs import Factory, define, evolve

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.kernel.changed_meanwhile import ChangedMeanwhile
from tocsin.protocol.platform.unwanted import Unwanted
from tocsin.protocol.service.offline_queue import Entry, Phase
from tocsin.protocol.values import NotificationType
from tocsin.protocol.webpush.sender import is_web_push
from tocsin.service.registry.service_store import NO_APPS, AppRow, ChannelRow, KeptApps, SecretRow

_AS_WRITTEN: dict[str, Any] = {"phase": Phase.WRITING, "sent": False, "replaces": ()}
"""What no store keeps of a notification."""


@define(eq=False)
class MemoryServiceStore:
    """Keeps what :class:`tocsin.service.registry.service_store.ServiceStore` promises for as long as the object lives."""

    _values: dict[str, bytes] = Factory(dict)
    _apps: dict[str, AppRow] = Factory(dict)
    _secrets: dict[bytes, SecretRow] = Factory(dict)
    _channels: dict[bytes, ChannelRow] = Factory(dict)
    _unwanted: dict[str, Unwanted] = Factory(dict)
    _stored: dict[int, tuple[str, Entry, bytes]] = Factory(dict)

    @property
    def fault(self) -> str | None:
        """Why nothing can be written; never."""
        return None

    async def meta(self, key: str) -> bytes | None:
        """Return a value of the service's own, or None."""
        await checkpoint()
        return self._values.get(key)

    async def set_meta(self, key: str, value: bytes) -> None:
        """Keep a value of the service's own, or replace it."""
        await checkpoint()
        self._values[key] = value

    async def meta_or_set(self, key: str, value: bytes) -> bytes:
        """Return a value of the service's own, having kept this one where there was none."""
        await checkpoint()
        return self._values.setdefault(key, value)

    async def apps(self) -> list[AppRow]:
        """Return all registered apps, by name."""
        await checkpoint()
        return sorted(self._apps.values(), key=lambda app: app.name)

    async def secrets(self) -> list[SecretRow]:
        """Return all secrets, the oldest first."""
        await checkpoint()
        return sorted(self._secrets.values(), key=lambda secret: (secret.created, secret.expires is None))

    async def save_app(self, app: AppRow, secrets: Sequence[SecretRow], was: KeptApps = NO_APPS) -> None:
        """Keep an app with these secrets, and no others."""
        await checkpoint()
        self._see_kept(was)
        replaced = {each.client_id for each in self._apps.values() if each.name == app.name} - {app.client_id}
        left = {key: each for key, each in self._secrets.items() if each.client_id not in replaced | {app.client_id}}
        added = {secret.hash: secret for secret in secrets}
        if len(added) < len(secrets) or not left.keys().isdisjoint(added):
            raise StateUnavailable("a secret is kept already")
        for client_id in replaced:
            del self._apps[client_id]
        kept = self._apps.setdefault(app.client_id, app)
        self._apps[app.client_id] = evolve(kept, family=app.family)
        self._secrets = left | added

    async def remove_app(self, client_id: str, was: KeptApps) -> None:
        """Forget an app with its secrets, and what is stored for its channels."""
        await checkpoint()
        self._see_kept(was)
        names = {channel.name for channel in self._channels.values() if channel.client_id == client_id}
        self._stored = {key: row for key, row in self._stored.items() if row[1].channel not in names}
        self._secrets = {key: each for key, each in self._secrets.items() if each.client_id != client_id}
        self._apps.pop(client_id, None)

    async def channels(self, hashes: Sequence[bytes]) -> dict[bytes, ChannelRow]:
        """Return the channels whose tokens have these SHA-256s."""
        await checkpoint()
        return {each: self._channels[each] for each in hashes if each in self._channels}

    async def live_channels(self, device: str, app: str, now: float) -> list[ChannelRow]:
        """Return the channels of an app on a device that are neither revoked nor expired."""
        await checkpoint()
        return [each for each in self._live(now) if (each.device, each.app) == (device, app)]

    async def subscriptions(self, device: str, now: float) -> list[ChannelRow]:
        """Return the push subscriptions of a device that are neither revoked nor expired."""
        await checkpoint()
        return [each for each in self._live(now) if each.device == device and is_web_push(each.client_id)]

    async def count_subscriptions(self, device: str, now: float) -> int:
        """Count them."""
        return len(await self.subscriptions(device, now))

    async def prolong(self, channels: Sequence[ChannelRow], expires: float) -> None:
        """Put off the end of these channels."""
        await checkpoint()
        for each in channels:
            kept = self._channels.get(each.hash)
            if kept is not None and not kept.revoked:
                self._channels[each.hash] = evolve(kept, expires=expires)

    async def newest_channels(self, now: float, limit: int) -> list[ChannelRow]:
        """Return so many of the channels of registered apps that are neither revoked nor expired, the newest first."""
        await checkpoint()
        live = [each for each in self._live(now) if each.client_id in self._apps]
        return sorted(live, key=lambda each: (-each.expires, each.name))[:limit]

    async def find_channels(self, now: float, app: str, begins: str, limit: int) -> list[ChannelRow]:
        """Return so many of them that are of some app, device or name, the newest first."""
        return [
            each
            for each in await self.newest_channels(now, len(self._channels))
            if app.lower() in self._apps[each.client_id].name.lower()
            and (each.name.startswith(begins) or each.device.startswith(begins))
        ][:limit]

    async def devices_of(self, client_id: str, now: float) -> set[str]:
        """Return the devices with channels of an app that are neither revoked nor expired."""
        await checkpoint()
        return {each.device for each in self._live(now) if each.client_id == client_id}

    async def orphaned_devices(self, now: float) -> set[str]:
        """Return the devices with channels of apps that were removed."""
        await checkpoint()
        return {each.device for each in self._live(now) if self._is_orphan(each)}

    async def orphans(self, device: str, now: float) -> list[str]:
        """Return the names of a device's channels of apps that were removed."""
        await checkpoint()
        return [each.name for each in self._live(now) if each.device == device and self._is_orphan(each)]

    def _is_orphan(self, channel: ChannelRow) -> bool:
        return channel.client_id not in self._apps and not is_web_push(channel.client_id)

    async def add_channel(self, channel: ChannelRow, forget: Sequence[bytes] = ()) -> None:
        """Keep a new channel, and forget those with these hashes."""
        await checkpoint()
        left = {key: each for key, each in self._channels.items() if key not in forget}
        if channel.hash in left or channel.name in {each.name for each in left.values()}:
            raise StateUnavailable("the channel is kept already")
        self._channels = {**left, channel.hash: channel}

    async def revoke(self, channels: Sequence[ChannelRow], now: float) -> None:
        """Mark these channels as revoked."""
        await checkpoint()
        for channel in channels:
            if channel.hash in self._channels:
                kept = self._channels[channel.hash]
                self._channels[channel.hash] = evolve(kept, revoked=True, expires=min(kept.expires, now))

    async def count_channels(self) -> tuple[int, int]:
        """Count the channels that are kept, ended ones included, and those of them that are push subscriptions."""
        await checkpoint()
        return len(self._channels), sum(is_web_push(each.client_id) for each in self._channels.values())

    async def prune_channels(self, before: float) -> None:
        """Forget the channels that expired before that time."""
        await checkpoint()
        self._channels = {key: each for key, each in self._channels.items() if each.expires >= before}

    async def unwanted(self) -> dict[str, Unwanted]:
        """Return what devices do not want to be sent, by device."""
        await checkpoint()
        return dict(self._unwanted)

    async def set_unwanted(self, device: str, unwanted: Unwanted | None) -> None:
        """Keep what a device does not want to be sent, or replace it."""
        await checkpoint()
        self._unwanted.pop(device, None)
        if unwanted is not None:
            self._unwanted[device] = unwanted

    async def unwanting_without_channels(self) -> set[str]:
        """Return the devices that do not want something, and have no channel, not even one that has ended."""
        await checkpoint()
        return self._unwanted.keys() - {channel.device for channel in self._channels.values()}

    async def forget_unwanted(self, device: str) -> None:
        """Forget what a device does not want to be sent."""
        if device not in await self.unwanting_without_channels():
            raise ChangedMeanwhile
        del self._unwanted[device]

    async def add_stored(self, device: str, entry: Entry, body: bytes, erase: Sequence[int]) -> None:
        """Keep a notification for a device that is away, and erase those with these sequence numbers."""
        await checkpoint()
        left = {key: row for key, row in self._stored.items() if key not in erase}
        if entry.sequence in left:
            raise StateUnavailable("the sequence number is in use")
        self._stored = {**left, entry.sequence: (device, entry, body)}

    async def erase_stored(self, sequences: Sequence[int]) -> None:
        """Erase the notifications with these sequence numbers."""
        await checkpoint()
        for sequence in sequences:
            self._stored.pop(sequence, None)

    async def stored(self, device: str) -> list[Entry]:
        """Return what is stored for a device, the oldest first, without the bodies."""
        await checkpoint()
        return [
            evolve(entry, **_AS_WRITTEN) for _, (owner, entry, _) in sorted(self._stored.items()) if owner == device
        ]

    async def stored_bodies(self, sequences: Sequence[int]) -> dict[int, bytes]:
        """Return the bodies of those of these notifications that are there, by sequence number."""
        await checkpoint()
        return {key: self._stored[key][2] for key in sequences if key in self._stored}

    async def last_stored(self) -> int:
        """Return the highest sequence number of a stored notification, or 0."""
        await checkpoint()
        return max(self._stored, default=0)

    async def count_stored(self) -> dict[str, int]:
        """Return the devices that something is stored for, and how much."""
        await checkpoint()
        return dict(Counter(device for device, _, _ in self._stored.values()))

    async def total_stored(self) -> tuple[int, int]:
        """Count the notifications that are stored, for all devices, and those of them that are messages of Web Push."""
        await checkpoint()
        messages = sum(entry.type is NotificationType.PUSH for _, entry, _ in self._stored.values())
        return len(self._stored), messages

    async def devices_with_spent(self, now: float) -> set[str]:
        """Return the devices that something is stored for which has expired, or whose channel has ended."""
        await checkpoint()
        return {device for device, entry, _ in self._stored.values() if entry.good_until <= now}

    async def count_ended(self, since: float, until: float) -> tuple[int, int]:
        """Count the channels, and the stored notifications, whose time was over after the one moment and by the other."""
        await checkpoint()
        channels = [each.expires for each in self._channels.values() if not each.revoked]
        stored = [entry.good_until for _, entry, _ in self._stored.values()]
        return sum(since < end <= until for end in channels), sum(since < end <= until for end in stored)

    async def prune_stored(self, now: float) -> tuple[int, int]:
        """Erase what has expired, and what belongs to channels that have ended; return how many there were of each."""
        await checkpoint()
        there = {channel.name for channel in self._channels.values() if not channel.revoked}
        entries = {key: entry for key, (_, entry, _) in self._stored.items()}
        expired = {key for key, each in entries.items() if each.expires is not None and each.expires <= now < each.ends}
        ended = {key for key, each in entries.items() if each.ends <= now or each.channel not in there} - expired
        self._stored = {key: row for key, row in self._stored.items() if key not in expired | ended}
        return len(expired), len(ended)

    def _see_kept(self, was: KeptApps) -> None:
        if was != KeptApps(frozenset(self._apps.values()), frozenset(self._secrets.values())):
            raise ChangedMeanwhile

    def _live(self, now: float) -> list[ChannelRow]:
        return [each for each in self._channels.values() if not each.revoked and each.expires > now]
