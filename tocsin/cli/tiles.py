"""``tocsin tiles``: what the tiles and badges of apps show."""

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
from tocsin.cli.state_choice import PLATFORM, add_looked_at_option, looked_at
from tocsin.cli.table import ago, aligned
from tocsin.cli.terminal import show
from tocsin.persistence.shell_store import StoredBadge, StoredTile
from tocsin.persistence.sqlite_shell_store import NAME, read_sqlite_shell
from tocsin.protocol.errors import UnreadableContent
from tocsin.protocol.text import harmless
from tocsin.protocol.toasts.tile_content import read_badge, read_tile

DESCRIPTION = """\
List the tiles and badges of apps, with what they show: the texts of a tile, the number or the glyph of a badge, and when it
ends. They are what senders have pushed (types tile and badge) and what apps have set themselves (manager.tiles, manager.badge).

A badge is a number, shown as 99+ above 99, or a glyph such as newMessage; one that was cleared is not listed, nor is what has
ended. A state folder may be looked at while a program uses it.
"""

EPILOG = """\
examples:
  tocsin tiles                       of 'tocsin agent'
  tocsin tiles --app contoso.mail    of one app
  tocsin tiles --state ./push-state  of another state folder
  tocsin tiles --json                each size of a tile, for a script
"""

MAX_SHOWN = 100
"""Characters of what a tile shows that a person is told of."""


def add_parser(verbs: Any) -> None:
    """Add this verb to the command's parser."""
    parser = add_verb(verbs, "tiles", "list what the tiles and badges of apps show", DESCRIPTION, EPILOG)
    add_looked_at_option(parser)
    parser.add_argument("--app", metavar="A", help="only those of this app")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(arguments: argparse.Namespace) -> int:
    """Print the list."""
    state = looked_at(arguments.state, PLATFORM)
    found = anyio.run(_read, state) if (state / NAME).is_file() else []  # a platform need not have a shell
    now = time.time()
    left = [each for each in found if each.expires is None or each.expires > now]
    fields = [_fields(each) for each in left if arguments.app in {None, each.app}]
    shown = [each for each in fields if not _is_cleared(each)]
    if arguments.json:
        lines = list(map(json.dumps, shown))
    else:
        rows = [_row(each, now) for each in shown]
        lines = aligned(("app", "what", "shows", "ends"), rows) if rows else ["No app shows a tile or a badge."]
    if lines:
        show("\n".join(lines))
    return 0


async def _read(folder: Path) -> list[StoredBadge | StoredTile]:
    """Return badges and tiles by their apps, the badge first."""
    async with read_sqlite_shell(folder) as store:
        found: list[StoredBadge | StoredTile] = [*await store.badges(), *await store.tiles()]
    return sorted(found, key=lambda each: each.app)


def _fields(stored: StoredBadge | StoredTile) -> dict[str, Any]:
    what = (
        {"kind": "badge"}
        if isinstance(stored, StoredBadge)
        else {"kind": "tile", "tile": stored.tile, "tag": stored.tag}
    )
    try:
        shows = _badge(stored.content) if isinstance(stored, StoredBadge) else _tile(stored.content)
    except UnreadableContent as fault:  # of another version, which can read it
        shows = {"shows": "", "fault": str(fault)}
    ends = {"set": _moment(stored.at), "ends": None if stored.expires is None else _moment(stored.expires)}
    return {"app": stored.app} | what | shows | ends


def _badge(content: bytes) -> dict[str, Any]:
    badge = read_badge(content)
    return {"shows": badge.shown, "number": badge.number, "glyph": badge.glyph or None}


def _tile(content: bytes) -> dict[str, Any]:
    tile = read_tile(content)
    sizes = [{"size": face.size, "template": face.template, "texts": face.texts} for face in tile.faces]
    return {"shows": " | ".join(filter(None, tile.texts)), "sizes": sizes}


def _is_cleared(fields: dict[str, Any]) -> bool:
    return fields["kind"] == "badge" and not fields["shows"] and "fault" not in fields


def _row(fields: dict[str, Any], now: float) -> Sequence[object]:
    names = [fields["kind"], fields.get("tile", ""), fields.get("tag") and f"#{fields['tag']}"]
    shows = fields["shows"] if "fault" not in fields else f"(cannot be read: {fields['fault']})"
    left = "" if fields["ends"] is None else f"in {ago(datetime.fromisoformat(fields['ends']).timestamp() - now)}"
    return fields["app"], " ".join(filter(None, names)), harmless(shows or "(no text)", MAX_SHOWN), left or "stays"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
