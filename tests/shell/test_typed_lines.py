"""Lines that are typed into a terminal: read without waiting, and only where they are for this process."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import anyio
import pytest
from attrs import frozen

from tocsin.shell.typed_lines import MAX_LINE, typed_lines

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")


@frozen
class Pty:
    """A pseudo-terminal: the side of the user, and that of a program."""

    user: int
    program: TextIO

    def type(self, text: bytes) -> None:
        """Press keys."""
        os.write(self.user, text)


@pytest.fixture
def pty(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pty]:
    """Make one that takes this process for the one in its foreground; only a session of its own could tell it so."""
    monkeypatch.setattr(os, "tcgetpgrp", lambda _: os.getpgrp())
    user, program = os.openpty()
    with open(program, "r+b", buffering=0) as raw, open(raw.fileno(), closefd=False) as text:  # noqa: PTH123  # it is a descriptor
        yield Pty(user, text)
    os.close(user)


async def test_lines_come_as_they_are_typed_until_the_end_of_the_input(pty: Pty) -> None:
    """One at a time, also where several came at once; what is no UTF-8 is shown as such."""
    with typed_lines(pty.program, pty.program) as lines, anyio.fail_after(5):
        assert lines is not None
        pty.type("1 Grüße\n2\n\xff".encode("latin-1").replace("Grüße".encode("latin-1"), "Grüße".encode()) + b"\n\x04")
        assert [await lines.read() for _ in range(4)] == ["1 Grüße", "2", "\ufffd", None]


async def test_waiting_for_a_line_holds_up_nothing(pty: Pty) -> None:
    """It can be cancelled, another task goes on, and the line that comes later is there for the next read."""
    with typed_lines(pty.program, pty.program) as lines, anyio.fail_after(5):
        assert lines is not None
        with anyio.move_on_after(0.02) as waiting:
            await lines.read()
        assert waiting.cancelled_caught
        pty.type(b"half")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lines.read)
            await anyio.wait_all_tasks_blocked()
            pty.type(b" a line\n")
        pty.type(b"next\n")
        assert await lines.read() == "next"


async def test_a_line_that_another_process_has_taken_is_waited_for(pty: Pty) -> None:
    """The terminal tells of a line, and by the time of reading it has gone."""
    with typed_lines(pty.program, pty.program) as lines, anyio.fail_after(5):
        assert lines is not None
        pty.type(b"theirs\n")
        async with anyio.create_task_group() as tasks:
            got: list[str | None] = []

            async def read() -> None:
                got.append(await lines.read())

            tasks.start_soon(read)
            assert os.read(pty.program.fileno(), 100) == b"theirs\n"
            await anyio.wait_all_tasks_blocked()
            pty.type(b"ours\n")
        assert got == ["ours"]


async def test_a_terminal_that_hangs_up_is_the_end(pty: Pty) -> None:
    """As when its window is closed."""
    user, program = os.openpty()
    with os.fdopen(program) as text, typed_lines(text, pty.program) as lines, anyio.fail_after(5):
        assert lines is not None
        os.close(user)
        assert await lines.read() is None


async def test_nothing_is_read_in_the_background(pty: Pty, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither from the start on nor later: reading there would stop the process."""
    with typed_lines(pty.program, pty.program) as lines, anyio.fail_after(5):
        assert lines is not None
        monkeypatch.setattr(os, "tcgetpgrp", lambda _: os.getpgrp() + 1)
        pty.type(b"for the shell\n")
        assert await lines.read() is None
        assert os.read(pty.program.fileno(), 100) == b"for the shell\n"
    with typed_lines(pty.program, pty.program) as none:
        assert none is None


def test_nothing_is_read_where_either_side_is_no_terminal(pty: Pty, tmp_path: Path) -> None:
    """As in a pipe, without standard input, or where it is closed."""
    with open(tmp_path / "file", "w+", encoding="utf-8") as file:  # noqa: PTH123  # as above
        for source, output in ((file, pty.program), (pty.program, file), (None, pty.program), (pty.program, None)):
            with typed_lines(source, output) as lines:
                assert lines is None
    with typed_lines(file, pty.program) as lines:
        assert lines is None


def test_the_terminal_is_closed_with_the_block(pty: Pty) -> None:
    """Nothing outlives it, and other programs of the terminal find their reads as they were."""
    with typed_lines(pty.program, pty.program) as lines:
        assert lines is not None
        descriptor = lines._descriptor
        assert not os.get_blocking(descriptor)
        assert os.get_blocking(pty.program.fileno())
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


async def test_a_line_without_an_end_comes_in_pieces(pty: Pty) -> None:
    """A terminal that hands out keys at once may send such a line; what is kept of it is bounded."""
    with typed_lines(pty.program, pty.program) as lines, anyio.fail_after(5):
        assert lines is not None
        lines._begun += b"x" * MAX_LINE
        assert await lines.read() == "x" * MAX_LINE
