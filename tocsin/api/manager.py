"""The manager: where an app's use of push begins."""

from __future__ import annotations

from uuid import UUID

from attrs import field, frozen

from tocsin.api.channel import PushNotificationChannel
from tocsin.api.operation import CreateChannelOperation
from tocsin.api.session import Session
from tocsin.protocol import messages as m
from tocsin.protocol.channel_request import parse_remote_id


@frozen
class Registration:
    """The app's registration at its own embedded service: what a sender needs besides the channel's URI."""

    remote_id: str
    """The GUID to request channels with."""
    client_id: str
    client_secret: str = field(repr=False)
    token_url: str
    """Where a sender gets a token, by the form of the Microsoft account."""
    aad_token_url: str
    """Where a sender gets a token, by the form of Entra ID."""
    port_changed_from: int | None = None
    """The port that the service had before, where it was taken and another was chosen; earlier URIs are void then."""


class PushNotificationManager:
    """One app's access to push; made by :func:`tocsin.embedded`."""

    def __init__(self, session: Session, app: str, registration: Registration | None) -> None:
        self._session = session
        self._app = app
        self._registration = registration

    @property
    def app(self) -> str:
        """The name of the app."""
        return self._app

    @property
    def registration(self) -> Registration | None:
        """The registration at the embedded service; None where the service is somebody else's."""
        return self._registration

    def create_channel(self, remote_id: str | UUID) -> CreateChannelOperation:
        """Request a channel; the request runs at once, whether awaited or not.

        :param remote_id: the GUID of the app's registration at the push service.
        :raises InvalidArgument: it is not a GUID, or the null GUID (E_INVALIDARG).
        :raises Busy: too many requests are waiting.
        """
        return CreateChannelOperation(self._session, self._app, str(parse_remote_id(remote_id)), self._channel)

    def _channel(self, done: m.CreateChannelDone) -> PushNotificationChannel:
        return PushNotificationChannel(self._session, self._app, done.channel, done.uri, done.expires)
