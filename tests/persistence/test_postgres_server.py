"""The server of the tests: however it ends, or what runs it does, no process of it is left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import monotonic, sleep

import asyncpg
import pytest

from tests.helpers import PATIENCE
from tests.persistence.postgres_server import PostgresServer, programs, running_server

RUN = """
import os, signal, sys, time
from pathlib import Path
from tests.persistence.postgres_server import running_server
with running_server(Path(sys.argv[1])) as server:
    for pid in server.children():
        os.kill(pid, signal.SIGSTOP)
    print(server.folder, server.pid, *server.children(), flush=True)
    time.sleep(1000)
"""


@pytest.fixture
def folder() -> Path:
    """Return where the programs are."""
    found = programs()
    if found is None:
        pytest.skip("PostgreSQL 15 or newer is not installed: apt-get install postgresql")
    return found


@pytest.fixture
def server(folder: Path) -> Iterator[PostgresServer]:
    """Run a server of which no process may be there afterwards."""
    with running_server(folder) as server:
        yield server
    assert not alive(server.folder)


def alive(folder: Path) -> list[int]:
    """Return the processes that were started in a folder; a server's go to a folder in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            place = (process / "cwd").readlink()
        except OSError:  # it has ended
            continue
        if folder in (place, *place.parents):
            found.append(int(process.name))
    return found


def test_where_its_tests_are_killed_nothing_is_left(folder: Path) -> None:
    """With kill -9 of their process group, and though processes stand still, which do not see that their server is dead."""
    command = [sys.executable, "-c", RUN, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as tests:  # noqa: S603  # ours
        assert tests.stdout is not None
        name, *pids = tests.stdout.readline().split()
        try:
            assert set(map(int, pids)) <= set(alive(Path(name)))
        finally:
            os.killpg(tests.pid, signal.SIGKILL)
    end = monotonic() + PATIENCE
    while alive(Path(name)):
        assert monotonic() < end
        sleep(0.01)
    shutil.rmtree(name)


async def test_of_a_killed_server_nothing_is_left(server: PostgresServer) -> None:
    """Neither where only its first process is killed, nor where all are, and it is started again on what they leave."""
    for end in (server.kill, partial(server.stop, signal.SIGKILL)):
        link = await asyncpg.connect(server.url("postgres"))
        await link.execute("BEGIN")
        for pid in server.children():
            os.kill(pid, signal.SIGSTOP)
        assert len(alive(server.folder)) > len(server.children())
        end()
        assert not alive(server.folder)
        link.terminate()
        server.start()


def test_what_stands_still_is_ended(server: PostgresServer) -> None:
    """As where a test fails that has stopped it."""
    for pid in (server.pid, *server.children()):
        os.kill(pid, signal.SIGSTOP)


def test_a_server_that_has_ended_may_be_stopped(server: PostgresServer) -> None:
    """As where a test has found its end."""
    os.kill(server.pid, signal.SIGKILL)
