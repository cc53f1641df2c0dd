"""The one writer: groups, and what becomes of those whose commit fails."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast
from unittest.mock import Mock

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import PATIENCE
from tests.persistence.faults import Fault, Faults
from tocsin.persistence import sqlite_connection as connection
from tocsin.persistence import sqlite_medium, writer
from tocsin.persistence.database import Database, open_database
from tocsin.persistence.disk_thread import DiskThread
from tocsin.persistence.sqlite_connection import COMMIT_COUNTER
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.kernel.durability import TABLE, Event, Phase, RecoveryPolicy
from tocsin.protocol.kernel.machine import IllegalEvent

SCHEMA = ("CREATE TABLE number (n INTEGER PRIMARY KEY)", *COMMIT_COUNTER)
INSERT = "INSERT INTO number VALUES (?)"
QUICK = RecoveryPolicy(first=0.001, longest=0.002)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a database that is not there yet."""
    return tmp_path / "app.db"


@pytest.fixture
def log(path: Path) -> Path:
    """Name its write-ahead log."""
    return path.with_name(f"{path.name}-wal")


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    """Let commits fail, and recoveries be tried at once."""
    monkeypatch.setattr(writer, "RecoveryPolicy", lambda: QUICK)
    return Faults(monkeypatch)


@pytest.fixture
async def opened(path: Path, faults: Faults) -> AsyncIterator[Database]:
    """Open a database whose commits may fail."""
    assert not faults.gone
    async with open_database(path, [SCHEMA]) as opened:
        yield opened


def length(log: Path) -> int:
    """Return the bytes that a file has."""
    return log.stat().st_size


def content(log: Path) -> bytes:
    """Return what a file holds."""
    return log.read_bytes()


async def numbers(opened: Database) -> list[int]:
    """Return what the table of numbers holds."""
    return [row[0] for row in await opened.read("SELECT n FROM number ORDER BY n")]


async def write_all(opened: Database, count: int) -> None:
    """Write numbers, each from a task of its own."""
    async with anyio.create_task_group() as tasks:
        for number in range(count):
            tasks.start_soon(opened.write, (INSERT, [(number,)]))


