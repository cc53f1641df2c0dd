"""The launcher, with real processes."""

from __future__ import annotations

import errno
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import wait_all_tasks_blocked
from anyio.lowlevel import checkpoint

from tests.agent.launching import CALL, DEAF, PYTHON, WAIT, World, command, is_child, take_leave
from tests.helpers import PATIENCE
from tocsin.agent import launcher
from tocsin.agent.process_starter import MAX_SHOWN
from tocsin.child_process import ChildProcess
from tocsin.process_session import CAN_LOOK
from tocsin.protocol.messages import CallOffLaunch, Claimed, ClaimPayload, EndProcess, Fence, Launch, LaunchEnded
from tocsin.protocol.platform.launches import LaunchPurpose, Phase

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the agent is for POSIX")

SAY_ALL = b"""
import os, sys
parts = [*map(os.fsencode, sys.argv[1:]), os.getcwdb(), *(b"=".join(each) for each in sorted(os.environb.items()))]
parts.append(b"leader" if os.getsid(0) == os.getpid() == os.getpgrp() else b"follower")
parts.append(os.fsencode(os.readlink("/proc/self/fd/0")) if os.path.exists("/proc/self/fd/0") else b"/dev/null")
open(sys.argv[1], "wb").write(b"\\0".join(parts))
"""


MakeWorld = Callable[..., World]


@pytest.fixture
async def make_world(tmp_path: Path) -> AsyncIterator[MakeWorld]:
    """Return what makes a launcher that has yet to run; the processes that have called end with the test."""
    async with AsyncExitStack() as stack:

        def make(**settings: Any) -> World:
            world = World(tmp_path, **settings)
            stack.push_async_callback(world.aclose)
            return world

        yield make


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """Return a launcher that has yet to run."""
    return make_world()


async def failure(world: World, *words: bytes, folder: bytes = b"/", was_killed: bool = False) -> str:
    """Launch what fails, and return what the supervisor is told of it."""
    async with world.running():
        world.launch(command(*words, folder=folder))
        ended = await world.told()
    assert isinstance(ended, LaunchEnded)
    assert (ended.app, ended.sequence, ended.attempt, ended.was_killed) == ("mail", 1, 1, was_killed)
    return ended.detail


