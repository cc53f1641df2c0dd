"""No wait without a bound: a store that is slow, or locked from outside, and those who wait for so long only."""

from __future__ import annotations

import gc
import weakref
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest

from tests.helpers import PATIENCE
from tests.persistence.faults import Fault, Faults
from tests.persistence.files import FIRST, INSERT, locking, numbers
from tocsin.persistence import sqlite_connection as connection
from tocsin.persistence import writer
from tocsin.persistence.database import Database, open_database, read_database
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.kernel.durability import RecoveryPolicy

SHORT = 0.05
"""Seconds that a write waits here."""

DOUBT = "; whether this was written is not known"


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    """Let commits fail or take their time, and recoveries be tried at once."""
    monkeypatch.setattr(writer, "RecoveryPolicy", lambda: RecoveryPolicy(first=0.001, longest=0.002))
    return Faults(monkeypatch)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let SQLite wait for locks for a moment only."""
    monkeypatch.setattr(connection, "LOCK_PATIENCE", SHORT)
    pragmas = (*connection._PRAGMAS[:-1], f"busy_timeout = {round(SHORT * 1_000)}")
    monkeypatch.setattr(connection, "_PRAGMAS", pragmas)


async def refused(opened: Database, number: int) -> StateUnavailable:
    """Write a number, which must be refused."""
    with anyio.fail_after(PATIENCE), pytest.raises(StateUnavailable) as refusal:
        await opened.write((INSERT, [(number,)]))
    return refusal.value


class TestSlow:
    """A commit that does not come back: the disk hangs."""

    async def test_a_write_waits_no_longer_than_its_patience(self, path: Path, faults: Faults) -> None:
        """It is told that it may be on disk; who comes now is refused at once, until the disk is back."""
        async with open_database(path, [FIRST], patience=SHORT) as opened:
            faults.held.clear()
            first = await refused(opened, 2)
            assert str(first) == f"{path} has not been written for {SHORT:g} s{DOUBT}"
            assert first.in_doubt
            assert opened.fault == f"{path} has not been written for {SHORT:g} s"
            before = anyio.current_time()
            second = await refused(opened, 3)
            assert anyio.current_time() - before < SHORT
            assert (str(second), second.in_doubt) == (opened.fault, False)
            changed = anyio.Event()
            opened.watch(lambda _: changed.set())
            faults.held.set()
            await changed.wait()
            await opened.write((INSERT, [(4,)]))
            assert await numbers(opened) == [1, 2, 4]

    async def test_what_has_not_had_its_turn_is_not_written_later(self, path: Path, faults: Faults) -> None:
        """It waits behind another one; its refusal says nothing of a doubt, and there is none."""
        failures: dict[int, StateUnavailable] = {}

        async def write(number: int) -> None:
            failures[number] = await refused(opened, number)

        async with open_database(path, [FIRST], patience=SHORT) as opened:
            faults.held.clear()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(write, 2)
                await anyio.wait_all_tasks_blocked()
                tasks.start_soon(write, 3)
            assert {number: failure.in_doubt for number, failure in failures.items()} == {2: True, 3: False}
            faults.held.set()
            with anyio.fail_after(PATIENCE):
                while opened.fault is not None:
                    await anyio.lowlevel.checkpoint()
            assert await numbers(opened) == [1, 2]

    @pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER])
    async def test_what_was_given_up_in_doubt_is_there_or_not_but_is_not_begun_again(
        self, path: Path, faults: Faults, fault: Fault
    ) -> None:
        """Its caller may have asked again by then."""
        async with open_database(path, [FIRST], patience=SHORT) as opened:
            faults.coming.append(fault)
            faults.gone = True
            failure = await refused(opened, 2)
            assert (str(failure), failure.in_doubt) == (f"{path} cannot be used: disk I/O error{DOUBT}", True)
            faults.gone = False
            with anyio.fail_after(PATIENCE):
                while opened.fault is not None:
                    await anyio.lowlevel.checkpoint()
            assert await numbers(opened) == ([1] if fault is Fault.BEFORE else [1, 2])

    async def test_nothing_is_kept_for_a_write_that_is_withdrawn(self, path: Path, faults: Faults) -> None:
        """However long its patience would last, and while another holds the disk up."""

        class Rows(list[tuple[int]]):
            """Rows whose end can be seen."""

        rows = Rows([(3,)])
        is_kept = weakref.ref(rows)
        async with open_database(path, [FIRST], patience=PATIENCE) as opened, anyio.create_task_group() as tasks:
            faults.held.clear()
            tasks.start_soon(opened.write, (INSERT, [(2,)]))
            await anyio.wait_all_tasks_blocked()
            write = opened.begin_write((INSERT, rows))
            del rows
            was_kept = is_kept() is not None
            write.withdraw()
            gc.collect()
            faults.held.set()
            assert (was_kept, is_kept()) == (True, None)
        async with open_database(path, [FIRST]) as opened:
            assert await numbers(opened) == [1, 2]

    async def test_a_read_waits_no_longer_than_its_patience(self, path: Path) -> None:
        """Another one is before it that takes long."""
        slow = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000000) SELECT max(i) FROM n"
        async with open_database(path, [FIRST], patience=SHORT) as opened:
            sentence = f"^{path} could not be read within {SHORT:g} s$"
            with pytest.raises(StateUnavailable, match=sentence):
                await opened.read(slow)
            assert opened.fault is None


@pytest.mark.usefixtures("hurried")
class TestLocked:
    """Another program holds a lock of SQLite's."""

    @pytest.mark.usefixtures("faults")
    async def test_a_lock_is_a_fault_while_it_lasts(self, path: Path) -> None:
        """The first in line waits for as long as it waits, then it is refused; afterwards all goes on."""
        async with open_database(path, [FIRST], patience=4 * SHORT) as opened:
            with locking(path, "BEGIN IMMEDIATE"):
                failure = await refused(opened, 2)
                assert (str(failure), failure.in_doubt) == (f"{path} is locked by another program{DOUBT}", True)
                assert opened.fault == f"{path} is locked by another program"
                assert await numbers(opened) == [1]
            with anyio.fail_after(PATIENCE):
                while opened.fault is not None:
                    await anyio.lowlevel.checkpoint()
            await opened.write((INSERT, [(3,)]))
            assert set(await numbers(opened)) - {2} == {1, 3}  # the 2 may just have had another turn

    async def test_who_waits_behind_the_first_is_refused_with_the_fault(self, path: Path) -> None:
        """What has not been begun need not wait until its own patience ends."""
        failures: list[bool] = []

        async def write(opened: Database, number: int) -> None:
            failures.append((await refused(opened, number)).in_doubt)

        async with open_database(path, [FIRST], patience=PATIENCE) as opened:
            with locking(path, "BEGIN IMMEDIATE") as release:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(opened.write, (INSERT, [(2,)]))
                    await anyio.wait_all_tasks_blocked()
                    async with anyio.create_task_group() as others:
                        for number in range(3, 6):
                            others.start_soon(write, opened, number)
                    release()
            assert await numbers(opened) == [1, 2]
        assert failures == [False] * 3

    @pytest.mark.parametrize("patience", [None, PATIENCE], ids=["patient", "impatient"])
    @pytest.mark.parametrize("statements", [["BEGIN IMMEDIATE"], ["BEGIN EXCLUSIVE"]], ids=" ".join)
    async def test_a_start_is_refused_in_words(self, path: Path, patience: float | None, statements: list[str]) -> None:
        """Who cannot write is not started, whether anything is to be written or not; without the lock it is."""
        async with open_database(path, [FIRST]):
            pass
        with locking(path, *statements), anyio.fail_after(PATIENCE), pytest.raises(StateUnavailable) as refusal:
            async with open_database(path, [FIRST], patience=patience):
                pass
        assert str(refusal.value) == f"{path} is locked by another program"
        async with open_database(path, [FIRST], patience=patience) as opened:
            assert await numbers(opened) == [1]

    async def test_an_exclusive_lock_is_told_to_who_only_looks(self, path: Path) -> None:
        """Both at its start and by who wants to write."""
        async with open_database(path, [FIRST]):
            pass
        alone = ["PRAGMA locking_mode = EXCLUSIVE", "INSERT INTO number VALUES (2)"]
        with locking(path, *alone), anyio.fail_after(PATIENCE):
            for opening in (read_database(path, 1), open_database(path, [FIRST])):
                with pytest.raises(StateUnavailable, match="is locked by another program"):
                    async with opening:
                        pass

    async def test_closing_does_not_wait_for_the_end_of_a_lock(self, path: Path) -> None:
        """A patient write is told that it is not known; it is not there, since the lock was."""
        failures: list[StateUnavailable] = []

        async def write(opened: Database) -> None:
            failures.append(await refused(opened, 2))

        with anyio.fail_after(PATIENCE), ExitStack() as outside:
            async with anyio.create_task_group() as tasks, open_database(path, [FIRST]) as opened:
                changed = anyio.Event()
                opened.watch(lambda _: changed.set())
                outside.enter_context(locking(path, "BEGIN IMMEDIATE"))
                tasks.start_soon(write, opened)
                await changed.wait()
        assert [failure.in_doubt for failure in failures] == [True]
        async with open_database(path, [FIRST]) as opened:
            assert await numbers(opened) == [1]
