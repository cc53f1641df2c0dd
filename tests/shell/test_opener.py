"""Links are opened by a program of the desktop, which may live on."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.agent.launching import is_child, take_leave
from tests.helpers import PATIENCE
from tocsin.protocol.platform.command import Command
from tocsin.shell.opener import LinkOpener

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links are opened on POSIX")

LINK = "https://contoso.example/?a=$(b)&c='d'"


@pytest.fixture
def anyio_backend() -> str:
    """Run with processes of the system."""
    return "asyncio"


class Opened:
    """What is told of links."""

    def __init__(self) -> None:
        self.send, self.receive = anyio.create_memory_object_stream[tuple[int, str]](10)

    def __call__(self, number: int, failure: str) -> None:
        """Take how it went."""
        self.send.send_nowait((number, failure))

    async def next(self) -> tuple[int, str]:
        """Wait for what is told next."""
        with anyio.fail_after(PATIENCE):
            return await self.receive.receive()


@asynccontextmanager
async def opening(programs: Sequence[str], **settings: Any) -> AsyncIterator[tuple[LinkOpener, Opened]]:
    """Run an opener."""
    opened = Opened()
    with opened.send, opened.receive:
        opener = LinkOpener(opened, programs=programs, **settings)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(opener.run)
            yield opener, opened
            tasks.cancel_scope.cancel()


def program(folder: Path, script: str) -> str:
    """Make a program of the shell, whose name has no space in it."""
    path = folder / "opens"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o700)
    return str(path)


async def test_the_first_program_that_is_there_gets_the_link_as_it_is(tmp_path: Path) -> None:
    """With its own words before it; no shell reads it."""
    said = tmp_path / "said"
    script = program(tmp_path, f'printf "%s|" "$@" > {said}')
    async with opening(["/no/such", f"{script} open"]) as (opener, opened):
        opener.open(5, LINK)
        assert await opened.next() == (5, "")
    assert said.read_text(encoding="utf-8") == f"open|{LINK}|"


async def test_where_one_cannot_be_opened_it_is_said_why(tmp_path: Path) -> None:
    """By the program's status, or that there is no such program."""
    script = program(tmp_path, "exit 3")
    async with opening([script]) as (opener, opened):
        opener.open(1, LINK)
        assert await opened.next() == (1, f"{script} ended with exit status 3")
    async with opening(["/no/such"]) as (opener, opened):
        opener.open(2, LINK)
        number, failure = await opened.next()
        assert number == 2
        assert failure == "nothing here opens links; install xdg-utils (/no/such: No such file or directory)"


async def test_one_that_runs_on_has_opened_it_and_is_left_alone(tmp_path: Path) -> None:
    """Such as the browser itself: it is no fault, keeps no other link waiting, and lives on when the opener ends."""
    pid, go_on = tmp_path / "pid", tmp_path / "go-on"
    os.mkfifo(go_on)
    script = program(tmp_path, f"echo $$ > {pid}; read line < {go_on}; rm {pid}")
    async with opening([script], patience=0.2) as (opener, opened):
        opener.open(1, LINK)
        assert await opened.next() == (1, "")
    with go_on.open("w", encoding="utf-8") as writer:  # which waits for its reader
        child = int(pid.read_text(encoding="utf-8"))
        writer.write("go\n")
    assert take_leave(child) == 0
    assert not pid.exists()


async def test_one_that_ends_later_is_taken_leave_of(tmp_path: Path) -> None:
    """No process is left as a zombie while the opener runs, and nothing more is told."""
    pid, go_on = tmp_path / "pid", tmp_path / "go-on"
    os.mkfifo(go_on)
    script = program(tmp_path, f"echo $$ > {pid}; read line < {go_on}; exit 4")
    async with opening([script], patience=0.2) as (opener, opened):
        opener.open(1, LINK)
        assert await opened.next() == (1, "")
        with go_on.open("w", encoding="utf-8") as writer:
            child = int(pid.read_text(encoding="utf-8"))
            assert is_child(child)
            writer.write("go\n")
        with anyio.fail_after(PATIENCE):
            while is_child(child):  # noqa: ASYNC110  # nothing tells that it was taken leave of
                await anyio.sleep(0.01)
        assert opened.receive.statistics().current_buffer_used == 0


async def test_what_this_process_lacks_of_the_desktop_comes_from_the_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing else does, nor what it has itself; a command that cannot be read is passed over."""
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setenv("DISPLAY", ":5")
    said = tmp_path / "said"
    script = program(tmp_path, f'echo "$DISPLAY $WAYLAND_DISPLAY $PYTHONPATH" > {said}')
    command = Command((b"/app",), b"/", (b"DISPLAY=:9", b"PYTHONPATH=/app", b"WAYLAND_DISPLAY=wayland-1"))
    async with opening([script]) as (opener, opened):
        for packed, words in ((command.pack(), ":5 wayland-1 "), (b"\x93", ":5  "), (b"", ":5  ")):
            opener.open(1, LINK, packed)
            assert await opened.next() == (1, "")
            assert said.read_text(encoding="utf-8") == f"{words}\n"
