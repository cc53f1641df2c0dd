"""The channels that an app holds: each was granted to it in this life, and is renewed or revoked by the service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen

from tocsin.api.channel import PushNotificationChannel
from tocsin.api.operation import CreateChannelOperation
from tocsin.api.session import Session
from tocsin.api.web_push_subscription import WebPushSubscription
from tocsin.protocol import messages as m
from tocsin.protocol.webpush.sender import sender_key_of


@frozen
class ChannelRevoked:
    """A channel that the service has taken back, and the request for a new one that is under way."""

    uri: str
    operation: CreateChannelOperation


class HeldChannels:
    """Requests channels, and tells the app's handlers of those that were renewed or revoked."""

    def __init__(self, session: Session, app: str) -> None:
        self._session = session
        self._app = app
        self._granted: dict[str, tuple[str, str]] = {}  # URI and remote id
        self.renewed: list[Callable[[PushNotificationChannel], Any]] = []
        """Handlers that are called with the channel that takes the place of one."""
        self.revoked: list[Callable[[ChannelRevoked], Any]] = []
        """Handlers that are called when the service has taken a channel back."""
        session.on_revoked = self._tell_revoked
        session.on_renewed = self._tell_renewed
        session.on_channel_list = self._end_lost

    def request(self, remote_id: str, *, owed: bool = False) -> CreateChannelOperation:
        """Request a channel; ``owed``: in the place of one that the service has taken back."""

        def channel(done: m.CreateChannelDone) -> PushNotificationChannel:
            return self._hold(done.channel, done.uri, done.expires, remote_id, done.keys)

        return CreateChannelOperation(self._session, remote_id, channel, owed=owed)

    def _hold(self, name: str, uri: str, expires: float, remote_id: str, keys: bytes = b"") -> PushNotificationChannel:
        self._granted[name] = (uri, remote_id)
        if keys:
            server_key = sender_key_of(remote_id)
            return WebPushSubscription(self._session, self._app, name, uri, expires, keys, server_key)
        return PushNotificationChannel(self._session, self._app, name, uri, expires)

    def _end_lost(self, channels: frozenset[str]) -> None:
        """End the channels that the device holds no more, and whose end the app was not told."""
        for channel in sorted(self._granted.keys() - channels):
            self._session.lose_unheard(channel)

    def _tell_renewed(self, message: m.ChannelRenewed) -> None:
        if message.app == self._app and message.channel not in self._granted:
            channel = self._hold(message.channel, message.uri, message.expires, message.remote_id)
            for handler in self.renewed:
                self._session.call("a handler of add_channel_renewed", handler, channel)

    def _tell_revoked(self, channel: str) -> None:
        granted = self._granted.pop(channel, None)
        if granted is not None:
            uri, remote_id = granted
            revoked = ChannelRevoked(uri, self.request(remote_id, owed=True))
            for handler in self.revoked:
                self._session.call("a handler of add_channel_revoked", handler, revoked)
