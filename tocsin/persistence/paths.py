"""The names of folders and files, as users give them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.text import quoted

MAX_PATH = 4096
"""Characters of a path at most: no system takes a longer one."""


def read_path(value: Any, what: str) -> Path:
    """Read a path; one that begins with ``~`` is in a home folder.

    :param what: what it is the path of, for the sentence.
    :raises InvalidArgument: it is none, is empty, too long, or has a NUL in it, or there is no such home.
    """
    path: object = os.fspath(value) if isinstance(value, (str, os.PathLike)) else value
    if not isinstance(path, str):
        raise InvalidArgument(f"{what} is named by a path, not by {type(path).__name__}")
    if not path:  # which pathlib takes for the current folder
        raise InvalidArgument(f"{what} is named by a path, not by an empty text")
    if "\0" in path or len(path) > MAX_PATH:
        raise InvalidArgument(f"{what} is named by a path, and {quoted(path)} cannot be one")
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InvalidArgument(f"{what} is named by a path, and there is no home folder for {quoted(path)}") from None
