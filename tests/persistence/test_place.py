"""Where a database is: its files are what they seem, and still what was opened when a commit is told."""

from __future__ import annotations

import logging
import os
import shutil
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import PATIENCE
from tests.persistence.files import FIRST, INSERT, OURS, ask, contents, locking, make, numbers, opening, refusal
from tocsin.persistence import writer
from tocsin.persistence.database import Database
from tocsin.persistence.sqlite_medium import SqliteMedium
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.kernel.durability import RecoveryPolicy

LOGS = ["-wal", "-shm", "-journal"]
LINKED = "is a symbolic link, and nothing is written through one; put the file itself there"
SUPERUSER = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only the superuser can give a file to another user"
)
OTHER_USER = 65534


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let recoveries be tried at once."""
    monkeypatch.setattr(writer, "RecoveryPolicy", lambda: RecoveryPolicy(first=0.001, longest=0.002))


class TestFiles:
    """What is opened: a file that has one name, in the hands of one user."""

    async def test_a_database_that_is_a_link_is_refused(self, path: Path) -> None:
        """What it leads to is as it was, also where that is nothing."""
        elsewhere = path.with_name("elsewhere.db")
        await anyio.Path(path).symlink_to(elsewhere)
        assert await refusal(path) == f"{path} {LINKED}"
        assert not elsewhere.exists()
        make(elsewhere, *OURS)
        before = contents(path.parent)
        assert await refusal(path) == f"{path} {LINKED}"
        assert contents(path.parent) == before

    @pytest.mark.parametrize("end", LOGS)
    async def test_a_log_that_is_a_link_is_refused(self, path: Path, end: str) -> None:
        """What a database is to hold is not written elsewhere first."""
        async with opening(path, FIRST):
            pass
        elsewhere = path.with_name("elsewhere")
        path.with_name(path.name + end).symlink_to(elsewhere)
        assert await refusal(path) == f"{path}{end} {LINKED}"
        assert not elsewhere.exists()

    @pytest.mark.skipif(sys.platform == "win32", reason="there are no such pipes")
    @pytest.mark.parametrize("end", ["", *LOGS])
    async def test_a_pipe_is_no_database(self, path: Path, end: str) -> None:
        """Nothing waits for what comes out of it."""
        os.mkfifo(f"{path}{end}")
        with anyio.fail_after(PATIENCE):
            assert await refusal(path) == f"{path}{end} is no regular file; move it away"

    async def test_a_database_with_another_name_is_refused(self, path: Path) -> None:
        """Under each name it would have a log of its own, and another folder does not know that this one is held."""
        async with opening(path, FIRST):
            pass
        path.with_name("other.db").hardlink_to(path)
        assert await refusal(path) == f"{path} has another name, too (a hard link); put a copy in its place"
        path.with_name("other.db").unlink()
        async with opening(path, FIRST) as opened:
            assert await numbers(opened) == [1]

    @SUPERUSER
    async def test_a_file_of_another_user_is_refused(self, path: Path) -> None:
        """Its owner may change it, whatever the folder allows."""
        async with opening(path, FIRST):
            pass
        os.chown(path, OTHER_USER, OTHER_USER)
        assert (
            await refusal(path) == f"{path} belongs to another user (id {OTHER_USER}), who may change it; move it away"
        )

    @SUPERUSER
    async def test_what_the_superuser_makes_belongs_to_the_folders_owner(self, path: Path) -> None:
        """Who registers an app as root, before the service has run, does not shut the service out."""
        os.chown(path.parent, OTHER_USER, OTHER_USER)
        async with opening(path, FIRST) as opened:
            await opened.write((INSERT, [(2,)]))
            found = {file.name: file.stat() for file in path.parent.iterdir()}
        assert {name: (at.st_uid, stat.S_IMODE(at.st_mode)) for name, at in found.items()} == {
            f"app.db{end}": (OTHER_USER, 0o600) for end in ("", "-wal", "-shm")
        }

    async def test_the_working_directory_may_change(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A path that was given relative to it leads to the same file afterwards."""
        monkeypatch.chdir(path.parent)
        async with opening(Path(path.name), FIRST) as opened:
            monkeypatch.chdir("/")
            await opened.write((INSERT, [(2,)]))
            path.with_name("app.db-wal").unlink()
            await opened.write((INSERT, [(3,)]))
        assert ask(path, "SELECT count(*) FROM number") == 3


def delete(path: Path) -> None:
    """Delete the file, and leave its log."""
    path.unlink()


def delete_all(path: Path) -> None:
    """Delete the folder with all that is in it."""
    shutil.rmtree(path.parent)


def rename(path: Path) -> None:
    """Move the file away."""
    path.rename(path.with_name("away.db"))


def rename_folder(path: Path) -> None:
    """Move the folder away."""
    path.parent.rename(path.parent.with_name("away"))


def copy_folder(path: Path) -> None:
    """Put a copy of the folder in its place."""
    rename_folder(path)
    shutil.copytree(path.parent.with_name("away"), path.parent)


