"""One SQLite file: private, durable, migrated as a whole, and refused untouched when it is not ours to use."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from tocsin.persistence import database
from tocsin.persistence.connection import COMMIT_COUNTER
from tocsin.persistence.database import APPLICATION_ID, Database, open_database, read_database
from tocsin.protocol.errors import StateUnavailable

FIRST = ("CREATE TABLE number (n INTEGER PRIMARY KEY)", "INSERT INTO number VALUES (1)", *COMMIT_COUNTER)
SECOND = ("INSERT INTO number VALUES (2)", "CREATE TABLE text (t TEXT NOT NULL)")
INSERT = "INSERT INTO number VALUES (?)"
PAGE = 4096
OURS = (f"PRAGMA page_size = {PAGE}", "PRAGMA journal_mode = WAL", *FIRST, f"PRAGMA application_id = {APPLICATION_ID}")
FILL = "INSERT INTO text WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000) SELECT i FROM n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a database that is not there yet."""
    return tmp_path / "app.db"


@pytest.fixture
async def opened(path: Path) -> AsyncIterator[Database]:
    """Open a database with one table of numbers, which holds the 1."""
    async with opening(path, FIRST) as opened:
        yield opened


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


class TestFile:
    """The file and its settings."""

    @pytest.fixture
    def open_umask(self) -> Iterator[None]:
        """Let the system give every permission that is asked for."""
        before = os.umask(0)
        yield
        os.umask(before)

    @pytest.mark.usefixtures("open_umask")
    async def test_the_file_and_its_log_are_private(self, path: Path) -> None:
        """Nobody but its user may read what is in the database, or on its way into it."""
        async with opening(path, FIRST) as opened:
            await opened.write((INSERT, [(2,)]))
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        assert modes == {"app.db": 0o600, "app.db-wal": 0o600, "app.db-shm": 0o600}

    async def test_a_commit_is_on_disk_when_it_returns(self, opened: Database, path: Path) -> None:
        """The log is written ahead, and every commit waits for the disk."""
        assert await opened.read("PRAGMA journal_mode") == [("wal",)]
        assert await opened.read("PRAGMA synchronous") == [(2,)]
        await opened.write((INSERT, [(2,)]))
        assert ask(path, "SELECT count(*) FROM number") == 2

    async def test_closing_folds_the_log_into_the_file(self, path: Path) -> None:
        """One file remains, which says whose it is; so it is even for whoever is cancelled meanwhile."""
        with anyio.CancelScope() as scope:
            async with opening(path, FIRST):
                scope.cancel()
                await anyio.lowlevel.checkpoint()
        assert list(contents(path.parent)) == ["app.db"]
        assert ask(path, "PRAGMA application_id") == APPLICATION_ID == int.from_bytes(b"TOCS", "big")

    async def test_what_was_written_is_there_when_it_is_opened_again(self, path: Path) -> None:
        """Closing loses nothing."""
        async with opening(path, FIRST) as opened:
            await opened.write((INSERT, [(2,), (3,)]))
        async with opening(path, FIRST) as opened:
            assert await numbers(opened) == [1, 2, 3]

    async def test_an_empty_file_is_a_new_database(self, path: Path) -> None:
        """A process that died between making the file and filling it does no harm."""
        make(path)
        async with opening(path, FIRST) as opened:
            assert await numbers(opened) == [1]


class TestMigrations:
    """How a schema comes to its newest version."""

    async def test_each_migration_is_applied_once(self, path: Path) -> None:
        """In order, whether they come together or one release after the other."""
        for migrations in ([FIRST], [FIRST], [FIRST, SECOND], [FIRST, SECOND]):
            async with opening(path, *migrations) as opened:
                assert await opened.read("PRAGMA user_version") == [(len(migrations),)]
                assert await numbers(opened) == list(range(1, len(migrations) + 1))

    async def test_a_failing_migration_leaves_the_version_before(self, path: Path) -> None:
        """Neither its statements nor its number count, and the next release may do better."""
        async with opening(path, FIRST):
            pass
        broken = ("INSERT INTO number VALUES (2)", "CREATE TABLE text (t TEXT)", "INSERT INTO nowhere VALUES (1)")
        assert await refusal(path, FIRST, broken) == f"{path} cannot be used: no such table: nowhere"
        assert ask(path, "PRAGMA user_version") == 1
        assert ask(path, "SELECT count(*) FROM sqlite_schema WHERE name = 'text'") == 0
        async with opening(path, FIRST, SECOND) as opened:
            assert await numbers(opened) == [1, 2]

    async def test_what_succeeded_before_a_failing_migration_stays(self, path: Path) -> None:
        """Each migration is a transaction of its own."""
        assert "no such table" in await refusal(path, FIRST, ("INSERT INTO nowhere VALUES (1)",))
        assert ask(path, "PRAGMA user_version") == 1
        assert ask(path, "SELECT n FROM number") == 1


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "garbage": lambda _: b"these are no pages" * 1000,
    "a broken header": lambda whole: bytes(16) + whole[16:],
    "a flipped page": lambda whole: whole[:PAGE] + b"\xff" * PAGE + whole[2 * PAGE :],
    "a flipped schema": lambda whole: whole[:100] + b"\xff" * 500 + whole[600:],
    "a missing end": lambda whole: whole[: 2 * PAGE + 100],
}
THEIRS = "is a database of another program; move it away or give another --state"
FOREIGN: dict[str, tuple[Sequence[str], str]] = {
    "another program's": (["CREATE TABLE theirs (t TEXT)", "PRAGMA application_id = 7"], THEIRS),
    "one without a signature": (["CREATE TABLE theirs (t TEXT)"], THEIRS),
    "one from the future": (
        [*OURS, "PRAGMA user_version = 3"],
        "was written by a newer Tocsin (schema 3, this one knows 1); upgrade Tocsin",
    ),
}


