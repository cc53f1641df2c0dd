"""A database whose commits fail when a test says so, before or after they are on disk."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Sequence
from enum import Enum, auto

import pytest

from tocsin.persistence import database
from tocsin.persistence.sqlite_connection import Guarded, Statement, WriterConnection


class Fault(Enum):
    """How a commit ends."""

    NONE = auto()
    BEFORE = auto()
    """An I/O error, and nothing is on disk."""
    AFTER = auto()
    """An I/O error, although everything is on disk."""
    FULL = auto()
    CORRUPT = auto()


_CODES = {
    Fault.BEFORE: (sqlite3.OperationalError, sqlite3.SQLITE_IOERR_WRITE, "disk I/O error"),
    Fault.AFTER: (sqlite3.OperationalError, sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error"),
    Fault.FULL: (sqlite3.OperationalError, sqlite3.SQLITE_FULL, "database or disk is full"),
    Fault.CORRUPT: (sqlite3.DatabaseError, sqlite3.SQLITE_CORRUPT, "database disk image is malformed"),
}


class Faults:
    """What the next commits will meet, and how many there were; ``gone`` makes every opening fail too."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.coming: deque[Fault] = deque()
        self.gone = False
        self.held = threading.Event()
        """Cleared, it holds up the next commit, in its thread."""
        self.held.set()
        self.commits = 0
        self.groups: list[int] = []
        """How many statements each transaction had."""
        patch.setattr(database, "WriterConnection", self._build())

    def _build(self) -> type[WriterConnection]:
        faults = self

        class FaultyConnection(WriterConnection):
            def open(self) -> int:
                if faults.gone:
                    raise _failure(Fault.BEFORE)
                return super().open()

            def transact(self, statements: Sequence[Statement | Guarded], number: int) -> None:
                faults.held.wait()
                faults.commits += 1
                faults.groups.append(len(statements))
                fault = faults.coming.popleft() if faults.coming else Fault.NONE
                if fault in {Fault.NONE, Fault.AFTER}:
                    super().transact(statements, number)
                if fault is not Fault.NONE:
                    raise _failure(fault)

        return FaultyConnection


def _failure(fault: Fault) -> sqlite3.Error:
    kind, code, text = _CODES[fault]
    failure = kind(text)
    failure.sqlite_errorcode = code
    return failure
