"""Routes each request to the part of the service that answers it: channels directly, all others as ASGI."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request as AsgiRequest
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tocsin.service.hub.hub_service import HubService
from tocsin.service.url_paths import CHANNEL_PATH, PUSH_PATH
from tocsin.service.web.asgi_exchange import AsgiExchange
from tocsin.service.web.exchanges import OpenExchange, Request, RequestExchange

_CHANNEL: Final = CHANNEL_PATH.encode()
_PUSH: Final = PUSH_PATH.encode()


class OtherRoutes:
    """All that is not for a channel, as an ASGI application: hubs, and what is asked by its path."""

    def __init__(self, hub: HubService, routes: list[Route], websocket_paths: Iterable[str]) -> None:
        self._hub = hub
        self.routes = [*routes, *(Route(path, _upgrade) for path in websocket_paths)]
        """Those that are asked by their paths."""
        self._others = Starlette(routes=self.routes, exception_handlers={404: _not_found})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await (self._hub if self._hub.answers(scope["path"]) else self._others)(scope, receive, send)


class Router:
    """Routes requests.

    :param channels: answers those to channels of WNS.
    :param pushes: answers those to push resources.
    :param others: answers all others.
    """

    def __init__(self, channels: OpenExchange, pushes: OpenExchange, others: ASGIApp) -> None:
        self._channels = channels
        self._pushes = pushes
        self._others = others

    def open_exchange(self, request: Request) -> RequestExchange:
        """Begin to answer a request."""
        if request.target.startswith(_CHANNEL):
            return self._channels(request)
        if request.target.startswith(_PUSH):
            return self._pushes(request)
        path, _, query = request.location()
        if path.startswith(PUSH_PATH):
            return self._pushes(request)
        is_channel = path.startswith(CHANNEL_PATH) or path == CHANNEL_PATH[:-1] or (path == "/" and b"token=" in query)
        return self._channels(request) if is_channel else AsgiExchange(self._others, request)


async def _not_found(_: AsgiRequest, __: Exception) -> Response:
    return PlainTextResponse("Nothing is here: this is a push service, see its channel and token URLs\n", 404)


async def _upgrade(_: AsgiRequest) -> Response:
    """Answer 426 to a device whose proxy does not pass WebSockets on."""
    headers = {"Connection": "Upgrade", "Upgrade": "websocket"}
    return PlainTextResponse("Devices connect here by WebSocket\n", 426, headers)
