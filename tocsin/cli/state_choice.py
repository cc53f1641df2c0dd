"""The state folder that a verb looks at or works in."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import platformdirs

from tocsin.cli.terminal import complain
from tocsin.persistence.paths import read_path
from tocsin.persistence.state_folder import holder_of, silent_holder
from tocsin.protocol.errors import InvalidArgument, NotFound, StateUnavailable

PLATFORM = "platform.db"
"""The file of a platform in its state folder: of an agent, or of a program that embeds one."""

SERVICE = "service.db"
"""The file of a push service in its state folder."""


def add_state_option(parser: argparse.ArgumentParser, verb: str = "listen", default: str | None = None) -> None:
    """Add ``--state`` to a verb; its default is the folder of that verb, such as ``listen`` or ``serve``."""
    folder = default_state(verb)
    parser.add_argument(
        "--state",
        type=path("a state folder"),
        default=folder if default is None else default,
        metavar="DIR",
        help=f"the state folder (default: TOCSIN_STATE, here {folder})".replace("%", "%%"),
    )


LOOKED_AT = ("agent", "serve", "listen", "dev")
"""The verbs whose state folders are looked at, in this order, where none is named; ``dev`` is that of ``serve --dev``."""


def add_looked_at_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--state`` to a verb that looks at whatever is there; :func:`looked_at` reads it."""
    words = (
        "the state folder (default: TOCSIN_STATE, else that of 'tocsin agent', 'serve' or 'listen', of one that runs)"
    )
    parser.add_argument("--state", type=path("a state folder"), metavar="DIR", help=words)


def candidates(state: Path | None) -> list[Path]:
    """Return the state folders that may be meant: the one that was named, else those of the user."""
    if state is not None:
        return [state]
    named = os.environ.get("TOCSIN_STATE")
    if named:
        return [read_path(named, "a state folder")]
    return [platformdirs.user_state_path("tocsin") / verb for verb in LOOKED_AT]


def none_answers(folders: list[Path]) -> str:
    """Say why none of these folders, which may be meant, has anything that can be asked."""
    for folder in folders:
        words = silent_holder(folder)
        if words is not None:
            return words
    where = folders[0] if len(folders) == 1 else folders[0].parent
    return f"no agent, no program and no service runs on {where}"


def looked_at(state: Path | None, *holding: str) -> Path:
    """Return the state folder that is meant; of several, the first in which a process runs.

    :param holding: the file names of which such a folder has one.
    :raises NotFound: there is none.
    :raises StateUnavailable: a folder may not be looked into.
    """
    folders = candidates(state)
    there = [folder for folder in folders if any(_has(folder, name) for name in holding)]
    if not there:
        where = folders[0] if len(folders) == 1 else folders[0].parent
        raise NotFound(f"there is no state of Tocsin in {where}; name its folder with --state")
    return next((folder for folder in there if holder_of(folder) is not None), there[0])


def add_service_state_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--state`` to a verb that works on a push service, whether that runs or not; :func:`service_state` reads it."""
    words = "the state folder (default: TOCSIN_STATE, else that of 'tocsin serve', or where that has none, of a 'tocsin listen' or 'agent' that runs)"
    parser.add_argument(
        "--state",
        type=path("a state folder"),
        default=os.environ.get("TOCSIN_STATE") or None,
        metavar="DIR",
        help=words,
    )


def service_state(state: Path | None, verb: str) -> Path:
    """Return the state folder of the push service that is meant: the one that was named, else that of ``serve``.

    Where there is no state of that and ``listen`` runs, or an agent with a push service of its own, this user's is the one in there,
    and ``verb`` says so.

    :raises StateUnavailable: a folder may not be looked into.
    """
    if state is not None:
        return state
    serve, listen, agent = (platformdirs.user_state_path("tocsin") / each for each in ("serve", "listen", "agent"))
    others = (listen, agent) if _has(agent, SERVICE) else (listen,)  # an agent that uses another service has none
    running = next((each for each in others if holder_of(each) is not None), None)
    if _has(serve, SERVICE) or running is None:
        return serve
    complain(verb, f"this is of the push service in 'tocsin {running.name}', on {running}")
    return running


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


def _has(state: Path, name: str) -> bool:
    try:
        return (state / name).is_file()
    except OSError as failure:
        raise StateUnavailable(f"the state folder {state} cannot be read: {failure.strerror or failure}") from failure