class TestGroups:
    """What waits goes into one transaction."""

    async def test_writes_of_one_moment_share_a_transaction(self, opened: Database, faults: Faults) -> None:
        """The first does not wait for the others; the others are one group."""
        await write_all(opened, 200)
        assert await numbers(opened) == list(range(200))
        assert faults.groups == [200] or (faults.groups[0] < 200 and len(faults.groups) == 2)

    async def test_a_group_is_bounded(self, opened: Database, faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is more goes into the next."""
        monkeypatch.setattr(writer, "GROUP", 16)
        await write_all(opened, 100)
        assert await numbers(opened) == list(range(100))
        assert max(faults.groups) == 16

    async def test_a_wrong_write_takes_no_other_with_it(self, opened: Database) -> None:
        """It is refused by itself; the rest of its group is there."""
        refused: list[int] = []

        async def write(number: int) -> None:
            try:
                await opened.write((INSERT, [(1000 + number,), (number % 10,)]))
            except StateUnavailable:
                refused.append(number)

        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(write, number)
        assert sorted(refused) == list(range(10, 20))
        assert await numbers(opened) == [*range(10), *range(1000, 1010)]


class TestFaults:
    """A commit that failed is neither done nor undone until the database was asked."""

    @pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER, Fault.FULL])
    async def test_a_failed_commit_ends_as_done_exactly_once(
        self, opened: Database, faults: Faults, fault: Fault, path: Path
    ) -> None:
        """Whether it was on disk or not; the primary key would refuse it twice."""
        await opened.write((INSERT, [(1,)]))
        faults.coming.append(fault)
        await opened.write((INSERT, [(2,)]))
        await opened.write((INSERT, [(3,)]))
        assert await numbers(opened) == [1, 2, 3]
        assert opened.fault is None
        with closing(sqlite3.connect(path)) as asked:
            assert asked.execute("SELECT last FROM commit_counter").fetchone() == (3,)

    async def test_a_fault_is_told_while_it_lasts(
        self, opened: Database, faults: Faults, path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Its sentence is there to be shown, its beginning and its end are told, and reading goes on."""
        told: list[str | None] = []
        changed = anyio.Event()

        def watch(fault: str | None) -> None:
            told.append(fault)
            changed.set()

        opened.watch(watch)
        await opened.write((INSERT, [(1,)]))
        faults.coming.append(Fault.FULL)
        faults.gone = True
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(opened.write, (INSERT, [(2,)]))
            await changed.wait()
            sentence = f"{path} cannot be used: its disk is full; make room there"
            assert opened.fault == told[0] == sentence
            assert await numbers(opened) == [1]
            faults.gone = False
        assert told == [sentence, None]
        assert await numbers(opened) == [1, 2]
        assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]

    async def test_an_impatient_writer_refuses_at_once(self, path: Path, faults: Faults) -> None:
        """What is in doubt is waited for; what comes then is not begun."""
        async with open_database(path, [SCHEMA], patience=PATIENCE) as opened:
            changed = anyio.Event()
            opened.watch(lambda _: changed.set())
            faults.coming.append(Fault.BEFORE)
            faults.gone = True
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(opened.write, (INSERT, [(1,)]))
                await changed.wait()
                with pytest.raises(StateUnavailable, match="disk I/O error"):
                    await opened.write((INSERT, [(2,)]))
                faults.gone = False
            assert await numbers(opened) == [1]

    async def test_closing_does_not_wait_for_the_end_of_a_fault(self, path: Path, faults: Faults) -> None:
        """The waiting write fails, and its error says that it is not known whether the rows were written."""
        failures: list[str] = []

        async def write(opened: Database) -> None:
            try:
                await opened.write((INSERT, [(1,)]))
            except StateUnavailable as failure:
                failures.append(str(failure))

        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks, open_database(path, [SCHEMA]) as opened:
                changed = anyio.Event()
                opened.watch(lambda _: changed.set())
                faults.coming.append(Fault.BEFORE)
                faults.gone = True
                tasks.start_soon(write, opened)
                await changed.wait()
        assert failures == [f"{path} cannot be used: disk I/O error; whether this was written is not known"]

    async def test_a_corrupt_file_is_the_end_of_writing(self, opened: Database, faults: Faults, path: Path) -> None:
        """There is nothing to wait for: every write says so."""
        await opened.write((INSERT, [(1,)]))
        faults.coming.append(Fault.CORRUPT)
        for _ in range(2):
            with pytest.raises(StateUnavailable, match="is corrupt"):
                await opened.write((INSERT, [(2,)]))
        assert str(opened.fault).startswith(f"{path} is corrupt")
        assert await numbers(opened) == [1]

    async def test_a_log_that_somebody_reads_is_waited_for(self, opened: Database, faults: Faults, path: Path) -> None:
        """What the log shows after a failed fsync counts only when it was folded into the file."""
        await opened.write((INSERT, [(1,)]))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN")
            other.execute("SELECT count(*) FROM number").fetchone()
            await opened.write((INSERT, [(2,)]))
            faults.coming.append(Fault.AFTER)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(opened.write, (INSERT, [(3,)]))
                while opened.fault is None or "another program reads it" not in opened._writer._reason:  # type: ignore[union-attr]
                    await anyio.lowlevel.checkpoint()
                other.execute("COMMIT")
        assert await numbers(opened) == [1, 2, 3]

    async def test_a_file_that_has_gone_is_not_made_anew(self, opened: Database, faults: Faults, path: Path) -> None:
        """An empty database would forget everything: a fault lasts until the file is back."""
        await opened.write((INSERT, [(1,)]))
        away = path.with_name("away.db")
        await anyio.Path(path).rename(away)
        faults.coming.append(Fault.BEFORE)
        changed = anyio.Event()
        opened.watch(lambda _: changed.set())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(opened.write, (INSERT, [(2,)]))
            await changed.wait()
            while "was deleted or moved away" not in opened._writer._reason:  # type: ignore[union-attr]
                await anyio.lowlevel.checkpoint()
            assert not await anyio.Path(path).exists()
            await anyio.Path(away).rename(path)
        assert await numbers(opened) == [1, 2]


