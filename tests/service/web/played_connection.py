"""A connection that speaks HTTP, without a network: what it is sent, and what it says and does."""

from __future__ import annotations

import asyncio
import re
from typing import Any, cast

from tests.service.world import Clock
from tocsin.repeat_log import RepeatLog
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.url_paths import DEVICE_PATH
from tocsin.service.web.connections import Connections
from tocsin.service.web.exchanges import Request
from tocsin.service.web.http_connection import HttpConnection
from tocsin.service.web.web_server import WebServer


class PlayedTransport(asyncio.Transport):
    """Notes what is done to it; the test, which plays the peer, tells the connection of its end.

    :param is_secure: whether TLS is spoken.
    """

    def __init__(self, *, is_secure: bool = False) -> None:
        super().__init__()
        self._is_secure = is_secure
        self.said = bytearray()
        self.done: list[str] = []
        self.protocol: object = None
        self.waiting = 0
        """Bytes that the peer has not read."""
        self.is_broken = False
        """Whether the peer has gone, which the next that is sent finds out."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Know the two addresses, and whether TLS is spoken."""
        if name == "sslcontext" and self._is_secure:
            return self
        return ("192.0.2.1", 1) if name in {"peername", "sockname"} else default

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Note what is said, and that something was said too late."""
        if self.is_closing():
            self.done.append("late")
        elif self.is_broken:
            self.done.append("abort")
        else:
            self.said += data

    def get_write_buffer_size(self) -> int:
        """Tell how much waits."""
        return self.waiting

    def is_closing(self) -> bool:
        """Tell whether it was closed."""
        return "close" in self.done or "abort" in self.done

    def write_eof(self) -> None:
        """Note it; TLS has no such end."""
        assert not self._is_secure
        self.done.append("eof")

    def close(self) -> None:
        """Note it; that of TLS would not be heard of any more if it were closed twice."""
        assert not self.is_closing()
        self.done.append("close")

    def abort(self) -> None:
        """Note it."""
        self.done.append("abort")

    def pause_reading(self) -> None:
        """Note it."""
        self.done.append("pause")

    def resume_reading(self) -> None:
        """Note it."""
        self.done.append("resume")

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Have no buffer."""

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Belong to another protocol from now on."""
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return that protocol."""
        return cast(asyncio.BaseProtocol, self.protocol)


class PlayedExchange:
    """Answers with the body of its request: at its head, when it is whole or later, as its header ``x-when`` says."""

    def __init__(self, request: Request, all_: list[PlayedExchange]) -> None:
        self.request = request
        self.when = dict(request.headers).get(b"x-when", b"whole")
        self.body = b""
        self.heard: list[str] = []
        all_.append(self)
        if self.when == b"head":
            self.answer()

    def answer(self) -> None:
        """Answer now."""
        target = self.request.target
        self.request.answer(200, b"content-length: %d\r\n" % (len(target) + len(self.body)), target + self.body)

    def take(self, part: bytes) -> None:
        """Keep a part of the body."""
        self.body += part

    def complete(self) -> None:
        """Answer, unless that is for later."""
        self.heard.append("complete")
        if self.when == b"whole":
            self.answer()

    def await_body(self) -> None:
        """Note it once."""
        if "await body" not in self.heard:
            self.heard.append("await body")

    def flowing(self) -> None:
        """Note it."""
        self.heard.append("flowing")

    def dismiss(self) -> None:
        """Note it."""
        self.heard.append("dismissed")


class PlayedConnection:
    """A connection of a server that does not run.

    :param settings: those of the server.
    :param is_secure: whether TLS is spoken.
    """

    def __init__(self, settings: ServiceSettings | None = None, *, is_secure: bool = False) -> None:
        settings = settings or ServiceSettings()
        self.exchanges: list[PlayedExchange] = []
        self.clock = Clock(0.0)
        """By which slow peers are dropped."""
        self.book = Connections(settings, lambda _: False, self.clock)
        server = WebServer(self._open, {DEVICE_PATH: lambda _: None}, settings, self.book, RepeatLog())
        self.shared = server.shared
        self.shared.beginnings[200] = b"HTTP/1.1 200 OK\r\n"
        self.transport = PlayedTransport(is_secure=is_secure)
        self.connection = HttpConnection(self.shared, self._open)
        self.book.admit(self.connection, "192.0.2.1")
        self.connection.connection_made(self.transport)

    def _open(self, request: Request) -> PlayedExchange:
        return PlayedExchange(request, self.exchanges)

    def hear(self, *chunks: bytes) -> None:
        """Let the connection read these chunks."""
        for chunk in chunks:
            self.connection.get_buffer(-1)[: len(chunk)] = chunk
            self.connection.buffer_updated(len(chunk))

    def half_close(self) -> None:
        """Let the peer send nothing more; asyncio closes the connection then, unless it is told not to."""
        if not self.connection.eof_received() and not self.transport.is_closing():
            self.transport.close()

    def answer_later(self) -> None:
        """Answer all that was put off, in the order in which it was begun."""
        for exchange in self.exchanges:  # there may be more of them then
            if exchange.when == b"later":
                exchange.answer()

    @property
    def statuses(self) -> list[int]:
        """The statuses of what was said so far."""
        return [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3})", self.transport.said)]