def new_folder(path: Path) -> None:
    """Put the same files into another folder, which no process holds."""
    rename_folder(path)
    path.parent.mkdir()
    for file in path.parent.with_name("away").iterdir():
        file.rename(path.with_name(file.name))


def replace(path: Path) -> None:
    """Put another database in its place, such as a backup."""
    other = path.with_name("other.db")
    make(other, *FIRST)
    other.rename(path)


def link(path: Path) -> None:
    """Move the file away, and leave a link to it."""
    rename(path)
    path.symlink_to("away.db")


DAMAGES = [delete, delete_all, rename, rename_folder, copy_folder, new_folder, replace, link]


def put_back_file(path: Path) -> None:
    """Undo ``rename``, ``link`` and ``replace_aside``."""
    path.with_name("away.db").rename(path)


def put_back_folder(path: Path) -> None:
    """Undo ``rename_folder`` and ``copy_folder``."""
    shutil.rmtree(path.parent, ignore_errors=True)
    path.parent.with_name("away").rename(path.parent)


class TestDisplaced:
    """A name that leads elsewhere while the database is open."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        """Name a database in a folder of its own."""
        (tmp_path / "state").mkdir()
        return tmp_path / "state" / "app.db"

    @staticmethod
    async def fault_of(opened: Database) -> str:
        """Wait for a fault."""
        changed = anyio.Event()
        opened.watch(lambda _: changed.set())
        if opened.fault is None:
            await changed.wait()
        assert opened.fault is not None
        return opened.fault

    @pytest.mark.parametrize("damage", DAMAGES)
    async def test_what_is_written_elsewhere_is_not_told_as_written(
        self, damage: Callable[[Path], None], path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It waits, the fault says in words what has happened, once; on the end it is in doubt, and reading goes on."""
        failures: list[StateUnavailable] = []

        async def write(opened: Database) -> None:
            try:
                await opened.write((INSERT, [(3,)]))
            except StateUnavailable as failure:
                failures.append(failure)

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks, opening(path, FIRST) as opened:
                await opened.write((INSERT, [(2,)]))
                damage(path)
                tasks.start_soon(write, opened)
                fault = await self.fault_of(opened)
                assert (await numbers(opened))[:2] == [1, 2]
        assert "while it was in use; put back what was there, or start anew with what is there now" in fault
        assert [failure.in_doubt for failure in failures] == [True]
        assert str(failures[0]).startswith(str(path.parent))
        assert len(caplog.records) == 1

    @pytest.mark.parametrize("damage", DAMAGES)
    async def test_a_folder_in_which_nothing_has_changed_for_long_is_watched_too(
        self, damage: Callable[[Path], None], path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its time of change is what is looked at then, and it tells of all that may happen."""
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks, opening(path, FIRST) as opened:
                monkeypatch.setattr(time, "time_ns", lambda: 2**63)
                await opened.write((INSERT, [(2,)]))
                assert opened._writer is not None
                assert cast("SqliteMedium", opened._writer._medium)._connections.place._settled is not None
                probe, folder = path.parent.parent / "probe", path.parent.stat()
                probe.touch()
                while probe.stat().st_ctime_ns <= folder.st_ctime_ns:  # another change now has another time
                    probe.touch()
                damage(path)
                tasks.start_soon(self._try, opened)
                await self.fault_of(opened)

    @pytest.mark.parametrize(
        ("damage", "mend"),
        [
            (rename, put_back_file),
            (link, put_back_file),
            (rename_folder, put_back_folder),
            (copy_folder, put_back_folder),
        ],
    )
    async def test_what_was_put_back_is_used_again(
        self, damage: Callable[[Path], None], mend: Callable[[Path], None], path: Path
    ) -> None:
        """The same file under its name again: what waited is told as written, and is there once."""
        with anyio.fail_after(PATIENCE):
            async with opening(path, FIRST) as opened:
                await opened.write((INSERT, [(2,)]))
                damage(path)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(opened.write, (INSERT, [(3,)]))
                    await self.fault_of(opened)
                    mend(path)
                assert opened.fault is None
                await opened.write((INSERT, [(4,)]))
                assert await numbers(opened) == [1, 2, 3, 4]
        assert ask(path, "SELECT count(*) FROM number") == 4

    @pytest.mark.parametrize("ends", [["-wal"], ["-shm"], ["-wal", "-shm"]])
    async def test_a_log_that_was_deleted_loses_nothing(self, ends: list[str], path: Path) -> None:
        """What it held is in the file before the next commit is told, and a log is made anew, where others find it."""
        with anyio.fail_after(PATIENCE):
            async with opening(path, FIRST) as opened:
                await opened.write((INSERT, [(2,)]))
                for end in ends:
                    path.with_name(path.name + end).unlink()
                await opened.write((INSERT, [(3,)]))
                alone = path.with_name("copy.db")
                shutil.copy(path, alone)
                assert ask(alone, "SELECT count(*) FROM number") == 3
                await opened.write((INSERT, [(4,)]))
                assert ask(path, "SELECT count(*) FROM number") == 4
                assert await numbers(opened) == [1, 2, 3, 4]
                assert opened.fault is None

    async def test_a_log_that_is_read_is_saved_when_the_reader_has_gone(self, path: Path) -> None:
        """Until then nothing is told as written, and nothing is closed that still holds what was acknowledged."""
        with anyio.fail_after(PATIENCE):
            async with opening(path, FIRST) as opened:
                with locking(path, "BEGIN", "SELECT count(*) FROM number") as release:
                    await opened.write((INSERT, [(2,)]))
                    path.with_name("app.db-wal").unlink()
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(opened.write, (INSERT, [(3,)]))
                        while opened._writer is None or "another program reads it" not in opened._writer._reason:
                            await anyio.lowlevel.checkpoint()
                        release()
                    assert await numbers(opened) == [1, 2, 3]
        assert ask(path, "SELECT count(*) FROM number") == 3

    async def test_a_database_that_was_moved_away_is_whole(self, path: Path) -> None:
        """What was acknowledged is in it alone; its log is not left for the next file with its name."""
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks, opening(path, FIRST) as opened:
                await opened.write((INSERT, [(2,)]))
                rename(path)
                tasks.start_soon(self._try, opened)
                await self.fault_of(opened)
                while path.with_name("app.db-wal").exists():
                    await anyio.lowlevel.checkpoint()
        assert ask(path.with_name("away.db"), "SELECT count(*) FROM number WHERE n < 3") == 2
        assert [file.name for file in path.parent.iterdir()] == ["away.db"]

    async def test_a_backup_that_was_put_in_its_place_stays_as_it_is(self, path: Path) -> None:
        """What the other database's log holds is not mixed into it, by us or by the next start."""
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks, opening(path, FIRST) as opened:
                await opened.write((INSERT, [(2,)]))
                replace(path)
                tasks.start_soon(self._try, opened)
                await self.fault_of(opened)
        assert list(contents(path.parent)) == ["app.db"]
        assert ask(path, "SELECT group_concat(n) FROM number") == "1"

    @staticmethod
    async def _try(opened: Database) -> None:
        with pytest.raises(StateUnavailable):
            await opened.write((INSERT, [(3,)]))


@frozen
class Blow:
    """What is done to a database in use, and how it is undone; None: that it heals by itself."""

    name: str
    strike: Callable[[Path], None]
    undo: Callable[[Path], None] | None = None


def unlink_logs(*ends: str) -> Callable[[Path], None]:
    """Delete log files, those that are there."""

    def strike(path: Path) -> None:
        for end in ends:
            path.with_name(path.name + end).unlink(missing_ok=True)

    return strike


def replace_aside(path: Path) -> None:
    """Put another database in its place, and keep it."""
    rename(path)
    other = path.with_name("other.db")
    make(other, *FIRST)
    other.rename(path)


BLOWS = [
    Blow("nothing", lambda _: None),
    Blow("the log is deleted", unlink_logs("-wal")),
    Blow("its index is deleted", unlink_logs("-shm")),
    Blow("both are deleted", unlink_logs("-wal", "-shm")),
    Blow("the file is moved", rename, put_back_file),
    Blow("the folder is moved", rename_folder, put_back_folder),
    Blow("the file is replaced", replace_aside, put_back_file),
]


@settings(max_examples=settings().max_examples // 2)
@given(st.lists(st.lists(st.sampled_from(BLOWS), max_size=6), min_size=1, max_size=3))
def test_whatever_is_taken_away_and_put_back_what_was_told_is_there(lives: list[list[Blow]]) -> None:
    """In any order, and over restarts: each write is told when it is in the file under its name, and is there once."""

    async def strike(path: Path, opened: Database, blow: Blow, number: int) -> None:
        changed = anyio.Event()
        opened.watch(lambda _: changed.set())
        blow.strike(path)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(opened.write, (INSERT, [(number,)]))
            if blow.undo is not None:
                await changed.wait()
                blow.undo(path)

    async def run(path: Path) -> None:
        count = 1
        for blows in lives:
            with anyio.fail_after(3 * PATIENCE):
                async with opening(path, FIRST) as opened:
                    for blow in blows:
                        count += 1
                        await strike(path, opened, blow, count)
                        assert ask(path, "SELECT count(*) FROM number") == count
                        assert await numbers(opened) == list(range(1, count + 1))
        assert ask(path, "PRAGMA integrity_check") == "ok"
        assert ask(path, "SELECT count(*) FROM number") == count

    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch, start_blocking_portal() as portal:
        logging.disable(logging.CRITICAL)
        patch.setattr(writer, "RecoveryPolicy", lambda: RecoveryPolicy(first=0.001, longest=0.002))
        (Path(folder) / "state").mkdir()
        try:
            portal.call(run, Path(folder) / "state" / "app.db")
        finally:
            logging.disable(logging.NOTSET)
