"""A connection to PostgreSQL, set up as the stores need it, and what is asked of a server before it is used."""

from __future__ import annotations

import socket
from asyncio import get_running_loop
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg

from tocsin.durations import Durations
from tocsin.persistence.postgres_statements import Link
from tocsin.persistence.postgres_words import FAILURES, name_of
from tocsin.protocol.errors import StateUnavailable

SCHEMA: Final = "tocsin"
"""The schema of all tables; what else is in the database is left alone."""

OPEN_FOR: Final = 5.0
"""Seconds that opening a connection takes at most, and what is asked on it then."""

UNTAKEN: Final = 3.0
"""Seconds after which a connection is given up of which the network takes nothing: a lease's length, after which the server refuses what was
asked under it. The system would go on for much longer, with pauses that grow, also where the network has come back."""

OLDEST: Final = 15
"""The oldest version of the server that is tested."""

_SETTINGS: Final = {
    "application_name": "tocsin",
    "search_path": SCHEMA,
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "lock_timeout": "2s",  # what waits for a connection that was lost, and the server does not know yet
    "idle_in_transaction_session_timeout": "10s",  # after which it does
    # The server notices within 11 s that its peer has gone unheard, and its connections count no more: by default it takes two hours.
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "jit": "off",
}


@contextmanager
def bounded(link: Link, seconds: float, durations: Durations | None = None) -> Iterator[None]:
    """Break a connection whose server has not answered for so long: what waits for it fails then.

    ``durations`` are told how long it took, if any are given.

    To be cancelled would have the driver ask a server that does not answer to forget what it was asked.

    :raises TimeoutError: that was done.
    :raises ConnectionResetError: the connection was broken in the turn in which it was to be used; its driver has lost it by then.
    """
    loop = get_running_loop()
    begin = loop.time()
    end = begin + seconds
    timer = loop.call_at(end, link.terminate)
    try:
        yield
    except (*FAILURES, AttributeError) as failure:
        if link.is_closed() and loop.time() >= end:
            raise TimeoutError from failure
        if link.is_closed() and isinstance(failure, AttributeError):
            raise ConnectionResetError("connection was closed") from failure
        raise
    finally:
        timer.cancel()
        if durations is not None:
            durations.add(loop.time() - begin)


async def connect(url: str, **settings: str) -> Link:
    """Connect.

    What is on disk when a commit returns stays so where the server or the user has ``synchronous_commit`` off.

    :raises StateUnavailable: the URL cannot be read.
    :raises asyncpg.PostgresError: the server refuses the connection.
    :raises OSError: it cannot be reached, or not in time.
    """
    try:
        link: Link = await asyncpg.connect(url, timeout=OPEN_FOR, server_settings=_SETTINGS | settings)
    except (asyncpg.ClientConfigurationError, ValueError):
        raise StateUnavailable(  # the text of the failure may quote a part of the password
            f"{name_of(url)} cannot be used: its URL cannot be read; it is postgresql://USER@HOST:PORT/DATABASE"
        ) from None
    try:
        with bounded(link, OPEN_FOR):
            await link.execute(
                "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
            )
    except BaseException:
        link.terminate()
        raise
    _give_up_untaken(link)
    return link


def _give_up_untaken(link: Link) -> None:
    """Have the system end a connection of which the network takes nothing; it says so on Linux only."""
    option: int | None = getattr(socket, "TCP_USER_TIMEOUT", None)
    transport = getattr(link, "_transport", None)  # the driver has no option for it
    opened = None if transport is None else transport.get_extra_info("socket")
    if option is not None and opened is not None and opened.family in {socket.AF_INET, socket.AF_INET6}:
        opened.setsockopt(socket.IPPROTO_TCP, option, round(UNTAKEN * 1_000))


async def check_server(link: Link, name: str) -> None:
    """See that a server can keep what the stores promise.

    :raises StateUnavailable: it is too old, or its database is not in UTF-8.
    """
    version = link.get_server_version()
    if version.major < OLDEST:
        raise StateUnavailable(
            f"{name} is version {version.major}.{version.minor}; Tocsin needs PostgreSQL {OLDEST} or newer"
        )
    encoding = await link.fetchval(
        "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()"
    )
    if encoding != "UTF8":
        raise StateUnavailable(
            f"{name} keeps text as {encoding}; make a database for Tocsin with createdb --encoding=UTF8 --template=template0"
        )
