"""``docs/command.md`` says what the command does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.processes import call
from tocsin.cli.completion import SHELLS
from tocsin.service.operations.configuration import OTHERS

PAGE = (Path(__file__).parents[2] / "docs" / "command.md").read_text(encoding="utf-8")


def test_a_refusal_is_printed_as_the_page_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the letter."""
    monkeypatch.chdir(tmp_path)
    ((line, printed),) = re.findall(r"^\$ tocsin (.*)\n(.*)$", PAGE, re.MULTILINE)
    assert call(*shlex.split(line)) == (1, "", f"{printed}\n")


def test_the_page_names_every_variable_and_every_shell() -> None:
    """Of the variables those that are no settings, which docs/operating.md has."""
    assert set(re.findall(r"`(TOCSIN_\w+)`", PAGE)) == set(OTHERS)
    completion = PAGE.partition("## Completion")[2]
    assert [shell for shell in SHELLS if shell not in completion] == []
