"""The state folder that a verb looks at or works in."""

from __future__ import annotations

import argparse
from pathlib import Path

import platformdirs

from tocsin.protocol.errors import NotFound


def add_state_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--state`` to a verb."""
    parser.add_argument(
        "--state", type=Path, default=default_state(), metavar="DIR", help="the state folder (default: %(default)s)"
    )


def default_state() -> Path:
    """Return the folder that ``tocsin listen`` uses when it is given none."""
    return platformdirs.user_state_path("tocsin") / "listen"


def database_of(state: Path) -> Path:
    """Return the platform's database in a state folder.

    :raises NotFound: no platform has used the folder.
    """
    path = state / "platform.db"
    if not path.is_file():
        raise NotFound(f"there is no platform's state in {state}; name its folder with --state")
    return path
