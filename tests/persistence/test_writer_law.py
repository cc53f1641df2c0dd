"""The writer obeys its table: on virtual time, with a disk that the test plays."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest
from attrs import Factory, define

from tests.persistence.virtual_loop import VirtualLoop
from tests.protocol.tables import erase
from tocsin.persistence.disk_thread import DiskThread
from tocsin.persistence.medium import Ended
from tocsin.persistence.sqlite_connection import ConnectionPair, Guarded, Statement
from tocsin.persistence.sqlite_medium import SqliteMedium
from tocsin.persistence.writer import Writer
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.kernel.durability import TABLE, Effect
from tocsin.protocol.kernel.machine import IllegalEvent

WRONG = "wrong"
TAKES = 1.0
"""Seconds of a transaction."""


def failure(code: int) -> sqlite3.Error:
    """Build what SQLite would raise."""
    error = sqlite3.OperationalError(f"code {code}")
    error.sqlite_errorcode = code
    return error


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on a loop whose clock jumps to the next timer."""
    return "asyncio", {"loop_factory": VirtualLoop}


@define
class PlayedDisk:
    """A database that holds words, and refuses what a test says; all that comes after that is well. It is its thread, too."""

    journal: list[str] = Factory(list)
    faults: deque[int | None] = Factory(deque)
    """How the next transactions end: None for well."""
    lost: deque[int | None] = Factory(deque)
    """How the next openings end."""
    words: list[str] = Factory(list)
    there: int = 0
    began: float = Factory(lambda: asyncio.get_running_loop().time())
    takes: float = 0.0
    """Seconds that the job takes which is being run."""

    def note(self, words: str) -> None:
        """Write down what was seen, and when."""
        self.journal.append(f"{asyncio.get_running_loop().time() - self.began:.1f} {words}")

    def submit(self, job: Callable[[], object], ended: Ended) -> None:
        """Run a job, and tell of it when the time has gone by that it takes."""
        result, failed = None, None
        try:
            result = job()
        except sqlite3.Error as failure:
            failed = failure
        asyncio.get_running_loop().call_later(self.takes, ended, result, failed)

    def transact(self, statements: list[Statement | Guarded], number: int) -> None:
        """Run a transaction."""
        self.takes = TAKES
        words = sorted(each[0] for each in statements if isinstance(each, tuple))
        self.note(f"runs {' '.join(words)}")
        if WRONG in words:
            raise failure(sqlite3.SQLITE_CONSTRAINT)
        code = self.faults.popleft() if self.faults else None
        if code is not None:
            raise failure(code)
        self.words += words
        self.there = number

    def renew(self) -> int:
        """Open it anew, and return what it holds."""
        self.takes = 0.0
        self.note("opens")
        code = self.lost.popleft() if self.lost else None
        if code is not None:
            raise failure(code)
        return self.there


async def story() -> list[str]:
    """Let groups come to each of their ends, and return all that was seen of it: on disk, by the writers, and as a fault."""
    disk = PlayedDisk()
    connections = SimpleNamespace(place=SimpleNamespace(path=Path("/d")), writer=disk, renew=disk.renew)
    tested = Writer(SqliteMedium(cast("DiskThread", disk), cast("ConnectionPair", connections)), 0, 10.0)
    tested.on_fault = lambda fault: disk.note(f"told {fault}")

    async def write(word: str) -> None:
        statements: Sequence[Statement] = [(word, [(1,)])]
        try:
            await tested.write(statements)
        except StateUnavailable as refused:
            disk.note(f"{word} refused, in doubt: {refused.in_doubt}")
        else:
            disk.note(f"{word} done")

    async def write_all(*words: str) -> None:
        async with anyio.create_task_group() as tasks:
            for word in words:  # the others come while the first is on its way, and share a group in their order
                tasks.start_soon(write, word)
                await anyio.sleep(TAKES / 4)

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tested.tell_faults)
            await write_all("first", "a", WRONG)
            disk.faults.append(sqlite3.SQLITE_FULL)
            disk.lost.append(sqlite3.SQLITE_IOERR)
            await write_all("b", "waiting")
            disk.faults.append(sqlite3.SQLITE_CORRUPT)
            await write_all("c")
            with anyio.move_on_after(10.0):
                await tested.close()
            tested.abandon()
    except* IllegalEvent:
        disk.note("a step was left out")
    return disk.journal + disk.words


async def test_each_end_is_as_it_should_be() -> None:
    """A wrong write is refused alone, a group that is missing is run again after a wait, a damaged file ends it."""
    assert sorted(await story()) == sorted(
        [
            "0.0 runs first",
            "1.0 first done",
            "1.0 runs a wrong",  # one group, which is refused as a whole
            "2.0 runs a",
            "3.0 a done",
            "3.0 runs wrong",
            "4.0 wrong refused, in doubt: False",
            "4.0 runs b",
            "5.0 told /d cannot be used: its disk is full; make room there",
            "5.0 opens",
            "5.0 waiting refused, in doubt: False",
            "5.1 opens",
            "5.1 runs b",
            "6.1 told None",
            "6.1 b done",
            "6.1 runs c",
            "7.1 told /d cannot be used: code 11",
            "7.1 c refused, in doubt: True",
            "first",  # what the disk has in the end
            "a",
            "b",
        ]
    )


@pytest.mark.parametrize("effect", Effect)
async def test_the_writer_does_nothing_that_its_table_does_not_name(
    monkeypatch: pytest.MonkeyPatch, effect: Effect
) -> None:
    """Without any one of its effects the table makes another writer, and its callers or its disk see that."""
    right = sorted(await story())
    erase(monkeypatch, TABLE, effect)
    assert sorted(await story()) != right
