"""A database for a move alone, or for all others but a move: who comes in between is told so."""

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
"""The advisory lock: "TOCH"."""

_USED: Final = "is in use by another process of Tocsin: end that first"
_MOVING: Final = "is just what a service is being moved into: wait until 'tocsin migrate' has ended"


@asynccontextmanager
async def holding(url: str, *, alone: bool) -> AsyncIterator[Link]:
    """Hold a database for as long as the connection lasts that the block is given.

    :param alone: for this process; else no other has it alone meanwhile.
    :raises StateUnavailable: another process holds it otherwise, or it cannot be reached.
    """
    name = name_of(url)
    with in_words(name):
        link = await connect(url)
        try:
            with bounded(link, OPEN_FOR):  # one that was killed may be held for a moment
                await link.execute(f"SELECT pg_advisory_lock{'' if alone else '_shared'}($1)", _LOCK)
        except BaseException as failure:
            link.terminate()
            if isinstance(failure, asyncpg.LockNotAvailableError):
                raise StateUnavailable(f"{name} {_USED if alone else _MOVING}") from None
            raise
    try:
        yield link
    finally:
        link.terminate()
