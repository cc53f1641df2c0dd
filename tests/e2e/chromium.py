"""Chromium, driven by the programs in ``page/``, which report what each of their steps has found.

Playwright and axe-core are installed from npm in the versions that ``page/package-lock.json`` locks, so only with
``SENDERS_OF_OTHERS=1``, as ``.ci/run`` sets it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.e2e.installed import NODE, install_node, run

GATES = (
    pytest.mark.skipif(
        not os.environ.get("SENDERS_OF_OTHERS"),
        reason="installs Playwright and axe-core from npm: set SENDERS_OF_OTHERS=1 to have the page tried",
    ),
    pytest.mark.skipif(
        (_CHROMIUM := shutil.which("chromium") or shutil.which("chromium-browser")) is None,
        reason="needs Chromium: Debian's package is chromium, .ci/run installs it",
    ),
)
"""What has to be there for a browser."""

Report = dict[str, list[dict[str, Any]]]
"""What each step has found, by its name."""

Look = Callable[[str, dict[str, Any]], Awaitable[str]]
"""Runs a program, which is told something, and returns what it prints: a line of JSON a step."""

_PROGRAMS = Path(__file__).parent / "page"
_PICTURES = os.environ.get("PAGE_PICTURES", "")  # the folder for pictures of the page, where they are wanted


def report_of(factory: pytest.TempPathFactory, name: str, use: Callable[[Path, Look], Awaitable[str]]) -> Report:
    """Run what ``use`` sets up in a folder of its own and looks at, and sort by step what it returns."""
    look = partial(_look, install_node(factory.mktemp("node"), _PROGRAMS))
    found: Report = {}
    for line in anyio.run(use, factory.mktemp(name), look).splitlines():
        step = json.loads(line)
        found.setdefault(step["step"], []).append(step)
    return found


async def _look(environment: dict[str, str], program: str, told: dict[str, Any]) -> str:
    words = json.dumps({**told, "chromium": _CHROMIUM, "pictures": _PICTURES})
    return await anyio.to_thread.run_sync(partial(run, [str(NODE), str(_PROGRAMS / program), words], environment))
