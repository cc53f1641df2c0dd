"""What the calling service answers by its paths, but for agents, which come by WebSocket: whether it is well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tocsin.protocol.messages.calling import CALLING_PATH
from tocsin.service.operations.health import Report

HEALTH_PATH: Final = "/healthz"
"""Where load balancers ask."""


class CallingRoutes:
    """Routes requests by their paths; an ASGI application.

    :param report: how the service is; what is behind it in detail, the command is told only.
    """

    def __init__(self, report: Callable[[], Report]) -> None:
        self._report = report
        routes = [Route(HEALTH_PATH, self._answer_health), Route(CALLING_PATH, _upgrade)]
        self._others = Starlette(routes=routes, exception_handlers={404: _not_found})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._others(scope, receive, send)

    async def _answer_health(self, _: Request) -> Response:
        report = self._report()
        headers = {"Cache-Control": "no-store"}
        return JSONResponse(report.fields(details=False), 503 if report.causes else 200, headers)


async def _not_found(_: Request, __: Exception) -> Response:
    return PlainTextResponse(f"Nothing is here: this is a calling service, agents connect to {CALLING_PATH}\n", 404)


async def _upgrade(_: Request) -> Response:
    """Answer 426 to an agent whose proxy does not pass WebSockets on."""
    headers = {"Connection": "Upgrade", "Upgrade": "websocket"}
    return PlainTextResponse("Agents connect here by WebSocket\n", 426, headers)
