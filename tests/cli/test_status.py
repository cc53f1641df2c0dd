"""``tocsin status``: what it says of an agent's desktop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import asdict

from tests.processes import call
from tocsin.cli import status
from tocsin.shell.desktop import DesktopStanding


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (DesktopStanding("dunst", "1.9.0", ":1.4", actions=True), "dunst 1.9.0"),
        (DesktopStanding("terminal\x1b", daemon="d"), "terminal\\x1b, without buttons"),
        (DesktopStanding(), "not looked for before the first toast"),
        (DesktopStanding(fault="no session bus"), "none: no session bus"),
    ],
)
def test_it_is_said_what_shows_toasts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, standing: DesktopStanding, words: str
) -> None:
    """By name where it is known, or why there is none; an agent without a desktop says nothing of one."""
    answer: dict[str, Any] = {"status": "ok", "causes": {}, "desktop": asdict(standing)}

    async def ask(_folder: Path, _request: dict[str, str]) -> dict[str, Any]:
        return answer

    monkeypatch.setattr(status, "ask", ask)
    code, output, errors = call("status", "--state", str(tmp_path))
    assert (code, errors) == (0, "")
    (line,) = [line for line in output.splitlines() if line.split()[0] == "desktop"]
    assert line == f"  {'desktop':<20} {words}"
    told = json.loads(call("status", "--json", "--state", str(tmp_path))[1])
    assert told["desktop"]["fault"] == standing.fault
    del answer["desktop"]
    assert "desktop" not in call("status", "--state", str(tmp_path))[1]
