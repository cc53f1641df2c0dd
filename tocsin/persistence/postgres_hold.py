"""A database for one process: the others that would change what it keeps in memory are told so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from tocsin.persistence.postgres_connection import OPEN_FOR, bounded, connect
from tocsin.persistence.postgres_statements import Link
from tocsin.persistence.postgres_words import in_words, name_of
from tocsin.protocol.errors import StateUnavailable

_LOCK: Final = 0x544F4348
"""The advisory lock of the process: "TOCH"."""

_ALIVE: Final = {"tcp_keepalives_idle": "5", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}
"""By which the server notices within 20 s that the machine of the process has gone."""


@asynccontextmanager
async def holding(url: str) -> AsyncIterator[Link]:
    """Hold a database for this process, for as long as the connection lasts that the block is given.

    :raises StateUnavailable: another process holds it, or it cannot be reached.
    """
    name = name_of(url)
    with in_words(name):
        link = await connect(url, **_ALIVE)
        try:
            with bounded(link, OPEN_FOR):
                await link.execute("SELECT pg_advisory_lock($1)", _LOCK)  # one that was killed may be held for a moment
        except BaseException as failure:
            link.terminate()
            if isinstance(failure, asyncpg.LockNotAvailableError):
                raise StateUnavailable(
                    f"{name} is in use by another process of Tocsin: end that first, or work on it by naming its state"
                    " folder with --state"
                ) from None
            raise
    try:
        yield link
    finally:
        link.terminate()
