"""A database whose commits fail when a test says so, before or after they are on disk."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from enum import Enum, auto
from typing import Any

import pytest

from tocsin.persistence import sqlite_connection as connection


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
        """Cleared, it holds up the next commit, in the driver's thread."""
        self.held.set()
        self.commits = 0
        self.groups: list[int] = []
        """How many statements each transaction had."""
        patch.setattr(connection, "_Transaction", self._build(connection._Transaction))

    def _build(self, sound: type[connection._Transaction]) -> type[connection._Transaction]:
        faults = self

        class FaultyTransaction(sound):  # type: ignore[valid-type, misc]  # a class that the test is given
            def __init__(self, *arguments: Any, **keywords: Any) -> None:
                if faults.gone:
                    raise _failure(Fault.BEFORE)
                super().__init__(*arguments, **keywords)

            def commit(self) -> None:
                faults.held.wait()
                faults.commits += 1
                faults.groups.append(len(self.statements) - 1)
                fault = faults.coming.popleft() if faults.coming else Fault.NONE
                if fault in {Fault.NONE, Fault.AFTER}:
                    super().commit()
                if fault is not Fault.NONE:
                    raise _failure(fault)

        return FaultyTransaction


def _failure(fault: Fault) -> sqlite3.Error:
    kind, code, text = _CODES[fault]
    failure = kind(text)
    failure.sqlite_errorcode = code
    return failure
