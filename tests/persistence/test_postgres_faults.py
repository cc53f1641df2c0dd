"""PostgreSQL that is killed, stopped, restarted or cut off: what was told is so, what is not known is said to be in doubt."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import anyio
import anyio.lowlevel
import pytest
from attrs import Factory, define

from tests.helpers import PATIENCE
from tests.persistence.lossy_socket import Loss, LossySocket, lossy_socket
from tests.persistence.postgres_server import PostgresServer, safe_server
from tocsin.persistence import postgres_medium, writer
from tocsin.persistence.postgres_database import PostgresDatabase, open_postgres
from tocsin.persistence.postgres_medium import WRITERS
from tocsin.persistence.postgres_statements import ArrayStatement, Link, Procedure, Statement, Step
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.kernel.changed_meanwhile import ChangedMeanwhile
from tocsin.protocol.kernel.durability import RecoveryPolicy

SHORT = 0.3
"""Seconds that a write waits here, and that a connection may be silent."""

TABLES = (*WRITERS, "CREATE TABLE number (n integer)")  # without a key: what is done twice is seen


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Run a server that waits for its disk, and may be killed."""
    with safe_server() as server:
        yield server


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give connections up, and try recoveries, at once."""
    monkeypatch.setattr(writer, "RecoveryPolicy", lambda: RecoveryPolicy(first=0.01, longest=0.02))
    monkeypatch.setattr(postgres_medium, "RUN_FOR", SHORT)


@pytest.fixture
async def url(server: PostgresServer) -> str:
    """Make a database."""
    return await server.make_database()


def add(number: int) -> Step:
    """Keep a number; that of others is written with it in one statement."""
    sql = "INSERT INTO number SELECT * FROM unnest($1::integer[]) WHERE true"
    return ArrayStatement(sql, [(number,)], frozenset([number]))


def add_alone(number: int) -> Step:
    """Keep a number with a statement of its own, in a transaction of several messages."""
    return Statement("INSERT INTO number VALUES ($1)", [(number,)])


@define
class Told:
    """What callers were told of the numbers that they wrote."""

    done: list[int] = Factory(list)
    in_doubt: list[int] = Factory(list)
    refused: list[int] = Factory(list)

    async def write(self, opened: PostgresDatabase, number: int, make: Callable[[int], Step] = add) -> None:
        """Write a number, and note what is told of it."""
        try:
            await opened.write(make(number))
        except StateUnavailable as failure:
            (self.in_doubt if failure.in_doubt else self.refused).append(number)
        else:
            self.done.append(number)

    def check(self, kept: list[int]) -> None:
        """Demand that what is kept is what was told, each number once."""
        assert len(kept) == len(set(kept))
        assert set(self.done) <= set(kept) <= set(self.done + self.in_doubt)


async def numbers(server: PostgresServer, url: str) -> list[int]:
    """Return what is kept, as another program sees it."""
    return [
        number for (number,) in await server.execute(urlsplit(url).path[1:], "SELECT n FROM tocsin.number ORDER BY n")
    ]


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until it is so."""
    with anyio.fail_after(PATIENCE):
        while not is_so():
            await anyio.lowlevel.checkpoint()


async def faulty(opened: PostgresDatabase) -> None:
    """Wait until there is a fault."""
    await until(lambda: opened.fault is not None)


async def sound(opened: PostgresDatabase) -> None:
    """Wait until there is no fault."""
    await until(lambda: opened.fault is None)


