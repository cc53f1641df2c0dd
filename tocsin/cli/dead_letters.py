"""``tocsin dead-letters``: the payloads that ended without being handled."""

from __future__ import annotations

import argparse
import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio

from tocsin.cli.command_line import add_verb, whole
from tocsin.cli.render import preview
from tocsin.cli.state_choice import PLATFORM, add_looked_at_option, looked_at
from tocsin.cli.table import aligned
from tocsin.cli.terminal import show
from tocsin.persistence.dead_letter_choice import chosen_id, settle_stored
from tocsin.persistence.sqlite_store import open_sqlite, read_sqlite
from tocsin.persistence.state_folder import state_folder_at_rest
from tocsin.persistence.store import DeadLetter
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.text import harmless
from tocsin.transport.control_socket import ask

DESCRIPTION = """\
List the payloads that ended without being handled, the newest first, each with its reason; retry or drop one of them.

The newest 10,000 are kept for 90 days, unless their program has chosen otherwise; the counts are of all.
A state folder may be looked at while a program uses it. 'retry' and 'drop' change it: the agent or the program that runs
on it does so, or this command itself where nothing runs.

A payload that is retried comes behind those that wait, with the same id, its 'attempt' one higher, and does not expire.
An ID may be shortened to as much of it as no other has.
"""

EPILOG = """\
examples:
  tocsin dead-letters                       of the agent, or of 'tocsin listen'
  tocsin dead-letters --state ./push-state  of a program that embeds the platform
  tocsin dead-letters --app contoso.mail --reason launch_failed
  tocsin dead-letters --json --limit 1000
  tocsin dead-letters --counts              how many ended for which reason
  tocsin dead-letters retry 6F0C            let its app have it once more
  tocsin dead-letters drop 81BA             forget it; it stays counted
"""

_HEAD = ("ended (UTC)", "id", "reason", "app", "type", "bytes", "attempt", "payload")
_DONE = {"retry": "is a payload again, behind those that wait", "drop": "is dropped; it stays counted"}


def add_parser(verbs: Any) -> None:
    """Add this verb to the command's parser."""
    words = "list the payloads that ended without being handled, and why"
    parser = add_verb(verbs, "dead-letters", words, DESCRIPTION, EPILOG)
    parser.mixed = True
    parser.add_argument("action", nargs="?", choices=("retry", "drop"), help="what to do with one (default: list them)")
    parser.add_argument("id", nargs="?", metavar="ID", help="which one: its id, or how that begins")
    add_looked_at_option(parser)
    parser.add_argument("--app", metavar="A", help="only those of this app")
    parser.add_argument("--reason", metavar="R", help="only those that ended for this reason")
    parser.add_argument("--limit", type=whole(1, 10**9), default=50, metavar="N", help="at most N (default: 50)")
    parser.add_argument("--counts", action="store_true", help="print only how many ended for each reason")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(arguments: argparse.Namespace) -> int:
    """Print the list, or change one."""
    state = looked_at(arguments.state, PLATFORM)
    if arguments.action is not None:
        return _change(state, arguments)
    if arguments.counts and (arguments.app or arguments.reason):
        raise InvalidArgument("--counts is of all; leave --app and --reason out")
    letters, counts = anyio.run(_read, state / PLATFORM, arguments.limit, arguments.app, arguments.reason)
    if arguments.json:
        lines = [counts] if arguments.counts else [_fields(letter) for letter in letters]
        shown = [json.dumps(line) for line in lines]
    else:
        shown = [] if arguments.counts else _table(letters)
        shown.append(harmless(_summary(counts)))
    if shown:
        show("\n".join(shown))
    return 0


async def _read(path: Path, limit: int, app: str | None, reason: str | None) -> tuple[list[DeadLetter], dict[str, int]]:
    async with read_sqlite(path) as store:
        return await store.dead_letters(limit, app=app, reason=reason), await store.dead_letter_counts()


def _change(state: Path, arguments: argparse.Namespace) -> int:
    action = arguments.action
    if not arguments.id:
        raise InvalidArgument(f"'{action}' needs the ID of a dead letter; 'tocsin dead-letters' lists them")
    changed = anyio.run(_settle, state, action, arguments.id)
    show(json.dumps({"id": changed, "done": action}) if arguments.json else f"{harmless(changed)} {_DONE[action]}")
    return 0


async def _settle(state: Path, action: str, beginning: str) -> str:
    """Ask what runs on the state folder, or do it on the store where nothing does; return the id."""
    answer = await ask(state, {"verb": f"{action}_dead_letter", "id": beginning})
    if answer is not None:
        return str(answer.get("id", beginning))
    with state_folder_at_rest(state) as folder:
        async with open_sqlite(folder / PLATFORM) as store:
            id_ = await chosen_id(store, beginning)
            await settle_stored(store, id_, retry=action == "retry")
            return id_


def _summary(counts: dict[str, int]) -> str:
    if not counts:
        return "No payload has ended unhandled."
    return f"{sum(counts.values())} in all: " + ", ".join(f"{count} {reason}" for reason, count in counts.items())


def _table(letters: list[DeadLetter]) -> list[str]:
    """Return a line for each, in columns, and its detail below it."""
    if not letters:
        return []
    head, *rows = aligned(_HEAD, map(_row, letters))
    lines = [head]
    for letter, row in zip(letters, rows, strict=True):
        lines.append(row)
        if letter.detail:
            lines.append(f"    {harmless(letter.detail)}")
    return lines


def _row(letter: DeadLetter) -> Sequence[object]:
    moment = datetime.fromtimestamp(letter.at, UTC)
    size, shown = len(letter.body), preview(letter.body)
    app = letter.app or "(no app)"
    return f"{moment:%Y-%m-%d %H:%M:%S}", letter.id, letter.reason, app, letter.type, size, letter.attempt, shown


def _fields(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "reason": letter.reason,
        "detail": letter.detail,
        "app": letter.app,
        "channel": letter.channel,
        "type": letter.type,
        "base64": base64.b64encode(letter.body).decode("ascii"),
        "attempt": letter.attempt,
        "at": datetime.fromtimestamp(letter.at, UTC).isoformat(),
    }
