"""A state folder: private to its user, and in use by one process at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from tocsin.protocol.errors import StateUnavailable


@contextmanager
def state_folder(path: Path) -> Iterator[Path]:
    """Make the folder where it is missing (mode 0700) and hold it for this process.

    :raises StateUnavailable: it cannot be made or written, or another process holds it.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(path / "lock", timeout=0, mode=0o600)
        lock.acquire()
    except Timeout:
        raise StateUnavailable(
            f"the state folder {path} is in use by {_owner(path)}; give this one another --state"
        ) from None
    except OSError as failure:
        raise StateUnavailable(f"the state folder {path} cannot be used: {failure.strerror or failure}") from failure
    try:
        _sign(path)
        yield path
    finally:
        with suppress(OSError):
            (path / "owner").unlink()
        lock.release()


def _sign(path: Path) -> None:
    """Leave our process id, so that whoever comes second can say who is first."""
    try:
        owner = path / "owner"
        owner.touch(mode=0o600)
        owner.write_text(str(os.getpid()), encoding="ascii")
    except OSError as failure:
        raise StateUnavailable(f"the state folder {path} cannot be written: {failure.strerror or failure}") from failure


def _owner(path: Path) -> str:
    try:
        return f"process {int((path / 'owner').read_text(encoding='ascii'))}"
    except (OSError, ValueError):
        return "another process"