class TestRefusal:
    """Files that are not opened: the sentence says what to do, no byte is changed, nothing is left beside them."""

    @pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
    async def test_a_damaged_file_is_refused_untouched(self, damage: Callable[[bytes], bytes], path: Path) -> None:
        """It may still be rescued."""
        make(path, *OURS, "PRAGMA user_version = 1", SECOND[1], FILL)
        spoil(path, damage)
        before = contents(path.parent)
        assert re.match(rf"{path} is corrupt \(.*\); move it away to begin anew$", await refusal(path), re.DOTALL)
        assert contents(path.parent) == before

    @pytest.mark.parametrize(("statements", "sentence"), FOREIGN.values(), ids=FOREIGN)
    async def test_a_file_that_is_not_ours_is_refused_untouched(
        self, statements: Sequence[str], sentence: str, path: Path
    ) -> None:
        """Whoever wrote it finds it as it was."""
        make(path, *statements)
        before = contents(path.parent)
        assert await refusal(path) == f"{path} {sentence}"
        assert contents(path.parent) == before

    async def test_what_a_newer_one_had_only_in_its_log_is_kept(self, path: Path) -> None:
        """A newer Tocsin that was killed finds all that it had committed."""
        live = path.with_name("live.db")
        with closing(sqlite3.connect(live, isolation_level=None)) as connection:
            for statement in (*OURS, "PRAGMA user_version = 3"):
                connection.execute(statement)
            for end in ("", "-wal"):
                shutil.copy(f"{live}{end}", f"{path}{end}")
        assert "was written by a newer Tocsin" in await refusal(path)
        assert (ask(path, "PRAGMA user_version"), ask(path, "SELECT n FROM number")) == (3, 1)

    async def test_a_large_file_is_not_searched_for_damage(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Beyond some size looking at every page would delay the start; damage shows when it is met."""
        monkeypatch.setattr(database, "_QUICK_CHECK_PAGES", 5)
        make(path, *OURS, "PRAGMA user_version = 1", SECOND[1], FILL)
        spoil(path, DAMAGES["a flipped page"])
        async with opening(path, FIRST) as opened:
            with pytest.raises(StateUnavailable, match=r"is corrupt .*; move it away to begin anew"):
                await opened.read("SELECT sum(n) FROM number")

    @pytest.mark.parametrize(
        ("where", "why"), [("", "Is a directory"), ("no/such/app.db", "No such file or directory")]
    )
    async def test_a_place_without_a_file_is_refused(self, tmp_path: Path, where: str, why: str) -> None:
        """The sentence is that of the system."""
        assert await refusal(tmp_path / where) == f"{tmp_path / where} cannot be opened: {why}"


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
        """Nobody is told to move a sound database away."""
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
        """Whoever stops waiting does not cut the transaction in two, and the next write commits its own rows."""
        loop = asyncio.get_running_loop()
        with anyio.CancelScope() as scope:
            rows = Interruption([(2,), (3,)], lambda: loop.call_soon_threadsafe(scope.cancel))
            await opened.write((INSERT, rows), (INSERT, [(4,)]))
        assert scope.cancelled_caught
        await opened.write((INSERT, [(5,)]))
        assert await numbers(opened) == [1, 2, 3, 4, 5]

    async def test_a_write_that_is_cancelled_before_its_turn_leaves_nothing(self, opened: Database) -> None:
        """It waits behind another one, and is withdrawn."""
        loop = asyncio.get_running_loop()
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                rows = Interruption([(2,)], lambda: loop.call_soon_threadsafe(scope.cancel))
                tasks.start_soon(opened.write, (INSERT, rows))
                await anyio.wait_all_tasks_blocked()
                tasks.start_soon(opened.write, (INSERT, [(3,)]))
        await opened.write((INSERT, [(4,)]))
        assert await numbers(opened) == [1, 2, 4]


class TestReadingOnly:
    """Looking at a database that somebody else may be writing."""

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
