"""The first ten minutes, as ``docs/quickstart.md`` tells them: its commands and programs, one after the other."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.e2e.terminal import ROOT, Terminal, free_port, next_line
from tocsin import cli

PAGE = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
PROGRAMS = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
COMMANDS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.skipif("serve" not in cli.VERBS, reason="there is no tocsin serve yet")


def command(beginning: str) -> str:
    """Find the command of the page that begins like this."""
    (found,) = [each for each in COMMANDS if each.startswith(beginning)]
    return str(found).strip()


async def test_the_first_ten_minutes(tmp_path: Path) -> None:
    """The page's commands and programs, run in order, push all three payloads to the app."""
    for name, program in PROGRAMS.items():
        (tmp_path / name).write_text(program, encoding="utf-8")
    terminal = Terminal(tmp_path, free_port())
    app = json.loads(await terminal.run(command("tocsin app add") + " --json"))
    terminal.variables |= {name.upper(): app[name] for name in ("remote_id", "client_id", "client_secret")}
    async with terminal.running(command("tocsin serve")) as service:
        await next_line(service)
        async with terminal.running("python app.py") as printed:
            terminal.variables["CHANNEL"] = (await next_line(printed)).removeprefix("my channel: ").strip()
            answer = await terminal.run(command("TOKEN="))
            assert answer.startswith("HTTP/1.1 200 OK")
            assert "x-wns-status: received" in answer.lower()
            assert await next_line(printed) == "got hello from curl"
            assert (await terminal.run(command("tocsin send"))).startswith("received, message id ")
            assert await next_line(printed) == "got hello from a script"
            assert (await terminal.run("python server.py")).startswith("received - ")
            assert await next_line(printed) == "got hello from the server"
