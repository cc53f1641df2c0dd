"""WebSockets (RFC 6455) that hold little while they are idle, and hand over each message in the turn in which it came.

A service has many connections that say nothing for hours: each is an object with few fields, without a task, a queue or a timer.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import Final, cast

from websockets.frames import CloseCode

from tocsin.service.web import websocket_frames as frames
from tocsin.service.web.handshake import judge
from tocsin.service.web.headers import RawHeaders
from tocsin.service.web.partings import parting
from tocsin.service.web.shared_state import SharedState
from tocsin.service.web.transport_ends import close, release, remote_address
from tocsin.service.web.websocket import OpenWebSocket, Receiver
from tocsin.service.web.websocket_frames import BrokenFrames, FrameReader

MAX_HOLLOW: Final = 1_000
"""Frames in a ping interval that bring no message: control frames, parts of messages, and messages without content."""

MAX_UNREAD: Final = 16 * 1024
"""Bytes that may wait for the peer to read before it counts as one that does not."""

SMALL: Final = 8 * 1024
"""Bytes that a connection may keep without being counted."""

_NO_HEADERS: Final[RawHeaders] = []
_PING: Final = frames.frame(frames.PING, b"")

logger = logging.getLogger(__name__)


class BoundedWebSocket(asyncio.BufferedProtocol):
    """One WebSocket, taken over from HTTP: bounded in memory, and in the time that a slow peer has."""

    __slots__ = (
        "_awaits_pong", "_close_sent", "_given", "_holds", "_is_paused", "_reader", "_reads", "_receiver", "_shared",
        "headers", "is_writable", "transport",
    )  # fmt: skip

    transport: asyncio.Transport
    headers: RawHeaders

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        self._reader = FrameReader()
        self._receiver: Receiver | None = None  # until it is open, and once it has ended
        self._close_sent = self._awaits_pong = self._holds = self._is_paused = False
        self._reads = True
        self._given = 0  # bytes of the message that the receiver works on
        self.headers = _NO_HEADERS
        """Those of the handshake, their names in lower case; none are kept once it is open."""
        self.is_writable = True
        """Whether the peer reads what it is sent, as far as is known."""

    @property
    def client(self) -> tuple[str, int] | None:
        """The peer's address and port, if it has any."""
        return remote_address(self.transport)

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """The tasks that the server waits for when it leaves, and then cancels."""
        return self._shared.tasks

    # From the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over a connection that began as HTTP."""
        self.transport = cast(asyncio.Transport, transport)  # that of HTTP
        self.transport.set_write_buffer_limits(high=MAX_UNREAD)
        self._shared.connections.add(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer to read into; all connections share one, since its bytes are parsed at once."""
        del sizehint
        return self._shared.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Parse the bytes that were read into the buffer."""
        if self._receiver is not None:
            self._reader.feed(self._shared.buffer[:nbytes].tobytes())
            self._read()

    def eof_received(self) -> None:
        """Take it that the peer has left: a WebSocket is not half closed."""
        self._end(CloseCode.ABNORMAL_CLOSURE)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the receiver that the connection has ended."""
        del exc
        self._shared.book.left(self)
        self._shared.heart.forget(self)
        self._shared.connections.discard(self)
        self.is_writable = self._close_sent = True
        release(self.transport)
        self._tell_end(CloseCode.ABNORMAL_CLOSURE)

    def pause_writing(self) -> None:
        """Note that the peer does not read; until it does, nothing that would be answered is read from it."""
        self.is_writable = False
        self._shared.book.stalled(self)
        self._read_or_not()

    def resume_writing(self) -> None:
        """Note that the peer reads again."""
        self.is_writable = True
        self._shared.book.flowing(self)
        self._read_or_not()
        if self._receiver is not None:
            self._receiver.flowing()

    # From the server

    def begin(self, opening: OpenWebSocket, headers: RawHeaders) -> None:
        """Open the WebSocket, or refuse it where these headers are no handshake as RFC 6455 has it, or it is not wanted."""
        common = self._shared.default_headers
        is_right, answer = judge(headers, common)
        if is_right:
            self.headers = headers
            try:
                self._receiver = opening(self)
                if self._receiver is None:
                    answer = parting(403, "Forbidden", *common)
            except Exception as failure:  # noqa: BLE001  # one connection's fault, which is logged
                self._log(failure)
                answer = parting(500, "Internal Server Error", *common)
            self.headers = _NO_HEADERS
        self.transport.write(answer)
        if self._receiver is None:
            self._part()
        else:
            self._shared.heart.watch(self)

    def ping(self) -> bool:
        """Send a ping, or end the connection if the one before was not answered; tell whether it goes on."""
        if self._close_sent or self.transport.is_closing():
            return False
        if self._awaits_pong:
            self._break_off(CloseCode.INTERNAL_ERROR, "keepalive ping timeout")
            self._cut()
            return False
        self._awaits_pong = True
        self._reader.hollow = 0
        self.transport.write(_PING)
        return True

    def shutdown(self) -> None:
        """Close it; a peer that does not read would never be done with what it was sent."""
        self._send_close(CloseCode.SERVICE_RESTART, "")
        self._part()
        self._cut()

    def drop(self) -> None:
        """End the connection at once."""
        self.transport.abort()

    # From the receiver

    def send(self, message: bytes) -> None:
        """Send a message, unless the end is near; what the peer does not read waits here, so it is sent while :attr:`is_writable` only."""
        if not self._close_sent:
            self._say(frames.frame(frames.BINARY, message))

    def send_text(self, message: bytes) -> None:
        """Send a message that is a text, in UTF-8, as :meth:`send` does."""
        if not self._close_sent:
            self._say(frames.frame(frames.TEXT, message))

    def close(self, code: int, reason: str) -> None:
        """Send a close frame, and wait for the answer for a while; messages that come meanwhile are dropped."""
        if self._close_sent:
            return
        self._send_close(code, reason)
        self._shared.book.parting(self)
        self.resume()

    def hang_up(self) -> None:
        """End the connection without a close frame, once what was sent has gone or some time has passed; one that is being closed is left."""
        if not self._close_sent:
            self._part()

    def fail(self, failure: BaseException) -> None:
        """Log an error, and end the connection that it is a fault of."""
        self._log(failure)
        self.hang_up()

    def pause(self) -> None:
        """Read no more, and hand over nothing, until :meth:`resume`: the receiver works on what it has got."""
        self._is_paused = True
        self._read_or_not()

    def resume(self) -> None:
        """Hand over what has come, and read on; not while a message is being handed over."""
        self._is_paused = False
        self._given = 0
        self._read()
        self._read_or_not()

    # What the peer sends

    def _read(self) -> None:
        """Take what there is, for as long as the receiver wants it."""
        reader = self._reader
        try:
            while reader.unread and not self._is_paused and self._receiver is not None and (found := reader.next()):
                opcode, content = found
                self._take(self._receiver, opcode, content)
        except BrokenFrames as broken:
            self._break_off(broken.code, broken.words)
        if reader.hollow > MAX_HOLLOW:
            if self._close_sent:
                self.drop()  # it was told why it ends
            else:
                self._break_off(CloseCode.POLICY_VIOLATION, "too many frames that bring no message")
        if reader.unread or reader.begun or self._given or self._holds:
            self._note_what_it_holds()

    def _note_what_it_holds(self) -> None:
        """Count what is kept of messages that have not ended, or that the receiver has not done with."""
        size = self._reader.size + self._given
        if size > SMALL or self._holds:
            self._holds = size > SMALL and self._receiver is not None
            self._shared.book.hold(self, size if self._holds else 0)

    def _take(self, receiver: Receiver, opcode: int, content: bytes) -> None:
        if opcode <= frames.BINARY and not self._close_sent:
            try:
                receiver.take(content if opcode == frames.BINARY else content.decode(errors="replace"))
            except Exception as failure:  # noqa: BLE001  # one connection's fault, which is logged
                self.fail(failure)
            if self._is_paused:
                self._given = len(content)
        elif opcode <= frames.BINARY:  # nothing more is wanted
            self._reader.hollow += 1
        elif opcode == frames.PONG:
            self._awaits_pong = False
        elif opcode == frames.PING:
            self._say(frames.frame(frames.PONG, content))
        else:
            if not self._close_sent:
                self._say(frames.frame(frames.CLOSE, content))
            self._end(frames.close_code(content))

    # The end

    def _break_off(self, code: int, reason: str) -> None:
        """End the connection for a fault of the peer, which is told unless it is being closed."""
        self._send_close(code, reason)
        self._end(code)

    def _send_close(self, code: int, reason: str) -> None:
        if not self._close_sent:
            self._close_sent = True
            self._say(frames.close_frame(code, reason))

    def _say(self, data: bytes) -> None:
        """Send something, unless it could not leave: asyncio would log each that a peer has gone for."""
        if not self.transport.is_closing():
            self.transport.write(data)

    def _end(self, code: int) -> None:
        """Close the connection, of which the receiver hears at once."""
        self._part()
        self._tell_end(code)

    def _part(self) -> None:
        """Close the connection, once what was sent has gone or some time has passed."""
        self._close_sent = True
        close(self.transport)
        self._shared.book.parting(self)

    def _tell_end(self, code: int) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            try:
                receiver.ended(code)
            except Exception as failure:  # noqa: BLE001  # one connection's fault, which is logged
                self._log(failure)

    def _read_or_not(self) -> None:
        """Read from the peer while it reads too, and the receiver wants what it sends."""
        wanted = self.is_writable and not self._is_paused
        if wanted is not self._reads and not self.transport.is_closing():
            self._reads = wanted
            if wanted:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def _cut(self) -> None:
        """End it at once where something waits: its peer does not read."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def _log(self, failure: BaseException) -> None:
        trace = "".join(traceback.format_exception(failure))
        self._shared.recurring.log(logger, logging.ERROR, trace, "serving a WebSocket failed: %s", trace)
