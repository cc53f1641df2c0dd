"""The units that systemd starts the agent by."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.platform.agent_units import (
    SERVICE_UNIT,
    SOCKET_UNIT,
    USERS_SOCKET,
    is_ours,
    service_unit,
    socket_unit,
)

WORD = re.compile(r'"((?:[^"\\]|\\.)*)"')


def command_in(unit: str) -> list[str]:
    """Read the command as systemd.syntax(7) says."""
    (line,) = re.findall("^ExecStart=:(.*)$", unit, re.MULTILINE)
    assert re.fullmatch(f"{WORD.pattern}(?: {WORD.pattern})*", line)
    return [
        ast.literal_eval(f'"{word.replace("%%", "%")}"') for word in (each.group(1) for each in WORD.finditer(line))
    ]


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"))))
def test_each_word_of_the_command_comes_through_as_it_is(words: list[str]) -> None:
    """Whatever stands in it; it adds no line."""
    unit = service_unit(["/usr/bin/python", *words])
    assert command_in(unit) == ["/usr/bin/python", *words]
    assert unit.count("\n") == service_unit(["/x"]).count("\n")


@pytest.mark.parametrize("program", ['/a"b', "/a'b", "/a\\b", "/a\nb", "/\udcff"])
def test_a_program_that_systemd_would_not_run_is_refused(program: str) -> None:
    """Now, and not at the next log-on."""
    with pytest.raises(InvalidArgument, match="cannot name"):
        service_unit([program])


@pytest.mark.parametrize("path", ["/a\nb", "/a ", "/\udcff"])
def test_a_socket_that_a_unit_cannot_name_is_refused(path: str) -> None:
    """There are no quotes for it."""
    with pytest.raises(InvalidArgument, match="cannot name"):
        socket_unit(path)


def test_its_own_units_are_known_again() -> None:
    """And no other."""
    assert is_ours(socket_unit(USERS_SOCKET))
    assert is_ours(service_unit(["/x"]))
    assert not is_ours("[Unit]\nDescription=Written by 'tocsin agent install'\n")


@pytest.mark.parametrize("listen", [USERS_SOCKET, "/run/a b/100%%/$HOME.sock"])
def test_systemd_understands_them(listen: str, tmp_path: Path) -> None:
    """It finds nothing to complain about, whatever stands in the command."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("this machine has no systemd")
    program = tmp_path / "a b 100% ${HOME} ; ü" / "python"
    program.parent.mkdir()
    program.symlink_to("/bin/true")
    words = [str(program), "-m", "tocsin", "100%t", "$HOME", "${HOME}", '"', "'", "\\n", "", ";", "a b", "a\nb"]
    (tmp_path / SOCKET_UNIT).write_text(socket_unit(listen), encoding="utf-8")
    (tmp_path / SERVICE_UNIT).write_text(service_unit(words), encoding="utf-8")
    result = subprocess.run(  # noqa: S603  # ours
        ["systemd-analyze", "verify", "--user", tmp_path / SERVICE_UNIT, tmp_path / SOCKET_UNIT],  # noqa: S607  # as above
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)},
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
