"""One PostgreSQL database: groups of writes, and queries that wait for no other one."""

from __future__ import annotations

import os
import signal
import socket
from bisect import bisect_left
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import anyio
import pytest

from tests.e2e.node_troubles.relay import relay
from tests.helpers import PATIENCE
from tests.persistence.postgres_server import USER, PostgresServer
from tests.persistence.test_postgres_faults import TABLES, Told, add, add_alone, gone, numbers
from tocsin.durations import BUCKETS
from tocsin.persistence.postgres_connection import UNTAKEN, bounded, connect
from tocsin.persistence.postgres_database import PostgresDatabase, open_postgres
from tocsin.persistence.postgres_statements import Link, Procedure, Statement
from tocsin.persistence.postgres_words import is_lost
from tocsin.protocol.errors import StateUnavailable

UNIQUE = (*TABLES, "CREATE UNIQUE INDEX numbers ON number (n)", "CREATE TABLE text (t text)")


@pytest.fixture
async def url(postgres: PostgresServer) -> str:
    """Make a database."""
    return await postgres.make_database()


@pytest.fixture
async def opened(url: str) -> AsyncIterator[PostgresDatabase]:
    """Open a database with an empty table of numbers, each of which it takes once."""
    async with open_postgres(url, [UNIQUE], patience=PATIENCE) as opened:
        yield opened


async def test_a_wrong_write_is_refused_alone(opened: PostgresDatabase, postgres: PostgresServer, url: str) -> None:
    """Those that came with it are written, and there is no fault."""
    told = Told()
    async with anyio.create_task_group() as tasks:
        for number in (1, 2, 2, 3):
            tasks.start_soon(told.write, opened, number)
            tasks.start_soon(told.write, opened, number + 10, add_alone)
    assert (sorted(told.done), told.refused, told.in_doubt) == ([1, 2, 3, 11, 12, 13], [2, 12], [])
    assert await numbers(postgres, url) == [1, 2, 3, 11, 12, 13]
    assert opened.fault is None


@pytest.mark.parametrize("value", ["half a \ud83d", 7, None])
async def test_a_value_that_cannot_be_kept_costs_only_its_write(opened: PostgresDatabase, value: object) -> None:
    """The sentence does not quote it."""
    await opened.write(add(1))
    sql = "INSERT INTO text VALUES ($1)" if value else "INSERT INTO number SELECT n FROM nowhere WHERE $1::text IS NULL"
    with pytest.raises(StateUnavailable, match="cannot") as refused:
        await opened.write(Statement(sql, [(value,)]))
    assert not refused.value.in_doubt
    assert opened.fault is None
    await opened.write(add(2))


async def test_two_that_wait_for_each_other_are_both_done(postgres: PostgresServer, url: str) -> None:
    """The server gives one of them up, which is run again."""
    met = [anyio.Event(), anyio.Event()]

    def crosswise(first: int) -> Procedure:
        async def do(link: Link) -> None:
            await link.execute("UPDATE number SET n = n + 10 WHERE n % 10 = $1", first)
            met[first - 1].set()
            await met[2 - first].wait()
            await link.execute("UPDATE number SET n = n + 10 WHERE n % 10 = $1", 3 - first)

        return Procedure(do)

    async with (
        open_postgres(url, [TABLES], patience=PATIENCE) as one,
        open_postgres(url, [TABLES], patience=PATIENCE) as two,
    ):
        told: list[str | None] = []
        one.watch(told.append)
        two.watch(told.append)
        await one.write(add(1))
        await one.write(add(2))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.write, crosswise(1))
            tasks.start_soon(two.write, crosswise(2))
        assert told == []
    assert await numbers(postgres, url) == [21, 22]


async def test_a_write_whose_caller_has_gone_before_its_turn_is_not_written(
    opened: PostgresDatabase, postgres: PostgresServer, url: str
) -> None:
    """One that has begun is there."""
    begun, go_on = anyio.Event(), anyio.Event()

    async def wait(link: Link) -> None:
        await link.execute("INSERT INTO number VALUES (1)")
        begun.set()
        await go_on.wait()

    async with anyio.create_task_group() as first:
        first.start_soon(opened.write, Procedure(wait))
        await begun.wait()
        async with anyio.create_task_group() as second:
            second.start_soon(opened.write, add(2))
            await anyio.wait_all_tasks_blocked()
            second.cancel_scope.cancel()
        go_on.set()
    await opened.write(add(3))
    assert await numbers(postgres, url) == [1, 3]


