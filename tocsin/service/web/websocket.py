"""What a WebSocket and its receiver have of each other: calls both ways, none of which waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from tocsin.service.web.headers import RawHeaders


class WebSocket(Protocol):
    """One WebSocket, as its receiver has it."""

    headers: RawHeaders
    """Those of the handshake, their names in lower case; none are kept once it is open."""

    is_writable: bool
    """Whether the peer reads what it is sent, as far as is known."""

    @property
    def client(self) -> tuple[str, int] | None:
        """The peer's address and port, if it has any."""
        ...

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """The tasks that the server waits for when it leaves, and then cancels."""
        ...

    def send(self, message: bytes) -> None:
        """Send a message, unless the end is near; what the peer does not read waits here, so it is sent while :attr:`is_writable` only."""
        ...

    def send_text(self, message: bytes) -> None:
        """Send a message that is a text, in UTF-8, as :meth:`send` does."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Send a close frame, and wait for the answer for a while; messages that come meanwhile are dropped."""
        ...

    def hang_up(self) -> None:
        """End the connection without a close frame, once what was sent has gone or some time has passed; one that is being closed is left."""
        ...

    def fail(self, failure: BaseException) -> None:
        """Log an error, and end the connection that it is a fault of."""
        ...

    def drop(self) -> None:
        """End the connection at once."""
        ...

    def pause(self) -> None:
        """Read no more, and hand over nothing, until :meth:`resume`: the receiver works on what it has got."""
        ...

    def resume(self) -> None:
        """Hand over what has come, and read on; not while a message is being handed over."""
        ...


class Receiver(Protocol):
    """Takes what comes over a WebSocket; none of it may wait."""

    def take(self, message: bytes | str) -> None:
        """Take a message, in the loop's turn in which it came; none comes while reading is paused."""
        ...

    def flowing(self) -> None:
        """Learn that the peer reads again, so that what waits may be sent."""
        ...

    def ended(self, code: int) -> None:
        """Learn that the connection has ended, with this close code: nothing comes after that."""
        ...


OpenWebSocket = Callable[[WebSocket], Receiver | None]
"""Is asked once a handshake is right; None refuses it with 403. Nothing can be sent until it has returned."""
