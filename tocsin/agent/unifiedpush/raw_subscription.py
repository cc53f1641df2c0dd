"""The push subscription of a registration: asked for until there is one, and again where the push service takes it back.

Its messages come as they were posted: who they are for decrypts them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import TaskGroup

from tocsin.api.channel import PushNotificationChannel
from tocsin.api.held_channels import ChannelRevoked, HeldChannels
from tocsin.api.operation import CreateChannelOperation
from tocsin.api.session import Session
from tocsin.protocol.errors import ChannelClosed, ChannelNotGranted, PushError
from tocsin.protocol.text import MAX_SENTENCE, harmless
from tocsin.protocol.unifiedpush.delivery import pause_after
from tocsin.protocol.webpush.sender import web_push_sender
from tocsin.tasks import task_group


class RawSubscription:
    """One subscription, over all channels that are it in turn.

    :param session: that of the app, which has no other channels.
    :param key: the application server key of those who may push; None lets any sender push.
    :param is_connected: tells whether there is a connection to the push service.
    :param carry: takes what comes by a channel, until that is closed.
    :param refused: called when the push service, or what the user has set, gives none.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # what it stands between
        self,
        session: Session,
        app: str,
        key: bytes | None,
        is_connected: Callable[[], bool],
        carry: Callable[[PushNotificationChannel], Awaitable[None]],
        refused: Callable[[], None],
    ) -> None:
        self._sender = web_push_sender(key)
        self._is_connected, self._carry, self._refused = is_connected, carry, refused
        self._channels = HeldChannels(session, app)
        self._channels.renewed.append(self._renewed)
        self._channels.revoked.append(self._revoked)
        session.on_connection = self._turn
        self._turned = anyio.Event()
        """Set when the connection to the push service is another."""
        self._asking = anyio.CancelScope()
        """Ends the wait for an answer of the push service."""
        self._serving: TaskGroup | None = None
        self._channel: PushNotificationChannel | None = None
        self.fault = ""
        """What there is against it; empty where nothing was said."""

    @property
    def is_there(self) -> bool:
        """Whether there is one now."""
        return self._channel is not None

    async def run(self) -> None:
        """Ask for it, and have what comes by it carried, until cancelled."""
        async with task_group() as tasks:
            self._serving = tasks
            try:
                tasks.start_soon(self._serve, None)
                await anyio.sleep_forever()
            finally:
                self._serving = None

    async def revoke(self) -> None:
        """Have it revoked, and return when it is; :meth:`run` has ended by then."""
        failures, turned = 0, self._turned
        while not await self._is_revoked():
            failures += 1
            with anyio.move_on_after(pause_after(failures)):
                await turned.wait()
            turned = self._turned

    async def _serve(self, operation: CreateChannelOperation | None) -> None:
        await self._take(await self._granted(operation))

    async def _take(self, channel: PushNotificationChannel) -> None:
        self._channel = channel
        await self._carry(channel)

    async def _granted(self, operation: CreateChannelOperation | None) -> PushNotificationChannel:
        failures = 0
        while True:
            turned = self._turned
            try:
                channel = await self._channel_of(operation)
            except PushError as refused:
                self.fault = harmless(refused, MAX_SENTENCE)
                operation = None
                if self._is_connected():
                    self._refused()
                failures += 1
                with anyio.move_on_after(pause_after(failures)):
                    await turned.wait()
            else:
                self.fault = ""
                return channel

    async def _channel_of(self, operation: CreateChannelOperation | None) -> PushNotificationChannel:
        """Wait for it, and ask for it where that was not done.

        It is asked for once there is a connection, and anew over the next one: a request that has failed for want of one is
        tried again after a minute or more, and not as soon as there is one.
        """
        while True:
            with anyio.CancelScope() as self._asking:
                while operation is None and not self._is_connected():
                    await self._turned.wait()
                return await (operation or self._channels.request(self._sender)).channel()
            operation = None

    def _turn(self) -> None:
        self._turned.set()
        self._turned = anyio.Event()
        if not self._is_connected():
            self._asking.cancel()

    def _renewed(self, channel: PushNotificationChannel) -> None:
        if self._serving is not None:
            self._serving.start_soon(self._take, channel)

    def _revoked(self, revoked: ChannelRevoked) -> None:
        self._channel = None
        if self._serving is None:
            revoked.operation.cancel()
        else:
            self._serving.start_soon(self._serve, revoked.operation)

    async def _is_revoked(self) -> bool:
        try:
            channel = self._channel or await self._channel_of(None)
            await channel.close()
        except ChannelClosed:
            return True
        except ChannelNotGranted:  # there is nothing to revoke where a service that answers gives none
            return self._is_connected()
        except PushError:
            return False
        return True
