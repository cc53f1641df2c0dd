"""The names of folders and files, as users give them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tocsin.protocol.errors import InvalidArgument


def read_path(value: Any, what: str) -> Path:
    """Read a path; one that begins with ``~`` is in a home folder.

    :param what: what it is the path of, for the sentence.
    :raises InvalidArgument: it is none, is empty, or has a NUL in it, or there is no such home.
    """
    path: object = os.fspath(value) if isinstance(value, (str, os.PathLike)) else value
    if not isinstance(path, str):
        raise InvalidArgument(f"{what} is named by a path, not by {type(path).__name__}")
    if not path:  # which pathlib takes for the current folder
        raise InvalidArgument(f"{what} is named by a path, not by an empty text")
    if "\0" in path:
        raise InvalidArgument(f"{what} is named by a path, and {path!r} cannot be one")
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InvalidArgument(f"{what} is named by a path, and there is no home folder for {path!r}") from None
