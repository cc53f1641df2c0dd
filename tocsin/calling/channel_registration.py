"""Keeps the channel of an app registered where calls come from: with its agent, and with a notification hub."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from types import NoneType, TracebackType
from typing import Final, Protocol, Self
from uuid import UUID

import anyio
from attrs import frozen

from tocsin.api.channel import PushNotificationChannel
from tocsin.api.held_channels import ChannelRevoked
from tocsin.api.manager import PushNotificationManager
from tocsin.api.operation import CreateChannelOperation
from tocsin.api.subscription import PushHandler
from tocsin.calling.agent_events import ConnectionStateChangedEventArgs
from tocsin.calling.call_agent import CommonCallAgent
from tocsin.calling.call_event import CallEvent
from tocsin.calling.handler_calls import HandlerCalls
from tocsin.protocol.arguments import check_callable, check_kind
from tocsin.protocol.calling.agent_connection import ConnectionState
from tocsin.protocol.errors import Busy, ChannelClosed, IllegalCall, NotFound, PlatformUnavailable, PushError
from tocsin.protocol.kernel.backoff import backoff
from tocsin.tasks import Signal, apart, task_group

logger = logging.getLogger(__name__)

FIRST_WAIT: Final = 15.0
"""Seconds until a registration that has failed is tried again, the first time."""
LONGEST_WAIT: Final = 600.0

LEAVING: Final = 2.0
"""Seconds that handlers have to end when the block is left."""


class RegisteredAtHub(Protocol):
    """What a hub has made of a channel, as ``tocsin.HubRegistration`` is."""

    @property
    def registration_id(self) -> str:
        """What the hub calls it by."""
        ...


class ChannelHub(Protocol):
    """What a channel is registered with besides the agent, as ``tocsin.NotificationHub`` is."""

    async def register_native(self, uri: str, tags: Iterable[str] = ()) -> RegisteredAtHub:
        """Register a channel in place of the one of before."""
        ...

    async def unregister_native(self) -> bool:
        """Remove the registration."""
        ...


@frozen
class ChannelRegisteredEventArgs:
    """A channel was registered."""

    channel: PushNotificationChannel
    hub_registration: RegisteredAtHub | None
    """What the hub has made of it; None where there is no hub."""


@frozen
class RegistrationFailedEventArgs:
    """A channel could not be had, or not be registered: calls may not reach this device. It is tried again."""

    error: PushError
    retry_in: float
    """Seconds until then at most; a connection of the agent, or another channel, has it tried at once."""


class ChannelRegistration:
    """Keeps a channel registered: ``async with ChannelRegistration(manager, agent, remote_id=...) as registration``.

    It is registered at once, and anew when the channel is renewed, or revoked and replaced. What fails is told (``failed``,
    ``last_error``), logged once, and tried again: when the agent is connected again, and after 15 s, 30 s and so on up to 10 minutes. When
    the block is left the registration stays, so that pushes start the app: :meth:`unregister` ends it.

    :param manager: whose channel it is: that of an app with one channel, as each that is renewed takes its place.
    :param agent: whose calls are to be announced over it.
    :param remote_id: what the channel is requested with, as of ``manager.create_channel``.
    :param channel: one that was requested before; by default it is requested.
    :param hub: a hub that the channel is registered with, too.
    :param tags: those of the hub's registration.
    :param push_received: gets the pushes of the channel, and of those that replace it, as of ``channel.add_push_received``.
    :raises InvalidArgument: an argument cannot be right.
    """

    registered: CallEvent[ChannelRegisteredEventArgs]
    failed: CallEvent[RegistrationFailedEventArgs]

    def __init__(  # noqa: PLR0913  # whose channel, and where it is registered
        self,
        manager: PushNotificationManager,
        agent: CommonCallAgent,
        *,
        remote_id: str | UUID | None = None,
        channel: PushNotificationChannel | None = None,
        hub: ChannelHub | None = None,
        tags: Iterable[str] = (),
        push_received: PushHandler | None = None,
    ) -> None:
        check_kind(channel, "channel", PushNotificationChannel, NoneType)
        if push_received is not None:
            check_callable(push_received, "a handler")
        self._manager, self._agent, self._hub = manager, agent, hub
        self._remote_id, self._tags, self._push_received = remote_id, tuple(tags), push_received
        self._calls = HandlerCalls()
        self.registered = CallEvent("a registered channel", self._calls)
        self.failed = CallEvent("a registration that has failed", self._calls)
        self._channel = channel
        self._operation: CreateChannelOperation | None = None
        """The request that is under way for a channel."""
        self._attached: list[tuple[PushNotificationChannel, int]] = []
        self._at_agent = self._at_hub = ""
        """The URI that is registered there."""
        self._hub_registration: RegisteredAtHub | None = None
        self._due = Signal()
        self._registering = anyio.Lock()
        self._settled = anyio.Event()
        self._last_error: PushError | None = None
        self._is_wanted = True
        self._is_open = False
        self._block: AbstractAsyncContextManager[None] | None = None

    @property
    def channel(self) -> PushNotificationChannel | None:
        """The channel; None while it is requested."""
        return self._channel

    @property
    def last_error(self) -> PushError | None:
        """What keeps the channel from being registered; None while nothing does."""
        return self._last_error

    async def wait_until_registered(self) -> PushNotificationChannel:
        """Wait until a channel is registered, however often that fails before, and return it."""
        while self._channel is None or not self._is_registered(self._channel):
            await self._settled.wait()
        return self._channel

    async def unregister(self) -> None:
        """End the registrations: calls do not reach this device by pushes any more, and nothing is registered again.

        :raises PushError: it could not be ended, as of ``agent.unregister_push_notification`` and ``hub.unregister_native``; call
            it again.
        """
        self._is_wanted = False
        async with self._registering:
            await self._agent.unregister_push_notification()
            self._at_agent = ""
            if self._hub is not None:
                await self._hub.unregister_native()
                self._at_hub = ""

    async def __aenter__(self) -> Self:
        if self._block is not None:
            raise IllegalCall("the block of this ChannelRegistration was entered before: make another")
        if self._channel is None:
            with suppress(Busy):  # it is requested again
                self._operation = self._manager.create_channel(self._remote_id)
        self._block = _living(self)
        await self._block.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._block is not None  # noqa: S101  # it was entered
        return await self._block.__aexit__(kind, error, trace)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep it registered while the block runs; ``async with`` the object itself does it."""
        self._manager.add_channel_renewed(self._renewed)
        self._manager.add_channel_revoked(self._revoked)
        async with task_group() as tasks:
            self._calls.start(tasks)
            self._is_open = True
            keeping = anyio.CancelScope()
            tasks.start_soon(self._keep, keeping, name="the registration of a channel")
            with self._agent.connection_state_changed(self._connection_changed):
                yield
            self._is_open = False
            keeping.cancel()
            for channel, token in self._attached:
                with suppress(NotFound):  # the app has removed it
                    channel.remove_push_received(token)
            with anyio.move_on_after(LEAVING):
                await self._calls.done()
            self._calls.end()
            tasks.cancel_scope.cancel()

    def _renewed(self, channel: PushNotificationChannel) -> None:
        if self._is_open:
            self._channel = channel
            self._due.set()

    def _revoked(self, revoked: ChannelRevoked) -> None:
        if self._is_open and self._channel is not None and revoked.uri == self._channel.uri:
            self._channel, self._operation = None, revoked.operation
            self._due.set()

    def _connection_changed(self, args: ConnectionStateChangedEventArgs) -> None:
        if args.state is ConnectionState.CONNECTED and self._last_error is not None:
            self._due.set()

    async def _keep(self, scope: anyio.CancelScope) -> None:
        failures = 0
        with scope:
            while True:
                try:
                    await self._register()
                except PushError as error:
                    failures += 1
                    wait = backoff(FIRST_WAIT, LONGEST_WAIT, failures)
                    self._fail(error, wait)
                    with anyio.move_on_after(wait):
                        await self._due.wait()
                else:
                    failures = 0
                    await self._due.wait()

    async def _register(self) -> None:
        channel = await self._take_channel()
        async with self._registering:
            if not self._is_wanted:
                return
            failure: PushError | None = None
            # A failure of one keeps not from the other.
            for register in (self._register_at_agent, self._register_at_hub):
                try:
                    await register(channel.uri)
                except PushError as error:
                    failure = failure or error
            if failure is not None:
                raise failure
        if self._last_error is not None:
            logger.info("the channel is registered after all")
        self._last_error = None
        self._settled.set()
        self._settled = anyio.Event()
        self.registered.emit(ChannelRegisteredEventArgs(channel, self._hub_registration))

    async def _take_channel(self) -> PushNotificationChannel:
        """Return the channel, requested where there is none, with the app's handler attached.

        :raises PushError: there is none to be had.
        """
        if self._channel is None:
            operation, self._operation = self._operation or self._manager.create_channel(self._remote_id), None
            result = await operation
            if result.channel is None:
                raise PlatformUnavailable(str(result), result.extended_error)
            self._channel = result.channel
        channel = self._channel
        if self._push_received is not None and all(each is not channel for each, _ in self._attached):
            try:
                self._attached.append((channel, channel.add_push_received(self._push_received)))
            except ChannelClosed:
                self._channel = None
                raise
        return channel

    async def _register_at_agent(self, uri: str) -> None:
        if self._at_agent != uri:
            await self._agent.register_for_push_notification(uri)
            self._at_agent = uri

    async def _register_at_hub(self, uri: str) -> None:
        if self._hub is not None and self._at_hub != uri:
            self._hub_registration = await self._hub.register_native(uri, self._tags)
            self._at_hub = uri

    def _is_registered(self, channel: PushNotificationChannel) -> bool:
        return self._at_agent == channel.uri and (self._hub is None or self._at_hub == channel.uri)

    def _fail(self, error: PushError, wait: float) -> None:
        if str(error) != str(self._last_error):
            logger.warning("calls may not reach this device, as its channel is not registered: %s", error)
        self._last_error = error
        self.failed.emit(RegistrationFailedEventArgs(error, wait))


@apart
@asynccontextmanager
async def _living(registration: ChannelRegistration) -> AsyncIterator[None]:
    """Let it live in a task of its own, however its block is cancelled."""
    async with registration.running():
        yield
