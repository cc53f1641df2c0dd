"""A push channel: its URI for the sender, its payloads for the app."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from typing import Protocol

import anyio

from tocsin.api.args import PushNotificationReceivedEventArgs, moment
from tocsin.api.subscription import Abandoned, PushHandler
from tocsin.protocol.arguments import check_callable
from tocsin.protocol.errors import ChannelClosed, NotFound


class ChannelHolder(Protocol):
    """What a channel needs of the session that holds it, or of a stand-in in an app's unit test."""

    def subscribe(self, channel: str, handler: PushHandler, /) -> int:
        """Attach a handler, and return its token."""
        ...

    def unsubscribe(self, channel: str, handler: int | PushHandler, /) -> None:
        """Detach a handler, by its token or by itself."""
        ...

    def ending_with(self, channel: str, end: Callable[[], None], /) -> AbstractContextManager[None]:
        """Have it called when the channel is lost, while the block runs."""
        ...

    def is_lost(self, channel: str, /) -> bool:
        """Whether the channel was closed or revoked."""
        ...

    async def close_channel(self, channel: str, /) -> None:
        """Close the channel."""
        ...


class PushNotificationChannel:
    """A channel that the app holds (WinRT class of the same name).

    Example::

        def on_push(args: tocsin.PushNotificationReceivedEventArgs) -> None:
            print("got", args.text)
            args.handled = True

        with channel.push_received(on_push):
            await asyncio.sleep(1)  # or whatever the program does
    """

    def __init__(self, session: ChannelHolder, app: str, name: str, uri: str, expires: float) -> None:
        self._session = session
        self._app = app
        self._name = name
        self._uri = uri
        self._expires = moment(expires)

    @property
    def uri(self) -> str:
        """Where a sender posts notifications. A secret: it lets a sender push, with a token of the app."""
        return self._uri

    @property
    def expiration_time(self) -> datetime:
        """When the channel ends, in UTC: 30 days after it was granted. Request a channel at every start."""
        return self._expires

    def add_push_received(self, handler: PushHandler) -> int:
        """Call the handler, sync or async, for every payload that comes; return the token to remove it by.

        Handlers are called in the order in which they were added, and one payload after the other. When all have
        returned, ``args.handled`` is read.

        :raises ChannelClosed: the channel was closed or revoked.
        :raises IllegalCall: the app's session at the agent takes the payloads of 4,096 channels already.
        :raises InvalidArgument: the handler cannot be called.
        """
        check_callable(handler, "a handler")
        return self._session.subscribe(self._name, handler)

    def remove_push_received(self, handler: int | PushHandler) -> None:
        """Remove a handler, by its token or by itself; of one that is attached more than once, the latest.

        :raises InvalidArgument: it is neither a token nor a handler.
        :raises NotFound: it is not attached to this channel.
        """
        self._session.unsubscribe(self._name, handler)

    @contextmanager
    def push_received(self, handler: PushHandler) -> Iterator[None]:
        """Call the handler for every payload that comes while the block runs; see :meth:`add_push_received`."""
        token = self.add_push_received(handler)
        try:
            yield
        finally:
            with suppress(NotFound):  # the handler may have removed itself
                self.remove_push_received(token)

    async def payloads(self) -> AsyncGenerator[PushNotificationReceivedEventArgs, None]:
        """Iterate over the payloads as they come.

        Asking for the next one says that this one is handled, unless the loop has set ``args.handled`` itself. A
        payload whose loop is left before that, such as by an error, waits in the inbox, and comes again. So an error that a
        payload causes ends every start: catch it within the loop, or attach a handler, where it makes a dead letter of the payload.

        :raises ChannelClosed: the channel was closed or revoked, or is while the loop runs.
        """
        send, receive = anyio.create_memory_object_stream[tuple[PushNotificationReceivedEventArgs, _Turn]](0)

        async def hand_over(args: PushNotificationReceivedEventArgs) -> None:
            turn = _Turn()
            try:
                await send.send((args, turn))
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                raise Abandoned from None
            await turn.over.wait()
            if turn.abandoned:
                raise Abandoned

        with send, receive, self.push_received(hand_over), self._session.ending_with(self._name, send.close):
            async for args, turn in receive:
                try:
                    yield args
                    if args.undecided:
                        args.handled = True
                finally:
                    turn.abandoned = args.undecided
                    turn.over.set()
        raise ChannelClosed("the channel was closed or revoked; request another")

    async def close(self) -> None:
        """Revoke the channel, and with it all other channels of the app: senders get 410 from now on.

        :raises ChannelClosed: it was closed before (WPN_E_CHANNEL_CLOSED).
        :raises PlatformUnavailable: there is no connection to the push service just now; nothing was closed.
        """
        if self._session.is_lost(self._name):
            raise ChannelClosed("the channel is closed already")
        await self._session.close_channel(self._name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name} of {self._app}, expires {self._expires:%Y-%m-%d %H:%M} UTC>"


class _Turn:
    """One payload's time in the body of a loop."""

    def __init__(self) -> None:
        self.over = anyio.Event()
        self.abandoned = False
