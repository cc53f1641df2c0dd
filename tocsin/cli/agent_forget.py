"""``tocsin agent forget``: remove an app from the agent that runs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import anyio

from tocsin.cli.state_choice import add_state_option, path
from tocsin.cli.terminal import show
from tocsin.protocol.errors import InvalidArgument, PlatformUnavailable
from tocsin.protocol.text import harmless
from tocsin.transport.control_socket import Answer, ask

WORDS = "remove an app: its channels, requests, activators and settings"
DESCRIPTION = """\
Remove an app from the agent that runs: its channels, its requests for one, its activators and its settings.

Its work is cancelled (UNINSTALL) and has 5 s to end; then its processes are told that they were removed, and get nothing more.
Payloads that wait for it become dead letters. It may register itself anew.

Of an app of UnifiedPush one registration is removed, by the id that 'tocsin status' lists; the app is told.
"""


def add_action(actions: Any) -> None:
    """Add this action to the parser of the verb."""
    parser = actions.add_parser(
        "forget", help=WORDS, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words = "the name of the app, such as contoso.mail; of one of UnifiedPush the id that 'tocsin status' lists"
    parser.add_argument("app", metavar="APP", help=words)
    add_state_option(parser, "agent", argparse.SUPPRESS)  # what stands before the action counts, too
    words = "the socket for apps of the agent that is meant; another one on the state folder removes nothing"
    parser.add_argument("--socket", type=path("a socket"), default=argparse.SUPPRESS, metavar="PATH", help=words)
    words = "print what was removed as one JSON object"
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=words)


def forget(arguments: argparse.Namespace) -> int:
    """Have the agent remove an app, and print what it had.

    :raises PlatformUnavailable: no agent runs on the state folder.
    :raises InvalidArgument: the one that does has another socket.
    :raises PushError: it refuses; the sentence says why.
    """
    state = Path(arguments.state)
    if arguments.socket is not None:
        anyio.run(_check_socket, state, arguments.socket.absolute())
    removed = anyio.run(_ask, state, {"verb": "forget", "app": arguments.app})
    if arguments.json:
        show(json.dumps({"app": arguments.app} | removed))
    else:
        counts = ", ".join(_count(number, what) for what, number in removed.items())
        show(f"{harmless(arguments.app)} was removed: {counts}")
    return 0


async def _check_socket(state: Path, socket: Path) -> None:
    found = (await _ask(state, {"verb": "status"})).get("socket")
    if found != str(socket):
        words = f"the agent on {state} has the socket {found}, and not {socket}"
        raise InvalidArgument(f"{words}; name the folder of the one that is meant with --state")


async def _ask(state: Path, request: Answer) -> Answer:
    answer = await ask(state, request)
    if answer is None:
        raise PlatformUnavailable(
            f"no agent runs on {state}; 'tocsin agent' starts one, or name its folder with --state"
        )
    return answer


def _count(number: int, what: str) -> str:
    return f"{number} {what.removesuffix('s') if number == 1 else what}"
