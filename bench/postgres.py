"""A PostgreSQL of a bench: in a private folder, on a loopback port, waiting for its disk as one in use does."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import sleep

import asyncpg
from attrs import frozen

from bench.framework import Missing, Options, Sample
from bench.servers import HOST, free_port, program, server

_LOOK = 0.02  # seconds between two looks whether it takes connections
_USER = "tocsin"
_DATABASE = "postgres"
_SETTINGS = (
    *(f"listen_addresses={HOST}", "shared_buffers=1GB", "max_wal_size=8GB", "max_connections=60"),
    *("checkpoint_timeout=15min", "wal_buffers=16MB", "unix_socket_directories=", "log_min_messages=error"),
)


@frozen
class Postgres:
    """A server that runs."""

    url: str
    port: int
    pid: int


@contextmanager
def postgres(options: Options) -> Iterator[Postgres]:
    """Run a server with an empty database until the block is left.

    :raises Missing: it is not installed, or does not come up.
    """
    folder_of_programs = _programs()
    with options.state() as folder:
        folder.chmod(0o755)
        data = folder / "data"
        data.mkdir()
        _let_have(folder, data)
        made = [str(folder_of_programs / "initdb"), "-D", str(data), "--auth=trust", "--encoding=UTF8", "--locale=C"]
        subprocess.run([*_as_other(), *made, "-U", _USER], check=True, capture_output=True, cwd=folder)  # noqa: S603  # as found
        port = free_port()
        chosen = [word for setting in (*_SETTINGS, f"port={port}") for word in ("-c", setting)]
        command = [*_as_other(), str(folder_of_programs / "postgres"), "-D", str(data), *chosen]
        with server(command, port, folder) as running:
            while "ready" not in (data / "postmaster.pid").read_text(encoding="utf-8"):
                sleep(_LOOK)
            yield Postgres(f"postgresql://{_USER}@{HOST}:{port}/{_DATABASE}", port, running.pid)


def pgbench(at: Postgres, script: str, seconds: int, folder: Path, clients: int = 4) -> float:
    """Run a script of SQL again and again, and return how often a second.

    :raises Missing: pgbench is not installed.
    """
    file = folder / "script.sql"
    file.write_text(script, encoding="utf-8")
    command = [program("pgbench", "postgresql-contrib"), "-n", "-f", str(file), "-c", str(clients), "-j", "2"]
    command += ["-M", "prepared", "-T", str(seconds), "-h", HOST, "-p", str(at.port), "-U", _USER, _DATABASE]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  # as found by program()
    found = re.search(r"tps = ([\d.]+) ", done.stdout)
    assert found, done.stdout
    return float(found[1])


def bytes_a_row(at: Postgres, *tables: str) -> Sample:
    """Return how many bytes a row of each of Tocsin's tables takes, its share of the indexes included."""

    async def look() -> Sample:
        link = await asyncpg.connect(at.url)
        try:
            asked = "SELECT pg_total_relation_size('tocsin.{0}')::float / greatest(count(*), 1) FROM tocsin.{0}"
            return {f"bytes of {each}": await link.fetchval(asked.format(each)) for each in tables}
        finally:
            await link.close()

    return asyncio.run(look())


def _programs() -> Path:
    """Return where the server's programs are.

    :raises Missing: they are nowhere.
    """
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    installed = shutil.which("postgres")
    if installed is None and not places:
        raise Missing("PostgreSQL is not installed: apt-get install postgresql")
    return (places[-1] if places else Path(str(installed))).parent


def _let_have(*folders: Path) -> None:
    if os.geteuid() == 0:
        for folder in folders:
            shutil.chown(folder, "postgres", "postgres")


def _as_other() -> Sequence[str]:
    """Return what runs a command as another user where this is root, which no server runs as."""
    if os.geteuid() != 0:
        return ()
    return (program("setpriv", "util-linux"), "--reuid=postgres", "--regid=postgres", "--init-groups")
