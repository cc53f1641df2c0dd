"""Channels: unguessable URIs, each of one app on one device, of which the service keeps a hash only; they are given out here, and revoked.

The command that lists them is ``tocsin.cli.channels``.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet

from anyio import Lock
from attrs import evolve, field, frozen

from tocsin.protocol.hresult import HResult
from tocsin.protocol.platform.channel_request import family_of
from tocsin.protocol.text import quoted
from tocsin.protocol.values import CHANNEL_LIFETIME, MAX_APP_NAME, RENEW_BEFORE, SUBSCRIPTION_LIFETIME
from tocsin.protocol.webpush.sender import is_web_push, sender_key_of
from tocsin.service.registry.apps import Apps, parse_guid
from tocsin.service.registry.channel_directory import ChannelDirectory
from tocsin.service.registry.service_store import ChannelRow, ServiceStore, hash_of, may_be_there
from tocsin.service.url_paths import CHANNEL_PATH, PUSH_PATH, token_of
from tocsin.webpush.points import read_public

MAX_LIVE = 64
"""Channels of one app on one device that are valid at a time."""

MAX_SUBSCRIPTIONS = 1_000
"""Push subscriptions of one device that are valid at a time, whatever their apps."""

_REMEMBER = CHANNEL_LIFETIME  # seconds after its end that a channel is answered with 410 and not with 404
_NAME_LENGTH = 16


@frozen
class Grant:
    """A channel that was given out; ``expires`` in seconds since the epoch."""

    name: str
    uri: str = field(repr=False)
    expires: float


@frozen
class Denial:
    """Why no channel is given."""

    hresult: HResult
    text: str


class Channels:
    """Gives out channels, and revokes them.

    Methods that go to the store raise ``StateUnavailable`` where it cannot be used.

    :param base_url: what channel URIs begin with, without a slash at its end.
    :param limit: channels that are kept at most, those that ended lately included; push subscriptions have half of these places at
        most, since strangers may ask for them.
    :param subscribes: whether there are new push subscriptions.
    """

    def __init__(  # noqa: PLR0913  # what it goes by
        self,
        store: ServiceStore,
        registrations: Apps,
        base_url: str,
        now: Callable[[], float],
        limit: int = 1_000_000,
        *,
        subscribes: bool = True,
    ) -> None:
        self._limit = limit
        self._subscribes = subscribes
        self.count = 0
        """Channels that are kept; right once :meth:`prune` or :meth:`recount` has been called."""
        self.subscriptions = 0
        """Those of them that are push subscriptions."""
        self._store = store
        self._registrations = registrations
        self._prefix = f"{base_url}{CHANNEL_PATH}?"
        self._push_prefix = f"{base_url}{PUSH_PATH}"
        self._now = now
        self.directory = ChannelDirectory(store, registrations, now)
        """Finds what was given out."""
        self._in_doubt: list[bytes] = []  # channels that may be on disk, but whose URIs no device has
        self._orphaned: set[str] = set()  # devices that may have channels of apps that were removed
        self.on_revoked: Callable[[list[bytes]], Awaitable[None]] | None = None
        """Called with the hashes of channels that were revoked; the channels are revoked whatever becomes of it."""
        self._changing = Lock(fast_acquire=True)  # what a device has is counted before one more is given out

    async def prune(self) -> None:
        """Forget the channels that ended long ago, and find those whose apps were removed, perhaps while we were off."""
        await self._store.prune_channels(self._now() - _REMEMBER)
        await self.recount()

    async def recount(self) -> None:
        """Count what is kept, also by other nodes, and find the channels whose apps were removed, perhaps while we were off."""
        self.count, self.subscriptions = await self._store.count_channels()
        self._orphaned |= await self._store.orphaned_devices(self._now())

    def note_orphaned(self, devices: AbstractSet[str]) -> None:
        """Note that an app was removed, of which these devices have channels."""
        self._orphaned |= devices

    def may_have_orphans(self, device: str) -> bool:
        """Tell whether a device may have channels of apps that were removed."""
        return device in self._orphaned

    async def orphans(self, device: str) -> list[str]:
        """Return the names of a device's channels of apps that were removed.

        They are told at each connection for as long as they would have lived: no answer says that the device has heard.
        """
        names = await self._store.orphans(device, self._now())
        if not names:
            self._orphaned.discard(device)
        return names

    async def grant(self, device: str, app: str, remote_id: str, known_uri: str, token: str = "") -> Grant | Denial:
        """Give an app on a device a channel: the one it knows, if that is good for a day still, or a new one.

        A push subscription stays for as long as its device asks for it: its end is put off, and its URI never changes.

        :param remote_id: the GUID of a registration, or what stands for it with a package family name; for a push
            subscription what stands for its senders.
        :param token: what the URI of a push subscription has, each time that it is asked for; empty: a random one.
        """
        if not 0 < len(app) <= MAX_APP_NAME:
            return Denial(HResult.E_INVALIDARG, f"an app's name has 1 to {MAX_APP_NAME} characters, not {len(app)}")
        client_id = self._client_of(app, remote_id)
        if isinstance(client_id, Denial):
            return client_id
        known_uri = f"{self._push_prefix}{token}" if token else known_uri
        async with self._changing:
            channels = await self._store.live_channels(device, app, self._now())
            live = [channel for channel in channels if self._registrations.known(channel.client_id)]
            granted = await self._again(live, client_id, known_uri) or await self._new(
                device, app, client_id, len(live), token
            )
        if not self._registrations.known(client_id):  # it may have gone meanwhile
            return _unregistered(remote_id)
        return granted

    def client_of(self, app: str, remote_id: str) -> str | None:
        """Return the client id of the app that a device asks a channel for; None where no such app is registered."""
        found = self._client_of(app, remote_id)
        return None if isinstance(found, Denial) else found

    def _client_of(self, app: str, remote_id: str) -> str | Denial:
        if is_web_push(remote_id):
            return _sender(remote_id)
        family = family_of(remote_id)
        if family is not None:
            return self._registrations.client_of_family(family, app) or _unregistered(remote_id)
        guid = parse_guid(remote_id)
        if guid is None:
            return Denial(HResult.E_INVALIDARG, "the remote id is not a GUID, or the null GUID")
        return self._registrations.client_of(guid) or _unregistered(guid)

    async def _again(self, live: list[ChannelRow], client_id: str, known_uri: str) -> Grant | None:
        token = self._token_in(known_uri)
        known = token and hash_of(token)
        its = [channel for channel in live if channel.hash == known and channel.client_id == client_id]
        if is_web_push(client_id):  # its senders are not told of another: it stays, and its end is put off
            its = await self._put_off(its)
        fresh = [channel for channel in its if channel.expires > self._now() + RENEW_BEFORE]
        return Grant(fresh[0].name, known_uri, fresh[0].expires) if fresh else None

    def _token_in(self, uri: str) -> str | None:
        """Take the token out of a URI that was given out for a channel, or for a push subscription."""
        if uri.startswith(self._push_prefix):
            return uri[len(self._push_prefix) :]
        return token_of(uri[len(self._prefix) :].encode()) if uri.startswith(self._prefix) else None

    async def _put_off(self, subscriptions: list[ChannelRow]) -> list[ChannelRow]:
        """Put off the ends of those that are past the middle of their time, and return all as they are then."""
        expires = self._now() + SUBSCRIPTION_LIFETIME
        old = {each.hash for each in subscriptions if each.expires < self._now() + SUBSCRIPTION_LIFETIME / 2}
        if not old:
            return subscriptions
        try:
            await self._store.prolong([each for each in subscriptions if each.hash in old], expires)
        finally:
            self.directory.forget(old)
        return [evolve(each, expires=expires) if each.hash in old else each for each in subscriptions]

    async def has_subscriptions(self, device: str) -> bool:
        """Tell whether a device has any push subscription that may be used."""
        return await self._store.count_subscriptions(device, self._now()) > 0

    async def prolong(self, device: str) -> None:
        """Put off the ends of a device's push subscriptions, since it is there."""
        async with self._changing:
            await self._put_off(await self._store.subscriptions(device, self._now()))

    async def _new(self, device: str, app: str, client_id: str, live: int, token: str) -> Grant | Denial:
        if live >= MAX_LIVE:
            return Denial(
                HResult.E_ACCESSDENIED, f"{live} channels of this app are open on this device; close them first"
            )
        denied = await self._deny_subscription(device) if is_web_push(client_id) else None
        if denied is not None:
            return denied
        if self.count >= self._limit:
            await self.prune()
            if self.count >= self._limit:
                return Denial(HResult.WNP_E_BIND_USER_BUSY, f"the service keeps {self.count} channels, and no more")
        if token and await self._store.channels([hash_of(token)]):  # its senders are told that it is gone
            return Denial(
                HResult.WPN_E_CHANNEL_CLOSED, "this subscription has ended, and does not come back; ask for another"
            )
        is_lasting = bool(token)
        token = token or secrets.token_urlsafe(32)
        token_hash = hash_of(token)
        name = token_hash.hex()[:_NAME_LENGTH]
        expires = self._now() + (SUBSCRIPTION_LIFETIME if is_web_push(client_id) else CHANNEL_LIFETIME)
        channel = ChannelRow(token_hash, name, client_id, app, device, expires, revoked=False)
        before = self.directory.changes
        try:
            await self._store.add_channel(channel, self._in_doubt)
        except BaseException as failure:
            if may_be_there(failure) and not is_lasting:  # one that is asked for again is the device's, if it is there
                self._in_doubt.append(token_hash)
            raise
        self._in_doubt.clear()
        self.count += 1
        self.subscriptions += is_web_push(client_id)
        if self.directory.changes == before:  # else another node may have revoked it already
            self.directory.keep(channel)
        uri = f"{self._push_prefix}{token}" if is_web_push(client_id) else f"{self._prefix}token={token}"
        return Grant(name, uri, expires)

    async def _deny_subscription(self, device: str) -> Denial | None:
        """Return why a device gets no more push subscriptions; None where it may have one."""
        if not self._subscribes:
            text = "this service gives no push subscriptions: its operator has switched web_push off"
            return Denial(HResult.E_ACCESSDENIED, text)
        if await self._store.count_subscriptions(device, self._now()) >= MAX_SUBSCRIPTIONS:
            text = f"this device has {MAX_SUBSCRIPTIONS} push subscriptions, and may have no more; end some first"
            return Denial(HResult.E_ACCESSDENIED, text)
        if self.subscriptions >= max(self._limit // 2, 1):
            await self.prune()
            if self.subscriptions >= max(self._limit // 2, 1):
                text = f"the service keeps {self.subscriptions} push subscriptions, and no more"
                return Denial(HResult.WNP_E_BIND_USER_BUSY, text)
        return None

    async def revoke(self, device: str, app: str) -> tuple[str, ...]:
        """Revoke all channels of an app on a device, and return their names."""
        now = self._now()
        async with self._changing:
            channels = await self._store.live_channels(device, app, now)
            try:
                await self._store.revoke(channels, now)
            finally:  # they may be revoked on disk whatever was raised
                self.directory.forget({channel.hash for channel in channels})
            for channel in channels:
                self.directory.keep(evolve(channel, revoked=True, expires=now))
        if channels and self.on_revoked is not None:
            await self.on_revoked([channel.hash for channel in channels])
        return tuple(channel.name for channel in channels)


def _sender(remote_id: str) -> str | Denial:
    """Return what stands for senders of Web Push, if the key in it is one."""
    try:
        key = sender_key_of(remote_id)
    except ValueError as fault:
        return Denial(HResult.E_INVALIDARG, str(fault))
    if key is not None and read_public(key) is None:
        return Denial(HResult.E_INVALIDARG, "an application server key is a point on P-256, which this is not")
    return remote_id


def _unregistered(remote_id: str) -> Denial:
    family = family_of(remote_id)
    key = f"remote id {remote_id}" if family is None else f"package family name {quoted(family)}"
    return Denial(HResult.WPN_E_INVALID_APP, f"no app is registered with the {key}")
