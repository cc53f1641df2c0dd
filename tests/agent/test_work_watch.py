"""Launched processes are looked at while they work, and only then."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio.testing

from tests.helpers import waiting_messages
from tocsin.actors.work_record import WorkRecord
from tocsin.agent import work_watch
from tocsin.agent.command_files import stamps_of
from tocsin.agent.launcher import Launched
from tocsin.mailbox import Mailbox
from tocsin.process_session import CAN_LOOK, members, memory_of
from tocsin.protocol.messages import StopWork
from tocsin.protocol.platform.activation import CancellationReason
from tocsin.protocol.platform.command import Command

MEBIBYTE = 1024 * 1024
UPDATE, REVOKED = CancellationReason.SERVICING_UPDATE, CancellationReason.RESOURCE_REVOCATION

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the agent is for POSIX")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class Looks:
    """A watch of launched processes that a test plays."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.work, self.supervisor = WorkRecord(), Mailbox("supervisor")
        self.launched = {"s": Launched(1, Command((b"/app",), b"/", ()), {})}
        self.reason: CancellationReason | None = None
        self.moments: list[float] = []
        self._start = anyio.current_time()
        monkeypatch.setattr(work_watch, "look", self._look)
        monkeypatch.setattr("anyio.to_thread.run_sync", self._run_sync)

    def _look(self, _: Launched) -> CancellationReason | None:
        self.moments.append(round(anyio.current_time() - self._start, 1))
        return self.reason

    async def _run_sync(self, call: Any, *arguments: Any) -> Any:
        return call(*arguments)

    async def run(self) -> None:
        """Watch."""
        await work_watch.WorkWatch(self.work, self.launched.get, self.supervisor).run()


async def test_it_looks_once_a_second_while_launched_work_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before, not afterwards, and never at the work of what was not launched."""
    looks = Looks(monkeypatch)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(looks.run)
        await anyio.sleep(100)
        looks.work.begin("chat", "t")
        await anyio.sleep(100.5)
        looks.work.begin("mail", "s")
        await anyio.sleep(3.2)
        looks.work.end("mail")
        await anyio.sleep(100)
        tasks.cancel_scope.cancel()
    assert looks.moments == [201.5, 202.5, 203.5]
    assert waiting_messages(looks.supervisor) == []


async def test_the_work_of_a_session_is_cancelled_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With the reason, in the log as well; the next process of the app is looked at again."""
    looks = Looks(monkeypatch)
    looks.launched["u"] = looks.launched["s"]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(looks.run)
        for session, reason in (("s", UPDATE), ("u", REVOKED)):
            looks.work.begin("mail", session)
            looks.reason = reason
            await anyio.sleep(5)
            looks.work.end("mail")
        tasks.cancel_scope.cancel()
    told = [each for each in waiting_messages(looks.supervisor) if isinstance(each, StopWork)]
    assert [(each.app, each.session, each.reason, each.every) for each in told] == [
        ("mail", "s", UPDATE, False),
        ("mail", "u", REVOKED, False),
    ]
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == [
        "its command was replaced",
        "it takes more memory than it may",
    ]


class TestFiles:
    """Which files of a command are looked at."""

    def test_a_program_that_was_replaced_is_seen(self, tmp_path: Path) -> None:
        """Another file under its name, also of the same size and time."""
        program = tmp_path / "app"
        program.write_text("x")
        command = Command((bytes(program), b"data"), bytes(tmp_path), ())
        (tmp_path / "data").write_text("x")
        launched = Launched(os.getpid(), command, stamps_of(command))
        assert list(launched.stamps) == [bytes(program)]
        assert work_watch.look(launched) is None
        times = program.stat().st_atime_ns, program.stat().st_mtime_ns
        (tmp_path / "new").write_text("y")
        os.utime(tmp_path / "new", ns=times)
        (tmp_path / "new").rename(program)
        assert work_watch.look(launched) is UPDATE
        program.unlink()
        assert work_watch.look(launched) is None

    @pytest.mark.parametrize(
        ("words", "found"),
        [
            ((b"-X", b"dev", b"app.py", b"other.py"), [b"app.py"]),
            ((b"app.py",), [b"app.py"]),
            ((b"-m", b"app.py"), []),
            ((b"missing.py",), []),
        ],
    )
    def test_the_script_of_an_interpreter_is_one_of_them(
        self, words: tuple[bytes, ...], found: list[bytes], tmp_path: Path
    ) -> None:
        """Not its options, and not what is given to the script."""
        for name in ("python3", "app.py", "other.py"):
            (tmp_path / name).touch()
        program = bytes(tmp_path / "python3")
        stamps = stamps_of(Command((program, *words), bytes(tmp_path), ()))
        assert list(stamps) == [program, *(bytes(tmp_path) + b"/" + name for name in found)]


@pytest.mark.skipif(not CAN_LOOK, reason="processes are looked at on Linux only")
class TestMemory:
    """The memory of a process and of what it has started."""

    def test_all_of_a_session_is_counted(self) -> None:
        """Also what has a group of its own."""
        program = (
            "import os, sys, time; kept = b'x' * (32 << 20); child = os.fork()\n"
            "if not child: os.setpgid(0, 0); kept = kept.replace(b'x', b'y'); print(flush=True)\n"
            "time.sleep(100)"
        )
        with subprocess.Popen(  # noqa: S603  # our own
            [sys.executable, "-ISc", program], stdout=subprocess.PIPE, start_new_session=True
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            both = members(process.pid)
            assert len(both) == len({each.group for each in both}) == 2
            memory = memory_of(process.pid)
            command = Command((b"/app",), b"/", (), 64 * MEBIBYTE)
            assert work_watch.look(Launched(process.pid, command, {})) is REVOKED
            for each in both:
                os.kill(each.pid, 9)
            process.stdout.read()  # both have let go of it, and of their memory before
        assert 64 * MEBIBYTE < memory < 256 * MEBIBYTE
        assert memory_of(process.pid) == 0
