"""``tocsin listen`` in a terminal: toasts are shown in frames, and buttons are pressed by typing."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest
from anyio.abc import Process
from attrs import define

from tests.processes import PATIENCE, call, listening, sender
from tocsin.cli import listen
from tocsin.protocol.errors import PlatformUnavailable
from tocsin.protocol.toasts.popup import Popup
from tocsin.shell.desktop import DesktopAbsent

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")

TOAST = """<toast launch="chat=7"><visual><binding template="ToastGeneric"><text>Ann</text><text>Lunch?</text></binding></visual>
<actions><input id="text" type="text" placeHolderContent="type here"/><action content="Reply" arguments="reply=7"/></actions></toast>"""

IN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "tocsin", *sys.argv[1:]])
"""
"""Makes standard input the terminal of a new session, as a terminal window does for its shell."""


@define
class Window:
    """A terminal window with ``tocsin listen`` in it."""

    user: int
    process: Process
    shown: str = ""

    async def until(self, sign: str) -> str:
        """Wait until something is shown that was not before, and return all that is shown up to then."""
        with anyio.fail_after(PATIENCE):
            while sign not in self.shown:
                await anyio.wait_readable(self.user)
                self.shown += os.read(self.user, 65_536).decode().replace("\r\n", "\n")
        before, self.shown = self.shown.split(sign, 1)
        return before + sign

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self.user, keys.encode())


@asynccontextmanager
async def window(state: Path) -> AsyncIterator[Window]:
    """Open one until the block is left."""
    user, program = os.openpty()
    command = [sys.executable, "-c", IN_TERMINAL, "listen", "--state", str(state)]
    env = os.environ | {"PYTHONWARNINGS": "error", "PYTHONIOENCODING": "utf-8"}
    try:
        async with await anyio.open_process(
            command, stdin=program, stdout=program, stderr=program, env=env, start_new_session=True
        ) as process:
            os.close(program)
            try:
                yield Window(user, process)
            finally:
                if process.returncode is None:
                    process.kill()
    finally:
        os.close(user)


async def test_a_toast_is_shown_and_its_button_pressed(tmp_path: Path) -> None:
    """The app gets the click with what was typed; a badge is kept; Ctrl-C ends all of it."""
    async with window(tmp_path) as terminal:
        said = await terminal.until("Ctrl-C ends.")
        uri, client, secret = (
            found[1]
            for found in (
                re.search(each, said)
                for each in (r"channel  (\S+)", "client_id=(\\S+?)'? ", "client_secret=(\\S+?)'? ")
            )
            if found is not None
        )
        who = ("--client-id", client, "--client-secret", secret)
        for kind, body in (("toast", TOAST), ("badge", "3")):
            code, _, errors = await anyio.to_thread.run_sync(partial(call, "send", uri, body, "--type", kind, *who))
            assert (code, errors) == (0, "")
        shown = await terminal.until("dismiss")
        assert "| Ann " in shown
        assert "| 1  text: (type here) " in shown
        terminal.type("1 On my way\n2\n")
        await terminal.until("pressed  reply=7  text: On my way\n")
        looked = partial(call, "tiles", "--state", str(tmp_path), "--json")
        code, output, _ = await anyio.to_thread.run_sync(looked)
        assert (code, '"shows": "3"' in output) == (0, True)
        terminal.type("\x03")
        with anyio.fail_after(PATIENCE):
            assert await terminal.process.wait() == 0


@pytest.mark.parametrize("failure", [BrokenPipeError(32, "Broken pipe"), PlatformUnavailable("the disk is full")])
async def test_an_output_that_has_gone_ends_it(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    """Also where a toast is what cannot be printed: the shell hears that its desktop has gone, and the command ends by the failure."""
    ended: list[bool] = []

    def fail(_: str) -> None:
        raise failure

    async def use() -> None:
        with listen._console(lambda: ended.append(True)) as desktop:
            assert not desktop.standing.actions  # the output of a test is no terminal
            with pytest.raises(DesktopAbsent):
                await desktop.show(Popup("a", "t", "b"))

    monkeypatch.setattr(listen, "show", fail)
    with pytest.raises(type(failure)) as raised:
        await use()
    assert raised.value is failure
    assert ended == [True]


async def test_a_script_gets_a_line_for_each_type_and_nothing_else(tmp_path: Path) -> None:
    """With --json all types are payloads, and handled with that: none comes twice."""
    async with listening(tmp_path, "--count", "3") as listener, sender(listener.first) as server:
        for kind, body in (("toast", TOAST), ("tile", "<tile/>"), ("badge", "<badge value='3'/>")):
            headers = {"X-WNS-Type": f"wns/{kind}", "Content-Type": "text/xml"}
            assert (await server.push(body.encode(), **headers))[0] == 200
        events = await listener.rest()
        assert await listener.wait() == 0
    assert [(event["event"], event["type"]) for event in events] == [
        ("payload", "toast"),
        ("payload", "tile"),
        ("payload", "badge"),
    ]
