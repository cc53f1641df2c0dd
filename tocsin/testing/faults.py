"""Faults on demand: an ASGI layer that answers in the service's place, and notes what senders have asked."""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping
from functools import partial
from typing import Any

import anyio
from attrs import define, field, frozen
from starlette.types import ASGIApp, Receive, Scope, Send

from tocsin.service.url_paths import CHANNEL_PATH, token_of

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


class Faults:
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
        self._cuts: set[anyio.Event] = set()
        self._is_away = False
        self.device_left = anyio.Event()
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
        for cut in self._cuts:
            cut.set()
        while self._cuts:
            await self.device_left.wait()

    def let_devices_in(self) -> None:
        """Let devices connect again."""
        self._is_away = False

    def heal(self) -> None:
        """Take all faults away; what has expired stays so."""
        self._post_faults.clear()
        self._sign_in_faults.clear()

    def around(self, app: ASGIApp) -> ASGIApp:
        """Wrap the service."""

        async def layer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "websocket":
                await self._device(app, scope, receive, send)
            elif scope["path"].rstrip("/").endswith(_SIGN_IN):
                await self._sign_in(app, scope, receive, send)
            elif scope["path"].startswith(CHANNEL_PATH) or b"token=" in scope["query_string"]:
                await self._post(app, scope, receive, send)
            else:
                await app(scope, receive, send)

        return layer

    async def _device(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        if self._is_away:
            await send({"type": "websocket.close", "code": 1013})
            return
        cut = anyio.Event()
        self._cuts.add(cut)
        try:
            await app(scope, partial(_receive_until, cut, receive), send)
        finally:
            self._cuts.discard(cut)
            self.device_left.set()
            self.device_left = anyio.Event()

    async def _post(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        fault = self._judge(headers, scope) or _next(self._post_faults)

        async def noting(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self.requests.append(SentRequest(headers, message["status"]))
            await send(message)

        if fault is None:
            await app(scope, receive, noting)
        else:
            await _answer(noting, fault.status, fault.headers)

    def _judge(self, headers: Mapping[str, str], scope: Scope) -> Fault | None:
        """Find what has expired on demand, in the service's own order."""
        if headers.get("authorization", "").partition(" ")[2].strip() in self._expired_tokens:
            return Fault(401, {"x-wns-error-description": "The access token has expired: get a new one"}, None)
        if _channel_token(scope["query_string"]) in self._expired_channels:
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


async def _receive_until(cut: anyio.Event, receive: Receive) -> MutableMapping[str, Any]:
    """Receive what a device sends; once its connection was cut, that it is gone."""
    received: MutableMapping[str, Any] = {"type": "websocket.disconnect", "code": 1006}
    async with anyio.create_task_group() as either:

        async def give_up() -> None:
            await cut.wait()
            either.cancel_scope.cancel()

        either.start_soon(give_up)
        received = await receive()
        either.cancel_scope.cancel()
    return received


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
