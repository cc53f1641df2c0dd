"""Shells complete the command by the script that ``tocsin completion`` prints."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.processes import call
from tocsin.cli import VERBS
from tocsin.cli.completion import SHELLS

TYPED = [
    ("tocsin se", ["send", "serve"]),
    ("tocsin ", [*VERBS]),
    ("tocsin app r", ["remove", "rotate"]),
    ("tocsin send --ty", ["--type"]),
    ("tocsin send --type t", ["tile", "toast"]),
    ("tocsin serve --tls-c", ["--tls-cert"]),
    ("tocsin serve --tls-cert ce", ["cert.pem"]),
    ("tocsin listen --state ", ["folder"]),
    ("tocsin completion z", ["zsh"]),
    ("tocsin webpush ", ["keys", "send"]),
    ("tocsin webpush send --u", ["--urgency"]),
    ("tocsin webpush send --urgency v", ["very-low"]),
    ("tocsin webpush send --key v", ["vapid.pem"]),
    ("tocsin webpush keys --show v", ["vapid.pem"]),
]
BASH = """\
source ./script
complete -p tocsin > /dev/null
read -ra COMP_WORDS <<< "$1"
[[ $1 == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_shtab_tocsin
printf '%s\\n' "${COMPREPLY[@]}"
"""


def script(shell: str) -> str:
    """Return what is printed for a shell."""
    code, output, errors = call("completion", shell)
    assert (code, errors) == (0, "")
    return output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder with a file and a folder in it."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "cert.pem").touch()
    (tmp_path / "vapid.pem").touch()
    return tmp_path


def of_shell(folder: Path, *command: str) -> list[str]:
    """Run a command of a shell in the folder, and return the lines that it prints."""
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)  # noqa: S603  # ours
    return run.stdout.splitlines()


def test_bash_completes_it(folder: Path) -> None:
    """Verbs, actions, options, choices, files and folders."""
    (folder / "script").write_text(script("bash"))
    for typed, offered in TYPED:
        assert set(of_shell(folder, "bash", "-c", BASH, "bash", typed)) >= set(offered), typed
        assert not {"ring", "--nothing"} & set(of_shell(folder, "bash", "-c", BASH, "bash", typed)), typed


def test_fish_completes_it(folder: Path) -> None:
    """The same, where there is a fish."""
    if shutil.which("fish") is None:
        pytest.skip("this machine has no fish")
    (folder / "script").write_text(script("fish"))
    for typed, offered in TYPED:
        lines = of_shell(folder, "fish", "-c", f"source script; complete -C '{typed}'")
        assert {line.split("\t")[0].rstrip("/") for line in lines} >= set(offered), typed


@pytest.mark.parametrize("shell", SHELLS)
def test_every_script_knows_every_verb(shell: str) -> None:
    """And is printed whole."""
    printed = script(shell)
    assert [verb for verb in VERBS if verb not in printed] == []


def test_a_shell_that_is_not_known_is_refused() -> None:
    """With the one that was meant."""
    code, output, errors = call("completion", "bahs")
    assert (code, output) == (2, "")
    assert errors.endswith("there is no 'bahs'; did you mean 'bash'?\n")
