"""An open database: transactions, whole whatever happens to who waits for them, and readers beside."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Event

import anyio
import pytest

from tests.helpers import PATIENCE
from tests.persistence.files import (
    INSERT,
    contents,
    numbers,
)
from tocsin.persistence.database import Database, read_database
from tocsin.protocol.errors import StateUnavailable


class Interruption(list[tuple[int]]):
    """Rows that do something while SQLite takes them."""

    def __init__(self, rows: list[tuple[int]], action: Callable[[], object]) -> None:
        super().__init__(rows)
        self._action = action

    def __iter__(self) -> Iterator[tuple[int]]:
        """Do it in SQLite's thread, after all rows."""
        yield from super().__iter__()
        self._action()


class TestWriting:
    """A call is a transaction."""

    async def test_several_statements_are_one_transaction(self, opened: Database) -> None:
        """When the last one fails, the first has not happened; and the next call works."""
        with pytest.raises(StateUnavailable):
            await opened.write((INSERT, [(2,), (3,)]), (INSERT, [(4,), (1,)]))
        assert await numbers(opened) == [1]
        await opened.write((INSERT, [(2,)]), (INSERT, [(3,)]))
        assert await numbers(opened) == [1, 2, 3]

    async def test_a_wrong_statement_is_told_in_a_sentence(self, opened: Database, path: Path) -> None:
        """Reading and writing say which file it was, and what SQLite said."""
        sentence = f"^{path} cannot be used: no such table: nowhere$"
        with pytest.raises(StateUnavailable, match=sentence):
            await opened.read("SELECT * FROM nowhere")
        with pytest.raises(StateUnavailable, match=sentence):
            await opened.write(("INSERT INTO nowhere VALUES (?)", [(1,)]))

    async def test_a_row_that_the_schema_forbids_is_no_corruption(self, opened: Database) -> None:
        """The error does not call a sound database corrupt."""
        with pytest.raises(StateUnavailable) as refused:
            await opened.write((INSERT, [(1,)]))
        assert "corrupt" not in str(refused.value)

    async def test_concurrent_writes_do_not_mix(self, opened: Database) -> None:
        """A write that fails takes nothing of the others with it, and leaves nothing in theirs."""

        async def write(first: int, *, fails: bool) -> None:
            statements = [(INSERT, [(first + n,)]) for n in range(3)]
            try:
                await opened.write(*statements, (INSERT, [(1 if fails else first + 3,)]))
            except StateUnavailable:
                assert fails

        async with anyio.create_task_group() as tasks:
            for number in range(1, 30):
                tasks.start_soon(partial(write, 10 * number, fails=number % 3 == 0))
        kept = [10 * number + n for number in range(1, 30) if number % 3 for n in range(4)]
        assert await numbers(opened) == [1, *kept]

    async def test_a_write_that_is_cancelled_in_the_midst_is_whole(self, opened: Database) -> None:
        """A cancelled caller does not cut the transaction in two, and the next write commits its own rows."""
        loop = asyncio.get_running_loop()
        with anyio.CancelScope() as scope:
            rows = Interruption([(2,), (3,)], lambda: loop.call_soon_threadsafe(scope.cancel))
            await opened.write((INSERT, rows), (INSERT, [(4,)]))
        assert scope.cancelled_caught
        await opened.write((INSERT, [(5,)]))
        assert await numbers(opened) == [1, 2, 3, 4, 5]

    async def test_a_write_that_is_cancelled_before_its_turn_leaves_nothing(self, opened: Database) -> None:
        """It waits behind another one, and is withdrawn."""
        withdrawn = Event()

        async def wait() -> None:
            try:
                await opened.write((INSERT, [(3,)]))
            finally:
                withdrawn.set()

        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                rows = Interruption([(2,), (5,)], partial(withdrawn.wait, PATIENCE))
                tasks.start_soon(opened.write, (INSERT, rows))
                await anyio.wait_all_tasks_blocked()
                tasks.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
        await opened.write((INSERT, [(4,)]))
        assert await numbers(opened) == [1, 2, 4, 5]


class TestReadingOnly:
    """Reading a database that another process may be writing."""

    async def test_it_is_read_while_it_is_written(self, opened: Database, path: Path) -> None:
        """What was committed is seen; nothing can be written there, and there is no fault."""
        async with read_database(path, 1) as looked_at:
            await opened.write((INSERT, [(2,)]))
            assert await numbers(looked_at) == [1, 2]
            with pytest.raises(StateUnavailable, match="was opened for reading only"):
                await looked_at.write((INSERT, [(3,)]))
            assert looked_at.fault is None

    async def test_a_newer_one_is_refused(self, opened: Database, path: Path) -> None:
        """Its rows may mean something else."""
        assert await numbers(opened) == [1]
        with pytest.raises(StateUnavailable, match="was written by a newer Tocsin"):
            async with read_database(path, 0):
                pass

    async def test_one_that_is_missing_is_not_made(self, path: Path) -> None:
        """Looking leaves nothing behind."""
        with pytest.raises(StateUnavailable, match="unable to open database file"):
            async with read_database(path, 1):
                pass
        assert contents(path.parent) == {}