@settings(max_examples=settings().max_examples // 2)
@given(st.lists(st.sampled_from([Fault.NONE, Fault.BEFORE, Fault.AFTER, Fault.FULL]), max_size=12))
def test_whatever_fails_everything_is_there_once(coming: list[Fault]) -> None:
    """In any series of faults each write is settled as done, and is on disk exactly once, in order."""

    async def run(path: Path) -> list[int]:
        async with open_database(path, [SCHEMA]) as opened:
            for number in range(6):
                await opened.write((INSERT, [(number,)]))
            return await numbers(opened)

    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch, start_blocking_portal() as portal:
        logging.disable(logging.CRITICAL)
        patch.setattr(writer, "RecoveryPolicy", lambda: QUICK)
        faults = Faults(patch)
        faults.coming.extend(coming)
        try:
            assert portal.call(run, Path(folder) / "app.db") == list(range(6))
        finally:
            logging.disable(logging.NOTSET)
        assert faults.commits == 6 + sum(1 for fault in coming[: faults.commits] if fault in {Fault.BEFORE, Fault.FULL})


class TestLog:
    """The write-ahead log keeps its length, and is written over from its beginning."""

    async def test_a_writer_that_goes_on_has_a_log_that_no_commit_makes_longer(
        self, opened: Database, log: Path
    ) -> None:
        """It becomes as long as it will be after some transactions, in the order of jobs, so before the next is told."""
        for number in range(sqlite_medium.LENGTHEN_AFTER):
            assert length(log) < connection.LOG_SIZE
            await opened.write((INSERT, [(number,)]))
        await opened.write((INSERT, [(number + 1,)]))
        held = content(log)
        assert len(held) == connection.LOG_SIZE
        assert held.endswith(bytes(4096))

    async def test_a_log_that_is_nearly_full_is_begun_anew(self, path: Path, log: Path) -> None:
        """Its first commit then has another salt, and its length is what it was."""
        async with open_database(path, [("CREATE TABLE text (t TEXT)", *COMMIT_COUNTER)]) as opened:
            for _ in range(sqlite_medium.LENGTHEN_AFTER + 1):
                await opened.write(("INSERT INTO text VALUES (?)", [("x",)]))
            before = content(log)[16:24]
            with anyio.fail_after(PATIENCE):
                while content(log)[16:24] == before:
                    await opened.write(("INSERT INTO text VALUES (?)", [("x" * 20_000,)] * 8))
                    assert length(log) == connection.LOG_SIZE

    async def test_a_log_for_which_there_is_no_room_stays_as_it_is(
        self, opened: Database, log: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """What was added is taken back, and the log says so; commits go on."""
        caplog.set_level(logging.INFO)
        written: list[int] = []

        def fill(descriptor: int, zeros: bytes) -> int:
            if len(written) == 3:
                raise OSError(errno.ENOSPC, "No space left on device")
            written.append(length(log))
            return os.pwrite(descriptor, zeros, written[-1])

        monkeypatch.setattr(os, "write", fill)
        for number in range(sqlite_medium.LENGTHEN_AFTER + 1):
            await opened.write((INSERT, [(number,)]))
        assert len(set(written)) == 3
        assert length(log) < written[1]
        assert [record.message for record in caplog.records] == [
            f"the log was not lengthened: {opened._path} cannot be opened: No space left on device"
        ]

    async def test_a_log_that_another_program_writes_is_left_to_it(
        self, opened: Database, path: Path, log: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It may be about to make the log longer itself."""
        assert opened._writer is not None
        medium = cast("sqlite_medium.SqliteMedium", opened._writer._medium)
        tested = medium._connections.writer
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await medium._thread.run(lambda: tested._opened().execute("PRAGMA busy_timeout = 0"))
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                await medium._thread.run(tested.lengthen_log)
        assert length(log) == 0
        assert not caplog.records


class TestEnd:
    """What becomes of writes when a writer ends."""

    async def test_what_waits_is_refused_where_the_end_is_not_waited_for(self, path: Path) -> None:
        """A caller must not wait for ever; of what had its turn it is told that it may be there."""
        refused: list[tuple[int, bool]] = []
        thread = Mock(spec=DiskThread)
        idle = writer.Writer(sqlite_medium.SqliteMedium(thread, Mock(place=Mock(path=path))), 0, None)

        async def write(number: int) -> None:
            with pytest.raises(StateUnavailable, match=f"{path} is closed") as refusal:
                await idle.write([(INSERT, [(number,)])])
            refused.append((number, refusal.value.in_doubt))

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(write, 1)
                tasks.start_soon(write, 2)
                await anyio.wait_all_tasks_blocked()
                idle.abandon()
            await write(3)
        assert refused == [(1, True), (2, False), (3, False)]
        ((_, ended), _) = thread.submit.call_args
        ended(None, None)  # the thread comes back when all is over
        assert thread.submit.call_count == 1

    async def test_a_defect_ends_the_block_and_lets_no_caller_wait(
        self, path: Path, faults: Faults, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is raised where the database was opened."""
        rest = {pair: row for pair, row in TABLE.items() if pair != (Phase.IN_DOUBT, Event.FAILED)}
        monkeypatch.setattr("tocsin.persistence.writer.TABLE", rest)  # a row that is put back stands in another place
        faults.coming.append(Fault.FULL)

        async def use() -> None:
            async with open_database(path, [SCHEMA]) as opened:
                faults.gone = True
                with pytest.raises(StateUnavailable, match="is closed"):
                    await opened.write((INSERT, [(1,)]))

        with anyio.fail_after(PATIENCE), pytest.raises(IllegalEvent):
            await use()

    async def test_a_fault_is_told_from_a_task(self, opened: Database, faults: Faults) -> None:
        """What hears of it may use what needs one."""
        told: list[float] = []
        opened.watch(lambda _: told.append(anyio.current_time()))
        faults.coming.append(Fault.FULL)
        await opened.write((INSERT, [(1,)]))
        await anyio.wait_all_tasks_blocked()
        assert len(told) == 2


@pytest.mark.parametrize("value", ["half a \ud83d", 2**70, object()])
async def test_a_value_that_sqlite_cannot_take_costs_only_its_write(opened: Database, value: object) -> None:
    """Its write is refused in words, and so is its query; the others of the group are written."""
    refused = []

    async def write(value: object) -> None:
        try:
            await opened.write((INSERT, [(value,)]))
        except StateUnavailable as failure:
            refused.append(str(failure))

    async with anyio.create_task_group() as tasks:
        for each in (1, value, 2):
            tasks.start_soon(write, each)
    with pytest.raises(StateUnavailable, match="cannot be used"):
        await opened.read("SELECT ?", (value,))
    assert len(refused) == 1
    assert await numbers(opened) == [1, 2]
