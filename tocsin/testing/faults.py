"""Faults on demand: a layer that answers in the service's place, and notes what senders have asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, MutableMapping
from functools import partial
from typing import Any, cast

from attrs import define, field, frozen
from starlette.types import ASGIApp, Receive, Scope, Send

from tocsin.service.layer import Layer
from tocsin.service.url_paths import token_of
from tocsin.service.web.exchanges import OpenExchange, Request, RequestExchange, Sender
from tocsin.service.web.headers import write
from tocsin.service.web.websocket import OpenWebSocket, Receiver, WebSocket

_SIGN_IN = ("/accesstoken.srf", "/oauth2/v2.0/token", "/oauth2/token")
_TRACE = "fault-on-demand"


@frozen
class SentRequest:
    """A notification as it was sent: its headers by lower-cased name, and the status that it was answered with."""

    headers: Mapping[str, str] = field(repr=False)
    status: int


@define
class Fault:
    """An answer in place of the service's, so many times; None for as long as it is not taken away."""

    status: int
    headers: dict[str, str]
    times: int | None
    body: bytes = b""


class Faults(Layer):
    """The layer; all that changes it runs in the service's event loop."""

    def __init__(self) -> None:
        self.requests: list[SentRequest] = []
        self.sign_ins = 0
        """How often a token was asked for."""
        self._post_faults: list[Fault] = []
        self._sign_in_faults: list[Fault] = []
        self._issued: set[str] = set()
        self._expired_tokens: set[str] = set()
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

    def around_channels(self, open_exchange: OpenExchange) -> OpenExchange:
        """Answer notifications where a fault is due, and note how they are answered."""

        def opened(request: Request) -> RequestExchange:
            headers = {name.decode(): value.decode("latin-1") for name, value in request.headers}
            fault = self._judge(headers, request.location()[2]) or _next(self._post_faults)
            request.sender = cast(Sender, _Noting(request.sender, partial(self._note, headers)))
            return open_exchange(request) if fault is None else _Faulty(request, fault)

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
            return _Watched(receiver, partial(self._leave, socket))

        return open_or_not

    def _leave(self, socket: WebSocket) -> None:
        self._connected.discard(socket)
        self.device_left.set()
        self.device_left = asyncio.Event()

    def _note(self, headers: Mapping[str, str], status: int) -> None:
        self.requests.append(SentRequest(headers, status))

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
        self._issued.add(json.loads(reply).get("access_token", ""))


class _Noting:
    """A connection, for a request whose answer is noted."""

    def __init__(self, sender: Sender, note: Callable[[int], None]) -> None:
        self._sender = sender
        self._note = note

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sender, name)

    def answer(self, request: Request, data: bytes) -> None:
        """Note the status, and send the answer."""
        self._note(int(data[9:12]))
        self._sender.answer(request, data)


class _Faulty:
    """A request that is answered in the service's place."""

    def __init__(self, request: Request, fault: Fault) -> None:
        headers = [(name.encode(), value.encode()) for name, value in fault.headers.items() if value]
        length = (b"content-length", b"%d" % len(fault.body))
        request.answer(fault.status, write([*headers, length]), fault.body)

    def take(self, part: bytes) -> None:
        """Do nothing, as all that follows: it is answered."""

    def complete(self) -> None: ...

    def await_body(self) -> None: ...

    def flowing(self) -> None: ...

    def dismiss(self) -> None: ...


@frozen
class _Watched:
    """Takes what comes from a device for another, and tells of the end."""

    _receiver: Receiver
    _on_end: Callable[[], None]

    def take(self, message: bytes | str) -> None:
        """Pass on a message."""
        self._receiver.take(message)

    def flowing(self) -> None:
        """Pass on that the device reads."""
        self._receiver.flowing()

    def ended(self, code: int) -> None:
        """Pass on the end."""
        self._receiver.ended(code)
        self._on_end()


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


def _channel_token(query: bytes) -> str:
    return token_of(query) or ""


async def _answer(send: Send, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items() if value]
    raw.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
