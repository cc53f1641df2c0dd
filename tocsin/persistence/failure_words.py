"""What SQLite or the system says in a code, said in a sentence."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import disk_usage
from typing import Final

from tocsin.persistence.place import Displaced
from tocsin.protocol.errors import StateUnavailable

FAILURES = (sqlite3.Error, sqlite3.Warning, UnicodeError, OverflowError, OSError)
"""What an operation on a database file may raise; a value that SQLite cannot take is an error of Python's."""


_INDEX: Final = 64 * 1024
"""Bytes that are too few for a write-ahead log with its index."""


def sentence(path: Path, failure: BaseException) -> str:
    """Say what is wrong with a database file."""
    if type(failure) is sqlite3.DatabaseError or isinstance(failure, UnicodeDecodeError):
        return f"{path} is corrupt ({failure}); move it away to begin anew"
    if isinstance(failure, Displaced):
        return str(failure)
    if isinstance(failure, OSError):
        return f"{path} cannot be opened: {failure.strerror or failure}"
    code = getattr(failure, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
    if code == sqlite3.SQLITE_BUSY:
        return f"{path} is locked by another program"
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _is_full(path)):
        return f"{path} cannot be used: its disk is full; make room there"
    return f"{path} cannot be used: {failure}"


def _is_full(path: Path) -> bool:
    """Tell whether a disk has no room for the index of a log, of which SQLite says no more than that reading or writing failed."""
    try:
        return disk_usage(path.parent).free < _INDEX
    except OSError:
        return False


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a database file into ``StateUnavailable``."""
    try:
        yield
    except FAILURES as failure:
        raise StateUnavailable(sentence(path, failure)) from failure
