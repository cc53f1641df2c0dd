"""The state folder that a verb looks at or works in."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import platformdirs

from tocsin.persistence.paths import read_path
from tocsin.protocol.errors import InvalidArgument, NotFound, StateUnavailable


def add_state_option(parser: argparse.ArgumentParser, verb: str = "listen") -> None:
    """Add ``--state`` to a verb; its default is the folder of that verb, ``listen`` or ``serve``."""
    default = default_state(verb)
    parser.add_argument(
        "--state",
        type=path("a state folder"),
        default=default,
        metavar="DIR",
        help=f"the state folder (default: TOCSIN_STATE, here {default})".replace("%", "%%"),
    )


def path(what: str) -> Callable[[str], Path]:
    """Return what reads the path of a file or folder."""

    def read(text: str) -> Path:
        try:
            return read_path(text, what)
        except InvalidArgument as wrong:
            raise argparse.ArgumentTypeError(str(wrong)) from None

    return read


def default_state(verb: str) -> str:
    """Return the folder that a verb uses when it is given none."""
    return os.environ.get("TOCSIN_STATE") or str(platformdirs.user_state_path("tocsin") / verb)


def database_of(state: Path) -> Path:
    """Return the platform's database in a state folder.

    :raises NotFound: no platform has used the folder.
    :raises StateUnavailable: the folder may not be looked into.
    """
    database = state / "platform.db"
    try:
        found = database.is_file()
    except OSError as failure:
        raise StateUnavailable(f"the state folder {state} cannot be read: {failure.strerror or failure}") from failure
    if not found:
        raise NotFound(f"there is no platform's state in {state}; name its folder with --state")
    return database
