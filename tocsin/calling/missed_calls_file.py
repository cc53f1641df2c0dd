"""The small private file that remembers which calls a user was told of as missed, for all processes of an app."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from tocsin.private_file import read_private, write_private
from tocsin.protocol.calling.missed_calls import MAX_TEXT, MissedCalls
from tocsin.protocol.errors import StateUnavailable

logger = logging.getLogger(__name__)


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
            text = read_private(self._path, MAX_TEXT + 1)
        except OSError as failure:
            raise StateUnavailable(f"{self._path} cannot be read: {failure.strerror or failure}") from failure
        if text is None:
            return MissedCalls()
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
        try:
            write_private(self._path, calls.text())
        except OSError as failure:
            raise StateUnavailable(f"{self._path} cannot be written: {failure.strerror or failure}") from failure
