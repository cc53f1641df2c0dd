"""The page of a platform, served on a loopback port."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from attrs import frozen
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tocsin.cli.platform_page.asked_platform import AskedPlatform
from tocsin.cli.platform_page.first_visitor import FirstVisitor
from tocsin.cli.platform_page.platform_sections import face_of, machine_section, platform_sections
from tocsin.repeat_log import RepeatLog
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.page.live import Live
from tocsin.service.page.markup import Markup
from tocsin.service.page.page_answers import Guard, routes_of, stream, whole
from tocsin.service.url_paths import PAGE_PATH
from tocsin.service.web.asgi_exchange import AsgiExchange
from tocsin.service.web.connections import Connections
from tocsin.service.web.listener import listen, url_of
from tocsin.service.web.web_server import WebServer, serving
from tocsin.tasks import task_group

_HOST: Final = "127.0.0.1"


@frozen
class ServedPage:
    """A page that is served."""

    address: str
    """Where it is opened, once."""
    visitor: FirstVisitor


@asynccontextmanager
async def serving_page(state: Path, kind: str) -> AsyncIterator[ServedPage]:
    """Serve the page of what runs on a state folder while the block runs.

    :param kind: what it is: an agent, or a program.
    :raises PlatformUnavailable: there is no port to listen on.
    """
    settings, steady = ServiceSettings(), asyncio.get_running_loop().time
    platform = AskedPlatform(state)
    with await listen(_HOST, 0, None) as listener:
        port = listener.getsockname()[1]
        url = url_of(_HOST, port)
        visitor = FirstVisitor(port, steady)
        live = Live(platform.followers, _Subject(platform), steady, time.time)
        app = Starlette(routes=_routes(visitor, platform, live, url, kind))
        book = Connections(settings, lambda _: False, steady)
        server = WebServer(partial(AsgiExchange, app), {}, settings, book, RepeatLog())

        async def leave() -> None:
            live.stop()
            server.accept_no_more()

        async with serving(server, listener, leave), live.running(), task_group() as tasks:
            tasks.start_soon(platform.listen)
            yield ServedPage(f"{url}{PAGE_PATH}open/{visitor.key}", visitor)
            tasks.cancel_scope.cancel()


@frozen
class _Subject:
    """A platform as what a page is of."""

    _platform: AskedPlatform

    async def written(self) -> dict[str, Markup]:
        """Ask, and write what is answered."""
        return platform_sections(await self._platform.take())

    def sample(self, now: float) -> None:
        """Note nothing: the page has no curves."""


def _routes(visitor: FirstVisitor, platform: AskedPlatform, live: Live, url: str, kind: str) -> list[Route]:
    guard, face = Guard(visitor.judge, url, visitor.ask), face_of(kind)

    async def show(_: Request) -> Response:
        live.look()
        written = platform_sections(await platform.take())
        return whole(face, live, written, machine_section(written["machine"]), has_session=False)

    async def tell(request: Request) -> Response:
        return stream(live, request, lambda: visitor.has_session(request))

    answers = {
        "/": guard.admits(show, asks=True),
        f"{PAGE_PATH}events": guard.admits(tell),
        f"{PAGE_PATH}open/{{key}}": guard.admits(visitor.enter, is_open=True),
    }
    return routes_of(guard, answers)
