"""The calling service as a whole: opened on a state folder, closed in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import anyio
from attrs import frozen

from tocsin.calling_service.calling_clock import steadily
from tocsin.calling_service.calling_connections import CallingConnections
from tocsin.calling_service.calling_routes import CallingRoutes
from tocsin.calling_service.calling_settings import CallingSettings
from tocsin.calling_service.calling_store import CallingStore
from tocsin.calling_service.exchange import Exchange
from tocsin.calling_service.pusher import Pusher
from tocsin.calling_service.pusher_choice import check_pusher_choice, open_chosen_pusher
from tocsin.calling_service.sqlite_calling_store import SqliteCallingStore, open_calling_store
from tocsin.calling_service.users import Users
from tocsin.protocol.calling.switchboard_rows import CallRow
from tocsin.protocol.messages.calling import CALLING_PATH
from tocsin.repeat_log import RepeatLog
from tocsin.service.operations.health import Report
from tocsin.service.operations.limits import Limits
from tocsin.service.web.asgi_exchange import AsgiExchange
from tocsin.service.web.connections import Connections
from tocsin.service.web.listener import listen, url_of
from tocsin.service.web.tls import Certificate, load_certificate, renew
from tocsin.service.web.web_server import WebServer, serving
from tocsin.tasks import apart

_FAREWELL: Final = 2.0  # seconds for the connections of agents to end


@frozen
class CallingService:
    """A running calling service; made by :func:`open_calling_service`."""

    users: Users
    """Its users, and their tokens."""
    url: str
    """Where agents reach it, without a slash at its end."""
    port: int
    """The TCP port that it listens on."""
    _store: CallingStore
    _report: Callable[[], Report]
    _certificate: Certificate | None

    @property
    def authority(self) -> Path | None:
        """The file with the authority of a certificate for development, which clients have to trust; None without one."""
        return None if self._certificate is None else self._certificate.authority

    async def calls(self) -> tuple[CallRow, ...]:
        """Return the calls that are open, and those that have ended and are not forgotten yet; the earliest first.

        :raises StateUnavailable: they cannot be read.
        """
        return (await self._store.load()).calls

    def report(self) -> Report:
        """Say how the service is, and what there is now."""
        return self._report()

    def renew_certificate(self) -> None:
        """Read the certificate anew, for connections from now on.

        :raises PlatformUnavailable: it cannot be used, or there is none; what was in use stays so.
        """
        renew(self._certificate)


@apart
@asynccontextmanager
async def open_calling_service(
    state: Path,
    settings: CallingSettings | None = None,
    *,
    pusher: Pusher | None = None,
    now: Callable[[], float] | None = None,
) -> AsyncIterator[CallingService]:
    """Run the calling service on a state folder that the caller holds.

    :param pusher: rings devices that have no agent connected, in place of what the settings choose.
    :param now: the service's time, in seconds since the epoch; by default a clock that goes on steadily, whatever the machine's is
        set to while the service runs.
    :raises PlatformUnavailable: the port is in use, the host is not ours, or the certificate cannot be used.
    :raises StateUnavailable: the service's store cannot be used.
    :raises InvalidArgument: the settings name no way to ring, or half of one.
    """
    settings = settings or CallingSettings()
    check_pusher_choice(settings)
    doors = settings.of_doors()
    certificate = load_certificate(doors, state)
    now = now or steadily()
    recurring = RepeatLog()
    async with open_calling_store(state) as store, AsyncExitStack() as stack:
        users = await Users.load(store, now)
        if pusher is None:
            pusher = await stack.enter_async_context(open_chosen_pusher(settings, recurring))
        with await listen(settings.host, settings.port, None) as listener:
            port = listener.getsockname()[1]
            url = settings.public_url.rstrip("/") or url_of(settings.host, port, secure=certificate is not None)
            exchange = Exchange(store, pusher, now=now, ring_time=settings.ring_time, recurring=recurring)
            users.end_all_of = lambda user: exchange.remove_user(user.raw_id)
            agents = CallingConnections(exchange, settings, users.verify, now, recurring)
            steady_time = asyncio.get_running_loop().time
            book = Connections(doors, Limits(doors, steady_time).is_proxy, steady_time)
            report = _reporter(store, users, agents, book)
            tls = lambda: certificate.context if certificate is not None else None  # noqa: E731  # as it is then
            routes = CallingRoutes(report)
            answer = partial(AsgiExchange, routes)
            server = WebServer(answer, {CALLING_PATH: agents.open}, doors, book, recurring, tls)
            async with exchange.running(), serving(server, listener, partial(_say_goodbye, server, agents)):
                yield CallingService(users, url, port, store, report, certificate)


def _reporter(
    store: SqliteCallingStore, users: Users, agents: CallingConnections, book: Connections
) -> Callable[[], Report]:
    def report() -> Report:
        causes = {} if store.fault is None else {"store": store.fault}
        gauges = {
            "users": len(users.users()),
            "agents": agents.agents,
            "connections": book.count,
            "connections_refused": book.refused,
            "connections_dropped": book.dropped,
        }
        return Report(causes, {}, gauges)

    return report


async def _say_goodbye(server: WebServer, agents: CallingConnections) -> None:
    """Let in no more connections, and give agents the time that they have."""
    server.accept_no_more()
    with anyio.move_on_after(_FAREWELL, shield=True):
        await agents.aclose()
