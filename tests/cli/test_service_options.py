"""The options of the verbs that run a service."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pytest

from tests.processes import call
from tocsin.calling_service.calling_settings import READER as CALLING
from tocsin.cli.service_options import _GROUPS
from tocsin.service.operations.configuration import READER as PUSHING

NETWORK = ["--host", "--port", "--public-url", "--trusted-proxies"]
TLS = ["--tls-cert", "--tls-key", "--dev-tls", "--insecure"]


def groups(*verb: str) -> dict[str, list[str]]:
    """Return the groups of a verb's help, each with its options."""
    code, output, _ = call(*verb, "--help")
    assert code == 0
    found: dict[str, list[str]] = {}
    title = ""
    for line in output.splitlines():
        if re.fullmatch(r"\S.*:", line):
            title = line[:-1]
        elif option := re.match(r"  (--[a-z-]+)", line):
            found.setdefault(title, []).append(option[1])
    return found


@pytest.mark.parametrize("settings", [PUSHING.described(), CALLING.described(options=True)])
def test_each_setting_has_one_place(settings: Iterable[tuple[str, Any, str]]) -> None:
    """A new one that has none would be no option."""
    for name, _, _ in settings:
        assert len([title for title, names in _GROUPS if re.fullmatch(names, name)]) == 1, name


def test_a_help_shows_settings_in_groups() -> None:
    """Where to begin stands first, and what few need last."""
    shown = groups("serve")
    assert (shown["network"], shown["TLS"]) == (NETWORK, TLS)
    assert list(shown)[-3:] == ["limits of numbers and sizes", "limits of time", "limits of rates"]
    calling = groups("calling", "serve")
    assert (calling["network"], calling["TLS"]) == (NETWORK, TLS)
    assert "--hub-connection-file" in calling["how devices are rung that have no agent connected"]
