"""One request as ASGI (version 3, HTTP 2.3), for the parts of the service that are ASGI applications: a task each."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import Final

from starlette.types import ASGIApp, Message, Scope

from tocsin.service.web.answer_framing import AnswerFraming
from tocsin.service.web.exchanges import Request, answer_failure

HIGH_WATER: Final = 64 * 1024
"""Bytes of a body that may wait for the application, before no more is read."""

_DISCONNECT: Final[Message] = {"type": "http.disconnect"}

logger = logging.getLogger(__name__)


class AsgiExchange:
    """One request and its answer.

    :param app: answers.
    """

    __slots__ = (
        "_app", "_body", "_ended", "_framing", "_gone", "_head", "_is_taken", "_is_whole", "_news", "_request"
    )  # fmt: skip

    def __init__(self, app: ASGIApp, request: Request) -> None:
        self._app = app
        self._request = request
        self._body = bytearray()
        self._is_whole = False
        self._is_taken = False  # whether the application has had the last of the body
        self._gone = False  # whether the peer has left
        self._ended = False  # whether the answer has
        self._framing: AnswerFraming | None = None  # until the answer has begun
        self._head = b""  # of the answer, which goes out with the first of its body
        self._news = asyncio.Event()
        request.sender.start(self._run())

    # From the connection

    def take(self, part: bytes) -> None:
        """Take a part of the body."""
        self._body += part
        if len(self._body) > HIGH_WATER:
            self._request.sender.hold_back(self._request)
        self._news.set()

    def complete(self) -> None:
        """Note that the body is there to its end."""
        self._is_whole = True
        self._news.set()

    def await_body(self) -> None:
        """Do nothing: how long to wait for a body is for the application to say."""

    def flowing(self) -> None:
        """Note that the peer reads again."""
        self._news.set()

    def dismiss(self) -> None:
        """Note that the peer has left."""
        self._gone = True
        self._news.set()

    # The application

    async def _run(self) -> None:
        """Let the application answer, and answer for one that does not."""
        try:
            await self._app(self._scope(), self.receive, self.send)
        except Exception:  # noqa: BLE001  # one request's fault, which is logged
            self._log(traceback.format_exc())
        else:
            if not self._ended and not self._gone:
                self._log("it has returned before its answer was complete")
        finally:
            if not self._ended and not self._gone:
                self._ended = True
                self._break_off()

    def _log(self, what: str) -> None:
        recurring = self._request.sender.shared.recurring
        recurring.log(logger, logging.ERROR, what, "answering a request failed: %s", what)

    def _break_off(self) -> None:
        """Say that it has failed, or end the connection where the answer has begun."""
        request = self._request
        if self._framing is None or self._head:
            answer_failure(request)
        else:
            request.keep_alive = False
            request.sender.answer(request, b"")

    def _scope(self) -> Scope:
        request, sender = self._request, self._request.sender
        path, raw_path, query = request.location()
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": request.version,
            "method": request.method,
            "scheme": "https" if sender.is_secure else "http",
            "path": path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": request.headers,
            "client": sender.client,
            "server": sender.server,
            "state": {},
        }

    async def receive(self) -> Message:
        """Return the next event, as ASGI says."""
        self._request.welcome_body()
        while not (self._gone or self._ended) and (self._is_taken or not (self._body or self._is_whole)):
            self._news.clear()
            await self._news.wait()
        if self._gone or self._ended:
            return _DISCONNECT
        body, self._body = bytes(self._body), bytearray()
        self._is_taken = self._is_whole
        self._request.sender.go_on(self._request)
        return {"type": "http.request", "body": body, "more_body": not self._is_whole}

    async def send(self, message: Message) -> None:
        """Take an event from the application, as ASGI says; what is for a peer that has left is dropped.

        :raises RuntimeError: that may not be sent now, or is not what was announced.
        """
        while not (self._gone or self._request.sender.is_writable):
            self._news.clear()
            await self._news.wait()
        kind = message["type"]
        if self._gone:
            return
        if kind == "http.response.start" and self._framing is None and not self._ended:
            common = self._request.sender.shared.default_headers
            self._framing = AnswerFraming(self._request, message["status"], list(message.get("headers", ())), common)
            self._head = self._framing.head
            self._request.expects = False  # it is too late to ask for the body
        elif kind == "http.response.body" and self._framing is not None and not self._ended:
            ends = not message.get("more_body", False)
            data, self._head = self._head + self._framing.write(message.get("body", b""), ends=ends), b""
            self._send(data, ends=ends)
        else:
            raise RuntimeError(f"{kind} may not be sent now")

    def _send(self, data: bytes, *, ends: bool) -> None:
        if ends:
            self._ended = True
            self._request.sender.answer(self._request, data)
            self._news.set()  # for a task of the application that waits for more
        else:
            self._request.sender.write(self._request, data)
