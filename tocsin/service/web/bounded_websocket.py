"""WebSockets (RFC 6455) that hold little while they are idle, as an ASGI server's side of them.

A service has many connections that say nothing for hours. Frames and handshakes are those of ``websockets``.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from http import HTTPStatus
from typing import Final, cast

from starlette.types import Message, Scope
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import OPEN, SERVER, Protocol

from tocsin.service.web.addresses import is_secure, remote_address
from tocsin.service.web.flags import Flag
from tocsin.service.web.handshake import FRAME_LOG, WebSocketHandshake, refusal, scope_of
from tocsin.service.web.message_assembly import MAX_HOLLOW, MAX_MESSAGE, Incoming
from tocsin.service.web.shared_state import SharedState

MAX_UNREAD: Final = 16 * 1024
"""Bytes that may wait for the peer to read before it counts as one that does not."""

SMALL: Final = 8 * 1024
"""Bytes that a connection may keep without being counted."""

AHEAD: Final = 4
"""Messages that may wait for the application while more is read: to pause and to resume costs a system call each."""

_MAX_REASON = 123  # bytes of the text of a close frame
_FLUSH = 5.0  # seconds for what was sent last to leave
_CLOSING = 10.0  # seconds for the peer to answer a close frame
_CONNECT: Final[Message] = {"type": "websocket.connect"}
_PING: Final = Frame(Opcode.PING, b"").serialize(mask=False, extensions=[])

logger = logging.getLogger(__name__)


class ClientDisconnected(OSError):
    """The peer is gone."""


class BoundedWebSocket(asyncio.BufferedProtocol):
    """One WebSocket, taken over from HTTP: bounded in memory, and in the time that a slow peer has."""

    __slots__ = (
        "_awaits_pong", "_close_sent", "_closing", "_conn", "_handshake", "_holds", "_incoming",
        "_is_secure", "_lost", "_reads", "_shared", "_writable", "client", "transport",
    )  # fmt: skip

    transport: asyncio.Transport
    client: tuple[str, int] | None

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        self._handshake: WebSocketHandshake | None = WebSocketHandshake()  # until it is accepted
        self._conn: Protocol = self._handshake.protocol
        self._incoming = Incoming()
        self._holds = False
        self._closing: asyncio.TimerHandle | None = None
        self._writable = Flag()
        self._writable.set()
        self._close_sent = self._lost = self._awaits_pong = False
        self._reads = True

    # From the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over a connection that began as HTTP."""
        self.transport = cast(asyncio.Transport, transport)  # that of HTTP
        self.transport.set_write_buffer_limits(high=MAX_UNREAD)
        self.client = remote_address(self.transport)
        self._is_secure = is_secure(self.transport)
        self._shared.connections.add(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer to read into; all connections share one, since its bytes are parsed at once."""
        del sizehint
        return self._shared.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Parse the bytes that were read into the buffer."""
        conn = self._conn
        conn.receive_data(bytes(self._shared.buffer[:nbytes]))
        for event in conn.events_received():
            if isinstance(event, Frame):
                self._take(event)
        if conn.parser_exc is not None:
            closed = conn.close_sent
            self._incoming.put_disconnect(closed.code if closed else CloseCode.ABNORMAL_CLOSURE)
            self._end()
        elif self._incoming.hollow > MAX_HOLLOW and self._close_sent:
            self.drop()  # it was told why it ends
        elif self._incoming.hollow > MAX_HOLLOW:
            self._incoming.put_disconnect(CloseCode.POLICY_VIOLATION)
            conn.fail(CloseCode.POLICY_VIOLATION, "too many frames that bring no message")
            self._end()
        self._note_what_it_holds()

    def _note_what_it_holds(self) -> None:
        """Count what is kept of messages that have not ended, or that the application has not done with."""
        size = len(self._conn.reader.buffer) + self._incoming.size
        if (size > SMALL or self._holds) and not self._lost:
            self._holds = size > SMALL
            self._shared.book.hold(self, size if self._holds else 0)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application that the connection has ended."""
        del exc
        self._shared.book.left(self)
        self._shared.heart.forget(self)
        self._shared.connections.discard(self)
        self._lost = True
        if self._closing is not None:
            self._closing.cancel()
        self._incoming.put_disconnect(
            CloseCode.NO_STATUS_RCVD if self._handshake is None else CloseCode.ABNORMAL_CLOSURE
        )
        self._writable.set()

    def pause_writing(self) -> None:
        """Note that the peer does not read; until it does, nothing that would be answered is read from it."""
        self._writable.clear()
        self._shared.book.stalled(self)
        self._pause()

    def resume_writing(self) -> None:
        """Note that the peer reads again."""
        self._writable.set()
        self._shared.book.flowing(self)
        self._resume()

    # From the server

    def drop(self) -> None:
        """End the connection at once."""
        self.transport.abort()

    def shutdown(self) -> None:
        """Close it; a peer that does not read would never be done with what it was sent."""
        if not self._close_sent:
            if self._handshake is None:
                self._close(CloseCode.SERVICE_RESTART, "")
            else:
                self._refuse(self._handshake, refusal(HTTPStatus.INTERNAL_SERVER_ERROR))
        self.transport.close()
        self._cut(0)

    def ping(self) -> bool:
        """Send a ping, or end the connection if the one before was not answered; tell whether it goes on."""
        if self._close_sent or self.transport.is_closing():
            return False
        if self._awaits_pong:
            self._conn.fail(CloseCode.INTERNAL_ERROR, "keepalive ping timeout")
            self._end()
            self._cut(0)
            return False
        self._awaits_pong = True
        self._incoming.hollow = 0
        self.transport.write(_PING)
        return True

    # What the peer sends

    def begin(self, request: Request) -> None:
        """Run the application, or refuse the request if it is not a handshake as RFC 6455 has it."""
        assert self._handshake is not None  # noqa: S101  # it has only come
        response = self._handshake.begin(request)
        if response is not None:
            self._refuse(self._handshake, response)
            return
        self._pause()  # nothing may come before it is accepted
        self._incoming.put(_CONNECT)
        self._shared.start(self._run(scope_of(request, self.transport, self.client)))

    def _take(self, frame: Frame) -> None:
        self._incoming.count(frame, unwanted=self._close_sent)
        match frame.opcode:
            case Opcode.PONG:
                self._awaits_pong = False
            case Opcode.PING:
                self._flush()  # the answer
            case Opcode.CLOSE:
                self._take_close()
            case _ if self._close_sent:  # the application wants nothing more
                self._incoming.forget()
            case _:
                incoming = self._incoming
                if incoming.assemble(frame) and (len(incoming.events) >= AHEAD or incoming.size > SMALL):
                    self._pause()

    def _take_close(self) -> None:
        """Answer a close frame, or take the answer to ours."""
        if self._close_sent:
            self.transport.close()
        elif not self.transport.is_closing():
            closed = self._conn.close_rcvd
            self._incoming.put_disconnect(closed.code if closed else CloseCode.NO_STATUS_RCVD)
            self._end()

    # The application

    async def _run(self, scope: Scope) -> None:
        """Serve, and leave a peer that does not read some time to take the end."""
        try:
            await self._shared.open_websocket(scope, self.receive, self.send)
        except ClientDisconnected:
            pass  # the application need not look whether the peer is there still
        except Exception:  # noqa: BLE001  # one connection's fault, which is logged
            trace = traceback.format_exc()
            self._shared.recurring.log(logger, logging.ERROR, trace, "serving a WebSocket failed: %s", trace)
        finally:
            if not self._close_sent:
                if self._handshake is not None:
                    self._refuse(self._handshake, refusal(HTTPStatus.INTERNAL_SERVER_ERROR))
                self.transport.close()
            self._cut(_FLUSH)

    async def receive(self) -> Message:
        """Return the next event, as ASGI says."""
        incoming = self._incoming
        incoming.release()
        if self._holds:
            self._note_what_it_holds()
        while not incoming.events:
            await incoming.arrival()
        event = incoming.take()
        if not incoming.events and self._handshake is None:
            self._resume()
        return event

    async def send(self, message: Message) -> None:
        """Take an event from the application, as ASGI says.

        :raises ClientDisconnected: the peer is gone.
        :raises RuntimeError: that may not be sent now.
        """
        await self._writable.wait()
        handshake = self._handshake
        if self._lost or (handshake is None and self._close_sent):
            raise ClientDisconnected
        kind = message["type"]
        if kind == "websocket.send" and handshake is None:
            self._conn.send_binary(message["bytes"])
            self._flush()
        elif kind == "websocket.close" and handshake is None:
            self._close(message.get("code", CloseCode.NORMAL_CLOSURE), message.get("reason", ""))
        elif handshake is None:
            raise RuntimeError(f"{kind} may not be sent now")
        elif kind == "websocket.accept" and handshake.may_be_accepted:
            self._accept(handshake)
        elif kind == "websocket.http.response.start":
            handshake.refusal_status = HTTPStatus(message["status"])
        elif kind == "websocket.http.response.body" and handshake.refusal_status is not None:
            self._refuse(handshake, refusal(handshake.refusal_status, message["body"]))
        else:
            raise RuntimeError(f"{kind} may not be sent now")

    def _accept(self, handshake: WebSocketHandshake) -> None:
        """Open the WebSocket, and forget its handshake."""
        if self.transport.is_closing():
            return
        handshake.accept(self._shared.default_headers)
        self._flush()
        self._conn = Protocol(SERVER, state=OPEN, max_size=MAX_MESSAGE, logger=FRAME_LOG)
        self._conn.debug = False
        self._handshake = None
        self._shared.heart.watch(self)
        self._resume()

    def _close(self, code: int, reason: str) -> None:
        """Send a close frame, and wait for the answer for a while."""
        if not self.transport.is_closing():
            self._incoming.put_disconnect(code)
            self._conn.send_close(code, cut_reason(reason))
            self._flush()
            self._close_sent = True
            self._resume()
            self._closing = asyncio.get_running_loop().call_later(_CLOSING, self.transport.close)

    def _refuse(self, handshake: WebSocketHandshake, response: Response) -> None:
        """Answer the handshake with something else than a WebSocket, and end the connection."""
        self._incoming.put_disconnect(CloseCode.ABNORMAL_CLOSURE)
        handshake.refuse(response)
        self._end()

    # Both ways

    def _pause(self) -> None:
        if self._reads:
            self._reads = False
            self.transport.pause_reading()

    def _resume(self) -> None:
        """Read again, if the peer reads too and the application has taken what came."""
        if not self._reads and self._writable.is_set() and (not self._incoming.events or self._close_sent):
            self._reads = True
            self.transport.resume_reading()

    def _end(self) -> None:
        """Send what is left to send, such as a close frame, and close the connection."""
        self._close_sent = True
        self._flush()
        self.transport.close()

    def _flush(self) -> None:
        self.transport.write(b"".join(self._conn.data_to_send()))

    def _cut(self, patience: float) -> None:
        # asyncio ends a TLS connection by itself 30 seconds after it was closed, and cannot be asked once it was.
        if not self._is_secure and self.transport.get_write_buffer_size():
            asyncio.get_running_loop().call_later(patience, self.transport.abort)


def cut_reason(reason: str) -> str:
    """Cut the text of a close frame so that it fits (RFC 6455 §5.5), between two characters."""
    return reason.encode()[:_MAX_REASON].decode(errors="ignore")
