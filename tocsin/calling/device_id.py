"""Which device an app is on: a random id in a small private file, the same at each start and no other's."""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from pathlib import Path
from typing import Final

from tocsin.private_file import read_private, write_private
from tocsin.protocol.errors import StateUnavailable

logger = logging.getLogger(__name__)

_ID: Final = re.compile(r"[0-9a-f]{32}")
_BYTES: Final = 16


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
        content = read_private(self._path, 2 * _BYTES + 1)
        if content is None:
            return None
        text = content.decode("ascii", "replace")
        return text if _ID.fullmatch(text) else ""

    def _make(self, *, over: bool) -> str:
        """Make the file as a whole, never over one that another process has made meanwhile; return the id that counts.

        :param over: whether there is a file that holds no id, which is replaced.
        """
        if over:
            logger.warning("%s is not what was written: this device gets another id", self._path)
        write_private(self._path, secrets.token_hex(_BYTES).encode(), over=over)
        found = self._read()
        if not found:
            raise StateUnavailable(f"{self._path} is changed by another program while it is made")
        return found
