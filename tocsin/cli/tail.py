"""``tocsin tail``: what happens to payloads, stage by stage, as it happens."""

from __future__ import annotations

import argparse
import json
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio

from tocsin.cli.command_line import add_verb
from tocsin.cli.state_choice import add_looked_at_option, candidates, none_answers
from tocsin.cli.terminal import complain, show
from tocsin.protocol.delivery.payload_events import Stage
from tocsin.protocol.errors import NotFound
from tocsin.protocol.text import harmless
from tocsin.protocol.values import NotificationType
from tocsin.transport.control_socket import Answer, ask, follow

DESCRIPTION = """\
Follow what happens to payloads until Ctrl-C, one line a stage. An agent tells: accepted, stored, gated, parked, offered,
launched, canceled, handled, shown or suppressed by the desktop, dead with its reason. A push service tells what it has
answered: received, dropped, refused. A program with tocsin.embedded(), such as 'tocsin listen', tells both.

It only listens. A terminal that is too slow loses lines, and is told how many. Payloads themselves are not shown.
"""

EPILOG = """\
examples:
  tocsin tail                                 of 'tocsin agent', 'serve' or 'listen', of one that runs
  tocsin tail --app contoso.mail --type raw   of one app
  tocsin tail --stage dead --json             what ends unhandled, for a script
  tocsin tail --state /var/lib/tocsin         of a push service: what senders are told
  tocsin tail --state ./push-state            of a program with tocsin.embedded(state="./push-state")
"""

_STAGE = max(map(len, Stage))


def add_parser(verbs: Any) -> None:
    """Add this verb to the command's parser."""
    parser = add_verb(verbs, "tail", "follow what happens to payloads", DESCRIPTION, EPILOG)
    add_looked_at_option(parser)
    for option, what in (("app", "of this app"), ("channel", "in this channel")):
        parser.add_argument(
            f"--{option}", action="append", default=[], metavar="A", help=f"only {what}; may be repeated"
        )
    kinds = (("type", NotificationType, "of this type"), ("stage", Stage, "this stage"))
    for option, kind, what in kinds:
        words = f"only {what}: {', '.join(kind)}; may be repeated"
        parser.add_argument(
            f"--{option}", action="append", default=[], choices=[str(each) for each in kind], metavar="T", help=words
        )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(arguments: argparse.Namespace) -> int:
    """Print what comes, until what tells it ends."""
    request = {
        "verb": "tail",
        "apps": arguments.app,
        "channels": arguments.channel,
        "types": arguments.type,
        "stages": arguments.stage,
    }
    anyio.run(_follow, candidates(arguments.state), request, arguments.json)
    return 0


async def _follow(folders: list[Path], request: Answer, as_json: bool) -> None:  # noqa: FBT001  # anyio passes no names
    for folder in folders:
        if await ask(folder, {"verb": "status"}) is not None:
            async with aclosing(follow(folder, request)) as events:
                async for event in events:
                    show(json.dumps(event) if as_json else _line(event))
            complain("tocsin tail", "what was followed has ended")
            return
    raise NotFound(f"{none_answers(folders)}, so there is nothing to follow; name its folder with --state")


def _line(event: Answer) -> str:
    if "lost" in event:
        return f"({event['lost']} lines were lost: this terminal was too slow)"
    moment = datetime.fromtimestamp(event["at"]).astimezone()
    app, channel = event.get("app", "(no app)"), event.get("channel", "")[:8]
    payload = event.get("id") or f"number {event.get('sequence')}"
    said = f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03}  {event['stage']:<{_STAGE}}  {app}  {channel}  {payload}"
    said += f"  {event['type']}  {event['size']} bytes" if "type" in event else ""
    said += f"  attempt {event['attempt']}" if event.get("attempt", 0) > 1 else ""
    for name, before in (("session", "to "), ("reason", ""), ("detail", "")):
        said += f"  {before}{event[name]}" if name in event else ""
    return harmless(said)
