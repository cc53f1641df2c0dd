"""The small private file that remembers which calls a user was told of as missed, for all processes of an app."""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from tocsin.protocol.calling.missed_calls import MAX_TEXT, MissedCalls
from tocsin.protocol.errors import StateUnavailable

logger = logging.getLogger(__name__)

_PRIVATE: Final = 0o600
_NO_LINKS: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class MissedCallsFile:
    """The file of one app; its name does not tell the app, and it holds hashes alone.

    :param folder: where it is; made where it is missing, for its user alone.
    :param app: the name of the app.
    """

    def __init__(self, folder: Path, app: str) -> None:
        self._path = folder / f"missed-{hashlib.sha256(app.encode()).hexdigest()[:32]}.json"

    def load(self) -> MissedCalls:
        """Return the memory; an empty one where the file is missing or is no such file.

        :raises StateUnavailable: it cannot be read.
        """
        try:
            descriptor = os.open(self._path, os.O_RDONLY | _NO_LINKS)
            with os.fdopen(descriptor, "rb") as file:
                text = file.read(MAX_TEXT + 1)
        except FileNotFoundError:
            return MissedCalls()
        except OSError as failure:
            raise StateUnavailable(f"{self._path} cannot be read: {failure.strerror or failure}") from failure
        found = MissedCalls.read(text)
        if found is None:
            logger.warning("%s is not what was written: a call may be told of as missed once more", self._path)
        return found or MissedCalls()

    def note(self, call_id: str) -> None:
        """Remember that the user was told of a call; the file is written as a whole or not at all.

        :raises StateUnavailable: it cannot be read or written; what was there before still is.
        """
        calls = self.load()
        calls.add(call_id)
        beside = self._path.with_name(f"{self._path.name}.{secrets.token_hex(8)}")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINKS, _PRIVATE)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(calls.text())
                    file.flush()
                    os.fsync(file.fileno())
                beside.replace(self._path)
            finally:
                with suppress(OSError):
                    beside.unlink()
        except OSError as failure:
            raise StateUnavailable(f"{self._path} cannot be written: {failure.strerror or failure}") from failure
