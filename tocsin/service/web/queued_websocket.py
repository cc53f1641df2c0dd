"""A WebSocket for a task of its own, which waits for each message and for room to send."""

from __future__ import annotations

from tocsin.service.web.flags import Flag
from tocsin.service.web.side_tasks import SideTasks
from tocsin.service.web.websocket import WebSocket


class QueuedWebSocket(SideTasks):
    """Keeps a message until the task that belongs to it has taken it, and reads no more meanwhile; the receiver of its socket."""

    def __init__(self, socket: WebSocket) -> None:
        super().__init__(socket.tasks)
        self._socket = socket
        self._message: bytes | str | None = None
        self._has_ended = False
        self._changed = Flag()

    async def receive(self) -> bytes | str | None:
        """Wait for the next message; None once the connection has ended."""
        if self._message is None and not self._has_ended:
            self._socket.resume()
        while self._message is None and not self._has_ended:
            await self._change()
        message, self._message = self._message, None
        return message

    async def send(self, message: bytes) -> None:
        """Send a message once the peer has read most of what it was sent.

        :raises ConnectionResetError: the connection has ended.
        """
        await self._room()
        self._socket.send(message)

    async def close(self, code: int, reason: str) -> None:
        """Send a close frame behind what was sent, as :meth:`send` does."""
        await self._room()
        self._socket.close(code, reason)

    async def _room(self) -> None:
        while not self._socket.is_writable and not self._has_ended:
            await self._change()
        if self._has_ended:
            raise ConnectionResetError

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    # What the socket says

    def take(self, message: bytes | str) -> None:
        """Keep a message for the task."""
        self._message = message
        self._socket.pause()
        self._changed.set()

    def flowing(self) -> None:
        """Let the task send."""
        self._changed.set()

    def ended(self, code: int) -> None:
        """Let the task know."""
        del code
        self._has_ended = True
        self._changed.set()

    # What the task says

    def tasks_ended(self) -> None:
        """End the connection, unless it was closed."""
        self._socket.hang_up()

    def task_failed(self, failure: BaseException) -> None:
        """End the connection, and say why."""
        self._socket.fail(failure)
