"""Reads requests off a connection's bytes: httptools' parser, with bounds, and with the rules of HTTP that it leaves to others."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Callable
from typing import Final, Protocol

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser

from tocsin.service.web import partings
from tocsin.service.web.exchanges import Request, Sender, split_target
from tocsin.service.web.headers import RawHeaders
from tocsin.service.web.shared_state import SharedState
from tocsin.service.web.upgrades import Offer
from tocsin.service.web.websocket import OpenWebSocket

_HTTP2_BEGINS: Final = b"PRI * HTTP/2"
_HOST: Final = re.compile(rb"(\[[\w:.%~!$&'()*+,;=-]+\]|[\w.%~!$&'()*+,;=-]*)(:[0-9]*)?")
_NOTICED: Final = frozenset({b"connection", b"expect", b"host", b"transfer-encoding"})
_INVALID_CODING: Final = partings.parting(400, "This is no HTTP request: Request has invalid `Transfer-Encoding`.")
_UNKNOWN_CODING: Final = partings.parting(
    501, "Of transfer codings only chunked is known here (RFC 9112, section 6.1)."
)

logger = logging.getLogger(__name__)


class Unreadable(Exception):
    """What came is no request that is served here; ``words`` is the last that its sender is told."""

    def __init__(self, words: bytes) -> None:
        super().__init__()
        self.words = words


class Taker(Sender, Protocol):
    """The connection that requests are read for."""

    def take_head(self, request: Request) -> None:
        """Take the head of a request.

        :raises Unreadable: it is one too many.
        """
        ...

    def take_part(self, part: bytes) -> None:
        """Take a part of the body of the request whose head came last."""
        ...

    def take_end(self) -> None:
        """Note that this request is there to its end; said also of a head that is read once more, without its offer."""
        ...

    def may_upgrade(self) -> bool:
        """Tell whether the connection goes on, and everything is answered that was asked."""
        ...

    def upgrade(self, opening: OpenWebSocket, headers: RawHeaders) -> None:
        """Become a WebSocket for what takes it, whose handshake has these headers."""
        ...


class RequestReader:
    """Reads one connection.

    :param taker: is given what is read.
    :param shared: has the bounds.
    """

    __slots__ = (
        "_coding", "_complaint", "_expects", "_hosts", "_last_host", "_max_headers", "_offer", "_says_how", "_shared", "_taker",
        "_target", "fields", "measures", "on_body", "on_message_complete", "parser"
    )  # fmt: skip

    def __init__(self, taker: Taker, shared: SharedState) -> None:
        self._taker = taker
        self._shared = shared
        self._max_headers = shared.max_headers
        self.fields: RawHeaders | None = None
        """Headers of the head that has begun; none between a head's end and the next request: a trailer is no header."""
        self.measures = False
        """Whether the length of each head is looked at; while reads are short that is needless."""
        self._target = b""
        self._expects = False
        self._says_how = False  # whether the head has a header Connection
        self._coding: bytes | None = None  # of the body, all that the head names
        self._hosts = 0  # Host headers of the head; one that is invalid counts twice
        self._last_host = b""  # the last one, which was valid where the connection goes on
        self._offer: Offer | None = None  # of another protocol: the parser is about to stop there
        self._complaint: bytes | None = None  # what we have against what came, where it is not the parser
        # The parser calls these.
        self.on_body: Callable[[bytes], None] = taker.take_part
        self.on_message_complete: Callable[[], None] = taker.take_end
        self.parser = self._new_parser()
        """What bytes are fed to; where it stops, :meth:`read_on` goes on."""

    def _new_parser(self) -> HttpRequestParser:
        parser = HttpRequestParser(self)
        # An answer may say that the connection ends, when what was sent ahead has been read.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    def close(self) -> None:
        """Let go of the parser, which knows this: neither is to wait for the garbage collector."""
        del self.parser

    def read_on(self, data: bytes, stopped: HttpParserUpgrade | HttpParserError) -> None:
        """Go on where the parser has stopped in what came.

        :raises Unreadable: it is nothing that is served here.
        """
        rest: bytes | None = data
        while rest:
            if isinstance(stopped, HttpParserError):
                raise Unreadable(self._words_for(stopped, rest)) from None
            rest = self._judge_offer(rest[stopped.args[0] :])
            if rest is None:
                return
            try:
                self.parser.feed_data(rest)
            except (HttpParserUpgrade, HttpParserError) as again:
                stopped = again
            else:
                return

    def _words_for(self, wrong: HttpParserError, data: bytes) -> bytes:
        """Say why the parser gave up: we know it, or it does; its words are constants, in which nothing is of the peer."""
        if data.startswith(_HTTP2_BEGINS):
            return partings.HTTP2
        if self._complaint is not None:
            return self._complaint
        if isinstance(wrong, HttpParserCallbackError):  # no complaint: a defect of ours
            trace = "".join(traceback.format_exception(wrong))
            self._shared.recurring.log(logger, logging.ERROR, trace, "reading a request failed: %s", trace)
            return partings.INVALID
        return partings.parting(400, f"This is no HTTP request: {wrong.args[0]}.") if wrong.args else partings.INVALID

    def _judge_offer(self, rest: bytes) -> bytes | None:
        """Take an offer of another protocol, or return what is to be read instead: its request without it; None: nothing is read any more."""
        offer, self._offer = self._offer, None
        assert offer is not None  # noqa: S101  # else the parser had not stopped
        # A client waits for the answer to its handshake.
        opening = self._shared.websockets.get(offer.path)
        if not rest and opening is not None and self._taker.may_upgrade() and offer.is_handshake():
            self._taker.upgrade(opening, offer.headers)
            return None
        head = offer.declined()
        if head is None:
            raise Unreadable(partings.TUNNEL)
        self.parser = self._new_parser()
        return head + rest

    # From the parser

    def on_url(self, part: bytes) -> None:
        """Take a part of the target, the first of which begins a request."""
        if self.fields is None:
            self.fields = []
            self._target = part
            self._expects = False
            self._coding = None
            self._says_how = False
            self._hosts = 0
        else:
            self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, unless there are too many."""
        fields = self.fields
        if fields is None:  # what comes behind a body (a trailer) is no header of its request
            return
        if len(fields) >= self._max_headers:
            self._refuse(partings.EXCESS)
        name = name.lower()
        if name in _NOTICED:
            self._notice(name, value)
        fields.append((name, value))

    def _notice(self, name: bytes, value: bytes) -> None:
        """Take a header that says how the request is to be taken itself."""
        if name == b"host":
            self._hosts += 1 if value == self._last_host or _HOST.fullmatch(value) else 2
            self._last_host = value
        elif name == b"transfer-encoding":
            self._coding = value if self._coding is None else self._coding + b"," + value
        elif name == b"connection":
            self._says_how = True
        elif value.lower() == b"100-continue":
            self._expects = True

    def on_headers_complete(self) -> None:
        """Give on what the peer wants, unless that must be read once more."""
        parser, fields = self.parser, self.fields
        assert fields is not None  # noqa: S101  # a head has a target
        self.fields = None
        if self.measures and self._length(fields) > self._shared.max_head:
            self._refuse(partings.EXCESS)
        keep_alive = parser.should_keep_alive()
        # Unless the head says so itself, only HTTP/1.1 goes on (RFC 9112 section 9.3); to ask the parser costs more than all else here.
        version = "1.1"
        if not keep_alive or self._says_how:
            version = parser.get_http_version()
            if version > "1.1":
                self._refuse(partings.HTTP2)
        if self._hosts != 1 and (self._hosts or version == "1.1"):
            self._refuse(partings.NO_HOST)
        if self._coding is not None:
            self._check_coding(self._coding)
        if parser.should_upgrade():
            self._offer = Offer(parser.get_method(), self._target, version, fields)
            return
        target = self._target
        if not target.startswith(b"/") or not target.isascii():
            self._check_target()
        keep_alive = keep_alive and version == "1.1"
        expects = self._expects and version == "1.1"  # an older peer knows no 100 Continue (RFC 9110 section 10.1.1)
        method = parser.get_method().decode()
        request = Request(self._taker, method, target, fields, version, keep_alive, expects)
        try:
            self._taker.take_head(request)
        except Unreadable as excess:
            self._refuse(excess.words)

    def _check_coding(self, coding: bytes) -> None:
        before, _, last = coding.lower().rpartition(b",")
        if last.strip() != b"chunked":  # the parser finds that out too, and only when the answer may have begun
            self._refuse(_INVALID_CODING)
        if before:
            self._refuse(_UNKNOWN_CODING)

    def _length(self, fields: RawHeaders) -> int:
        """Count the bytes of a head, of the space around values that which is usual."""
        line = len(self.parser.get_method()) + len(self._target) + len(b"  HTTP/1.1\r\n")
        return line + sum(len(name) + len(value) + len(b": \r\n") for name, value in fields) + len(b"\r\n")

    def _check_target(self) -> None:
        try:
            split_target(self._target)
        except ValueError:
            self._refuse(partings.INVALID)

    def _refuse(self, words: bytes) -> None:
        """Have the parser give up.

        :raises Unreadable: always.
        """
        self._complaint = words
        raise Unreadable(words)
