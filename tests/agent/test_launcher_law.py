"""The launcher obeys its table: on virtual time, with processes that a test plays."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio.testing

from tests.agent.launching import command
from tests.helpers import waiting_messages
from tests.protocol.tables import erase
from tocsin.actors.sessions import Sessions
from tocsin.agent import launcher, process_starter
from tocsin.child_process import ProcessEnd
from tocsin.mailbox import Mailbox
from tocsin.protocol.messages import Claimed, ClaimPayload, Launch, LaunchEnded, StopLaunch
from tocsin.protocol.platform.launches import TABLE, Effect


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class Machine:
    """An operating system that starts one process after the other, and writes down what it is asked for."""

    def __init__(self) -> None:
        self.journal: list[str] = []
        self.processes: list[Played] = []

    def start(self, words: tuple[bytes, ...], *_: Any) -> Played:
        """Start what plays a process; ``/no`` is no program."""
        self.journal.append(f"start {words[0].decode()}")
        if words[0] == b"/no":
            raise FileNotFoundError(errno.ENOENT, "")
        self.processes.append(Played(self, len(self.processes)))
        return self.processes[-1]


class Played:
    """A process that ends when the test says so."""

    def __init__(self, machine: Machine, number: int) -> None:
        self.machine = machine
        self.pid = number
        self.ended = anyio.Event()

    async def wait(self) -> None:
        """Wait until it has ended."""
        self.machine.journal.append(f"watch {self.pid}")
        await self.ended.wait()

    def send(self, number: Any) -> None:
        """Send a signal."""
        self.machine.journal.append(f"{number.name} {self.pid}")

    def reap(self) -> ProcessEnd:
        """Take leave of it."""
        self.machine.journal.append(f"reap {self.pid}")
        return ProcessEnd(None)

    def release(self) -> None:
        """Watch it no longer."""
        self.machine.journal.append(f"release {self.pid}")


async def run_sync(call: Callable[..., Played], *arguments: Any, **_: Any) -> Played:
    """Call in this thread: another's time is not virtual."""
    return call(*arguments)


async def story(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let launches come to each of their ends, one at a time, and return all that was seen of it."""
    machine = Machine()
    monkeypatch.setattr(process_starter, "ChildProcess", machine)
    monkeypatch.setattr(launcher, "MAX_UNCLAIMED", 1)
    monkeypatch.setattr("anyio.to_thread.run_sync", run_sync)
    with Mailbox("supervisor") as supervisor:
        claims = iter("abcdefgh")
        launches = launcher.Launcher(
            Mailbox("launcher"), supervisor, Sessions(), Path("/s"), new_claim=lambda: next(claims)
        )

        async def happens(*messages: Launch | StopLaunch) -> None:
            for message in messages:
                launches.mailbox.send_nowait(message)
            await anyio.sleep(0.1)
            machine.journal.extend(map(repr, waiting_messages(supervisor)))

        def launch(sequence: int, program: bytes = b"/app") -> Launch:
            return Launch("mail", sequence, 1, command(program).pack())

        async with AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(anyio.create_task_group())
            tasks.start_soon(launches.run)
            await happens(launch(0, b"/no"), launch(1), launch(2))
            machine.processes[0].ended.set()  # and so the second has its turn
            await happens()
            for claim in "abc":
                launches.claim("s1", "mail", ClaimPayload(1, claim))
            await happens(launch(3), StopLaunch("mail", 2, 1))
            await anyio.sleep(10)
            for process in machine.processes:
                process.ended.set()
                await happens()
            tasks.cancel_scope.cancel()
    return machine.journal


async def test_each_end_is_as_it_should_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """One cannot be started, one ends, one claims and is stopped and has to be killed, one is left."""
    ended = "the command /app ended before it claimed the payload"
    assert await story(monkeypatch) == [
        "start /no",
        "start /app",
        "watch 0",
        repr(LaunchEnded("mail", 0, 1, "the command /no could not be started: No such file or directory")),
        "reap 0",
        "start /app",
        "watch 1",
        repr(LaunchEnded("mail", 1, 1, ended)),
        "SIGTERM 1",
        "start /app",
        "watch 2",
        repr(Claimed("s1", "mail", 1, 2, 1)),
        "SIGKILL 1",
        "reap 1",
        "reap 2",
        repr(LaunchEnded("mail", 3, 1, ended)),
    ]


@pytest.mark.parametrize("effect", Effect)
async def test_the_launcher_does_nothing_that_its_table_does_not_name(
    monkeypatch: pytest.MonkeyPatch, effect: Effect
) -> None:
    """Without any one of its effects the table makes another launcher, and that is seen."""
    right = await story(monkeypatch)
    erase(monkeypatch, TABLE, effect)
    try:
        seen = await story(monkeypatch)
    except* (IndexError, RuntimeError):  # what was not started is missed by the test or by the launcher itself
        seen = []
    assert seen != right
