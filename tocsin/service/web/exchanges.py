"""One request and its answer, between the connection that they go over and the part of the service that answers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol
from urllib.parse import unquote

from httptools import HttpParserInvalidURLError, parse_url

from tocsin.service.web.headers import CLOSE, RawHeaders, write
from tocsin.service.web.shared_state import SharedState


class Sender(Protocol):
    """The connection that a request came on. What is written for a request whose turn it is not is dropped: its peer has gone."""

    shared: SharedState
    client: tuple[str, int] | None
    """Address and port of the peer, where it has such."""
    server: tuple[str, int] | None
    is_secure: bool
    """Whether it speaks TLS."""
    is_writable: bool
    """Whether the peer reads what it is sent."""

    def write(self, request: Request, data: bytes) -> None:
        """Send a part of the answer."""
        ...

    def answer(self, request: Request, data: bytes) -> None:
        """Send the rest of the answer, or the whole; where ``keep_alive`` is false, it is the connection's last."""
        ...

    def mark_last(self) -> None:
        """Let the answer to the request that came last say that the connection ends."""
        ...

    def hold_back(self, request: Request) -> None:
        """Read no more, until :meth:`go_on` or the end of the answer."""
        ...

    def go_on(self, request: Request) -> None:
        """Read on."""
        ...

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task, which the server waits for, and cancels, when it leaves."""
        ...


class Request:
    """The head of a request.

    :param target: what the request line asks for.
    :param headers: names are in lower case.
    :param version: ``1.1`` or ``1.0``.
    :param keep_alive: whether the connection goes on after the answer.
    :param expects: whether the peer waits for ``100 Continue`` before it sends the body.
    """

    __slots__ = ("expects", "headers", "keep_alive", "method", "sender", "target", "version")

    def __init__(  # noqa: PLR0913, PLR0917  # made for each request: names would cost more than all of it
        self,
        sender: Sender,
        method: str,
        target: bytes,
        headers: RawHeaders,
        version: str,
        keep_alive: bool,  # noqa: FBT001  # as above
        expects: bool,  # noqa: FBT001  # as above
    ) -> None:
        self.sender = sender
        self.method = method
        self.target = target
        self.headers = headers
        self.version = version
        self.keep_alive = keep_alive
        self.expects = expects

    def location(self) -> tuple[str, bytes, bytes]:
        """Return the path, the path as it was written, and the query."""
        raw_path, query = split_target(self.target)
        path = raw_path.decode("ascii")
        return unquote(path) if "%" in path else path, raw_path, query

    def welcome_body(self) -> None:
        """Tell a peer that waits to be told so that its body is wanted."""
        if self.expects:
            self.expects = False
            self.sender.write(self, b"HTTP/1.1 100 Continue\r\n\r\n")

    def answer(self, status: int, headers: bytes, body: bytes = b"") -> None:
        """Answer.

        :param headers: as they go out, with the length of the body.
        """
        shared = self.sender.shared
        if shared.keeps_none:
            self.sender.mark_last()
        beginning = shared.beginnings.get(status) or shared.begin(status)
        end = b"\r\n" if self.keep_alive else CLOSE + b"\r\n"
        self.sender.answer(self, b"".join((beginning, headers, end, body if self.method != "HEAD" else b"")))


class RequestExchange(Protocol):
    """What answers one request; its body comes in parts, as it comes."""

    def take(self, part: bytes) -> None:
        """Take a part of the body."""
        ...

    def complete(self) -> None:
        """Note that the body is there to its end."""
        ...

    def await_body(self) -> None:
        """Note that the body has not come with its head: it is awaited. This may be said several times."""
        ...

    def flowing(self) -> None:
        """Note that the peer reads again."""
        ...

    def dismiss(self) -> None:
        """Note that the peer has gone: no answer reaches it."""
        ...


OpenExchange = Callable[[Request], RequestExchange]
"""Begins to answer a request."""


def answer_failure(request: Request) -> None:
    """Answer where something of ours has failed."""
    request.keep_alive = False  # how far its body has come is not known
    body = b"Internal Server Error"
    request.answer(
        500, write([(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]), body
    )


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Split a request's target into path and query.

    :raises ValueError: it is neither a path nor a URL.
    """
    if not target.isascii():
        raise ValueError("a target is ASCII")
    if target.startswith(b"/"):
        path, _, query = target.partition(b"#")[0].partition(b"?")
        return path, query
    try:
        url = parse_url(target)
    except HttpParserInvalidURLError as wrong:
        raise ValueError("a target is a path or a URL") from wrong
    return url.path or b"/", url.query or b""
