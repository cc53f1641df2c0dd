"""A PostgreSQL server for tests: in a folder and on a socket of its own, as a user that is not root, gone with the tests."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final
from urllib.parse import quote, urlsplit

import asyncpg
import pytest
from attrs import define

OLDEST: Final = 15
USER: Final = "tocsin"
LOCKED: Final = "locked"
"""A user that is let in with a password only; a test makes it."""

_KEEPER: Final = str(Path(__file__).with_name("postgres_keeper.py"))

_FAST: Final = ("fsync=off", "full_page_writes=off")
_SETTINGS: Final = (
    *("listen_addresses=", "shared_buffers=32MB", "max_connections=40", "max_wal_size=256MB", "autovacuum=off"),
    *(
        "deadlock_timeout=50ms",
        "dynamic_shared_memory_type=mmap",
        "log_min_messages=error",
        "log_min_error_statement=panic",
    ),
)
_EMPTY: Final = """DO $$ DECLARE tables text; BEGIN
    SELECT string_agg(quote_ident(schemaname) || '.' || quote_ident(tablename), ', ') INTO tables
    FROM pg_tables WHERE schemaname = 'tocsin' AND tablename <> 'schema_version';
    IF tables IS NOT NULL THEN EXECUTE 'TRUNCATE ' || tables || ' RESTART IDENTITY'; END IF;
END $$"""


def programs() -> Path | None:
    """Return where the programs of a PostgreSQL are that is new enough; None: it is not installed."""
    folders = [Path(found).parent for found in [shutil.which("initdb")] if found]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    for folder in folders:
        if (folder / "postgres").exists():
            said = subprocess.run([folder / "postgres", "--version"], check=True, capture_output=True, text=True)  # noqa: S603  # a server's own
            version = re.search(r"(\d+)", said.stdout)
            if version and int(version[1]) >= OLDEST:
                return folder
    return None


@define(eq=False)
class PostgresServer:
    """A server; ``is_safe`` is one that waits for its disk."""

    bin: Path
    folder: Path
    is_safe: bool = False
    _keeper: subprocess.Popen[bytes] | None = None
    _pid: int = 0
    _made: int = 0
    _shared: str | None = None

    def prepare(self) -> None:
        """Make the files of the server."""
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        options = ["--no-sync", "--auth=trust", f"--username={USER}", "--encoding=UTF8", "--locale=C"]
        self._run([str(self.bin / "initdb"), "-D", str(self.data), *options])
        rules = self.data / "pg_hba.conf"
        rules.write_text(f"local all {LOCKED} scram-sha-256\n{rules.read_text()}")

    @property
    def data(self) -> Path:
        """The folder of its files."""
        return self.folder / "data"

    @property
    def pid(self) -> int:
        """The id of its first process."""
        assert self._keeper is not None
        return self._pid

    def start(self, *settings: str) -> None:
        """Start it, and wait until it takes connections."""
        self.launch(*settings)
        assert self._keeper is not None
        while not self.is_ready():
            with suppress(subprocess.TimeoutExpired):
                self._keeper.wait(0.01)
                raise AssertionError((self.folder / "log").read_text())

    def launch(self, *settings: str) -> None:
        """Start it, which ends with this process."""
        chosen = [*_SETTINGS, *([] if self.is_safe else _FAST), f"unix_socket_directories={self.folder}", *settings]
        command = [str(self.bin / "postgres"), "-D", str(self.data)]
        command += [word for setting in chosen for word in ("-c", setting)]
        assert self._keeper is None
        with (self.folder / "log").open("ab") as log:
            self._keeper = subprocess.Popen(  # noqa: S603  # as above
                [sys.executable, "-IS", _KEEPER, *_as_other(), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,  # what ends the tests from a terminal does not end it before its server
            )
        assert self._keeper.stdout is not None
        self._pid = int(self._keeper.stdout.readline())

    def is_ready(self) -> bool:
        """Tell whether it takes connections."""
        try:  # what a killed one has left names another process
            written = (self.data / "postmaster.pid").read_text().split()
        except FileNotFoundError:
            return False
        return written[:1] == [str(self.pid)] and written[-1] == "ready"

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT at once and in order, SIGQUIT as with kill -9, but of all of its processes."""
        if self._keeper is not None:
            with suppress(FileNotFoundError, ProcessLookupError):  # it may have ended by itself
                for pid in (self.pid, *self.children()):  # a test may have stopped them
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGCONT)
                os.kill(self.pid, how)
            self._ended()

    def kill(self) -> None:
        """End all of its processes with kill -9."""
        assert self._keeper is not None
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        self._ended()

    def _ended(self) -> None:
        assert self._keeper is not None
        with self._keeper as keeper:
            keeper.wait()  # for all of them
        self._keeper = None

    def children(self) -> list[int]:
        """Return the ids of its other processes."""
        return [int(word) for word in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def url(self, database: str, user: str = USER, folder: Path | None = None) -> str:
        """Return the URL of a database of the server; ``folder`` is that of another socket that leads to it."""
        return f"postgresql://{user}@/{database}?host={quote(str(folder or self.folder), safe='')}"

    async def make_database(self, options: str = "") -> str:
        """Make an empty database, and return its URL."""
        self._made += 1
        name = f"d{self._made}"
        await self.execute("postgres", f"CREATE DATABASE {name} {options}")
        return self.url(name)

    async def execute(self, database: str, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement without the code under test, and return its rows."""
        link = await asyncpg.connect(self.url(database))
        try:
            return [tuple(row) for row in await link.fetch(sql)]
        finally:
            await link.close()

    async def contents(self, url: str) -> bytes:
        """Return all rows of a database of Tocsin, as text."""
        link = await asyncpg.connect(url)
        try:
            tables = await link.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'tocsin'")
            rows = [await link.fetch(f"SELECT t::text FROM tocsin.{table} t") for (table,) in tables]  # noqa: S608  # ours
        finally:
            await link.close()
        return "".join(text for found in rows for (text,) in found).encode()

    async def emptied(self) -> str:
        """Return the URL of the one database whose tables are emptied each time: in a hundredth of the time of a new one."""
        if self._shared is None:
            self._shared = await self.make_database()
        await self.execute(urlsplit(self._shared).path.strip("/"), _EMPTY)
        return self._shared

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(  # noqa: S603  # as above
            [*_as_other(), *command], check=False, capture_output=True, text=True, cwd=self.folder
        )
        assert not done.returncode, done.stderr


def _as_other() -> list[str]:
    """Return what runs a command as another user where this is root, which no server runs as."""
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []


@contextmanager
def running_server(bin_: Path, *, is_safe: bool = False) -> Iterator[PostgresServer]:
    """Run a server in a new folder, and remove that in the end."""
    folder = Path(mkdtemp(prefix="pg-"))  # short: the path of a socket may not be long
    try:
        folder.chmod(0o755)
        server = PostgresServer(bin_, folder, is_safe)
        server.prepare()
        try:
            server.start()
            yield server
        finally:
            server.stop(signal.SIGQUIT)
    finally:
        shutil.rmtree(folder)


def installed() -> Path:
    """Return where the programs are, or skip the test that needs them."""
    found = programs()
    if found is None:
        pytest.skip("PostgreSQL 15 or newer is not installed: apt-get install postgresql")
    return found


@contextmanager
def safe_server() -> Iterator[PostgresServer]:
    """Run a server that waits for its disk, or skip the test that needs it."""
    with running_server(installed(), is_safe=True) as server:
        yield server