class TestStart:
    """How a process is started."""

    async def test_nothing_is_falsified_on_the_way(self, make_world: MakeWorld, tmp_path: Path) -> None:
        """Words, folder and environment come as they are, without a shell; the claim is the last word."""
        world = make_world(new_claim=lambda: "secret")
        report, folder = os.fsencode(tmp_path / "report"), os.fsencode(tmp_path) + b"/a '\xff\n"
        os.mkdir(folder)  # noqa: PTH102  # a Path takes no bytes
        words = (report, b"", b"it's", b'"', b"a\nb", b"$HOME `id` ;", b"\xff\xfe", b"-c")
        environment = (b"A=", b"B=a=b\n\xff", b"TOCSIN_SOCKET=/elsewhere")
        async with world.running():
            world.launch(command(*PYTHON, SAY_ALL, *words, folder=folder, environment=environment))
            ended = await world.told()
        assert isinstance(ended, LaunchEnded)
        assert "ended with exit status 0 before it claimed the payload" in ended.detail
        found = (tmp_path / "report").read_bytes().split(b"\0")
        ours = [each for each in found if not each.startswith(b"LC_CTYPE=")]  # Python's own
        socket = b"TOCSIN_SOCKET=" + bytes(world.socket)
        expected = [*words, b"----tocsin-push:secret", folder, *environment[:2], socket, b"leader", b"/dev/null"]
        assert ours == expected

    async def test_a_missing_program_is_said(self, world: World) -> None:
        """The sentence names the command and the reason."""
        detail = await failure(world, b"/no/such program", b"x")
        assert detail == "the command '/no/such program' x could not be started: No such file or directory"

    async def test_a_program_that_is_not_executable_is_said(self, world: World, tmp_path: Path) -> None:
        """It may have become so since it was registered."""
        (tmp_path / "app").touch(0o600)
        assert (await failure(world, bytes(tmp_path / "app"))).endswith("could not be started: Permission denied")

    async def test_a_missing_interpreter_is_said(self, world: World, tmp_path: Path) -> None:
        """The script itself is there."""
        (tmp_path / "app").write_text("#!/no/such/python\n", encoding="utf-8")
        (tmp_path / "app").chmod(0o700)
        assert "the interpreter that its first line names: No such" in await failure(world, bytes(tmp_path / "app"))

    async def test_a_file_that_is_no_program_is_said(self, world: World, tmp_path: Path) -> None:
        """No shell guesses what it might be."""
        (tmp_path / "app").write_text("touch /tmp/never", encoding="utf-8")
        (tmp_path / "app").chmod(0o700)
        assert (await failure(world, bytes(tmp_path / "app"))).endswith("could not be started: Exec format error")

    async def test_a_folder_that_is_gone_is_said(self, world: World, tmp_path: Path) -> None:
        """And not taken for a missing program."""
        detail = await failure(world, b"/bin/sh", folder=bytes(tmp_path / "gone"))
        assert detail.endswith(f"could not be started: its working folder '{tmp_path}/gone': No such file or directory")

    @pytest.mark.parametrize(
        ("error", "words"),
        [
            (OSError(errno.E2BIG, "x"), "Argument list too long"),
            (OSError(errno.EMFILE, "x"), "Too many open files"),
            (RuntimeError("can't start new thread"), "can't start new thread"),
        ],
    )
    async def test_what_the_system_refuses_is_said(
        self, world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
    ) -> None:
        """Whatever it has too little of."""

        def refuse(*_: Any) -> None:
            raise error

        monkeypatch.setattr(ChildProcess, "start", refuse)
        assert (await failure(world, b"/bin/sh")).endswith(f"could not be started: {words}")

    async def test_a_process_that_cannot_be_watched_does_not_run(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where there is no descriptor left for it, it is killed and taken leave of."""
        pids: list[int] = []

        def refuse(pid: int) -> int:
            pids.append(pid)
            raise OSError(errno.EMFILE, "x")

        monkeypatch.setattr("tocsin.child_process.open_end", refuse)
        assert (await failure(world, *PYTHON, WAIT)).endswith("could not be started: Too many open files")
        assert not is_child(*pids)

    async def test_a_command_that_cannot_be_read_is_said(self, world: World) -> None:
        """As one from a store that is damaged."""
        async with world.running():
            world.launcher.mailbox.send_nowait(Launch("mail", 1, 1, b"\x93"))
            ended = await world.told()
        assert isinstance(ended, LaunchEnded)
        assert "not a packed command" in ended.detail

    async def test_a_launch_that_is_ordered_twice_is_one(self, world: World) -> None:
        """The second order is for the same payload and the same attempt."""
        async with world.running():
            world.launch(command(*PYTHON, WAIT))
            world.launch(command(*PYTHON, WAIT))
            caller = await world.called()
            await caller.hang_up()
            assert isinstance(await world.told(), LaunchEnded)
            await wait_all_tasks_blocked()
            assert world.supervisor.statistics().depth == 0

    async def test_what_is_not_for_it_is_put_aside(self, world: World) -> None:
        """The launcher goes on."""
        async with world.running():
            world.launcher.mailbox.send_nowait(Fence())
            world.launch(command(b"/no"))
            assert isinstance(await world.told(), LaunchEnded)
        assert world.launcher._dead_letters.counts == {"launcher": 1}


class TestClaim:
    """Which claim is good."""

    async def test_the_process_gets_its_payload_once(self, world: World) -> None:
        """The supervisor hears of the session that has claimed; the same claim is refused afterwards."""
        async with world.running():
            world.launch(command(*PYTHON, WAIT), sequence=5)
            caller = await world.called()
            world.launcher.claim("s9", "mail", ClaimPayload(3, caller.claim))
            assert await world.told() == Claimed("s9", "mail", 3, 5, 1)
            assert await world.refused(caller.claim)
            await caller.hang_up()

    async def test_a_claim_is_of_one_app(self, world: World) -> None:
        """Another app that has learnt it gets nothing, and the right one still does."""
        async with world.running():
            world.launch(command(*PYTHON, WAIT))
            caller = await world.called()
            assert await world.refused(caller.claim, app="other")
            for wrong in ("", "x", caller.claim[:-1], caller.claim + "x", "ü\ud800"):
                assert await world.refused(wrong)
            world.launcher.claim("s1", "mail", ClaimPayload(1, caller.claim))
            assert isinstance(await world.told(), Claimed)
            await caller.hang_up()

    async def test_each_process_has_its_own(self, world: World) -> None:
        """Two of one app get each the payload that it was started for."""
        async with world.running():
            for sequence in (1, 2):
                world.launch(command(*PYTHON, WAIT), sequence)
                caller = await world.called()
                world.launcher.claim("s1", "mail", ClaimPayload(0, caller.claim))
                assert await world.told() == Claimed("s1", "mail", 0, sequence, 1)
                await caller.hang_up()

    async def test_a_claim_ends_with_its_process(self, world: World) -> None:
        """Once its process has ended, the claim is refused."""
        async with world.running():
            world.launch(command(*PYTHON, WAIT))
            caller = await world.called()
            await caller.hang_up()
            assert isinstance(await world.told(), LaunchEnded)
            assert await world.refused(caller.claim)
            assert not is_child(caller.pid)

    async def test_a_claim_ends_when_its_launch_is_stopped(self, world: World) -> None:
        """Even if its process does not."""
        async with world.running():
            world.launch(command(*PYTHON, DEAF))
            caller = await world.called()
            world.stop()
            assert await caller.says() == "term"
            assert await world.refused(caller.claim)
            await caller.hang_up()

    async def test_a_process_may_be_faster_than_the_news_of_it(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its claim is good before the loop has heard that it runs."""
        start, go_on = ChildProcess.start, threading.Event()

        def slow(*arguments: Any) -> ChildProcess:
            process = start(*arguments)
            assert go_on.wait(PATIENCE)
            return process

        monkeypatch.setattr(ChildProcess, "start", slow)
        async with world.running():
            world.launch(command(*PYTHON, WAIT))
            caller = await world.called()
            world.launcher.claim("s1", "mail", ClaimPayload(1, caller.claim))
            assert isinstance(await world.told(), Claimed)
            world.launcher.meet("s1", caller.pid)
            assert world.launcher.launched("s1") is None
            go_on.set()
            with anyio.fail_after(PATIENCE):
                while world.launcher.launched("s1") is None:
                    await checkpoint()
            await caller.hang_up()


class TestPurpose:
    """Processes that are launched for a click on a toast."""

    async def test_who_has_ordered_a_launch_hears_of_it(self, world: World) -> None:
        """The shell of one for a click, and its process by another word; the numbers of both may be the same."""
        async with world.running():
            world.launch(command(*PYTHON, WAIT), 5)
            pushed = await world.called()
            world.launch(command(*PYTHON, WAIT), 5, purpose=LaunchPurpose.TOAST)
            clicked = await world.called()
            assert (pushed.purpose, clicked.purpose) == (LaunchPurpose.PUSH, LaunchPurpose.TOAST)
            world.launcher.claim("s1", "mail", ClaimPayload(3, clicked.claim))
            assert await world.told(world.shell) == Claimed("s1", "mail", 3, 5, 1)
            assert await world.refused(clicked.claim)
            assert world.sessions.click_of("s1") == 5
            world.launcher.claim("s1", "mail", ClaimPayload(4, pushed.claim))
            assert await world.told() == Claimed("s1", "mail", 4, 5, 1)
            assert world.shell.depth == 0
            for caller in (pushed, clicked):
                await caller.hang_up()

    async def test_its_end_before_its_claim_is_told_to_the_shell(self, world: World) -> None:
        """As is that it could not be started."""
        async with world.running():
            for words in ((b"/bin/sh", b"-c", b"exit 3"), (b"/no",)):
                world.launch(command(*words), purpose=LaunchPurpose.TOAST)
                ended = await world.told(world.shell)
                assert isinstance(ended, LaunchEnded)
                assert ("ended with exit status 3 before it claimed the click" in ended.detail) == (words[0] != b"/no")
        assert world.supervisor.depth == 0

    async def test_it_is_stopped_by_what_it_is_for(self, world: World) -> None:
        """The launch for a payload of the same number goes on."""
        async with world.running():
            world.launch(command(*PYTHON, DEAF), purpose=LaunchPurpose.TOAST)
            caller = await world.called()
            world.stop()
            await wait_all_tasks_blocked()
            world.launcher.claim("s1", "mail", ClaimPayload(3, caller.claim))
            assert isinstance(await world.told(world.shell), Claimed)
            world.stop(purpose=LaunchPurpose.TOAST)
            assert await caller.says() == "term"
            await caller.hang_up()

    async def test_a_click_waits_for_no_payload(self, make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each kind has places of its own."""
        monkeypatch.setattr(launcher, "MAX_UNCLAIMED", 1)
        world = make_world()
        async with world.running():
            for sequence in (1, 2):
                world.launch(command(*PYTHON, WAIT), sequence)
            world.launch(command(*PYTHON, WAIT), 3, purpose=LaunchPurpose.TOAST)
            found = [await world.called(), await world.called()]
            assert {each.purpose for each in found} == set(LaunchPurpose)
            for caller in found:
                await caller.hang_up()
            await (await world.called()).hang_up()

    async def test_without_a_shell_none_is_launched_for_a_click(self, make_world: MakeWorld) -> None:
        """Such an order is put aside."""
        world = make_world(shell=None)
        async with world.running():
            world.launch(command(b"/no"), purpose=LaunchPurpose.TOAST)
            world.launch(command(b"/no"), 2)
            assert isinstance(await world.told(), LaunchEnded)
        assert world.launcher._dead_letters.counts == {"launcher": 1}


class TestEnd:
    """What an ended process means."""

    async def test_an_exit_status_is_said(self, world: World) -> None:
        """With the command that ended."""
        detail = await failure(world, b"/bin/sh", b"-c", b"exit 3")
        assert detail == "the command /bin/sh -c 'exit 3' ended with exit status 3 before it claimed the payload"

    async def test_a_signal_is_said(self, world: World) -> None:
        """By its name, where it has one; the process is not to blame for its end."""
        detail = await failure(world, b"/bin/sh", b"-c", b"kill -9 $$", was_killed=True)
        assert "was ended by signal SIGKILL before it claimed" in detail

    async def test_the_end_of_one_that_has_claimed_is_not_said(self, world: World) -> None:
        """Its session has ended, which says it all."""
        async with world.running():
            world.launch(command(*PYTHON, WAIT))
            caller = await world.called()
            world.launcher.claim("s1", "mail", ClaimPayload(1, caller.claim))
            assert isinstance(await world.told(), Claimed)
            await caller.hang_up()
            world.launch(command(b"/no"), sequence=2)
            ended = await world.told()
            assert isinstance(ended, LaunchEnded)
            assert ended.sequence == 2

    async def test_the_launcher_logs_no_claim(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        """It logs nothing: the supervisor says which payload was not taken, and of which launch that is the fault."""
        caplog.set_level(logging.DEBUG)
        async with world.running():
            world.launch(command(*PYTHON, WAIT))
            caller = await world.called()
            assert await world.refused("x")
            world.launcher.claim("s1", "mail", ClaimPayload(1, caller.claim))
            assert isinstance(await world.told(), Claimed)
            await caller.hang_up()
            world.launch(command(b"/no"), app="a\nb")
            ended = await world.told()
            assert isinstance(ended, LaunchEnded)
            assert ended.detail == "the command /no could not be started: No such file or directory"
        assert [record for record in caplog.records if record.name.startswith("tocsin")] == []
        assert caller.claim not in caplog.text
        assert caller.claim not in repr(ClaimPayload(1, caller.claim))


class TestTurns:
    """How many processes there are that have yet to claim."""

    async def test_others_wait_their_turn_in_order(
        self, make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A place is free when one has claimed, or has ended."""
        monkeypatch.setattr(launcher, "MAX_UNCLAIMED", 2)
        claims = iter(range(9))
        world = make_world(new_claim=lambda: f"c{next(claims)}")
        async with world.running():
            for sequence in range(5):
                world.launch(command(*PYTHON, WAIT), sequence)
            first, second = sorted([await world.called(), await world.called()], key=lambda caller: caller.claim)
            assert (first.claim, second.claim) == ("c0", "c1")
            assert [each.phase.name for each in world.launcher._launches.values()][2:] == ["WAITING"] * 3
            world.launcher.claim("s1", "mail", ClaimPayload(1, "c0"))
            third = await world.called()
            assert third.claim == "c2"
            world.stop(3)
            await second.hang_up()
            fifth = await world.called()
            assert fifth.claim == "c4"
            for caller in (first, third, fifth):
                await caller.hang_up()


class TestStop:
    """How a launch is stopped."""

    async def test_a_process_is_asked_to_end_with_all_that_it_has_started(self, world: World) -> None:
        """SIGTERM reaches the whole group at once, and nothing is said of that launch any more."""
        async with world.running():
            world.launch(command(*PYTHON, CALL + b"os.fork(); call(b'up'); line.recv(1)"))
            caller = await world.called()
            assert await caller.says() == "up"
            world.stop()
            assert await caller.says() == ""
            await wait_all_tasks_blocked()
            assert world.supervisor.statistics().depth == 0

    @pytest.mark.skipif(not CAN_LOOK, reason="only the group is known")
    async def test_what_has_a_group_of_its_own_is_reached(self, world: World) -> None:
        """As what a shell with job control starts has."""
        async with world.running():
            apart = b"os.fork() or os.setpgid(0, 0)\ncall(b'up'); line.recv(1)"
            world.launch(command(*PYTHON, CALL + apart))
            caller = await world.called()
            assert await caller.says() == "up"
            world.stop()
            assert await caller.says() == ""

    async def test_what_does_not_end_is_killed(self, make_world: MakeWorld) -> None:
        """After its grace."""
        world = make_world(grace=0.05)
        async with world.running():
            world.launch(command(*PYTHON, DEAF))
            caller = await world.called()
            world.stop()
            world.stop()
            assert await caller.says() == "term"
            assert await caller.says() == ""
            await _until_forgotten(world)
            assert not is_child(caller.pid)

    async def test_the_process_of_a_session_is_ended_also_when_it_has_claimed(self, make_world: MakeWorld) -> None:
        """And no other: with all that it has started, which is killed if it does not end by itself."""
        world = make_world(grace=0.05)
        async with world.running():
            world.launch(command(*PYTHON, WAIT), sequence=1)
            other = await world.called()
            world.launcher.claim("s2", "mail", ClaimPayload(1, other.claim))
            forking = command(*PYTHON, DEAF.replace(b"call(b'up')", b"os.fork(); call(b'up')"))
            world.launch(forking, sequence=2)
            caller = await world.called()
            assert await caller.says() == "up"
            world.launcher.claim("s1", "mail", ClaimPayload(1, caller.claim))
            assert world.sessions.command_of("s1") == forking.text(MAX_SHOWN)
            world.launcher.mailbox.send_nowait(EndProcess("s9"))
            world.launcher.mailbox.send_nowait(EndProcess("s1"))
            assert [await caller.says() for _ in range(3)] == ["term", "term", ""]
            await other.hang_up()
            await _until_forgotten(world)

    async def test_what_is_called_off_was_not_started(
        self, make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A handler has its payload; a process that has been started goes on, as it may be its own handler."""
        monkeypatch.setattr(launcher, "MAX_UNCLAIMED", 1)
        world = make_world()
        async with world.running():
            world.launch(command(*PYTHON, WAIT))
            world.launch(command(*PYTHON, WAIT), sequence=2)
            world.launch(command(b"/bin/sh", b"-c", b"exit 3"), sequence=3)
            caller = await world.called()
            for sequence in (1, 2):
                world.launcher.mailbox.send_nowait(CallOffLaunch("mail", sequence, 1))
            await wait_all_tasks_blocked()
            world.launcher.claim("s1", "mail", ClaimPayload(1, caller.claim))
            assert await world.told() == Claimed("s1", "mail", 1, 1, 1)
            ended = await world.told()
            assert isinstance(ended, LaunchEnded)
            assert ended.sequence == 3
            await caller.hang_up()

    async def test_a_process_is_known_by_its_session_without_a_claim(
        self, make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Such as one with a handler, one that has connected anew, or a child of it; and it leaves its place to others."""
        monkeypatch.setattr(launcher, "MAX_UNCLAIMED", 1)
        world = make_world(grace=0.05)
        async with world.running():
            world.launch(command(*PYTHON, CALL + b"os.fork(); call(b'up'); line.recv(1)"))
            world.launch(command(*PYTHON, WAIT), sequence=2)
            caller = await world.called()
            first, _ = caller.pid, await caller.says()
            world.launcher.meet("elsewhere", os.getpid())
            world.launcher.meet("elsewhere", 2**22)
            assert world.sessions.command_of("elsewhere") is None
            for pid in (first, caller.pid):
                world.launcher.meet("s1", pid)
                assert world.sessions.command_of("s1") is not None
            other = await world.called()
            assert world.launcher.launched("s1") is not None
            world.launcher.mailbox.send_nowait(EndProcess(""))
            world.launcher.mailbox.send_nowait(EndProcess("s1"))
            assert await caller.says() == ""
            world.launcher.claim("s1", "mail", ClaimPayload(1, other.claim))
            assert await world.told() == Claimed("s1", "mail", 1, 2, 1)
            await other.hang_up()

    async def test_what_a_process_leaves_behind_has_the_grace_too(self, make_world: MakeWorld) -> None:
        """Then it is killed; the number by which it is reached is kept until then."""
        world = make_world(grace=0.3)
        program = b"if os.fork(): line.recv(1)\nelse:\n " + DEAF[len(CALL) :].replace(b"\n", b"\n ")
        async with world.running():
            world.launch(command(*PYTHON, CALL + program))
            caller = await world.called()
            world.stop()
            assert await caller.says() == "term"
            (leader,) = world.processes()
            assert leader != caller.pid
            assert is_child(leader)
            assert await caller.says() == ""
            await _until_forgotten(world)

    async def test_one_that_is_just_being_started_is_stopped(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As soon as it is known that it runs."""
        start, go_on = ChildProcess.start, threading.Event()

        def slow(*arguments: Any) -> ChildProcess:
            assert go_on.wait(PATIENCE)
            return start(*arguments)

        monkeypatch.setattr(ChildProcess, "start", slow)
        async with world.running():
            world.launch(command(b"/bin/sh", b"-c", b"exec sleep 100"))
            world.launch(command(b"/no"), sequence=2)
            await wait_all_tasks_blocked()
            world.stop(1)
            world.stop(2)
            await wait_all_tasks_blocked()
            go_on.set()
            with anyio.fail_after(PATIENCE):
                while [each.phase for each in world.launcher._launches.values()] != [Phase.LINGERING]:
                    await checkpoint()
            assert world.supervisor.statistics().depth == 0

    async def test_one_that_has_ended_is_not_looked_for(self, world: World) -> None:
        """Its end and the order to stop it may cross."""
        async with world.running():
            world.launch(command(b"/no"))
            assert isinstance(await world.told(), LaunchEnded)
            world.stop()
            world.launch(command(b"/no"))
            assert isinstance(await world.told(), LaunchEnded)


class TestLeaving:
    """The end of the agent."""

    @pytest.mark.parametrize("way", ["closed", "cancelled"])
    async def test_launched_processes_live_on(self, world: World, way: str) -> None:
        """Nothing complains about them, and no descriptor is left."""
        before = len(os.listdir("/dev/fd"))  # noqa: PTH208  # it is only counted
        async with world.running():
            world.launch(command(*PYTHON, WAIT))
            caller = await world.called()
            if way == "cancelled":
                world.launcher._tasks.cancel_scope.cancel()
        gc.collect()
        os.kill(caller.pid, 0)
        await caller.hang_up()
        assert take_leave(caller.pid) == 0
        assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208  # as above

    async def test_one_that_is_just_being_started_lives_on(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """The launcher waits for its start."""
        start, began, go_on = ChildProcess.start, threading.Event(), threading.Event()
        started: list[ChildProcess] = []

        def slow(*arguments: Any) -> ChildProcess:
            began.set()
            assert go_on.wait(PATIENCE)
            started.append(start(*arguments))
            return started[0]

        monkeypatch.setattr(ChildProcess, "start", slow)
        async with world.running():
            world.launch(command(b"/bin/sh", b"-c", b"exec sleep 100"))
            while not began.is_set():
                await checkpoint()
            world.launcher.mailbox.close()
            await wait_all_tasks_blocked()
            go_on.set()
        (process,) = started
        assert is_child(process.pid)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(process.end)
        os.kill(process.pid, signal.SIGKILL)
        assert take_leave(process.pid) == signal.SIGKILL


async def _until_forgotten(world: World) -> None:
    with anyio.fail_after(PATIENCE):
        while world.launcher._launches:
            await checkpoint()
