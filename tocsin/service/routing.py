"""Routes each request to the part of the service that answers it, and counts those being answered."""

from __future__ import annotations

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tocsin.service.hub.hub_service import HubService
from tocsin.service.senders.wns_route import WnsRoute
from tocsin.service.url_paths import CHANNEL_PATH, DEVICE_PATH
from tocsin.service.web.express import Post


class Router:
    """Routes connections and requests by their paths; an ASGI application."""

    def __init__(self, devices: ASGIApp, notifications: WnsRoute, hub: HubService, routes: list[Route]) -> None:
        self._devices = devices
        self._notifications = notifications
        self._hub = hub
        self.routes = [*routes, Route(DEVICE_PATH, _upgrade)]
        """Those that are asked by their paths, channels and hubs aside."""
        self._others = Starlette(routes=self.routes, exception_handlers={404: _not_found})
        self._busy = 0
        self._idle: anyio.Event | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, or answer one request."""
        if scope["type"] == "websocket":
            await self._devices(scope, receive, send)
            return
        path = scope["path"]
        hot = (
            path.startswith(CHANNEL_PATH)
            or path == CHANNEL_PATH[:-1]
            or (path == "/" and b"token=" in scope["query_string"])
        )
        self._busy += 1
        try:
            other = self._hub if self._hub.answers(path) else self._others
            await (self._notifications if hot else other)(scope, receive, send)
        finally:
            self._done()

    def answer_express(self, post: Post) -> bool:
        """Take a post by the express lane, or tell that nothing was done with it."""
        taken = self._notifications.answer_express(post, self._done)
        self._busy += taken
        return taken

    def _done(self) -> None:
        self._busy -= 1
        if self._idle is not None and not self._busy:
            self._idle.set()

    async def idle(self) -> None:
        """Wait until no request is being answered."""
        if self._busy:
            self._idle = anyio.Event()
            await self._idle.wait()


async def _not_found(_: Request, __: Exception) -> Response:
    return PlainTextResponse("Nothing is here: this is a push service, see its channel and token URLs\n", 404)


async def _upgrade(_: Request) -> Response:
    """Answer 426 to a device whose proxy does not pass WebSockets on."""
    headers = {"Connection": "Upgrade", "Upgrade": "websocket"}
    return PlainTextResponse("Devices connect here by WebSocket\n", 426, headers)
