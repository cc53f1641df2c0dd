"""What is written only where what it was decided from is still so: its caller is told which, and no other write is disturbed."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from tests.persistence.faults import Fault, Faults
from tests.persistence.files import FIRST, INSERT, numbers
from tests.persistence.postgres_server import PostgresServer
from tests.persistence.test_postgres_faults import TABLES
from tests.persistence.test_postgres_faults import numbers as kept_numbers
from tocsin.persistence import sqlite_connection as sqlite
from tocsin.persistence import writer
from tocsin.persistence.database import Database, open_database
from tocsin.persistence.postgres_database import open_postgres
from tocsin.persistence.postgres_statements import Statement, touching
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.kernel.changed_meanwhile import ChangedMeanwhile
from tocsin.protocol.kernel.durability import RecoveryPolicy

CHANGE = "UPDATE number SET n = n + ? WHERE n = ?"


async def told(opened: Database, by: int, number: int, *more: int) -> bool:
    """Change a number, and add others with it; tell whether it was there."""
    statements = [(INSERT, [(other,) for other in more])] if more else []
    try:
        await opened.write_where(sqlite.touching(CHANGE, (by, number)), *statements)
    except ChangedMeanwhile:
        return False
    return True


async def test_it_is_written_as_a_whole_or_not_at_all(opened: Database) -> None:
    """Where the row is as it was read, and where it is another by now."""
    assert await told(opened, 10, 1, 2, 3)
    assert not await told(opened, 10, 1, 4)
    assert await numbers(opened) == [2, 3, 11]


async def test_the_others_of_its_transaction_are_written(opened: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one go: none of them is run by itself for what was not so any more."""
    groups: list[int] = []
    original = sqlite.WriterConnection.transact

    def transact(
        self: sqlite.WriterConnection, statements: list[sqlite.Statement | sqlite.Guarded], number: int
    ) -> None:
        groups.append(len(statements))
        original(self, statements, number)

    monkeypatch.setattr(sqlite.WriterConnection, "transact", transact)
    results = {}

    async def run(by: int) -> None:
        results[by] = await told(opened, by, 1)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(opened.write, (INSERT, [(1_000,)]))
        for number in range(2, 5):
            tasks.start_soon(opened.write, (INSERT, [(number,)]))
            tasks.start_soon(run, number * 100)
    assert sorted(results.values()) == [False, False, True]
    assert len(groups) <= 2
    assert len(await numbers(opened)) == 5


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER])
@pytest.mark.parametrize("is_so", [True, False])
async def test_after_a_failure_its_outcome_is_that_of_what_is_on_disk(
    path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault, is_so: bool
) -> None:
    """Whether the commit that failed is there, or it had to be run again."""
    monkeypatch.setattr(writer, "RecoveryPolicy", lambda: RecoveryPolicy(first=0.001, longest=0.002))
    faults = Faults(monkeypatch)
    async with open_database(path, [FIRST]) as opened:
        faults.coming.append(fault)
        assert await told(opened, 10, 1 if is_so else 2, 5) == is_so
        assert await numbers(opened) == ([5, 11] if is_so else [1])


async def test_one_that_is_wrong_is_refused(opened: Database) -> None:
    """As any other write; nothing of it is there."""
    with pytest.raises(StateUnavailable):
        await told(opened, 10, 1, 7, 7)
    assert await numbers(opened) == [1]


async def test_in_postgres_the_others_are_written_too(postgres: PostgresServer) -> None:
    """And of two that change one row from the same, one is told that it is not so any more."""
    url = await postgres.make_database()
    change = "UPDATE number SET n = $1 WHERE n = $2"
    results: list[bool] = []
    async with open_postgres(url, [TABLES], patience=5) as opened, open_postgres(url, [TABLES], patience=5) as other:
        await opened.write(Statement("INSERT INTO number VALUES ($1)", [(1,)]))

        async def run(number: int) -> None:
            more = Statement("INSERT INTO number VALUES ($1)", [(number,)])
            try:
                await (opened, other)[number % 2].write_where(touching(change, (number * 100, 1)), more)
            except ChangedMeanwhile:
                results.append(False)
            else:
                results.append(True)

        async with anyio.create_task_group() as tasks:
            for number in range(2, 8):
                tasks.start_soon(run, number)
                tasks.start_soon(opened.write, Statement("INSERT INTO number VALUES ($1)", [(number * 10_000,)]))
    assert sorted(results) == [False] * 5 + [True]
    kept = await kept_numbers(postgres, url)
    assert len(kept) == 6 + 2
    assert kept[0] * 100 == kept[1]
