"""``tocsin channels``: the channels that an agent or an embedding program holds, or that a push service has granted.

``tocsin.service.registry.channels`` is the service's own knowledge of them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio

from tocsin.cli.command_line import add_verb
from tocsin.cli.engine_choice import add_engine_option, engine_of
from tocsin.cli.state_choice import NODE, PLATFORM, SERVICE, add_looked_at_option, looked_at
from tocsin.cli.table import ago, aligned
from tocsin.cli.terminal import show
from tocsin.persistence.sqlite_store import read_sqlite
from tocsin.persistence.store import StoredChannel
from tocsin.protocol.errors import NotFound, NotSupported
from tocsin.protocol.platform.channel_request import renewal

DESCRIPTION = """\
List the channels that apps have, each with its end and with what waits in it; of a push service, how many each app has.

A channel's URI is a secret: who has it, and credentials of the app, can push to it. So it is shown with --uris only. A state
folder may be looked at while a program uses it.
"""

EPILOG = """\
examples:
  tocsin channels                            of 'tocsin agent'
  tocsin channels --app contoso.mail --uris  with the URIs that its server needs
  tocsin channels --state /var/lib/tocsin    of a push service: how many channels each app has
  tocsin channels --engine postgresql:///tocsin   of one whose state is in a database
"""


def add_parser(verbs: Any) -> None:
    """Add this verb to the command's parser."""
    parser = add_verb(verbs, "channels", "list the channels that apps have", DESCRIPTION, EPILOG)
    add_looked_at_option(parser)
    add_engine_option(parser)
    parser.add_argument("--app", metavar="A", help="only those of this app")
    parser.add_argument("--uris", action="store_true", help="show the URIs, which are secrets")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(arguments: argparse.Namespace) -> int:
    """Print the list."""
    place = _looked_at(arguments)
    head: Sequence[str]
    if isinstance(place, Path) and (place / PLATFORM).is_file():
        fields = anyio.run(_of_platform, place / PLATFORM, arguments.app, arguments.uris)
        head, rows = ("app", "channel", "ends", "renewed", "waiting"), list(map(_row, fields))
    else:
        fields = anyio.run(_of_service, place, arguments.app)
        head = ("app", "channels", "devices")
        rows = [[each[name] for name in head] for each in fields]
    if arguments.json:
        lines = list(map(json.dumps, fields))
    else:
        lines = aligned(head, rows) if rows else ["No app has a channel."]
        lines += [each["uri"] for each in fields if arguments.uris and "uri" in each]
    if lines:
        show("\n".join(lines))
    return 0


def _looked_at(arguments: argparse.Namespace) -> str | Path:
    """Return the state folder that is meant, or the URL of a database: one that a variable names is for its nodes' folders, or for none."""
    engine = engine_of(arguments, "tocsin channels")
    if engine and arguments.engine is not None:
        return engine
    try:
        state = looked_at(arguments.state, PLATFORM, SERVICE, NODE)
    except NotFound:
        if engine and arguments.state is None:
            return engine
        raise
    return engine if engine and (state / NODE).is_file() else state


async def _of_platform(database: Path, app: str | None, uris: bool) -> list[dict[str, Any]]:  # noqa: FBT001  # anyio passes no names
    async with read_sqlite(database) as store:
        channels, waiting = await store.channels(), await store.waiting()
    named = [channel for channel in channels if app in {None, channel.app}]
    return [_fields(each, waiting.get(each.channel, 0), uris=uris) for each in sorted(named, key=_place)]


async def _of_service(place: str | Path, app: str | None) -> list[dict[str, Any]]:
    """Count the channels of a service that keeps its state in a folder, or at the URL of a database."""
    try:
        from tocsin.service.engine import count_by_app  # noqa: PLC0415  # the plain install has no service
    except ModuleNotFoundError as missing:
        raise NotSupported(f"this needs the package {missing.name}: pip install 'tocsin[service]'") from missing
    counts = await count_by_app(place, time.time())
    return [
        {"app": name, "channels": channels, "devices": devices}
        for name, channels, devices in counts
        if app in {None, name}
    ]


def _place(channel: StoredChannel) -> tuple[str, float, str]:
    return channel.app, channel.expires, channel.channel


def _fields(channel: StoredChannel, waiting: int, *, uris: bool) -> dict[str, Any]:
    fields = {
        "app": channel.app,
        "channel": channel.channel,
        "remote_id": channel.remote_id,
        "ends": _moment(channel.expires),
        "renewed": _moment(renewal(channel.remote_id, channel.expires)),
        "waiting": waiting,
    }
    return fields | ({"uri": channel.uri} if uris else {})


def _row(fields: dict[str, Any]) -> Sequence[object]:
    return fields["app"], fields["channel"], _left(fields["ends"]), _left(fields["renewed"]), fields["waiting"]


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _left(moment: str) -> str:
    left = datetime.fromisoformat(moment).timestamp() - time.time()
    return f"in {ago(left)}" if left > 0 else f"{ago(-left)} ago"
