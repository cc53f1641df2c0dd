"""The writer obeys its table: on virtual time, with a disk that the test plays."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
import trio.testing
from attrs import Factory, define

from tests.protocol.tables import erase
from tocsin.persistence import writer
from tocsin.persistence.place import Place
from tocsin.persistence.sqlite_connection import ReaderConnection, Statement, WriterConnection
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
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@define
class PlayedDisk:
    """A database that holds words, and refuses what a test says; all that comes after that is well."""

    journal: list[str] = Factory(list)
    faults: deque[int | None] = Factory(deque)
    """How the next transactions end: None for well."""
    lost: deque[int | None] = Factory(deque)
    """How the next openings end."""
    words: list[str] = Factory(list)
    number: int = 0
    there: int = 0

    def note(self, words: str) -> None:
        """Write down what was seen, and when."""
        self.journal.append(f"{anyio.current_time() - self.began:.1f} {words}")

    began: float = Factory(anyio.current_time)

    async def transact(self, statements: list[Statement]) -> None:
        """Run a transaction."""
        words = sorted(sql for sql, _ in statements)
        self.note(f"runs {' '.join(words)}")
        await anyio.sleep(TAKES)
        if WRONG in words:
            raise failure(sqlite3.SQLITE_CONSTRAINT)
        code = self.faults.popleft() if self.faults else None
        if code is not None:
            raise failure(code)
        self.words += words
        self.there = self.number

    async def renew(self, *_: object) -> None:
        """Open it anew, and learn what it holds."""
        self.note("opens")
        code = self.lost.popleft() if self.lost else None
        if code is not None:
            raise failure(code)
        self.number = self.there

    async def close(self) -> None:
        """Close it."""


async def story(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let groups come to each of their ends, and return all that was seen of it: on disk, by the writers, and as a fault."""
    disk = PlayedDisk()
    monkeypatch.setattr(writer, "renew", disk.renew)
    place = cast("Place", None)
    tested = Writer(Path("/d"), place, cast("WriterConnection", disk), cast("ReaderConnection", None), 10.0)
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
        with tested:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(tested.run)
                await write_all("first", "a", WRONG)
                disk.faults.append(sqlite3.SQLITE_FULL)
                disk.lost.append(sqlite3.SQLITE_IOERR)
                await write_all("b", "waiting")
                disk.faults.append(sqlite3.SQLITE_CORRUPT)
                await write_all("c")
                tested.close()
    except* IllegalEvent:
        disk.note("a step was left out")
    return [line for line in disk.journal if line] + disk.words


async def test_each_end_is_as_it_should_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong write is refused alone, a group that is missing is run again after a wait, a damaged file ends it."""
    assert sorted(await story(monkeypatch)) == sorted(
        [
            "0.0 runs first",
            "1.0 first done",
            "1.0 runs a wrong",  # one group, which is refused as a whole
            "2.0 runs a",
            "3.0 a done",
            "3.0 runs wrong",
            "4.0 wrong refused, in doubt: False",
            "4.0 runs b",
            "5.0 told /d cannot be used: code 13",
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
    right = sorted(await story(monkeypatch))
    erase(monkeypatch, TABLE, effect)
    assert sorted(await story(monkeypatch)) != right
