"""The examples run as they stand."""

from __future__ import annotations

import os
import runpy
import shlex
import sys
from pathlib import Path

import anyio
import pytest

from tests.actors.shelling import PlayedDesktop
from tests.helpers import PATIENCE
from tests.processes import run, running
from tocsin.shell import Handle, Popup

EXAMPLES = Path(__file__).parent.parent / "examples"

EXPECTED = {
    "foreground.py": ["the service says received", "got b'you have mail'"],
    "background.py": ["the service says received", "no network: the payload waits", "downloaded report.pdf"],
    "channel_progress.py": [
        "log: no connection to the push service, next attempt in 0.",
        "connected: False no program listens at 127.0.0.1:",
        "IN_PROGRESS_RETRY, retry 1: no program listens at 127.0.0.1:",
        "the connection was refused [RPC_S_SERVER_UNAVAILABLE (0x800706BA)]",
        "the service comes back",
        "COMPLETED_FAILURE: no channel: ",
    ],
    "toast.py": ["not shown: "],  # tests have no session bus
}


LAUNCHED = {
    "woken.py": "woken by b'report 7'",
    "task_instance.py": "background work on b'refresh'",
    "two_processes/process_a.py": "process B works on b'sync'",
}
"""What an agent's terminal shows when the line was pasted that each has printed."""

STARTED = {"two_processes/process_b.py"}
"""Those that are started by others."""


def test_every_example_is_tried() -> None:
    """No example is left to rot."""
    found = {str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("*.py")}
    assert found == {*EXPECTED, *LAUNCHED, *STARTED}


@pytest.mark.parametrize("name", LAUNCHED)
async def test_an_example_is_started_by_a_push(tmp_path: Path, name: str) -> None:
    """It registers and ends; the line that it prints has the agent start it, or its other half."""
    socket, script = str(tmp_path / "s"), EXAMPLES / name
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = os.environ | {"TOCSIN_SOCKET": socket, "PYTHONPATH": str(EXAMPLES.parent), "PATH": path}
    async with running("agent", "--json", "--state", str(tmp_path / "state"), "--socket", socket) as agent:
        with anyio.fail_after(30):
            done = await anyio.run_process([sys.executable, str(script)], cwd=script.parent, env=env, check=False)
            assert done.returncode == 0, done.stderr.decode()
            program, *words = shlex.split(done.stdout.decode())
            assert program == "tocsin"
            code, _, errors = await run(*words)
            assert code == 0, errors
            assert (await agent.output.receive_until(b"\n", 4096)).decode() == LAUNCHED[name]


@pytest.mark.parametrize("name", EXPECTED)
async def test_an_example_runs(tmp_path: Path, name: str) -> None:
    """It does what it says, and complains about nothing."""
    with anyio.fail_after(30):
        done = await anyio.run_process(
            [sys.executable, "-W", "error", str(EXAMPLES / name), str(tmp_path)], check=False
        )
    output = done.stdout.decode()
    assert done.stderr.decode() == ""
    assert done.returncode == 0
    for line in EXPECTED[name]:
        assert line in output


class Declining(PlayedDesktop):
    """A desktop whose user presses the second button of everything."""

    async def show(self, popup: Popup, replaces: Handle | None = None) -> Handle:
        """Show it, and press."""
        handle = await super().show(popup, replaces)
        self.press(handle.number, popup.buttons[1].key)
        return handle


async def test_the_example_of_a_toast_says_what_was_pressed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is a desktop."""
    main = runpy.run_path(str(EXAMPLES / "toast.py"))["main"]
    with anyio.fail_after(PATIENCE):
        await main(str(tmp_path), Declining())
    assert capsys.readouterr().out.splitlines() == [
        "shown; press a button of it",
        "the user wants to decline the call of Ann",
    ]
