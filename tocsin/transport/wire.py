"""What the device's connection needs of a wire: chunks of frames in both directions."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

from tocsin.protocol.network.causes import ConnectionCause
from tocsin.protocol.text import MAX_SENTENCE, harmless


class WireBroken(Exception):
    """The wire could not be made, or broke; the text, of 500 characters at most, says how.

    :param retry_after: the seconds that the service has asked to wait before the next attempt.
    """

    def __init__(
        self, text: str, cause: ConnectionCause = ConnectionCause.LOST, retry_after: float | None = None
    ) -> None:
        super().__init__(harmless(text, MAX_SENTENCE))
        self.cause = cause
        self.retry_after = retry_after


class Wire(Protocol):
    """Carries chunks; each holds one or more whole frames."""

    async def receive(self) -> bytes:
        """Return the next chunk.

        :raises WireBroken: the wire broke or was closed.
        """
        ...

    async def send(self, chunk: bytes) -> None:
        """Send a chunk.

        :raises WireBroken: the wire broke or was closed.
        """
        ...


@runtime_checkable
class PromptWire(Wire, Protocol):
    """A wire that can hand chunks on, and send them, in the very turn of the event loop in which they come."""

    @property
    def has_room(self) -> bool:
        """Whether a chunk can be sent without waiting."""
        ...

    def send_now(self, chunk: bytes) -> None:
        """Send a chunk, where there is room."""
        ...

    def follow(self, take: Callable[[bytes], bool] | None) -> None:
        """Call this with each chunk that comes; it tells whether it has taken it. Others, and with None all, are to be received."""
        ...


Dial = Callable[[], AbstractAsyncContextManager[Wire]]
"""Makes a wire, which is closed on leaving; raises WireBroken when it cannot."""
