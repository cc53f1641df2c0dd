"""The port of a session in the platform's own process: a mailbox each way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context

from tocsin.actors.mailbox_in_line import MailboxInLine
from tocsin.actors.sessions import Stamp
from tocsin.actors.topology import Platform
from tocsin.mailbox import Mailbox
from tocsin.platform_status import PlatformStatus
from tocsin.protocol.delivery.channel_windows import MAX_IN_FLIGHT
from tocsin.protocol.messages import Deliveries, Message
from tocsin.protocol.messages.codec import encode
from tocsin.tasks import is_in_callback

SESSION_ROOM = 2 * MAX_IN_FLIGHT
"""Frames that may wait for a session: more than the payloads that it can have out, and what is said of them."""


class LocalPort(MailboxInLine):
    """Puts the session's stamp on what it sends; made by :func:`local_port`."""

    def __init__(self, platform: Platform, stamp: Stamp, mailbox: Mailbox) -> None:
        super().__init__(mailbox, platform.kernel.line)
        self.name = stamp.session
        self.max_subscriptions: int | None = None
        self._platform = platform
        self._stamp = stamp
        self._take: Callable[[list[bytes]], None] | None = None
        self._context = copy_context()
        """That of the session: what it starts has it too, in the turn of any actor."""

    async def receive(self) -> list[bytes]:
        """Wait for frames from the platform, and return those that are there.

        :raises EndOfStream: the session was closed, and everything was received.
        """
        return await self._mailbox.batch()

    async def send(self, message: Message) -> None:
        """Send a message, waiting for room."""
        await self._platform.send(self._stamp, message, encode(message))

    def send_nowait(self, message: Message) -> None:
        """Send a message.

        :raises Busy: there is no room.
        """
        self._platform.send_nowait(self._stamp, message)

    def send_urgent(self, message: Message) -> None:
        """Send what is owed, and so never waits."""
        self._platform.send_urgent(self._stamp, message)

    def follow(self, take: Callable[[list[bytes]], None] | None) -> None:
        """Have frames taken by this right behind the turn of the actor that sends them; others, or all, are to be received."""
        self._take, self._context = take, copy_context()

    def _take_now(self) -> None:
        """Let the session take what has come: in a callback, those only that it takes without a task."""
        if self._take is not None and (self._mailbox.has_only(Deliveries) or not is_in_callback()):
            self._context.run(self._take, self._mailbox.take())

    def at_once(self, say: Callable[[], None]) -> None:
        """Call what sends messages, and let the actors have their turns by that at once."""
        self._line.lead(say)

    def status(self) -> PlatformStatus:
        """Return how the platform stands."""
        return self._platform.status()

    def close(self) -> None:
        """Receive nothing more than what is there."""
        self._mailbox.close()


@contextmanager
def local_port(platform: Platform, app: str) -> Iterator[LocalPort]:
    """Let a session of an app of this process in, and forget it when the block is left."""
    with Mailbox(platform.sessions.new_name(app), SESSION_ROOM) as mailbox:
        stamp = platform.let_in(app, mailbox)
        try:
            yield LocalPort(platform, stamp, mailbox)
        finally:
            platform.let_go_now(stamp)
