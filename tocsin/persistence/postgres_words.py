"""What PostgreSQL, its driver or the network says in a code, said in a sentence that shows no password."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.kernel.durability import Event, classify_state

FAILURES: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, UnicodeError)
"""What an operation on a database may raise; a time that has run out is an ``OSError`` too."""

_URL: Final = re.compile(r"postgres(?:ql)?://(?:[^@/?#]*@)?(?P<place>[^@/?#]*(?:/[^@/?#]*)?)(?:\?[^@#]*)?")
_LOST: Final = (
    "connection was closed|connection is closed|connection_lost|another operation is in progress|closed in the middle"
)
_SAID: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (TimeoutError, "does not answer"),
    (asyncpg.InvalidPasswordError, "does not let this user in: {}"),
    (asyncpg.InvalidAuthorizationSpecificationError, "does not let this user in: {}"),
    (asyncpg.InvalidCatalogNameError, "has no such database: {}; make it with createdb"),
    (asyncpg.InsufficientPrivilegeError, "does not allow this to its user: {}"),
    (asyncpg.TooManyConnectionsError, "takes no more connections: {}"),
    (asyncpg.DiskFullError, "cannot be written: its disk is full; make room there"),
    (asyncpg.ReadOnlySQLTransactionError, "is read only: it is a copy of another server, or was set so"),
    # The driver would say in which of its states it is.
    (asyncpg.InternalClientError, "cannot be reached: the connection was lost"),
    # It would quote the value.
    (asyncpg.DataError, "cannot keep a value: it is of another kind, or too large"),
)


def name_of(url: str) -> str:
    """Return what a database is called in a sentence: where it is, without who uses it and with which password."""
    found = _URL.fullmatch(url)
    place = found["place"] if found else ""
    return f"PostgreSQL at {place}" if place.strip("/") else "PostgreSQL"


def sentence(name: str, failure: BaseException) -> str:
    """Say what is wrong with a database."""
    detail = getattr(failure, "strerror", None) or str(failure).partition("\n")[0] or type(failure).__name__
    for kind, words in _SAID:
        if isinstance(failure, kind):
            return f"{name} {words.format(detail)}"
    return f"{name} cannot be {'reached' if is_lost(failure) else 'used'}: {detail}"


def is_lost(failure: BaseException) -> bool:
    """Tell whether the connection is not there any more, whatever became of what it was used for."""
    if isinstance(failure, asyncpg.PostgresError):
        state = failure.sqlstate or ""
        return state.startswith("08") or state in {"57P01", "57P02", "57P03"}
    if isinstance(failure, asyncpg.InterfaceError):
        return re.search(_LOST, str(failure)) is not None
    return isinstance(failure, OSError | asyncpg.InternalClientError)


def event_of(failure: BaseException) -> Event:
    """Tell which event of a writer a failure is."""
    if is_lost(failure):
        return Event.FAILED
    return classify_state(failure.sqlstate if isinstance(failure, asyncpg.PostgresError) else None)


@contextmanager
def in_words(name: str) -> Iterator[None]:
    """Turn what goes wrong with a database into ``StateUnavailable``."""
    try:
        yield
    except FAILURES as failure:
        raise StateUnavailable(sentence(name, failure)) from failure
