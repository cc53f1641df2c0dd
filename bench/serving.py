"""The serving process of a bench over the wire: ``python -m bench.serving KIND STATE LOOP``, or ``engine STATE LOOP URL``."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import attrs

from bench import parts
from bench.framework import run_on
from bench.load import APP
from bench.parts import Sampler
from bench.receiving import open_input, say, until_input_ends
from bench.servers import HOST, free_port
from tocsin.collector import collect_rarely
from tocsin.repeat_log import RepeatLog
from tocsin.service import assembly
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.page import live
from tocsin.service.senders.vapid_tokens import VapidTokens
from tocsin.service.server import open_service
from tocsin.service.web.connections import Connections
from tocsin.service.web.exchanges import Request
from tocsin.service.web.listener import listen
from tocsin.service.web.web_server import WebServer

SETTINGS = ServiceSettings.private(max_connections=20_000, max_connections_per_address=20_000)
"""All that a bench sends comes from one machine, as fast as it can."""

_HEADERS = b"x-wns-status: received\r\ncontent-length: 0\r\n"


async def tocsin(
    state: Path, settings: ServiceSettings = SETTINGS, until: Callable[[], Awaitable[None]] = until_input_ends
) -> None:
    """Run a push service with one app registered, until that returns."""
    async with open_service(state, settings) as service:
        app = await service.register(APP)
        say(
            {
                "url": service.url,
                "port": service.port,
                "token_url": service.token_url,
                "client_id": app.client_id,
                "client_secret": app.client_secret,
                "remote_id": app.remote_id,
            }
        )
        await until()


async def told(state: Path) -> None:
    """Run one that tells, after ``"parts"``, on what its CPU went since ``"sample"``; else how many signatures of senders it has verified."""
    made: list[VapidTokens] = []

    def make(*arguments: Any) -> VapidTokens:
        made.append(VapidTokens(*arguments))
        return made[-1]

    async def tell() -> None:
        reader, sampler = await open_input(), Sampler(parts.SERVICE)
        while line := await reader.readline():
            match json.loads(line):
                case "sample":
                    sampler.begin()
                    say({})
                case "parts":
                    say(sampler.found())
                case _:
                    say(sum(tokens.verifications for tokens in made))

    assembly.VapidTokens = make  # type: ignore[attr-defined, assignment]  # for this process
    await tocsin(state, until=tell)


async def engine(state: Path, url: str) -> None:
    """Run a node of a push service whose state is in a database."""
    port = free_port()
    roomy = attrs.evolve(SETTINGS, max_channels=10_000_000, max_stored=100_000_000)
    await tocsin(state, attrs.evolve(roomy, engine=url, port=port, public_url=f"http://{HOST}:{port}"))


async def looked_at(state: Path) -> None:
    """Run one that notes what comes for its page only while that is open, not for ten minutes more: so turns can be taken."""
    live.LINGER = 0.0  # type: ignore[misc]  # for this process
    await tocsin(state)


async def floor(_: Path) -> None:
    """Answer every post, having done nothing but read it, on the server that the push service uses."""
    with await listen("127.0.0.1", 0, None) as listener:
        connections = Connections(SETTINGS, lambda _: True, asyncio.get_running_loop().time)
        server = WebServer(_Answered, {}, SETTINGS, connections, RepeatLog())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, listener)
            await server.ready.wait()
            say({"url": f"http://127.0.0.1:{listener.getsockname()[1]}/w/?token=none"})
            await until_input_ends()
            tasks.cancel_scope.cancel()


class _Answered:
    """A request that is answered once it is there."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def take(self, part: bytes) -> None: ...

    def complete(self) -> None:
        """Answer."""
        self._request.answer(200, _HEADERS)

    def await_body(self) -> None: ...

    def flowing(self) -> None: ...

    def dismiss(self) -> None: ...


KINDS: dict[str, Callable[..., Awaitable[None]]] = {
    "tocsin": tocsin,
    "told": told,
    "engine": engine,
    "looked_at": looked_at,
    "floor": floor,
}


def main(kind: str, state: str, loop: str, *url: str) -> None:
    """Serve until told to end."""
    collect_rarely()  # as tocsin serve does

    async def serve() -> None:
        await KINDS[kind](Path(state), *url)

    run_on(loop, serve)


if __name__ == "__main__":
    main(*sys.argv[1:])
