"""A real agent that is started with its socket: by systemd's own program, and by a launcher of one's own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from tests.e2e.agents import Agent
from tests.processes import PATIENCE
from tocsin import connect

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the agent runs on POSIX systems only")

LAUNCHER = """\
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.execve(sys.argv[2], sys.argv[2:], os.environ | {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})
"""


@pytest.fixture
def anyio_backend() -> str:
    """Processes and sockets: on asyncio."""
    return "asyncio"


@contextmanager
def launcher(folder: Path) -> Iterator[socket.socket]:
    """Listen for an agent, as long as the block runs."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "agent.sock"))
        (folder / "agent.sock").chmod(0o600)
        listener.listen()
        yield listener


def command(folder: Path, *options: str) -> list[str]:
    """Return the command of an agent that takes the socket that it is given."""
    return [sys.executable, "-m", "tocsin", "agent", "--json", "--state", str(folder / "state"), *options]


@contextmanager
def started(folder: Path, words: Sequence[str], *passed: int) -> Iterator[Agent]:
    """Run a process that is an agent, or is going to be one, until the block is left."""
    with (folder / "agent.log").open("ab") as log:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, pass_fds=passed)  # noqa: S603  # our own
    agent = Agent(process, folder)
    try:
        yield agent
    finally:
        agent.stop()


def launched(listener: socket.socket, folder: Path, *options: str) -> list[str]:
    """Return the command that starts an agent with a socket."""
    return [sys.executable, "-c", LAUNCHER, str(listener.fileno()), *command(folder, *options)]


async def ended(agent: Agent) -> int:
    """Wait for its end by itself, and return its exit code."""
    return await anyio.to_thread.run_sync(agent.process.wait, PATIENCE)


async def test_systemd_starts_it_for_the_first_app_and_it_ends_behind_the_last(tmp_path: Path) -> None:
    """The app waits in the backlog until the agent is there; what listens for the next one keeps the socket."""
    program = shutil.which("systemd-socket-activate")
    if program is None:
        pytest.skip("this machine has no systemd")
    place = tmp_path / "agent.sock"
    words = [program, "-l", str(place), "--fdname=agent", *command(tmp_path, "--idle-exit", "1")]
    with started(tmp_path, words) as agent:
        with anyio.fail_after(PATIENCE):
            while not place.exists():  # noqa: ASYNC110  # another process makes it
                await anyio.sleep(0.01)
        async with connect("mail", place, command=["true"]) as manager:
            assert manager.registration is not None
        assert await ended(agent) == 0
        assert place.is_socket()


async def test_what_was_registered_is_there_for_the_next_agent(tmp_path: Path) -> None:
    """One that holds a trigger stays; an app that connects while there is none waits; a push wakes what was registered before."""
    with launcher(tmp_path) as listener:
        with started(tmp_path, launched(listener, tmp_path), listener.fileno()) as agent:
            await agent.install("mail")
            agent.process.send_signal(signal.SIGTERM)
            assert await ended(agent) == 0
        async with anyio.create_task_group() as tasks:
            waiting = await open_app(tmp_path, tasks)
            words = launched(listener, tmp_path, "--idle-exit", "0")  # at once, if it held nothing
            with started(tmp_path, words, listener.fileno()) as agent:
                with anyio.fail_after(PATIENCE):
                    await waiting.wait()
                await agent.push("mail", b"1")
                await agent.journal("mail").wait_for("done")
                assert agent.journal("mail").payloads() == [b"1"]


async def open_app(folder: Path, tasks: anyio.abc.TaskGroup) -> anyio.Event:
    """Let an app connect that finds no agent yet; the event says that one has greeted it."""
    greeted, connecting = anyio.Event(), anyio.Event()

    async def run() -> None:
        connecting.set()
        async with connect("other", folder / "agent.sock", command=["true"]):
            greeted.set()

    tasks.start_soon(run)
    await connecting.wait()
    return greeted


@pytest.mark.parametrize("named", ["other.sock", "agent.sock"])
async def test_a_socket_that_is_named_beside_it_must_be_the_same(tmp_path: Path, named: str) -> None:
    """Apps would look in one place, and the agent listen in another."""
    with launcher(tmp_path) as listener:
        words = launched(listener, tmp_path, "--idle-exit", "0", "--socket", str(tmp_path / named))
        with started(tmp_path, words, listener.fileno()) as agent:
            assert await ended(agent) == (1 if named == "other.sock" else 0)
            assert ("--socket" in agent.said) == (named == "other.sock")


async def test_a_socket_of_another_kind_is_refused_in_words(tmp_path: Path) -> None:
    """And the agent ends."""
    with (
        socket.socket(type=socket.SOCK_DGRAM) as listener,
        started(tmp_path, launched(listener, tmp_path), listener.fileno()) as agent,
    ):
        assert await ended(agent) == 1
        assert "descriptor 3, passed as 'unknown', is a socket of another kind" in agent.said


async def test_it_tells_when_it_is_ready_that_it_is_well_and_when_it_ends(tmp_path: Path) -> None:
    """In this order, and with where apps connect."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, pytest.MonkeyPatch.context() as patch:
        manager.bind(str(tmp_path / "notes"))
        manager.settimeout(PATIENCE)
        patch.setenv("NOTIFY_SOCKET", str(tmp_path / "notes"))
        patch.setenv("WATCHDOG_USEC", "300000000")
        with started(tmp_path, command(tmp_path, "--socket", str(tmp_path / "agent.sock"))) as agent:
            ready = await anyio.to_thread.run_sync(manager.recv, 4096)
            assert ready == f"READY=1\nSTATUS=apps connect to {tmp_path}/agent.sock".encode()
            assert await anyio.to_thread.run_sync(manager.recv, 4096) == b"WATCHDOG=1"
            async with await anyio.connect_unix(tmp_path / "agent.sock"):
                os.kill(agent.process.pid, signal.SIGTERM)
            assert await anyio.to_thread.run_sync(manager.recv, 4096) == b"STOPPING=1"
            assert await ended(agent) == 0
