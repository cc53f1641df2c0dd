"""``tocsin.run``: how a program begins and ends."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import tocsin

PROGRAM = """\
import asyncio, sys, tocsin

async def main(mode: str, state: str) -> None:
    if mode == "wait":
        async with tocsin.embedded("contoso.mail", state) as manager:
            await manager.open_channel()
            print("ready", flush=True)
            try:
                await asyncio.Event().wait()
            finally:
                print("leaving", flush=True)
    if mode == "hang":
        print("ready", flush=True)
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                print("told", flush=True)
    if mode == "bad":
        async with tocsin.embedded("", state):
            pass
    raise ZeroDivisionError

tocsin.run(main, *sys.argv[1:])
"""


def started(path: Path, mode: str, *options: str) -> subprocess.Popen[str]:
    """Start the program."""
    (path / "program.py").write_text(PROGRAM, encoding="utf-8")
    command = [sys.executable, "-W", "error", *options, str(path / "program.py"), mode, str(path / "state")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603  # ours


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_in_order(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """What it has entered is left, no traceback is shown, and the exit code is what a shell expects."""
    with started(tmp_path, "wait") as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        program.send_signal(number)
        assert program.communicate(timeout=30) == ("leaving\n", "")
        assert program.returncode == code


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """A program that does not heed the first can be ended all the same."""
    with started(tmp_path, "hang") as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        program.send_signal(signal.SIGINT)
        assert program.stdout.readline() == "told\n"
        program.send_signal(signal.SIGTERM)
        assert program.communicate(timeout=30) == ("", "")
        assert program.returncode == -signal.SIGTERM


def test_an_error_of_ours_is_one_line(tmp_path: Path) -> None:
    """With the exit code 1; in Python's development mode the traceback is shown."""
    for options in ((), ("-X", "dev")):
        with started(tmp_path, "bad", *options) as program:
            _, errors = program.communicate(timeout=30)
            assert program.returncode == 1
        *before, last = errors.splitlines()
        assert last.endswith("an app's name has 1 to 128 printable characters, not ''")
        assert bool(before) == bool(options)
        assert last.startswith("tocsin.protocol.errors.InvalidArgument: " if options else "program.py: ")


def test_it_returns_what_the_program_returns() -> None:
    """Which may have arguments; errors that are not ours are raised as they are."""

    async def main(text: str, number: int) -> str:
        await asyncio.sleep(0)
        return text * number

    assert tocsin.run(main, "ab", 2) == "abab"
    with pytest.raises(TypeError):
        tocsin.run(main, "ab", None)  # type: ignore[arg-type]  # such as a program may have
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_all_errors_of_a_group_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each in a line, unless one that is not ours is among them."""
    monkeypatch.setattr(sys, "argv", ["/somewhere/app\x1b.py"])

    async def main(*errors: Exception) -> None:
        raise ExceptionGroup("both", [*errors, ExceptionGroup("more", errors)])

    with pytest.raises(SystemExit) as ended:
        tocsin.run(main, tocsin.NotFound("no mail"))
    assert ended.value.code == "app\\x1b.py: no mail\napp\\x1b.py: no mail"
    with pytest.raises(ExceptionGroup):
        tocsin.run(main, tocsin.NotFound("no mail"), ValueError())


def test_a_program_that_cancels_itself_ends_as_that() -> None:
    """Only a signal is an exit code."""

    async def main() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        tocsin.run(main)


def test_it_runs_in_a_thread_without_signals() -> None:
    """Python gives them to the main thread alone."""
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(tocsin.run(asyncio.sleep, 0, 7)))
    thread.start()
    thread.join()
    assert found == [7]


def test_what_is_no_program_is_refused_in_words() -> None:
    """Brackets behind it, a sync function, no function, and a second event loop."""

    async def main() -> None:
        with pytest.raises(tocsin.IllegalCall, match="an event loop runs here already: await the function instead"):
            tocsin.run(main)

    tocsin.run(main)
    with pytest.raises(tocsin.InvalidArgument, match=r"leave out the brackets, as in tocsin.run\(main\)"):
        tocsin.run(main())  # type: ignore[arg-type]  # the mistake
    with pytest.raises(tocsin.InvalidArgument, match="is called, which int cannot be"):
        tocsin.run(7)  # type: ignore[arg-type]  # as above
    with pytest.raises(SystemExit, match="a program is an async function, which <built-in function print> is not"):
        tocsin.run(print)  # type: ignore[arg-type]  # as above
