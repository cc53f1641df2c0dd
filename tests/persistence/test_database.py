"""One SQLite file: private, durable, migrated as a whole, and refused untouched when it is not ours to use."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from tests.persistence.files import (
    FILL,
    FIRST,
    INSERT,
    OURS,
    PAGE,
    SECOND,
    ask,
    contents,
    make,
    numbers,
    opening,
    refusal,
    spoil,
)
from tocsin.persistence import database
from tocsin.persistence.database import APPLICATION_ID, Database
from tocsin.protocol.errors import StateUnavailable


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
        """Only its user may read the database, its log and the log's index."""
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
        """One file remains, with the application id of Tocsin, also if the closing is cancelled."""
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
        """The refused file and its neighbours keep every byte."""
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
