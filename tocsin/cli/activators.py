"""``tocsin activators``: what apps have registered that a push wakes them by, and the commands that it starts."""

from __future__ import annotations

import argparse
import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio

from tocsin.cli.activator_words import activator_name, condition_name
from tocsin.cli.command_line import add_verb
from tocsin.cli.state_choice import PLATFORM, add_looked_at_option, looked_at
from tocsin.cli.terminal import show
from tocsin.persistence.sqlite_store import read_sqlite
from tocsin.persistence.store import Deaths, StoredActivator
from tocsin.protocol.errors import FrameError
from tocsin.protocol.platform.activator_registration import NULL_CLSID
from tocsin.protocol.platform.command import Command
from tocsin.protocol.text import harmless
from tocsin.protocol.values import DropReason

DESCRIPTION = """\
List what apps have registered that outlives their processes: the activator, its class and its conditions, and the command
that a push starts while the app is not running; and how many of its payloads were given up because the processes that had
them died again and again, of the dead letters that are kept.

A state folder may be looked at while a program uses it.
"""

EPILOG = """\
examples:
  tocsin activators                       of 'tocsin agent'
  tocsin activators --state ./push-state  of another state folder
  tocsin activators --json                with the environment of each command
"""


def add_parser(verbs: Any) -> None:
    """Add this verb to the command's parser."""
    words = "list what a push wakes apps by, and the commands that it starts"
    parser = add_verb(verbs, "activators", words, DESCRIPTION, EPILOG)
    add_looked_at_option(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(arguments: argparse.Namespace) -> int:
    """Print the list."""
    found, crashes = anyio.run(_read, looked_at(arguments.state, PLATFORM) / PLATFORM)
    activators = sorted(found, key=lambda each: (each.app, each.activator))
    if arguments.json:
        shown = [json.dumps(_fields(each, crashes.get(each.app))) for each in activators]
    else:
        shown = [_describe(each, crashes.get(each.app)) for each in activators] or ["No activator is registered."]
    if shown:
        show("\n".join(shown))
    return 0


async def _read(path: Path) -> tuple[list[StoredActivator], dict[str, Deaths]]:
    async with read_sqlite(path) as store:
        return await store.activators(), await store.deaths(DropReason.CRASH_LOOP)


def _describe(activator: StoredActivator, crashes: Deaths | None) -> str:
    command = _command(activator)
    lines = [f"{harmless(activator.app)}  {activator_name(activator.activator)}"]
    clsid = _clsid(activator)
    if clsid is not None:
        lines[0] += f"  {harmless(clsid)}"
    if activator.conditions:
        loss = ", cancelled when one is lost" if activator.cancel_on_condition_loss else ""
        lines.append(f"    only while {', '.join(map(condition_name, activator.conditions))}{loss}")
    if command is None:
        lines.append("    no command: a push starts nothing")
    else:
        lines += [f"    starts {command.text()}", f"    in {harmless(os.fsdecode(command.folder))}"]
        lines += [f"    may have {command.memory_limit} bytes of memory"] if command.memory_limit else []
    if crashes is not None:
        payloads = "1 payload" if crashes.count == 1 else f"{crashes.count} payloads"
        last = datetime.fromtimestamp(crashes.last, UTC)
        lines.append(f"    {payloads} given up as {DropReason.CRASH_LOOP}, the last at {last:%Y-%m-%d %H:%M:%S} UTC")
    return "\n".join(lines)


def _fields(activator: StoredActivator, crashes: Deaths | None) -> dict[str, Any]:
    command = _command(activator)
    return {
        "app": activator.app,
        "activator": activator_name(activator.activator),
        "clsid": _clsid(activator),
        "conditions": [condition_name(each) for each in activator.conditions],
        "cancel_on_condition_loss": activator.cancel_on_condition_loss,
        "command": None if command is None else [os.fsdecode(word) for word in command.words],
        "folder": None if command is None else os.fsdecode(command.folder),
        "environment": None if command is None else [os.fsdecode(entry) for entry in command.environment],
        "memory_limit": None if command is None else command.memory_limit or None,
        "crash_loops": 0 if crashes is None else crashes.count,
        "last_crash_loop": None if crashes is None else datetime.fromtimestamp(crashes.last, UTC).isoformat(),
    }


def _command(activator: StoredActivator) -> Command | None:
    """Return the command of an activator; None where it has none that could be started."""
    with suppress(FrameError):
        return Command.unpack(activator.command)
    return None


def _clsid(activator: StoredActivator) -> str | None:
    return None if activator.clsid == str(NULL_CLSID) else activator.clsid
