"""``tocsin migrate``: move a push service from its state folder into a database."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from tocsin.cli.command_line import add_verb
from tocsin.cli.engine_choice import ENGINE, given_url
from tocsin.cli.state_choice import default_state, path
from tocsin.cli.terminal import show
from tocsin.persistence.state_folder import holder_of, state_folder
from tocsin.protocol.errors import InvalidArgument, NotFound, NotSupported, StateUnavailable
from tocsin.protocol.text import harmless
from tocsin.service.operations.settings import check_engine

if TYPE_CHECKING:
    from tocsin.service.moving import Moved, Watch

DESCRIPTION = """\
Move the state of a push service that does not run from its folder into a PostgreSQL database: apps, channels, hubs, what is stored
for devices, and the key that signs tokens. Senders and devices go on as before.

Whatever interrupts it, the same line once more goes on from where it was. Its memory does not grow with what is moved. The folder
keeps what it had; from then on it is that of a node, and 'tocsin serve' on it wants --engine. See docs/operating.md.
"""

EPILOG = """\
examples:
  tocsin migrate --from ./push-state --to postgresql://tocsin@db.example/tocsin
  TOCSIN_ENGINE=postgresql:///tocsin tocsin migrate    of 'tocsin serve', and no password where others can read it
  tocsin migrate --undo --from ./push-state            the folder's service goes on from what it was before the move
"""


def add_parser(verbs: Any) -> None:
    """Add this verb to the command's parser."""
    parser = add_verb(verbs, "migrate", "move a push service into a database", DESCRIPTION, EPILOG)
    folder = default_state("serve")
    words = f"the state folder (default: TOCSIN_STATE, here {folder})".replace("%", "%%")
    parser.add_argument("--from", dest="state", type=path("a state folder"), default=folder, metavar="DIR", help=words)
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--to", metavar="URL", help=f"the database, as postgresql://USER@HOST:PORT/DATABASE (default: {ENGINE})"
    )
    form.add_argument("--undo", action="store_true", help="have the folder's service go on from what it was before")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Move it, or take that back, and print what came of it."""
    try:
        from tocsin.service.moving import move_service, undo_move  # noqa: PLC0415  # the plain install has no service
    except ModuleNotFoundError as missing:
        raise NotSupported(f"this needs the package {missing.name}: pip install 'tocsin[service]'") from missing
    state = Path(arguments.state)
    if not state.is_dir():  # else it would be made
        raise NotFound(f"there is no push service's state in {state}; name its folder with --from")
    url = "" if arguments.undo else _url(arguments)
    owner = holder_of(state)
    if owner is not None:
        raise StateUnavailable(f"process {owner} uses {state}: end it first, since nothing may change meanwhile")
    with state_folder(state) as folder:
        if arguments.undo:
            _say_undone(folder, anyio.run(undo_move, folder), as_json=arguments.json)
        else:
            began = time.monotonic()
            with _watching() as watch:
                moved = anyio.run(move_service, folder, url, watch)
            _say_moved(folder, moved, time.monotonic() - began, as_json=arguments.json)
    return 0


def _url(arguments: argparse.Namespace) -> str:
    url: str = os.environ.get(ENGINE, "")
    if arguments.to is not None:
        url = given_url(arguments.to, "--to", "tocsin migrate")
    else:
        check_engine(ENGINE, url)
    if not url:
        raise InvalidArgument(f"give the database with --to postgresql://USER@HOST:PORT/DATABASE, or by {ENGINE}")
    return url


@contextmanager
def _watching() -> Iterator[Watch]:
    """Show how far the move is: a bar for each table where that is watched, else a line for each."""
    from tqdm import tqdm  # noqa: PLC0415  # of the extra with the driver, which has been found by now

    bars: dict[str, Any] = {}

    def watch(table: str, done: int, total: int) -> None:
        if not sys.stderr.isatty():
            if done == total:
                print(f"{table:<20} {total:>12,}", file=sys.stderr, flush=True)
            return
        if table not in bars:
            bars[table] = tqdm(desc=table, total=total, unit=" rows", file=sys.stderr)
        bars[table].update(done - bars[table].n)

    try:
        yield watch
    finally:
        for bar in bars.values():
            bar.close()


def _say_moved(folder: Path, moved: Moved, seconds: float, *, as_json: bool) -> None:
    if as_json:
        fields = {"moved_to": moved.engine, "rows": moved.rows, "seconds": round(seconds, 3), "public_url": moved.url}
        show(json.dumps(fields))
        return
    if moved.rows:
        rows = sum(moved.rows.values())
        show(f"{rows:,} rows moved into {harmless(moved.engine)} in {seconds:.1f} s, and counted there")
    else:
        show(harmless(f"all of it is in {moved.engine} already"))
    where = shlex.quote(harmless(moved.url or "URL"))
    show(harmless(f"go on with: tocsin serve --state {shlex.quote(str(folder))} --engine URL --public-url {where}"))


def _say_undone(folder: Path, engine: str, *, as_json: bool) -> None:
    if as_json:
        show(json.dumps({"state": str(folder), "left": engine}))
    else:
        show(harmless(f"{folder} has a service by itself again; what has happened since the move is in {engine} only"))
