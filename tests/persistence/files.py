"""Database files for the tests of one: as they are made, spoilt and looked at without the code under test."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tocsin.persistence.database import APPLICATION_ID, Database, open_database
from tocsin.persistence.sqlite_connection import COMMIT_COUNTER
from tocsin.protocol.errors import StateUnavailable

FIRST = ("CREATE TABLE number (n INTEGER PRIMARY KEY)", "INSERT INTO number VALUES (1)", *COMMIT_COUNTER)


SECOND = ("INSERT INTO number VALUES (2)", "CREATE TABLE text (t TEXT NOT NULL)")


INSERT = "INSERT INTO number VALUES (?)"


PAGE = 4096


OURS = (f"PRAGMA page_size = {PAGE}", "PRAGMA journal_mode = WAL", *FIRST, f"PRAGMA application_id = {APPLICATION_ID}")


FILL = "INSERT INTO text WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000) SELECT i FROM n"


@asynccontextmanager
async def opening(path: Path, *migrations: Sequence[str]) -> AsyncIterator[Database]:
    """Open a database, and close it in the end."""
    async with open_database(path, migrations) as opened:
        yield opened


async def refusal(path: Path, *migrations: Sequence[str]) -> str:
    """Try to open what cannot be opened, and return the sentence."""
    with pytest.raises(StateUnavailable) as refused:
        async with open_database(path, migrations or [FIRST]):
            pass
    return str(refused.value)


async def numbers(opened: Database) -> list[int]:
    """Return what the table of numbers holds."""
    return [row[0] for row in await opened.read("SELECT n FROM number ORDER BY n")]


def ask(path: Path, sql: str) -> Any:
    """Ask the file itself, without the code under test."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchone()[0]


def make(path: Path, *statements: str) -> None:
    """Make a database without the code under test."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def spoil(path: Path, damage: Callable[[bytes], bytes]) -> None:
    """Damage a file."""
    path.write_bytes(damage(path.read_bytes()))


def contents(folder: Path) -> dict[str, bytes]:
    """Return every byte of every file."""
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@contextmanager
def locking(path: Path, *statements: str) -> Iterator[Callable[[], None]]:
    """Hold a lock from another process until the block is left, or what it yields is called."""
    program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
    program += "for s in sys.argv[2:]: c.execute(s)\nprint('locked', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program, str(path), *statements]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603  # ours
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        assert process.stdin is not None
        yield process.stdin.close
        process.stdin.close()