@pytest.mark.usefixtures("hurried")
class TestServer:
    """The server itself."""

    @pytest.mark.parametrize("end", ["kill", "restart", "stop"])
    async def test_under_load_what_was_told_is_so(self, server: PostgresServer, url: str, end: str) -> None:
        """Killed or restarted while many write, it is used again when it is back; nothing is lost and nothing is doubled."""
        told, over = Told(), anyio.Event()
        next_number = iter(range(1_000_000))

        async def write_on(opened: PostgresDatabase, make: Callable[[int], Step]) -> None:
            while not over.is_set():
                await told.write(opened, next(next_number), make)
                await anyio.lowlevel.checkpoint()

        async with open_postgres(url, [TABLES], patience=SHORT) as opened, anyio.create_task_group() as tasks:
            for turn in range(20):
                tasks.start_soon(write_on, opened, add if turn % 4 else add_alone)
            await until(lambda: len(told.done) >= 200)
            if end == "stop":
                pids = [*server.children(), server.pid]
                for pid in pids:
                    os.kill(pid, signal.SIGSTOP)
                await anyio.sleep(3 * SHORT)
                for pid in pids:
                    os.kill(pid, signal.SIGCONT)
            else:
                (server.kill if end == "kill" else server.stop)()
                await faulty(opened)
                server.start()
            before = len(told.done)
            await until(lambda: len(told.done) >= before + 200)
            over.set()
        assert told.in_doubt or told.refused
        told.check(await numbers(server, url))

    async def test_while_it_is_away_writes_are_refused_at_once(self, server: PostgresServer, url: str) -> None:
        """After the first one, with the cause in words; reads are too, and all goes on when it is back."""
        told: list[str | None] = []
        async with open_postgres(url, [TABLES], patience=SHORT) as opened:
            opened.watch(told.append)
            server.stop()
            with anyio.fail_after(PATIENCE), pytest.raises(StateUnavailable, match="cannot be reached") as first:
                await opened.write(add(1))
            before = anyio.current_time()
            with pytest.raises(StateUnavailable, match="cannot be reached") as second:
                await opened.write(add(2))
            assert anyio.current_time() - before < SHORT
            assert (first.value.in_doubt, second.value.in_doubt) == (True, False)
            with anyio.fail_after(PATIENCE), pytest.raises(StateUnavailable, match="cannot be reached"):
                await opened.read("SELECT 1")
            assert opened.fault is not None
            server.start()
            await sound(opened)
            await opened.write(add(3))
            assert await opened.read("SELECT n FROM number") == [(3,)]
        assert told[0] is not None
        assert told[-1] is None

    async def test_it_can_be_left_while_the_server_is_away(self, server: PostgresServer, url: str) -> None:
        """What waits is told that it may be there."""
        told = Told()
        async with anyio.create_task_group() as tasks:
            with anyio.fail_after(PATIENCE):
                async with open_postgres(url, [TABLES], patience=PATIENCE) as opened:
                    server.stop()
                    tasks.start_soon(told.write, opened, 1)
                    await faulty(opened)
        assert told.in_doubt == [1]
        server.start()

    async def test_a_restart_while_nothing_is_written_is_no_fault(self, server: PostgresServer, url: str) -> None:
        """The next write and the next read just connect again."""
        told: list[str | None] = []
        async with open_postgres(url, [TABLES], patience=PATIENCE) as opened:
            opened.watch(told.append)
            await opened.write(add(1))
            assert await opened.read("SELECT n FROM number") == [(1,)]
            server.stop()
            server.start()
            await opened.write(add(2))
            assert await opened.read("SELECT n FROM number") == [(1,), (2,)]
        assert told == []


@pytest.mark.usefixtures("hurried")
class TestConnection:
    """The connection to the server."""

    @pytest.fixture
    async def lossy(self, server: PostgresServer) -> AsyncIterator[LossySocket]:
        """Give a socket that loses what it is told."""
        with TemporaryDirectory(prefix="pg-") as folder:
            async with lossy_socket(server.folder, Path(folder)) as lossy:
                self.folder = Path(folder)
                yield lossy

    @pytest.mark.parametrize("make", [add, add_alone])
    @pytest.mark.parametrize("loss", [Loss.STATEMENT, Loss.ANSWER])
    async def test_a_write_whose_connection_breaks_is_done_once(
        self,
        server: PostgresServer,
        url: str,
        lossy: LossySocket,
        loss: Loss,
        make: Callable[[int], Step],
    ) -> None:
        """Whether the server had it or not: its caller is not told of the break at all."""
        async with open_postgres(self._through(server, url), [TABLES], patience=PATIENCE) as opened:
            await opened.write(make(1))
            lossy.loss = loss
            await opened.write(make(2))
            await opened.write(make(3))
        assert await numbers(server, url) == [1, 2, 3]

    @pytest.mark.parametrize("is_so", [True, False])
    async def test_whether_a_decision_was_still_good_is_known_though_the_answer_is_lost(
        self, server: PostgresServer, url: str, lossy: LossySocket, is_so: bool
    ) -> None:
        """The commit is there, and so is what it was run from: that is not asked again."""
        attempts: list[int] = []

        async def holds(link: Link) -> bool:
            attempts.append(1)
            await link.execute("INSERT INTO number VALUES (1)")
            lossy.loss = Loss.ANSWER
            return is_so

        async with open_postgres(self._through(server, url), [TABLES], patience=PATIENCE) as opened:
            if is_so:
                await opened.write_where(holds)
            else:
                with pytest.raises(ChangedMeanwhile):
                    await opened.write_where(holds)
        assert attempts == [1]
        assert await numbers(server, url) == [1]

    async def test_a_pulled_cable_is_told_in_time(self, server: PostgresServer, url: str, lossy: LossySocket) -> None:
        """Writes and reads wait no longer than their patience; afterwards all is well."""
        told = Told()
        async with open_postgres(self._through(server, url), [TABLES], patience=SHORT) as opened:
            await told.write(opened, 1)
            lossy.loss = Loss.ALL
            with anyio.fail_after(PATIENCE):
                await told.write(opened, 2)
                with pytest.raises(StateUnavailable):
                    await opened.read("SELECT 1")
            lossy.loss = Loss.NOTHING
            await sound(opened)
            await told.write(opened, 3)
            assert await opened.read("SELECT max(n) FROM number") == [(3,)]
        assert (told.done, told.in_doubt) == ([1, 3], [2])
        told.check(await numbers(server, url))

    def _through(self, server: PostgresServer, url: str) -> str:
        return server.url(urlsplit(url).path[1:], folder=self.folder)


