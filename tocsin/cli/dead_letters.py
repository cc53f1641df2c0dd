"""``tocsin dead-letters``: the payloads that ended without being handled."""

from __future__ import annotations

import argparse
import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio

from tocsin.cli.command_line import add_verb, whole
from tocsin.cli.render import preview
from tocsin.cli.state_choice import PLATFORM, add_looked_at_option, looked_at
from tocsin.cli.terminal import show
from tocsin.persistence.sqlite_store import read_sqlite
from tocsin.persistence.store import DeadLetter
from tocsin.protocol.text import harmless

DESCRIPTION = """\
List the payloads that ended without being handled, the newest first, each with its reason.

The newest 10,000 are kept for 90 days, unless their program has chosen otherwise; the counts are of all.
A state folder may be looked at while a program uses it.
"""

EPILOG = """\
examples:
  tocsin dead-letters                       of the agent, or of 'tocsin listen'
  tocsin dead-letters --state ./push-state  of a program that embeds the platform
  tocsin dead-letters --json --limit 1000
  tocsin dead-letters --counts              how many ended for which reason
"""


def add_parser(verbs: Any) -> None:
    """Add this verb to the command's parser."""
    words = "list the payloads that ended without being handled, and why"
    parser = add_verb(verbs, "dead-letters", words, DESCRIPTION, EPILOG)
    add_looked_at_option(parser)
    parser.add_argument("--limit", type=whole(1, 10**9), default=50, metavar="N", help="at most N (default: 50)")
    parser.add_argument("--counts", action="store_true", help="print only how many ended for each reason")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(arguments: argparse.Namespace) -> int:
    """Print the list."""
    letters, counts = anyio.run(_read, looked_at(arguments.state, PLATFORM) / PLATFORM, arguments.limit)
    if arguments.json:
        lines = [counts] if arguments.counts else [_fields(letter) for letter in letters]
        shown = [json.dumps(line) for line in lines]
    else:
        shown = [] if arguments.counts else [_describe(letter) for letter in letters]
        shown.append(harmless(_summary(counts)))
    if shown:
        show("\n".join(shown))
    return 0


async def _read(path: Path, limit: int) -> tuple[list[DeadLetter], dict[str, int]]:
    async with read_sqlite(path) as store:
        return await store.dead_letters(limit), await store.dead_letter_counts()


def _summary(counts: dict[str, int]) -> str:
    if not counts:
        return "No payload has ended unhandled."
    return f"{sum(counts.values())} in all: " + ", ".join(f"{count} {reason}" for reason, count in counts.items())


def _describe(letter: DeadLetter) -> str:
    moment = datetime.fromtimestamp(letter.at, UTC)
    size = len(letter.body)
    detail = f"\n    {harmless(letter.detail)}" if letter.detail else ""
    return (
        f"{moment:%Y-%m-%d %H:%M:%S} UTC  {harmless(letter.id)}  {harmless(letter.reason)}"
        f"  {harmless(letter.app or '(no app)')}  {harmless(letter.type)}  {size} bytes  attempt {letter.attempt}"
        f"  {preview(letter.body)}{detail}"
    )


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
