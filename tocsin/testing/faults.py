"""Faults on demand: a layer that answers in the service's place, and notes what senders have asked."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Mapping, MutableMapping
from functools import partial
from typing import Any, Final, cast

from attrs import field, frozen
from starlette.types import ASGIApp, Receive, Scope, Send

from tocsin.service.layer import Layer
from tocsin.service.url_paths import token_of
from tocsin.service.web.exchanges import OpenExchange, Request, RequestExchange, Sender
from tocsin.service.web.websocket import OpenWebSocket, Receiver, WebSocket
from tocsin.testing.between import Fault, Faulty, Noting, Overheard, Watched
from tocsin.testing.swallowed import swallowed

_SIGN_IN = ("/accesstoken.srf", "/oauth2/v2.0/token", "/oauth2/token")
_TRACE = "fault-on-demand"


_MOST_TOKENS: Final = 100_000
"""Access tokens that are known at most, to let them expire; the oldest are forgotten first."""

logger = logging.getLogger(__name__)


@frozen
class SentRequest:
    """A notification as it was sent: its headers by lower-cased name, and how it was answered.

    ``id`` is the ``X-WNS-Msg-ID`` of the answer, ``outcome`` its ``X-WNS-Status`` and ``description`` its
    ``X-WNS-Error-Description``; each is empty where the answer has none. ``warnings`` says, sentence by sentence, what the
    real WNS would have taken as well, and Windows not have shown.
    """

    headers: Mapping[str, str] = field(repr=False)
    status: int
    method: str = "POST"
    id: str = ""
    outcome: str = ""
    description: str = ""
    warnings: tuple[str, ...] = ()


class Faults(Layer):
    """The layer; all that changes it runs in the service's event loop.

    :param most: how many requests are kept, the newest; None for all.
    """

    def __init__(self, most: int | None = None) -> None:
        self.requests: deque[SentRequest] = deque(maxlen=most)
        self.sign_ins = 0
        """How often a token was asked for."""
        self._post_faults: list[Fault] = []
        self._sign_in_faults: list[Fault] = []
        self._issued: dict[str, None] = {}  # in the order in which they were
        self._expired_tokens: dict[str, None] = {}
        self._expired_channels: set[str] = set()
        self._connected: set[WebSocket] = set()
        self._is_away = False
        self.device_left = asyncio.Event()
        """Is set when the service has seen the next device leave."""

    def fail(self, status: int, times: int | None, description: str, **headers: str) -> None:
        """Answer the next notifications with that status."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        described = {"x-wns-error-description": description, "x-wns-debug-trace": _TRACE, **names}
        self._post_faults.append(Fault(status, described, times))

    def refuse_tokens(self, status: int | None, error: str, times: int | None) -> None:
        """Answer the next token requests with that error; status None is what the form of the endpoint has for it."""
        text = {"error": error, "error_description": "Refused on demand."}
        self._sign_in_faults.append(Fault(status or 0, {}, times, json.dumps(text).encode()))

    def expire_tokens(self) -> None:
        """Let all tokens be expired that were issued so far."""
        self._expired_tokens |= self._issued
        self._issued.clear()
        _keep_newest(self._expired_tokens)

    def expire_channel(self, uri: str) -> None:
        """Let a channel be expired."""
        self._expired_channels.add(_channel_token(uri.partition("?")[2].encode()))

    async def cut_devices_off(self) -> None:
        """Cut the connections of all devices, and let none in until :meth:`let_devices_in`; return when they have gone."""
        self._is_away = True
        for socket in self._connected:
            socket.drop()
        while self._connected:
            await self.device_left.wait()

    def let_devices_in(self) -> None:
        """Let devices connect again."""
        self._is_away = False

    def heal(self) -> None:
        """Take all faults away; what has expired stays so."""
        self._post_faults.clear()
        self._sign_in_faults.clear()

    def reset(self) -> None:
        """Forget all: faults, what has expired on demand, and what was asked."""
        self.heal()
        self._expired_tokens.clear()
        self._expired_channels.clear()
        self.requests.clear()
        self.sign_ins = 0

    def around_channels(self, open_exchange: OpenExchange) -> OpenExchange:
        """Answer notifications where a fault is due, and note how they are answered."""

        def opened(request: Request) -> RequestExchange:
            headers = {name.decode(): value.decode("latin-1") for name, value in request.headers}
            fault = self._judge(headers, request.location()[2]) or _next(self._post_faults)
            body = bytearray()
            request.sender = cast(Sender, Noting(request.sender, partial(self._note, request.method, headers, body)))
            return Overheard(open_exchange(request), body) if fault is None else Faulty(request, fault)

        return opened

    def around_others(self, app: ASGIApp) -> ASGIApp:
        """Answer token requests where a fault is due."""

        async def layer(scope: Scope, receive: Receive, send: Send) -> None:
            sign_in = scope["path"].rstrip("/").endswith(_SIGN_IN)
            await (self._sign_in(app, scope, receive, send) if sign_in else app(scope, receive, send))

        return layer

    def around_devices(self, opening: OpenWebSocket) -> OpenWebSocket:
        """Let devices in, and know them, so that they can be cut off."""

        def open_or_not(socket: WebSocket) -> Receiver | None:
            receiver = None if self._is_away else opening(socket)
            if receiver is None:
                return None
            self._connected.add(socket)
            return Watched(receiver, partial(self._leave, socket))

        return open_or_not

    def _leave(self, socket: WebSocket) -> None:
        self._connected.discard(socket)
        self.device_left.set()
        self.device_left = asyncio.Event()

    def _note(
        self, method: str, headers: Mapping[str, str], body: bytearray, status: int, said: Mapping[str, str]
    ) -> None:
        id_, outcome = said.get("x-wns-msg-id", ""), said.get("x-wns-status", "")
        warnings = swallowed(method, headers, bytes(body)) if status == 200 else ()
        for each in warnings:
            logger.warning("the notification %s was taken, and Windows would do nothing with it: %s", id_, each)
        description = said.get("x-wns-error-description", "")
        self.requests.append(SentRequest(headers, status, method, id_, outcome, description, warnings))

    def _judge(self, headers: Mapping[str, str], query: bytes) -> Fault | None:
        """Find what has expired on demand, in the service's own order."""
        if headers.get("authorization", "").partition(" ")[2].strip() in self._expired_tokens:
            return Fault(401, {"x-wns-error-description": "The access token has expired: get a new one"}, None)
        if _channel_token(query) in self._expired_channels:
            return Fault(410, {"x-wns-error-description": "Expired channel URL"}, None)
        return None

    async def _sign_in(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        self.sign_ins += 1
        fault = _next(self._sign_in_faults)
        if fault is not None:
            status = fault.status or (400 if scope["path"].endswith(_SIGN_IN[0]) else 401)
            await _answer(send, status, {"content-type": "application/json"}, fault.body)
            return
        reply = bytearray()

        async def noting(message: MutableMapping[str, Any]) -> None:
            reply.extend(message.get("body", b""))
            await send(message)

        await app(scope, receive, noting)
        token = _token_in(reply)
        if token:
            self._issued[token] = None
            _keep_newest(self._issued)


def _next(faults: list[Fault]) -> Fault | None:
    """Take the next fault; one that has been used up goes."""
    if not faults:
        return None
    fault = faults[0]
    if fault.times is not None:
        fault.times -= 1
        if fault.times <= 0:
            del faults[0]
    return fault


def _token_in(reply: bytearray) -> str:
    """Return the token of an answer; empty where it is a refusal, which need be no JSON."""
    try:
        return str(json.loads(reply).get("access_token", ""))
    except ValueError:
        return ""


def _keep_newest(tokens: dict[str, None]) -> None:
    while len(tokens) > _MOST_TOKENS:
        del tokens[next(iter(tokens))]


def _channel_token(query: bytes) -> str:
    return token_of(query) or ""


async def _answer(send: Send, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items() if value]
    raw.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
