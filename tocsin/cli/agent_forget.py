"""``tocsin agent forget``: remove an app from the agent that runs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import anyio

from tocsin.cli.state_choice import add_state_option
from tocsin.cli.terminal import show
from tocsin.protocol.errors import PlatformUnavailable
from tocsin.protocol.text import harmless
from tocsin.transport.control_socket import Answer, ask

WORDS = "remove an app: its channels, requests, activators and settings"
DESCRIPTION = """\
Remove an app from the agent that runs: its channels, its requests for one, its activators and its settings.

Its work is cancelled (UNINSTALL) and has 5 s to end; then its processes are told that they were removed, and get nothing more.
Payloads that wait for it become dead letters. It may register itself anew.
"""


def add_action(actions: Any) -> None:
    """Add this action to the parser of the verb."""
    parser = actions.add_parser(
        "forget", help=WORDS, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("app", metavar="APP", help="the name of the app, such as contoso.mail")
    add_state_option(parser, "agent")
    parser.add_argument("--json", action="store_true", help="print what was removed as one JSON object")


def forget(arguments: argparse.Namespace) -> int:
    """Have the agent remove an app, and print what it had.

    :raises PlatformUnavailable: no agent runs on the state folder.
    :raises PushError: it refuses; the sentence says why.
    """
    removed = anyio.run(_ask, Path(arguments.state), arguments.app)
    if arguments.json:
        show(json.dumps({"app": arguments.app} | removed))
    else:
        counts = ", ".join(_count(number, what) for what, number in removed.items())
        show(f"{harmless(arguments.app)} was removed: {counts}")
    return 0


async def _ask(state: Path, app: str) -> Answer:
    removed = await ask(state, {"verb": "forget", "app": app})
    if removed is None:
        raise PlatformUnavailable(
            f"no agent runs on {state}; 'tocsin agent' starts one, or name its folder with --state"
        )
    return removed


def _count(number: int, what: str) -> str:
    return f"{number} {what.removesuffix('s') if number == 1 else what}"
