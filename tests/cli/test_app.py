"""``tocsin app``: what it prints for a shell, a file, a script and a person."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.processes import call

NAMES = ("TOCSIN_CLIENT_ID", "TOCSIN_CLIENT_SECRET", "TOCSIN_REMOTE_ID")


@pytest.mark.parametrize("action", ["add", "rotate"])
def test_the_credentials_are_lines_for_a_shell(tmp_path: Path, action: str) -> None:
    """A shell that reads the file hands on exactly what a script is told; nothing else is printed."""
    where = ("--state", str(tmp_path / "state"))
    if action == "rotate":
        call("app", "add", "a", *where)
    code, output, errors = call("app", action, "a", "--env", *where)
    assert (code, errors) == (0, "")
    assert [line.partition("=")[0] for line in output.splitlines()] == list(NAMES)
    (tmp_path / ".env").write_text(output)
    command = ["/bin/sh", "-c", "set -a; . ./.env; set +a; exec env"]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, env={}).stdout  # noqa: S603  # ours
    read = dict(line.split("=", 1) for line in printed.splitlines() if line.startswith("TOCSIN_"))
    (app,) = json.loads(call("app", "list", "--json", *where)[1])["apps"]
    assert (read["TOCSIN_CLIENT_ID"], read["TOCSIN_REMOTE_ID"]) == (app["client_id"], app["remote_id"])
    assert re.fullmatch("[0-9a-f]{64}", read["TOCSIN_CLIENT_SECRET"])
    assert all(shlex.split(line) == [line] for line in output.splitlines())  # so that a .env file needs no quotes


def test_a_person_is_told_for_which_service_it_is(tmp_path: Path) -> None:
    """Without --state root registers the app in a folder of root's own, and no other service has heard of it."""
    where = ("--state", str(tmp_path / "state"))
    for action in ("add", "rotate"):
        _, _, errors = call("app", action, "a", *where)
        assert errors == f"Kept in {tmp_path / 'state'}, for the service there. The secret is not shown again.\n"


def test_it_is_printed_in_one_form() -> None:
    """A person who asks for two is told so."""
    code, output, errors = call("app", "add", "a", "--env", "--json")
    assert (code, output) == (2, "")
    assert json.loads(errors)["sentence"] == "argument --json: not allowed with argument --env"
