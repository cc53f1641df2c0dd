"""Processes that had sessions with the agent before: how they are known, and how long nothing is launched for their apps."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import anyio
import pytest

from tests.helpers import PATIENCE
from tocsin.actors import lifecycle, returning_processes
from tocsin.actors.returning_processes import ReturningProcesses
from tocsin.actors.topology import Platform
from tocsin.agent.sessions_file import NAME, SessionsFile, processes_before
from tocsin.process_session import began
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.platform.launches import LaunchPurpose
from tocsin.protocol.platform.reunion import SessionProcess

PUSH, TOAST = LaunchPurpose.PUSH, LaunchPurpose.TOAST
PYTHON_WAITS = (sys.executable, "-S", "-c", "input()")


@pytest.fixture
def anyio_backend() -> str:
    """Processes: on asyncio."""
    return "asyncio"


@contextmanager
def running(app: str = "mail") -> Iterator[tuple[SessionProcess, subprocess.Popen[bytes]]]:
    """Run a process that waits until its input is closed."""
    with subprocess.Popen(PYTHON_WAITS, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:  # noqa: S603  # our own
        yield SessionProcess(app, process.pid, began(process.pid)), process


async def over(returning: ReturningProcesses) -> None:
    """Run it until none is waited for."""
    with anyio.fail_after(PATIENCE):
        await returning.run()


class TestWaiting:
    """Who is waited for, and until when."""

    async def test_a_process_that_ends_is_waited_for_no_longer(self) -> None:
        """At once, and the supervisor and the shell hear of it."""
        back = set[tuple[LaunchPurpose, str]]()
        with running() as (process, child):
            returning = ReturningProcesses([process])
            returning.on_return = lambda purpose, app: back.add((purpose, app))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(returning.run)
                await anyio.wait_all_tasks_blocked()
                assert returning.awaits(PUSH, "mail")
                assert not returning.awaits(PUSH, "chat")
                assert child.stdin is not None
                child.stdin.close()
        assert back == {(purpose, "mail") for purpose in LaunchPurpose}

    async def test_another_process_of_that_number_is_not_waited_for(self) -> None:
        """It began at another time; and so it is with a number that no process has."""
        with running() as (process, _):
            await over(ReturningProcesses([SessionProcess("mail", process.pid, process.began + 1)]))
        await over(ReturningProcesses([process]))

    async def test_all_its_sessions_are_waited_for(self) -> None:
        """For each purpose by itself; a session of another process counts for none of them."""
        with running() as (process, _):
            returning = ReturningProcesses([process, process])
            for session, pid in (("s1", process.pid), ("s2", process.pid), ("x", os.getpid())):
                returning.met(session, "mail", pid)
            for session in ("x", "s1"):
                returning.resumed(PUSH, session)
            assert returning.awaits(PUSH, "mail")
            returning.resumed(PUSH, "s2")
            assert (returning.awaits(PUSH, "mail"), returning.awaits(TOAST, "mail")) == (False, True)
            returning.left("s1")
            for (
                each
            ) in LaunchPurpose:  # what it told last is taken in behind its end, and it is one session all the same
                returning.resumed(each, "s1", has_ended=True)
                returning.resumed(each, "agent's own", has_ended=True)
            assert not returning.over.is_set()
            returning.resumed(TOAST, "s2")
            assert returning.over.is_set()

    async def test_what_a_process_told_before_its_end_is_taken_in_first(self) -> None:
        """It reported on its work, and ended: nothing is launched for that before the report has been taken in."""
        with running() as (process, child):
            returning = ReturningProcesses([process])
            returning.met("s1", "mail", process.pid)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(returning.run)
                child.kill()
                with anyio.fail_after(PATIENCE):
                    while not returning._ended:  # noqa: ASYNC110  # another process
                        await anyio.sleep(0.01)
                returning.left("s1")
                assert returning.awaits(PUSH, "mail")
                returning.resumed(PUSH, "s1", has_ended=True)
                assert (returning.awaits(PUSH, "mail"), returning.awaits(TOAST, "mail")) == (False, True)
                returning.resumed(TOAST, "s1", has_ended=True)
            assert returning.over.is_set()

    async def test_what_is_to_be_shown_waits_for_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An app that is on its way back may want to keep it from the shell."""
        monkeypatch.setattr(lifecycle, "REUNION", 0)
        opened = anyio.Event()
        platform = cast(Platform, SimpleNamespace(open_shell=opened.set))
        with running() as (process, child):
            returning = ReturningProcesses([process])
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(returning.run)
                tasks.start_soon(lifecycle._open_shell, platform, returning)
                for _ in range(10):
                    await anyio.wait_all_tasks_blocked()
                assert not opened.is_set()
                child.kill()
                with anyio.fail_after(PATIENCE):
                    await opened.wait()

    async def test_one_that_stands_still_is_waited_for_as_long_as_it_may(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The log says which it was; where no number is known, less long and without a word."""
        monkeypatch.setattr(returning_processes, "PATIENCE", 0.02)
        monkeypatch.setattr(returning_processes, "UNSEEN_PATIENCE", 0.01)
        with running() as (process, _):
            await over(ReturningProcesses([process, process, SessionProcess("chat", 0)]))
        assert caplog.record_tuples == [
            (
                "tocsin.actors.returning_processes",
                logging.WARNING,
                f"mail: process {process.pid} has not come back within 0.02 s; it is waited for no longer",
            )
        ]


class TestFile:
    """What the next agent finds."""

    async def test_it_finds_who_had_a_session_and_who_was_still_out(self, tmp_path: Path) -> None:
        """As it was last, also where that is less than before."""
        out = SessionProcess("feed \N{BELL}", 2**22 - 1, 5)
        returning = ReturningProcesses([out])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(SessionsFile(tmp_path, returning).run)
            for number in range(20):
                returning.met(f"s{number}", "mail", os.getpid())
            for number in range(1, 20):
                returning.left(f"s{number}")
            expected = [SessionProcess("mail", os.getpid(), began(os.getpid())), out]
            with anyio.fail_after(PATIENCE):
                while processes_before(tmp_path) != expected:  # noqa: ASYNC110  # a thread writes
                    await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
        assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600

    async def test_one_that_is_just_coming_back_has_its_sessions_once(self) -> None:
        """The next agent does not wait for more than it has."""
        with running() as (process, _):
            returning = ReturningProcesses([process, process])
            returning.met("s1", "mail", process.pid)
            assert returning.processes == [process, process]
            for purpose in LaunchPurpose:
                returning.resumed(purpose, "s1")
            assert returning.processes == [process]

    @pytest.mark.parametrize(
        "content",
        [b"", b"{", b"[]", b'{"boot": 1}', b'{"boot": "other", "sessions": [["mail", 1, 1]]}', b"[" * 5_000, b"\xff"],
    )
    def test_what_is_not_of_this_run_of_the_machine_counts_for_nothing(self, tmp_path: Path, content: bytes) -> None:
        """Nor what was not written to its end."""
        (tmp_path / NAME).write_bytes(content)
        assert processes_before(tmp_path) == []

    @pytest.mark.parametrize("pid", ["-1", "Infinity", str(2**70), '"x"'])
    def test_a_number_that_no_process_can_have_counts_for_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pid: str
    ) -> None:
        """The agent starts all the same."""
        monkeypatch.setattr("tocsin.agent.sessions_file.boot", lambda: "this")
        line = f'{{"boot": "this", "sessions": [["mail", {pid}, 4]]}}\n'
        (tmp_path / NAME).write_text(line, encoding="utf-8")
        assert processes_before(tmp_path) == []

    def test_what_is_left_behind_the_line_counts_for_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is of a longer line, which was being written over."""
        monkeypatch.setattr("tocsin.agent.sessions_file.boot", lambda: "this")
        line = json.dumps({"boot": "this", "sessions": [["mail", 3, 4]]})
        (tmp_path / NAME).write_text(f'{line}\n["chat", 1, 2]]}}\n', encoding="utf-8")
        assert processes_before(tmp_path) == [SessionProcess("mail", 3, 4)]

    def test_a_file_that_cannot_be_read_is_said(self, tmp_path: Path) -> None:
        """A link is not followed."""
        (tmp_path / NAME).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(StateUnavailable, match=r"sessions.json cannot be read: .*; remove it"):
            processes_before(tmp_path)

    async def test_a_file_that_cannot_be_written_is_said_once(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The agent goes on."""
        returning = ReturningProcesses()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(SessionsFile(tmp_path / "gone", returning).run)
            for number in range(3):
                returning.met(f"s{number}", "mail", os.getpid())
                await anyio.wait_all_tasks_blocked()
            with anyio.fail_after(PATIENCE):
                while not caplog.messages:  # noqa: ASYNC110  # a thread writes
                    await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
        (said,) = caplog.messages
        assert said.endswith("(No such file or directory): an agent after this one would not know which apps still run")
