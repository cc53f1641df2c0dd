"""A notification of the service's own, which takes the way that any sender's takes: through the router, as a request to a channel."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from attrs import define, field, frozen

from tocsin.service.web.exchanges import OpenExchange, Request
from tocsin.service.web.headers import RawHeaders
from tocsin.service.web.shared_state import SharedState

_END: Final = b"\r\n\r\n"


@frozen
class Posted:
    """How a notification was answered; the names of the headers are spelled as they went out."""

    status: int
    headers: tuple[tuple[str, str], ...]

    def header(self, name: str) -> str:
        """Return a header; empty where there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


@frozen
class Poster:
    """Posts.

    :param open_exchange: begins to answer a request.
    :param shared: the state of the web server, whose connection a request is to be on.
    """

    _open_exchange: OpenExchange
    _shared: SharedState

    async def post(self, target: str, headers: RawHeaders, body: bytes, client: tuple[str, int] | None) -> Posted:
        """Post, and return the answer.

        :param client: address and port of the peer for whom it is posted: its limits hold.
        """
        sender = _OwnSender(self._shared, client)
        length = (b"content-length", b"%d" % len(body))
        request = Request(sender, "POST", target.encode(), [*headers, length], "1.1", keep_alive=True, expects=False)
        exchange = self._open_exchange(request)
        exchange.take(body)
        exchange.complete()
        try:
            return _read(await sender.answered)
        finally:
            exchange.dismiss()


@define(eq=False)
class _OwnSender:
    """A connection that ends in the service itself."""

    shared: SharedState
    client: tuple[str, int] | None
    server: tuple[str, int] | None = None
    is_secure: bool = False
    is_writable: bool = True
    answered: asyncio.Future[bytes] = field(factory=lambda: asyncio.get_running_loop().create_future())
    """The whole answer, once it is there."""

    def write(self, request: Request, data: bytes) -> None:
        """Do nothing: nothing is answered in parts."""

    def answer(self, request: Request, data: bytes) -> None:  # noqa: ARG002  # there is one
        """Take the answer."""
        if not self.answered.done():
            self.answered.set_result(data)

    def mark_last(self) -> None:
        """Do nothing, as below: nothing comes behind the one request."""

    def hold_back(self, request: Request) -> None: ...

    def go_on(self, request: Request) -> None: ...

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task, which the server waits for, and cancels, when it leaves."""
        self.shared.start(work)


def _read(answer: bytes) -> Posted:
    status, *lines = answer.partition(_END)[0].decode("latin-1").split("\r\n")
    pairs = (line.partition(": ") for line in lines)
    return Posted(int(status.split(" ")[1]), tuple((name, value) for name, _, value in pairs))
