"""A connection between two nodes: whole messages each way, and all that a turn of the event loop has in one write."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import struct
import sys
from collections.abc import Sequence
from typing import Final, Protocol, cast

from tocsin.protocol.errors import ProtocolViolation
from tocsin.protocol.messages import Message
from tocsin.protocol.messages.codec import decode_known
from tocsin.protocol.messages.framing import FrameSplitter, with_lengths
from tocsin.protocol.messages.unpacking import MAX_FRAME
from tocsin.protocol.text import describe_error
from tocsin.service.devices.turn import WritingTurn
from tocsin.service.nodes.node_authority import host_of, node_of
from tocsin.service.nodes.node_identity import NodeIdentity
from tocsin.service.web.transport_ends import close, release

PARTING: Final = 1.0
"""Seconds that the other has to close its end, where a connection is closed in order."""

_CHUNK: Final = 64 * 1024  # bytes that are read at a time, before others have their turn
_UNREAD: Final = 256 * 1024  # bytes that the other may leave unread before no more is written

_NOTHING_MORE: Final = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)  # of SO_LINGER

logger = logging.getLogger(__name__)


class LinkOwner(Protocol):
    """What a connection belongs to."""

    def made(self, stream: LinkStream) -> None:
        """Learn that TLS is spoken, and who the other is (``stream.node``)."""
        ...

    def take(self, message: Message) -> None:
        """Take a message.

        :raises ProtocolViolation: it is not to be sent here; the connection ends.
        """
        ...

    def frames(self) -> Sequence[bytes]:
        """Return some of what is to be sent now; none where there is no more."""
        ...

    def ended(self, why: str, *, wrong: bool) -> None:
        """Learn that the connection has ended by what the other did, or a failure.

        :param why: in words; empty where the other has closed it.
        :param wrong: whether it has ended because the other sent what is not to be sent.
        """
        ...


class LinkStream(asyncio.BufferedProtocol):
    """One end of a connection; an owner that has parted from it hears no more of it."""

    __slots__ = (
        "_buffer", "_has_joined", "_loop", "_owner", "_splitter", "_turn", "_why", "heard", "is_writable", "node", "over", "transport"
    )  # fmt: skip

    def __init__(self, owner: LinkOwner, turn: WritingTurn) -> None:
        self._owner: LinkOwner | None = owner
        self._turn = turn
        self._loop = asyncio.get_running_loop()
        self._splitter = FrameSplitter(MAX_FRAME)
        self._buffer = memoryview(bytearray(_CHUNK))
        self._has_joined = False  # the turn in which it writes
        self._why = ""
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # until it is made
        self.node = ""
        """The name that the other's certificate has; empty where it is that of no node."""
        self.heard = 0.0
        """When something came last, on the loop's clock."""
        self.is_writable = True
        self.over: asyncio.Future[None] = self._loop.create_future()
        """Done once nothing is left of it."""

    # What its owner does with it

    async def dial(self, address: str, node: str, identity: NodeIdentity) -> None:
        """Connect to a node at its address, host and port."""
        host, _, port = address.rpartition(":")
        await self._loop.create_connection(
            lambda: self,
            host.strip("[]"),
            int(port),
            ssl=identity.for_dialling(),
            server_hostname=host_of(node),
            ssl_shutdown_timeout=PARTING,
        )

    def join(self) -> None:
        """Send what the owner has in this turn, if the other reads."""
        if not self._has_joined and self.is_writable and self._owner is not None:
            self._has_joined = True
            self._turn.join(self)

    def write(self) -> None:
        """Send what the owner has, for as long as the other reads."""
        self._has_joined = False
        try:
            while self._owner is not None and self.is_writable and (frames := self._owner.frames()):
                self.transport.write(with_lengths(frames))
        except Exception:
            logger.exception("a connection between nodes is cut off")
            self.transport.abort()

    def part(self, last: bytes = b"") -> None:
        """End it behind what was sent, and one frame more."""
        self._owner = None
        if last:
            self.transport.write(with_lengths([last]))
        close(self.transport)

    def cut(self) -> None:
        """End it at once, and take back what the other has not been brought: the system would go on to bring it, for minutes."""
        self._owner = None
        if self.transport is not None:
            with contextlib.suppress(OSError, AttributeError):  # it has ended
                self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NOTHING_MORE)
            self.transport.abort()

    # What asyncio says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn who the other is, and tell the owner."""
        self.transport = stream = cast(asyncio.Transport, transport)  # that of uvloop is none by its class
        self.heard = self._loop.time()
        stream.set_write_buffer_limits(_UNREAD)
        certificate = stream.get_extra_info("peercert") or {}
        self.node = node_of(certificate.get("subjectAltName"))
        if self._owner is None:
            stream.abort()
        else:
            self._owner.made(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend what is read into: asyncio's own would be mapped anew for each chunk."""
        del sizehint
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Hand messages over; what is none ends the connection."""
        self.heard = self._loop.time()
        try:
            for frame in self._splitter.feed(self._buffer[:nbytes]):
                if self._owner is None:
                    return
                self._owner.take(decode_known(frame))
        except ProtocolViolation as violation:
            self._fail(str(violation))
        except Exception:
            logger.exception("a message between nodes could not be handled")
            self._fail("a message could not be handled")

    def pause_writing(self) -> None:
        """Write no more: the other does not read."""
        self.is_writable = False

    def resume_writing(self) -> None:
        """Go on to write."""
        self.is_writable = True
        self.join()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner."""
        release(self.transport)
        owner, self._owner = self._owner, None
        if not self.over.done():
            self.over.set_result(None)
        if owner is not None:
            owner.ended(self._why or why_of(exc), wrong=bool(self._why))

    def _fail(self, why: str) -> None:
        self._why = why
        self.transport.abort()


def why_of(failure: BaseException | None) -> str:
    """Say in a few words why there is no connection, or no more; nothing where the other has ended it in order."""
    match failure:
        case None:
            return ""
        case ssl.SSLCertVerificationError():
            return f"its certificate is refused: {failure.verify_message}"
        case ssl.SSLError():
            reason = failure.reason or failure.strerror or "TLS failed"
            return reason.replace("_", " ").lower()
        case TimeoutError():
            return "it does not answer"
        case OSError():
            return failure.strerror or str(failure) or type(failure).__name__
    return describe_error(failure)
