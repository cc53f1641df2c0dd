"""A WebSocket that a test plays: it keeps what is sent, and hands over what the test says."""

from __future__ import annotations

import asyncio
from collections import deque

from attrs import Factory, define

from tocsin.service.web.headers import RawHeaders
from tocsin.service.web.websocket import Receiver


@define(eq=False, slots=False)
class PlayedSocket:
    """The socket of one receiver, which the test sets."""

    receiver: Receiver | None = None
    sent: list[bytes] = Factory(list)
    texts: list[bytes] = Factory(list)
    closed: tuple[int, str] | None = None
    failures: list[BaseException] = Factory(list)
    is_writable: bool = True
    is_paused: bool = False
    headers: RawHeaders = Factory(list)
    client: tuple[str, int] | None = None
    tasks: set[asyncio.Task[None]] = Factory(set)
    _waiting: deque[bytes | str] = Factory(deque)

    def say(self, message: bytes | str) -> None:
        """Let a message come from the peer."""
        self._waiting.append(message)
        self._hand_over()

    def leave(self) -> None:
        """Let the connection end."""
        assert self.receiver is not None
        receiver, self.receiver = self.receiver, None
        receiver.ended(1006)

    def read_on(self) -> None:
        """Let the peer read again."""
        self.is_writable = True
        assert self.receiver is not None
        self.receiver.flowing()

    def send(self, message: bytes) -> None:
        """Keep what is sent."""
        if self.closed is None:
            self.sent.append(message)

    def send_text(self, message: bytes) -> None:
        """Keep a text that is sent."""
        if self.closed is None:
            self.texts.append(message)

    def close(self, code: int, reason: str) -> None:
        """Keep the first close frame."""
        self.closed = self.closed or (code, reason)

    def hang_up(self) -> None:
        """End."""
        self.drop()

    def fail(self, failure: BaseException) -> None:
        """Keep an error, and end."""
        self.failures.append(failure)
        self.drop()

    def drop(self) -> None:
        """End."""
        if self.receiver is not None:
            self.leave()

    def pause(self) -> None:
        """Hand over nothing."""
        self.is_paused = True

    def resume(self) -> None:
        """Hand over what has come."""
        self.is_paused = False
        self._hand_over()

    def _hand_over(self) -> None:
        while self._waiting and not self.is_paused and self.closed is None and self.receiver is not None:
            self.receiver.take(self._waiting.popleft())
