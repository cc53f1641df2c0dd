"""The way of one notification to its device, for every way in: WNS, Web Push, hubs.

No header and no status is known here. A way in asks in this order: :meth:`Dispatcher.identify`, :meth:`Dispatcher.admit`,
:meth:`Dispatcher.deliver` or :meth:`Dispatcher.withdraw`. One that knows its app by other means counts it
(:meth:`Limits.app`) instead of the first. A new way in is a module beside ``wns_exchange``, made in
``tocsin.service.server``, with its path in ``tocsin.service.url_paths`` and its branch in ``tocsin.service.routing``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages import Payload
from tocsin.protocol.service.notification import Notification
from tocsin.protocol.service.refusal import Refusal, RefusalKind
from tocsin.protocol.toast_label import ToastMatch
from tocsin.protocol.values import MAX_PAYLOAD
from tocsin.protocol.webpush.sender import is_web_push
from tocsin.service.devices.devices import Devices
from tocsin.service.devices.outbox import PushResult
from tocsin.service.operations.limits import Limits
from tocsin.service.registry.access_tokens import AccessTokens, TokenFault
from tocsin.service.registry.channel_directory import ChannelDirectory, ChannelFault
from tocsin.service.registry.service_store import ChannelRow

_TOKEN_FAULTS: Final = {
    TokenFault.FORGED: Refusal(RefusalKind.TOKEN_FORGED),
    TokenFault.EXPIRED: Refusal(RefusalKind.TOKEN_EXPIRED),
    TokenFault.UNKNOWN_APP: Refusal(RefusalKind.TOKEN_OF_UNKNOWN_APP),
}
_CHANNEL_FAULTS: Final = {
    ChannelFault.UNKNOWN: Refusal(RefusalKind.UNKNOWN_CHANNEL),
    ChannelFault.EXPIRED: Refusal(RefusalKind.CHANNEL_EXPIRED),
    ChannelFault.REVOKED: Refusal(RefusalKind.CHANNEL_REVOKED),
}
_UNDELIVERED: Final = {
    PushResult.TIMED_OUT: Refusal(RefusalKind.NOT_ACKNOWLEDGED),
    PushResult.SUSPENDED: Refusal(RefusalKind.DEVICE_SUSPENDED),
    PushResult.NOT_STORED: Refusal(RefusalKind.STORE_UNWRITABLE),
    PushResult.LAPSED: Refusal(RefusalKind.NODE_LAPSED),
    PushResult.BUSY: Refusal(RefusalKind.TOO_MANY_WAITING),
}

logger = logging.getLogger(__name__)


def outcome(result: PushResult) -> PushResult | Refusal:
    """Tell what was received, stored or dropped from what the sender is to send again, which is a refusal."""
    return _UNDELIVERED.get(result, result)


class Dispatcher:
    """Finds the channel, checks that the app may use it now, and brings the notification to its device or into the store.

    :param now: the service's time, in seconds since the epoch.
    """

    def __init__(
        self,
        channels: ChannelDirectory,
        tokens: AccessTokens,
        devices: Devices,
        limits: Limits,
        now: Callable[[], float],
    ) -> None:
        self._channels = channels
        self._tokens = tokens
        self._devices = devices
        self._limits = limits
        self._now = now
        self._recurring = devices.offline.recurring

    def identify(self, access_token: str) -> str | Refusal:
        """Return the client id of the app that an access token was issued to, if the app may send now."""
        client_id = self._tokens.verify(access_token)
        if not isinstance(client_id, str):
            return _TOKEN_FAULTS[client_id]
        return (self._limits.limited and self._limits.app(client_id)) or client_id

    def sender_of(self, access_token: str) -> str:
        """Return the client id of the app that an access token was issued to, where the token was seen lately; else nothing."""
        return self._tokens.holder_of(access_token)

    def admit_known(self, client_id: str | None, channel_token: str | None) -> ChannelRow | Refusal | None:
        """Return the channel of that token if it is in memory and the app's, or why the app may not use it now; None: ask :meth:`admit`.

        :param client_id: that of the app; None: a push subscription is meant, whose senders show that they may use it.
        :param channel_token: None where there is none.
        """
        if channel_token is None:
            return _CHANNEL_FAULTS[ChannelFault.UNKNOWN]
        channel = self._channels.known(channel_token)
        if channel is None or not _is_meant(client_id, channel):
            return None
        return (self._limits.limited and self._limits.channel(channel.name)) or channel

    async def admit(self, client_id: str | None, channel_token: str) -> ChannelRow | Refusal:
        """Return the channel of that token, if the app may use it and use it now, or why not; it may have to be read from the store."""
        return (await self.admit_all([(client_id, channel_token)]))[0]

    async def admit_all(self, asked: Sequence[tuple[str | None, str]]) -> list[ChannelRow | Refusal]:
        """Do so for several: what has to be read is read together.

        :param asked: a client id, or None as with :meth:`admit_known`, and a channel's token each.
        """
        try:
            channels = await self._channels.find_all([token for _, token in asked])
        except StateUnavailable as failure:
            self._recurring.log(logger, logging.WARNING, "find", "a channel could not be looked up: %s", failure)
            return [Refusal(RefusalKind.STORE_UNREADABLE) for _ in asked]
        pairs = zip(asked, channels, strict=True)
        return [self._may_use(client_id, channel) for (client_id, _), channel in pairs]

    def _may_use(self, client_id: str | None, channel: ChannelRow | ChannelFault) -> ChannelRow | Refusal:
        if isinstance(channel, ChannelFault):
            return _CHANNEL_FAULTS[channel]
        if not _is_meant(client_id, channel):
            return Refusal(RefusalKind.UNKNOWN_CHANNEL if client_id is None else RefusalKind.NOT_AUTHORIZED)
        return self._limits.channel(channel.name) or channel

    def usable(self, channel: ChannelRow | None) -> ChannelRow | Refusal:
        """Return a channel that was read from the store, if it may be used; None: no such channel is kept."""
        fault = self._channels.fault_of(channel)
        return _CHANNEL_FAULTS[fault or ChannelFault.UNKNOWN] if fault or channel is None else channel

    async def deliver(
        self,
        id: str,  # noqa: A002 - the field's name
        channel: ChannelRow,
        notification: Notification,
        body: bytes,
    ) -> PushResult | Refusal:
        """Bring a notification to its device, or into the offline store; wait until it is known what has become of it.

        :return: that it was acknowledged, stored, or dropped and why; or a refusal, after which the sender tries again.
        """
        if len(body) > MAX_PAYLOAD:
            return Refusal(RefusalKind.TOO_LARGE)
        result = await self._devices.push(channel, self.payload(id, channel, notification, body), notification)
        return outcome(result)

    async def conclude(
        self, channel: ChannelRow, payload: Payload, notification: Notification, result: PushResult
    ) -> PushResult | Refusal:
        """Store what its device does not have, where its sender allows that; return as :meth:`deliver` does."""
        return outcome(await self._devices.conclude(channel, payload, notification, result))

    async def withdraw_message(self, channel: ChannelRow, id: str) -> bool | Refusal:  # noqa: A002 - the field's name
        """Delete a message that waits; tell whether it did."""
        try:
            return await self._devices.withdraw_message(channel, id)
        except StateUnavailable as failure:
            return self._not_deleted("a message", failure)

    async def withdraw(self, channel: ChannelRow, match: ToastMatch) -> Refusal | None:
        """Delete toasts, those that are stored, and those that the device shows, if it is there."""
        try:
            await self._devices.withdraw(channel, match)
        except StateUnavailable as failure:
            return self._not_deleted("toasts", failure)
        return None

    def _not_deleted(self, what: str, failure: StateUnavailable) -> Refusal:
        self._recurring.log(logger, logging.WARNING, "withdraw", "%s could not be deleted: %s", what, failure)
        return Refusal(RefusalKind.NODE_LAPSED if self._devices.has_lapsed() else RefusalKind.STORE_UNWRITABLE)

    def payload(self, id: str, channel: ChannelRow, notification: Notification, body: bytes) -> Payload:  # noqa: A002 - the field's name
        """Make what is sent to the device, and stored."""
        # A TTL of 0 means "now or never": it forbids storing, and must not expire on the way to the device.
        if not notification.ttl:
            return Payload(
                id, channel.name, notification.type, body, None, notification.priority, None, notification.label
            )
        now = self._now()
        expires = now + notification.ttl
        return Payload(
            id, channel.name, notification.type, body, expires, notification.priority, now, notification.label
        )


def _is_meant(client_id: str | None, channel: ChannelRow) -> bool:
    """Tell whether a channel is that app's; for None, whether it is a push subscription."""
    return is_web_push(channel.client_id) if client_id is None else channel.client_id == client_id
