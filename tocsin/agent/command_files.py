"""The files of a command, and what tells each from one that has taken its place."""

from __future__ import annotations

import os
import stat

from tocsin.protocol.platform.command import Command
from tocsin.protocol.platform.launched_work import FileStamp


def stamps_of(command: Command) -> dict[bytes, FileStamp]:
    """Return the stamps of the program of a command, and of the script that it runs where it is a Python interpreter."""
    paths = [command.words[0]]
    scripts = (os.path.join(command.folder, word) for word in command.script_words())  # noqa: PTH118  # a Path takes no bytes
    paths += [path for path in scripts if stamp_of(path) is not None][:1]
    return {path: found for path in paths if (found := stamp_of(path)) is not None}


def stamp_of(path: bytes) -> FileStamp | None:
    """Return the stamp of a file; None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116  # as above
    except OSError:
        return None
    return FileStamp(found.st_ino, found.st_mtime_ns, found.st_size) if stat.S_ISREG(found.st_mode) else None
