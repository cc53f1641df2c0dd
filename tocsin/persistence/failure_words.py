"""What SQLite or the system says in a code, said in a sentence."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tocsin.persistence.place import Displaced
from tocsin.protocol.errors import StateUnavailable

FAILURES = (sqlite3.Error, sqlite3.Warning, UnicodeError, OverflowError, OSError)
"""What an operation on a database file may raise; a value that SQLite cannot take is an error of Python's."""


def sentence(path: Path, failure: BaseException) -> str:
    """Say what is wrong with a database file."""
    if type(failure) is sqlite3.DatabaseError or isinstance(failure, UnicodeDecodeError):
        return f"{path} is corrupt ({failure}); move it away to begin anew"
    if isinstance(failure, Displaced):
        return str(failure)
    if isinstance(failure, OSError):
        return f"{path} cannot be opened: {failure.strerror or failure}"
    if getattr(failure, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF == sqlite3.SQLITE_BUSY:
        return f"{path} is locked by another program"
    return f"{path} cannot be used: {failure}"


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a database file into ``StateUnavailable``."""
    try:
        yield
    except FAILURES as failure:
        raise StateUnavailable(sentence(path, failure)) from failure
