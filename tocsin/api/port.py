"""What an app's session holds of its platform, wherever that runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tocsin.platform_status import PlatformStatus
from tocsin.protocol.messages import Message


class Port(Protocol):
    """The way to the platform and back: within the process, or over the socket of the agent."""

    name: str
    """What the session is called in logs."""
    max_subscriptions: int | None
    """Channels whose payloads the session may take at a time; None where there is no limit."""

    async def receive(self) -> list[bytes]:
        """Wait for frames from the platform, and return those that are there.

        :raises EndOfStream: the session was closed, and everything was received.
        """
        ...

    async def send(self, message: Message) -> None:
        """Send a message, waiting for room.

        :raises IllegalCall: it may not come now; nothing was done.
        """
        ...

    def send_nowait(self, message: Message) -> None:
        """Send a message.

        :raises Busy: there is no room.
        """
        ...

    def send_urgent(self, message: Message) -> None:
        """Send what is owed for a payload, a question or a channel, and so never waits."""
        ...

    def follow(self, take: Callable[[list[bytes]], None] | None) -> None:
        """Have frames taken by this right behind the turn of the actor that sends them, where that is in this process.

        Others, and with None all, are to be received.
        """
        ...

    def at_once(self, say: Callable[[], None]) -> None:
        """Call what sends messages, and let the actors have their turns by that at once, where they are in this process."""
        ...

    def status(self) -> PlatformStatus:
        """Return how the platform stands."""
        ...

    def close(self) -> None:
        """Receive nothing more than what is there."""
        ...