async def test_a_slow_query_is_left_alone_and_holds_no_other_up(opened: PostgresDatabase) -> None:
    """Nor does one whose caller has gone; its connection is used again."""
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(opened.read, "SELECT pg_sleep(1000)")
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(PATIENCE):
            for _ in range(10):
                assert await opened.read("SELECT 1") == [(1,)]
        tasks.cancel_scope.cancel()


async def test_a_query_whose_connection_breaks_is_asked_again(opened: PostgresDatabase) -> None:
    """On another one, whether the break was noticed before or while it was asked."""
    for number in range(20):
        ((pid,),) = await opened.read("SELECT pg_backend_pid()")
        os.kill(pid, signal.SIGTERM)
        if number % 2:
            await gone(pid)
        assert await opened.read("SELECT 1") == [(1,)]


async def test_a_query_that_is_wrong_is_refused_in_words(opened: PostgresDatabase) -> None:
    """And leaves its connection as it was."""
    for _ in range(10):
        with pytest.raises(StateUnavailable, match='cannot be used: relation "nowhere" does not exist'):
            await opened.read("SELECT * FROM nowhere")
    assert await opened.read("SELECT $1::text, $2::text[]", "a\0b", ["\0", "\1"]) == [("a\0b", ["\0", "\1"])]


async def test_a_query_ends_with_the_patience_of_its_caller(url: str) -> None:
    """The server is told to stop it, so that it is not busy with what no caller waits for."""
    async with open_postgres(url, [TABLES], patience=0.2) as opened:
        with anyio.fail_after(PATIENCE), pytest.raises(StateUnavailable, match=r"statement timeout|within 0\.2 s"):
            await opened.read("SELECT pg_sleep(1000)")
        asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()"
        with anyio.fail_after(PATIENCE):
            while (await opened.read(asked)) != [(0,)]:
                await anyio.lowlevel.checkpoint()


async def test_a_connection_that_is_broken_as_it_is_used_is_lost(postgres: PostgresServer) -> None:
    """Its driver stumbles over that in words of its own; a fault of ours stays one."""
    link = await connect(await postgres.make_database())
    with pytest.raises(AttributeError, match="ours"), bounded(link, PATIENCE):
        raise AttributeError("ours")
    link.terminate()
    with pytest.raises(ConnectionResetError) as lost, bounded(link, PATIENCE):
        raise AttributeError("'NoneType' object has no attribute 'bind_execute'")
    assert is_lost(lost.value)


async def test_each_kind_tells_how_long_it_took(opened: PostgresDatabase) -> None:
    """Queries and transactions apart, and those that failed as well."""
    await opened.read("SELECT pg_sleep(0.06)")
    with pytest.raises(StateUnavailable):
        await opened.read("SELECT nothing")
    await opened.write(Statement("SELECT pg_sleep($1)", [(0.11,)]))
    read, write = opened.durations["read"], opened.durations["write"]
    assert (sum(read.counts), sum(write.counts)) == (2, 1)
    assert 0.06 <= read.seconds < PATIENCE
    assert 0.11 <= write.seconds < PATIENCE
    assert not sum(write.counts[: bisect_left(BUCKETS, 0.1) + 1])


async def test_the_server_is_to_notice_soon_that_its_peer_has_gone_unheard(url: str) -> None:
    """Within 11 s: else what each cut leaves of connections would be there for hours, until the server takes no more of them."""
    link = await connect(url)
    # Over a socket of the machine itself they are not in use, and only what was asked for is shown.
    asked = await link.fetch("SELECT reset_val FROM pg_settings WHERE name LIKE 'tcp_keepalives%' ORDER BY name")
    assert [value for (value,) in asked] == ["3", "5", "2"]  # count, idle, interval
    link.terminate()


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system has no such option")
async def test_a_connection_of_which_the_network_takes_nothing_is_given_up(url: str, postgres: PostgresServer) -> None:
    """The system ends it; one over a socket of the machine itself needs no such time."""
    async with relay(str(postgres.folder / ".s.PGSQL.5432")) as wire:
        link = await connect(f"postgresql://{USER}@127.0.0.1:{wire.port}{urlsplit(url).path}")
        opened = link._transport.get_extra_info("socket")  # type: ignore[attr-defined]  # the driver's own
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == UNTAKEN * 1_000
        link.terminate()
    local = await connect(url)
    assert await local.fetchval("SELECT 1") == 1
    local.terminate()
