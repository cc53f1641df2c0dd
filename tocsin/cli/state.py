"""The state folder that a verb looks at or works in."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import platformdirs

from tocsin.protocol.errors import NotFound


def add_state_option(parser: argparse.ArgumentParser, verb: str = "listen") -> None:
    """Add ``--state`` to a verb; its default is the folder of that verb, ``listen`` or ``serve``."""
    parser.add_argument(
        "--state",
        type=Path,
        default=default_state(verb),
        metavar="DIR",
        help="the state folder (default: TOCSIN_STATE, here %(default)s)",
    )


def default_state(verb: str) -> Path:
    """Return the folder that a verb uses when it is given none."""
    named = os.environ.get("TOCSIN_STATE")
    return Path(named) if named else platformdirs.user_state_path("tocsin") / verb


def database_of(state: Path) -> Path:
    """Return the platform's database in a state folder.

    :raises NotFound: no platform has used the folder.
    """
    path = state / "platform.db"
    if not path.is_file():
        raise NotFound(f"there is no platform's state in {state}; name its folder with --state")
    return path
