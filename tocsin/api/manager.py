"""The manager: where an app's use of push begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from tocsin.api.background_activated import BackgroundActivatedHandler, with_task_instance
from tocsin.api.channel import PushNotificationChannel
from tocsin.api.conditions import Conditions
from tocsin.api.held_channels import ChannelRevoked, HeldChannels
from tocsin.api.identity import Identity, own_activators, words_for_clicks
from tocsin.api.network_usage import NetworkUsage
from tocsin.api.operation import CreateChannelOperation
from tocsin.api.registration import Registration
from tocsin.api.session import Session
from tocsin.api.subscription import PushHandler
from tocsin.api.tiles_and_badge import Badge, Tiles
from tocsin.api.toast_notifier import ToastNotifier
from tocsin.api.web_push_subscription import WebPushSubscription, parse_server_key
from tocsin.platform_status import ConnectionStatus, PlatformStatus
from tocsin.protocol import messages as m
from tocsin.protocol.arguments import check_callable
from tocsin.protocol.errors import ChannelNotGranted, IllegalCall, InvalidArgument, NotSupported
from tocsin.protocol.hresult import HResult
from tocsin.protocol.platform.activation import Activators, PushNotificationActivationInfo, parse_activators
from tocsin.protocol.platform.activator_registration import is_supported
from tocsin.protocol.platform.channel_request import by_family, parse_remote_id
from tocsin.protocol.platform.command import Command
from tocsin.protocol.text import quoted
from tocsin.protocol.webpush.sender import web_push_sender


class PushNotificationManager:
    """One app's access to push; made by :func:`tocsin.embedded`.

    Example::

        info = tocsin.PushNotificationActivationInfo(tocsin.Activators.PROTOCOL_ACTIVATOR)
        await manager.register_activator(info, lambda args: print("in the background:", args.text))
        channel = await manager.open_channel()
        print(channel.uri, manager.status().connection)
    """

    def __init__(
        self,
        session: Session,
        app: str,
        registration: Registration | None,
        identity: Identity | None = None,
        command: Callable[[Sequence[str] | None], Command] | None = None,
    ) -> None:
        """Make it; ``command`` returns what starts the app, from the words of the manifest, and is None where nothing can."""
        self._session = session
        self._app = app
        self._registration = registration
        self._identity = identity or Identity()
        self._conditions = Conditions(session)
        self._command_of = command
        self._toasts = ToastNotifier(session, self._command_for_clicks)
        self._badge = Badge(session)
        self._tiles = Tiles(session)
        self._usage = NetworkUsage(session, app)
        self._channels = HeldChannels(session, app)
        self._connection: list[Callable[[ConnectionStatus], Any]] = []
        session.on_connection = self._connection_changed

    @property
    def app(self) -> str:
        """The name of the app."""
        return self._app

    @property
    def identity(self) -> Identity:
        """Whether the app is packaged, and what its manifest says."""
        return self._identity

    @property
    def registration(self) -> Registration | None:
        """The registration at the embedded service; None where the service runs elsewhere."""
        return self._registration

    @property
    def remote_id(self) -> str:
        """The GUID to request channels with, of the app's registration at the service that runs here.

        :raises IllegalCall: the service runs elsewhere, and who registers the app there is told the id; the text says how.
        """
        return self._own_registration("its remote id is what 'tocsin app add NAME' prints there").remote_id

    def send_line(self, channel: PushNotificationChannel, body: str = "Hello") -> str:
        """Return the ``tocsin send`` line that pushes to a channel, for a shell. It has the client secret, so show it to no other.

        :raises IllegalCall: the service runs elsewhere, and the secret is with who has registered the app there.
        :raises InvalidArgument: the body is no text, or a dash alone, by which the command names standard input.
        """
        own = self._own_registration("the id and secret to send with are what 'tocsin app add NAME' prints there")
        return own.send_line(channel.uri, body)

    def _own_registration(self, else_: str) -> Registration:
        if self._registration is None:
            raise IllegalCall(
                f"{quoted(self._app)} is not registered here but at a push service that runs elsewhere: {else_}"
            )
        return self._registration

    @property
    def conditions(self) -> Conditions:
        """The state of the machine and the user's settings for the app, to be looked at and set."""
        return self._conditions

    @property
    def toasts(self) -> ToastNotifier:
        """The app's toasts."""
        return self._toasts

    @property
    def badge(self) -> Badge:
        """The app's badge."""
        return self._badge

    @property
    def tiles(self) -> Tiles:
        """The app's tiles."""
        return self._tiles

    @property
    def usage(self) -> NetworkUsage:
        """What the app sends and receives over the network."""
        return self._usage

    def status(self) -> PlatformStatus:
        """Return how the platform stands: whether it is connected, can store payloads, and what its mailboxes hold."""
        return self._session.port.status()

    def add_connection_changed(self, handler: Callable[[ConnectionStatus], Any]) -> None:
        """Call the handler, which must not wait, when a connection to the push service was made or lost, or the cause changed.

        It gets what ``status().connection`` is then. That another process uses a copy of this app's state folder, which
        only a person can mend, is the cause ``REPLACED``.

        :raises InvalidArgument: the handler cannot be called.
        """
        check_callable(handler, "a handler")
        self._connection.append(handler)

    # Activators

    def is_activator_supported(self, activators: Activators) -> bool:
        """Tell whether this app may register these activators.

        Packaged apps (those with a manifest) have PUSH_TRIGGER and COM_ACTIVATOR, others PROTOCOL_ACTIVATOR.

        :raises InvalidArgument: no flag at all, or PROTOCOL_ACTIVATOR together with others.
        """
        return is_supported(parse_activators(activators), packaged=self._identity.packaged)

    async def register_activator(
        self, info: PushNotificationActivationInfo, handler: PushHandler | None = None
    ) -> None:
        """Register what wakes the app in the background, and the handler that does the work in this process.

        The handler, sync or async, gets the payloads that no foreground handler has handled, one at a time, when the
        conditions hold. It handles a payload by returning, and by completing the deferrals that it took.

        :raises InvalidArgument: the activators are not supported, combined wrongly, or registered already, or the
            CLSID is missing or another than before, or a handler comes with a trigger alone; what was registered stays.
        """
        if not isinstance(info, PushNotificationActivationInfo):
            raise InvalidArgument(f"register a PushNotificationActivationInfo, not {quoted(info)}")
        if handler is not None and not info.activators & (Activators.COM_ACTIVATOR | Activators.PROTOCOL_ACTIVATOR):
            raise InvalidArgument(
                "a handler goes with COM_ACTIVATOR or PROTOCOL_ACTIVATOR: a trigger alone does no work"
            )
        if handler is not None:
            check_callable(handler, "a handler")
        question = m.RegisterActivator(
            self._session.questions.number(),
            self._identity.packaged,
            int(info.activators),
            str(info.task_clsid),
            info.conditions,
            info.cancel_on_condition_loss,
            handler is not None,
            self._command(info),
        )
        await self._session.background.register(question, handler)

    async def on_background_activated(
        self, handler: BackgroundActivatedHandler, info: PushNotificationActivationInfo | None = None
    ) -> None:
        """Let the handler do the app's background work, and have pushes wake the app for it.

        It is :meth:`register_activator` with the activators that this kind of app may have: PUSH_TRIGGER and COM_ACTIVATOR
        with a manifest, PROTOCOL_ACTIVATOR without. The handler, sync or async, gets one payload at a time.

        :param info: conditions, and for a manifest with several classes the CLSID; by default no condition, and the class
            of the manifest.
        :raises InvalidArgument: the handler cannot be called, or a class is to be named, or they are registered already.
        """
        check_callable(handler, "a handler")
        wanted = PushNotificationActivationInfo() if info is None else info
        if not isinstance(wanted, PushNotificationActivationInfo):
            raise InvalidArgument(f"register a PushNotificationActivationInfo, not {quoted(info)}")
        await self.register_activator(own_activators(wanted, self._identity), with_task_instance(handler))

    def _command(self, info: PushNotificationActivationInfo) -> bytes:
        """Return what a push starts, packed: the manifest's command for the class, or what has started this process.

        :raises InvalidArgument: it cannot be started.
        """
        if self._command_of is None or not info.activators & (Activators.PUSH_TRIGGER | Activators.PROTOCOL_ACTIVATOR):
            return b""
        words = self._identity.classes.get(info.task_clsid)
        if self._identity.packaged:
            return b"" if words is None else self._command_of(words).pack()
        return self._command_of(None).pack()

    def _command_for_clicks(self, clsid: UUID) -> bytes:
        """Return what a click on a toast starts, packed; empty where nothing can be started.

        :raises InvalidArgument: as ``words_for_clicks``, or it cannot be started.
        """
        words = words_for_clicks(self._identity, clsid)
        if self._command_of is None or (self._identity.packaged and words is None):
            return b""
        return self._command_of(words).pack()

    async def unregister_activator(self, activators: Activators) -> None:
        """Unregister activators that this process has registered, in the order of their flags; work is cancelled.

        No flag at all is no error.

        :raises NotFound: one of them is not registered; those before it are unregistered (ERROR_NOT_FOUND).
        """
        await self._unregister(parse_activators(activators), every=False)

    async def unregister_all_activators(self) -> None:
        """Unregister all activators of the app, also those of earlier processes; that there are none is no error."""
        await self._unregister(Activators.UNDEFINED, every=True)

    async def _unregister(self, activators: Activators, *, every: bool) -> None:
        number = self._session.questions.number()
        await self._session.background.unregister(m.UnregisterActivators(number, int(activators), every))

    # Channels

    async def open_channel(self, remote_id: str | UUID | None = None) -> PushNotificationChannel:
        """Request a channel as :meth:`create_channel` does, with all its retries, and return it, or raise why there is none.

        A cancellation meanwhile cancels the request.

        :param remote_id: as for :meth:`create_channel`; None is the app's own where its service runs here.
        :raises ChannelNotGranted: the request has failed for good; ``hresult`` and the text say why.
        :raises IllegalCall: none is given, the service runs elsewhere, and no manifest names the app; the text says what to do.
        :raises InvalidArgument: it is not a GUID, or the null GUID (E_INVALIDARG).
        :raises Busy: too many requests are waiting.
        """
        if remote_id is None and not (self._registration is None and self._identity.family_name):
            remote_id = self.remote_id
        return await self.create_channel(remote_id).channel()

    def create_channel(self, remote_id: str | UUID | None = None) -> CreateChannelOperation:
        """Request a channel; the request runs at once, whether awaited or not.

        A service that knows no app of that remote id or family refuses with WPN_E_INVALID_APP, which is not retried.

        :param remote_id: the GUID of the app's registration at the push service; None, for a packaged app, lets the
            service find the registration by the family name of the manifest.
        :raises InvalidArgument: it is not a GUID, or the null GUID (E_INVALIDARG), or None for an unpackaged app.
        :raises Busy: too many requests are waiting.
        """
        if remote_id is not None:
            return self._channels.request(str(parse_remote_id(remote_id)))
        if not self._identity.family_name:
            raise InvalidArgument(
                "an app without a manifest has no family name, and needs a remote id to request a channel:"
                " the GUID of its registration at the push service"
            )
        return self._channels.request(by_family(self._identity.family_name))

    async def create_web_push_subscription(
        self, application_server_key: bytes | str | None = None
    ) -> WebPushSubscription:
        """Subscribe to Web Push, with all retries, and return the subscription, which any sender of the web can push to.

        The app has one for each key, also after a restart: call this at every start. What is pushed comes as plaintext, as
        every raw payload; only this device can decrypt it. The app need not be registered at the service.

        :param application_server_key: the public VAPID key of the one sender that may push, 65 bytes or their base64url; with
            None all may that know the endpoint.
        :raises ChannelNotGranted: the request has failed for good; ``hresult`` and the text say why.
        :raises NotSupported: the platform cannot decrypt; the text says what to install, or to upgrade.
        :raises InvalidArgument: the key is none.
        :raises Busy: too many requests are waiting.
        """
        remote_id = web_push_sender(parse_server_key(application_server_key))
        try:
            channel = await self._channels.request(remote_id).channel()
        except ChannelNotGranted as refused:
            if refused.hresult == HResult.ERROR_NOT_SUPPORTED:
                raise NotSupported(str(refused)) from None
            raise
        if not isinstance(channel, WebPushSubscription):
            raise NotSupported("the agent does not know Web Push: upgrade it")
        return channel

    def add_channel_renewed(self, handler: Callable[[PushNotificationChannel], Any]) -> None:
        """Call the handler, sync or async, with the channel that replaces one whose 30 days are nearly over.

        Upload its URI, and attach your handlers to it; until its end the earlier channel delivers too. What a handler
        raises is logged.

        :raises InvalidArgument: the handler cannot be called.
        """
        check_callable(handler, "a handler")
        self._channels.renewed.append(handler)

    def add_channel_revoked(self, handler: Callable[[ChannelRevoked], Any]) -> None:
        """Call the handler, sync or async, when the service takes a channel back.

        A new channel has been requested by then: its operation comes with the call. What a handler raises is logged.

        :raises InvalidArgument: the handler cannot be called.
        """
        check_callable(handler, "a handler")
        self._channels.revoked.append(handler)

    def _connection_changed(self) -> None:
        status = self.status().connection
        for handler in self._connection:
            self._session.call("a handler of add_connection_changed", handler, status)