@pytest.mark.usefixtures("hurried")
class TestLate:
    """A server process that does not know yet that its connection was given up."""

    async def test_what_was_sent_before_it_stood_still_is_not_done_again(
        self, server: PostgresServer, url: str
    ) -> None:
        """It was run again on another connection; the first one finds that."""
        async with open_postgres(url, [TABLES], patience=PATIENCE) as opened:
            await opened.write(add(1))
            pid = await _writing(server)
            os.kill(pid, signal.SIGSTOP)
            try:
                await opened.write(add(2))
            finally:
                os.kill(pid, signal.SIGCONT)
            await gone(pid)
            await opened.write(add(3))
        assert await numbers(server, url) == [1, 2, 3]

    async def test_what_its_caller_gave_up_is_not_begun_again(self, server: PostgresServer, url: str) -> None:
        """Its caller was told that it may be there, and may have asked again by then."""
        told = Told()
        async with open_postgres(url, [TABLES], patience=SHORT / 3) as opened:
            await told.write(opened, 1)
            pid = await _writing(server)
            os.kill(pid, signal.SIGSTOP)
            try:
                await told.write(opened, 2)
                await sound(opened)
            finally:
                os.kill(pid, signal.SIGCONT)
            await gone(pid)
        assert (told.done, told.in_doubt) == ([1], [2])
        assert await numbers(server, url) == [1]

    async def test_while_it_may_still_commit_nothing_is_run_again(self, server: PostgresServer, url: str) -> None:
        """It stands still within its transaction: the next one waits for its end."""
        stopped: list[int] = []

        async def stand_still(link: Link) -> None:
            if not stopped:
                stopped.append(link.get_server_pid())
                os.kill(stopped[0], signal.SIGSTOP)
            await link.execute("INSERT INTO number VALUES (1)")

        async with open_postgres(url, [TABLES], patience=PATIENCE) as opened, AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(anyio.create_task_group())
            tasks.start_soon(opened.write, Procedure(stand_still))
            await faulty(opened)
            assert await numbers(server, url) == []
            os.kill(stopped[0], signal.SIGCONT)
        assert await numbers(server, url) == [1]

    async def test_a_writer_that_was_forgotten_writes_nothing_more(self, server: PostgresServer, url: str) -> None:
        """Whether its transactions are there could not be found out; a new process is a new writer."""
        async with open_postgres(url, [TABLES], patience=PATIENCE) as opened:
            await server.execute(urlsplit(url).path[1:], "DELETE FROM tocsin.writers")
            for _ in range(2):
                with pytest.raises(StateUnavailable, match="has forgotten this process; start it anew"):
                    await opened.write(add(1))
        assert await numbers(server, url) == []

    async def test_writers_that_left_or_were_not_heard_of_are_forgotten(self, server: PostgresServer, url: str) -> None:
        """The rows of killed processes do not become more and more."""
        name, rows = urlsplit(url).path[1:], "SELECT count(*) FROM tocsin.writers"
        async with open_postgres(url, [TABLES], patience=PATIENCE):
            assert await server.execute(name, rows) == [(1,)]
            await server.execute(
                name, "INSERT INTO tocsin.writers VALUES (gen_random_uuid(), 7, now() - interval '40 days')"
            )
            async with open_postgres(url, [TABLES], patience=PATIENCE):
                assert await server.execute(name, rows) == [(2,)]
        assert await server.execute(name, rows) == [(0,)]


async def _writing(server: PostgresServer) -> int:
    """Return the process of the server that writes."""
    ((pid,),) = await server.execute(
        "postgres",
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'tocsin' ORDER BY backend_start DESC LIMIT 1",
    )
    return int(pid)


async def gone(pid: int) -> None:
    """Wait until a process of the server has ended."""
    process = Path(f"/proc/{pid}")
    await until(lambda: not process.exists())
