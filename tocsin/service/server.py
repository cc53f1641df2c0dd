"""The push service as a whole: opened on a state folder, closed in order."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tocsin.service.bodies import Bodies
from tocsin.service.channels import PATH, Channels
from tocsin.service.devices import Devices
from tocsin.service.listener import listen, url_of
from tocsin.service.notifications import Notifications
from tocsin.service.oauth import TokenEndpoint
from tocsin.service.registrations import AppRegistration, Registrations
from tocsin.service.settings import ServiceSettings
from tocsin.service.store import ServiceStore, open_store
from tocsin.service.tokens import Tokens
from tocsin.service.web import WebServer
from tocsin.tasks import task_group

DEVICE_PATH = "/device"

_FAREWELL = 0.5  # seconds for the device connections to end
_LEAVE = 2.0  # seconds for the web server to leave, after which it is cancelled


class PushService:
    """A running service; made by :func:`open_service`."""

    def __init__(self, registrations: Registrations, url: str, port: int, port_changed_from: int | None) -> None:
        self._registrations = registrations
        self.url = url
        """What channel URIs begin with, without a slash at its end."""
        self.port = port
        """The TCP port that the service listens on."""
        self.port_changed_from = port_changed_from
        """The port of the last time, if another program has it now: channel URIs from then lead nowhere. Else None."""

    @property
    def device_url(self) -> str:
        """Where devices connect."""
        return f"ws{self.url.removeprefix('http')}{DEVICE_PATH}"

    @property
    def token_url(self) -> str:
        """Where senders get access tokens, in the Live form."""
        return f"{self.url}/accesstoken.srf"

    @property
    def aad_token_url(self) -> str:
        """Where senders get access tokens, in the form of Entra; any tenant will do."""
        return f"{self.url}/common/oauth2/v2.0/token"

    async def register(self, name: str) -> AppRegistration:
        """Register an app, or give a registered one another secret; its ids stay the same.

        :raises InvalidArgument: the name is empty, too long or not printable.
        :raises StateUnavailable: it could not be stored.
        """
        return await self._registrations.register(name)


@asynccontextmanager
async def open_service(
    state: Path,
    settings: ServiceSettings | None = None,
    *,
    now: Callable[[], float] = time.time,
    middleware: Callable[[ASGIApp], ASGIApp] | None = None,
) -> AsyncIterator[PushService]:
    """Run the push service on a state folder that the caller holds.

    :param now: the wall clock, in seconds since the epoch; channels, tokens and secrets expire by it.
    :param middleware: wraps the whole application, for whoever wants to see or to answer requests before it does.
    :raises PlatformUnavailable: the port is in use, or the host is not ours.
    :raises StateUnavailable: the service's store cannot be used.
    """
    settings = settings or ServiceSettings()
    async with open_store(state) as store:
        registrations = await Registrations.load(store, now)
        tokens = await Tokens.load(store, registrations, now)
        remembered = await _remembered_port(store)
        with await listen(settings.host, settings.port, remembered) as listener:
            port = listener.getsockname()[1]
            await store.set_meta("port", str(port).encode())
            url = settings.public_url.rstrip("/") or url_of(settings.host, port)
            channels = Channels(store, registrations, url, now)
            await channels.prune()
            devices = Devices(channels, settings)
            bodies = Bodies(settings.body_timeout)
            notifications = Notifications(channels, tokens, devices, bodies, now)
            endpoint = TokenEndpoint(registrations, tokens, bodies, now)
            app = _dispatch(devices, notifications, _others(endpoint))
            app = app if middleware is None else middleware(app)
            changed = settings.port == 0 and remembered not in {None, port}
            async with _serving(app, listener, devices, bodies):
                yield PushService(registrations, url, port, remembered if changed else None)


async def _remembered_port(store: ServiceStore) -> int | None:
    value = await store.meta("port")
    return None if value is None else int(value)


@asynccontextmanager
async def _serving(app: ASGIApp, listener: socket.socket, devices: Devices, bodies: Bodies) -> AsyncIterator[None]:
    """Run the web server; at the end tell the senders, then the devices, then the server, each with its time."""
    server = WebServer(app)
    shield = anyio.CancelScope(shield=True)  # a cancellation from outside reaches the server as a request to leave

    async def serve() -> None:
        with shield:
            await server.serve(sockets=[listener])

    async with task_group() as group:
        group.start_soon(serve)
        try:
            await server.ready.wait()
            yield
        finally:
            bodies.stop()
            with anyio.move_on_after(_FAREWELL, shield=True):
                await devices.aclose()
            server.leave()
            shield.deadline = anyio.current_time() + _LEAVE


def _dispatch(devices: Devices, notifications: Notifications, others: ASGIApp) -> ASGIApp:
    """Send each connection and request to whom it is for."""

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if scope["type"] == "websocket":
            await (devices if path == DEVICE_PATH else _refuse_websocket)(scope, receive, send)
        elif path.startswith(PATH) or path == PATH[:-1] or (path == "/" and b"token=" in scope["query_string"]):
            await notifications(scope, receive, send)
        else:
            await others(scope, receive, send)

    return dispatch


def _others(endpoint: TokenEndpoint) -> Starlette:
    routes = [*endpoint.routes(), Route(DEVICE_PATH, _upgrade)]
    return Starlette(routes=routes, exception_handlers={404: _not_found})


async def _not_found(_: Request, __: Exception) -> Response:
    return PlainTextResponse("Nothing is here: this is a push service, see its channel and token URLs\n", 404)


async def _upgrade(_: Request) -> Response:
    """Help whoever has a proxy that does not pass WebSockets on."""
    headers = {"Connection": "Upgrade", "Upgrade": "websocket"}
    return PlainTextResponse("Devices connect here by WebSocket\n", 426, headers)


async def _refuse_websocket(scope: Scope, receive: Receive, send: Send) -> None:
    scope["query_string"] = b""  # uvicorn logs it with the refusal, and that of a channel is a secret
    await receive()
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "websocket.http.response.start", "status": 404, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b"No WebSocket is served here\n"})
