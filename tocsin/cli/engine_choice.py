"""The database that keeps the state of the push service that a verb works on."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tocsin.cli.terminal import complain
from tocsin.service.operations.configuration import variable
from tocsin.service.operations.settings import check_engine

ENGINE = variable("engine")
"""The variable that names it."""


def add_engine_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--engine`` to a verb that works on a push service whether that runs or not; :func:`engine_of` reads it."""
    words = f"the database that keeps the service's state, where that is none of the folder's own (default: {ENGINE})"
    parser.add_argument("--engine", metavar="URL", help=words)


def engine_of(arguments: argparse.Namespace, verb: str) -> str:
    """Return the URL of the database that is meant; empty: the state folder has it all.

    :raises InvalidArgument: what was given is none.
    """
    if arguments.engine is None:
        url = os.environ.get(ENGINE, "")
        check_engine(ENGINE, url)
        return url
    return given_url(arguments.engine, "--engine", verb)


def given_url(url: str, option: str, verb: str) -> str:
    """Return the URL of a database that an option named; where it shows a password, say who can read that.

    :raises InvalidArgument: it is none.
    """
    check_engine(option, url)
    if shows_password(url):
        complain(
            verb,
            f"others on this machine can read the password in {option}: give the URL by {ENGINE} instead, or the password"
            " by PGPASSWORD or ~/.pgpass",
        )
    return url


def shows_password(url: str) -> bool:
    """Tell whether the URL of a database has a password in it."""
    try:
        parts = urlsplit(url)
    except ValueError:  # what a password may be that is not quoted
        return True
    return bool(parts.password) or "password" in parse_qs(parts.query)


def kept_in(state: Path, engine: str) -> str:
    """Say where something is kept from now on: in a state folder or, where one was named, in a database."""
    if not engine:
        return f"Kept in {state}, for the service there"
    from tocsin.service.engine import engine_name  # noqa: PLC0415  # the plain install has no service

    return f"Kept in {engine_name(engine)}"
