"""Which device an app is on: a random id in a small private file, the same at each start and no other's."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
from contextlib import suppress
from os import PathLike, fspath
from pathlib import Path
from typing import Final

import platformdirs

from tocsin.protocol.arguments import check_kind, check_text
from tocsin.protocol.errors import InvalidArgument, StateUnavailable
from tocsin.protocol.text import quoted

logger = logging.getLogger(__name__)

_ID: Final = re.compile(r"[0-9a-f]{32}")
_BYTES: Final = 16
_PRIVATE: Final = 0o600
_NO_LINKS: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def state_folder_of(state: str | PathLike[str] | None) -> Path:
    """Return the folder for the file; by default the user's.

    :raises InvalidArgument: it is no path.
    """
    if state is None:
        return platformdirs.user_state_path("tocsin") / "calling"
    check_kind(state, "a state folder", str, PathLike)
    text = fspath(state)
    check_text(text, "a state folder")
    if "\0" in text:
        raise InvalidArgument(f"a state folder is named by a path, and {quoted(text)} cannot be one")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise InvalidArgument(f"there is no home folder for {quoted(state)}") from None


class DeviceId:
    """The file with the id of the device for one app; its name does not tell the app.

    :param folder: where it is; made where it is missing, for its user alone.
    :param app: the name of the app: each app of a user is an endpoint of its own.
    """

    def __init__(self, folder: Path, app: str) -> None:
        self._path = folder / f"device-{hashlib.sha256(app.encode()).hexdigest()[:32]}"

    def read_or_make(self) -> str:
        """Return the id, made where there is none: of two processes that make one at once, both return the same.

        :raises StateUnavailable: it cannot be read or written.
        """
        try:
            found = self._read()
            return found or self._make(over=found is not None)
        except OSError as failure:
            words = failure.strerror or failure
            raise StateUnavailable(f"{self._path} cannot be read or written: {words}") from failure

    def _read(self) -> str | None:
        """Return what the file has, ``""`` where that is no id; None where there is no file."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | _NO_LINKS)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            text = file.read(2 * _BYTES + 1).decode("ascii", "replace")
        return text if _ID.fullmatch(text) else ""

    def _make(self, *, over: bool) -> str:
        """Make the file as a whole, never over one that another process has made meanwhile; return the id that counts.

        :param over: whether there is a file that holds no id, which is replaced.
        """
        if over:
            logger.warning("%s is not what was written: this device gets another id", self._path)
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = secrets.token_hex(_BYTES)
        beside = self._path.with_name(f"{self._path.name}.{secrets.token_hex(8)}")
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINKS, _PRIVATE)
            with os.fdopen(descriptor, "wb") as file:
                file.write(made.encode())
                file.flush()
                os.fsync(file.fileno())
            if over:
                beside.replace(self._path)
            else:
                with suppress(FileExistsError):
                    os.link(beside, self._path)
        finally:
            with suppress(OSError):
                beside.unlink()
        found = self._read()
        if not found:
            raise StateUnavailable(f"{self._path} is changed by another program while it is made")
        return found
