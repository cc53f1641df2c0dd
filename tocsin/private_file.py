"""A small file of an app's own that only its user may open, written as a whole or not at all; and the folder that it is in."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from os import PathLike, fspath
from pathlib import Path
from typing import Final

import platformdirs

from tocsin.protocol.arguments import check_kind, check_text
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.text import quoted

PRIVATE: Final = 0o600
NO_LINKS: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""What a private file is opened with: a link in its place is not followed, and a pipe not waited for."""


def folder_of(state: str | PathLike[str] | None, name: str) -> Path:
    """Return the folder that the caller of the app has named; None: the user's, of that name.

    :raises InvalidArgument: it is no path.
    """
    if state is None:
        return platformdirs.user_state_path("tocsin") / name
    check_kind(state, "a state folder", str, PathLike)
    text = fspath(state)
    check_text(text, "a state folder")
    if "\0" in text:
        raise InvalidArgument(f"a state folder is named by a path, and {quoted(text)} cannot be one")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise InvalidArgument(f"there is no home folder for {quoted(state)}") from None


def read_private(path: Path, limit: int) -> bytes | None:
    """Return the first ``limit`` bytes of a file; None where there is none.

    :raises OSError: it cannot be read, or is a link.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | NO_LINKS)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read(limit)


def write_private(path: Path, content: bytes, *, over: bool = True) -> None:
    """Write a file whole, in a folder that is made where it is missing, for its user alone; it is on disk when this returns.

    :param over: whether it takes the place of one that is there; else that one stays.
    :raises OSError: it cannot be written; what was there before still is.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINKS, PRIVATE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if over:
            beside.replace(path)
        else:
            with suppress(FileExistsError):
                os.link(beside, path)
    finally:
        with suppress(OSError):
            beside.unlink()
