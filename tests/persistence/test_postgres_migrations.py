"""A PostgreSQL database is looked at before anything is changed in it, and brought to the newest version by one of many."""

from __future__ import annotations

import os
from collections.abc import Sequence
from urllib.parse import urlsplit

import anyio
import asyncpg
import pytest

from tests.persistence.postgres_server import LOCKED, PostgresServer
from tocsin.persistence import postgres_connection
from tocsin.persistence.postgres_database import open_postgres, read_postgres
from tocsin.persistence.postgres_medium import WRITERS
from tocsin.protocol.errors import StateUnavailable

FIRST = (*WRITERS, "CREATE TABLE number (n integer)", "INSERT INTO number VALUES (1)")
SECOND = ("INSERT INTO number VALUES (2)",)


@pytest.fixture
async def url(postgres: PostgresServer) -> str:
    """Make a database of which Tocsin knows nothing yet."""
    return await postgres.make_database()


async def numbers(url: str, *migrations: Sequence[str]) -> list[int]:
    """Open a database with these migrations, and return what is in its table."""
    async with open_postgres(url, migrations or [FIRST], patience=5.0) as opened:
        return [number for (number,) in await opened.read("SELECT n FROM number ORDER BY n")]


async def refusal(url: str, *migrations: Sequence[str]) -> str:
    """Try to open what cannot be opened, and return the sentence."""
    with pytest.raises(StateUnavailable) as refused:
        await numbers(url, *migrations)
    return str(refused.value)


async def test_each_step_is_taken_once(url: str) -> None:
    """Also where a database was opened with fewer of them before."""
    assert await numbers(url, FIRST) == [1]
    assert await numbers(url, FIRST, SECOND) == [1, 2]
    assert await numbers(url, FIRST, SECOND) == [1, 2]


async def test_of_several_that_open_it_at_once_each_step_is_taken_by_one(url: str) -> None:
    """Two nodes are started by one command."""
    found: list[list[int]] = []

    async def open_it() -> None:
        found.append(await numbers(url, FIRST, SECOND))

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(open_it)
    assert found == [[1, 2]] * 5


async def test_a_step_that_fails_leaves_nothing(url: str, postgres: PostgresServer) -> None:
    """The steps before it stay."""
    wrong = (*SECOND, "INSERT INTO nowhere VALUES (1)")
    assert 'relation "nowhere" does not exist' in await refusal(url, FIRST, wrong)
    assert await numbers(url, FIRST, SECOND) == [1, 2]
    assert await postgres.execute(urlsplit(url).path[1:], "SELECT version FROM tocsin.schema_version") == [(2,)]


async def test_a_newer_schema_is_refused(url: str) -> None:
    """In words, and without a change."""
    await numbers(url, FIRST, SECOND)
    said = "was written by a newer Tocsin (schema 2, this one knows 1); upgrade Tocsin"
    assert (await refusal(url, FIRST)).endswith(said)
    with pytest.raises(StateUnavailable, match="newer Tocsin"):
        async with read_postgres(url, 1):
            pass


async def test_what_another_program_has_in_the_database_is_left_alone(url: str, postgres: PostgresServer) -> None:
    """Its tables are in other schemas; where it has one of our name, another database is needed."""
    name = urlsplit(url).path[1:]
    await postgres.execute(name, "CREATE TABLE number (n text)")
    assert await numbers(url) == [1]
    other = await postgres.make_database()
    await postgres.execute(urlsplit(other).path[1:], "CREATE SCHEMA tocsin CREATE TABLE theirs (n text)")
    assert (await refusal(other)).endswith("has a schema tocsin of another program; give another database")


async def test_a_schema_that_was_made_for_us_is_taken(url: str, postgres: PostgresServer) -> None:
    """Its user may have no right to make one."""
    await postgres.execute(urlsplit(url).path[1:], "CREATE SCHEMA tocsin")
    assert await numbers(url) == [1]


async def test_a_database_that_is_not_utf_8_is_refused(postgres: PostgresServer) -> None:
    """It could not keep every text."""
    url = await postgres.make_database("ENCODING 'LATIN1' TEMPLATE template0")
    assert "keeps text as LATIN1; make a database for Tocsin with createdb --encoding=UTF8" in await refusal(url)


async def test_a_server_that_is_too_old_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was never tried."""
    monkeypatch.setattr(postgres_connection, "OLDEST", 99)
    assert "; Tocsin needs PostgreSQL 99 or newer" in await refusal(url)


async def test_a_database_that_is_not_there_is_said(postgres: PostgresServer) -> None:
    """With the command that makes it."""
    said = await refusal(postgres.url("nowhere"))
    assert (
        said == 'PostgreSQL at /nowhere has no such database: database "nowhere" does not exist; make it with createdb'
    )


async def test_a_wrong_password_is_said_and_not_shown(url: str, postgres: PostgresServer) -> None:
    """The right one may be in the environment, as libpq has it."""
    name = urlsplit(url).path[1:]
    await postgres.execute(name, f"CREATE ROLE {LOCKED} LOGIN PASSWORD 'right'")
    await postgres.execute(name, f"GRANT CREATE ON DATABASE {name} TO {LOCKED}")
    ours = postgres.url(name, LOCKED)
    said = await refusal(ours.replace(LOCKED, f"{LOCKED}:secret"))
    assert (
        said == f'PostgreSQL at /{name} does not let this user in: password authentication failed for user "{LOCKED}"'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "PGPASSWORD", "right")
        assert await numbers(ours) == [1]


async def test_a_user_without_the_right_to_make_a_schema_is_told(url: str, postgres: PostgresServer) -> None:
    """By the server's own sentence."""
    name = urlsplit(url).path[1:]
    await postgres.execute(name, "CREATE ROLE guest LOGIN")
    said = await refusal(postgres.url(name, "guest"))
    assert said == f"PostgreSQL at /{name} does not allow this to its user: permission denied for database {name}"


@pytest.mark.parametrize(
    "url", ["postgresql://u:se:cret@host:port/db", "http://u:secret@h/db", "postgresql://u@h/db?sslmode=x"]
)
async def test_a_url_that_cannot_be_read_is_said_and_not_shown(url: str) -> None:
    """A part of it may be a part of the password."""
    said = await refusal(url)
    assert said.endswith("cannot be used: its URL cannot be read; it is postgresql://USER@HOST:PORT/DATABASE")
    assert "cret" not in said


async def test_reading_only_needs_tables_and_changes_nothing(url: str) -> None:
    """Not even by mistake."""
    with pytest.raises(StateUnavailable, match="has no tables of Tocsin yet"):
        async with read_postgres(url, 1):
            pass
    await numbers(url)
    async with read_postgres(url, 1) as link:
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await link.execute("DELETE FROM number")


async def test_no_commit_is_told_before_it_is_on_disk(url: str, postgres: PostgresServer) -> None:
    """Also where the database was set to be faster."""
    name = urlsplit(url).path[1:]
    async with open_postgres(url, [FIRST], patience=5.0) as opened:
        assert await opened.read("SHOW synchronous_commit") == [("on",)]
    for value, kept in (("off", "on"), ("remote_apply", "remote_apply")):
        await postgres.execute(name, f"ALTER DATABASE {name} SET synchronous_commit = {value}")
        async with open_postgres(url, [FIRST], patience=5.0) as opened:
            assert await opened.read("SHOW synchronous_commit") == [(kept,)]
