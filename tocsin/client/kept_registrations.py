"""The ids of an app's registrations in a hub, kept in a small private file so that a restart makes none of them twice.

A file that is lost or cannot be understood is no error: what the hub has for the channel is found there and adopted.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from tocsin.private_file import NO_LINKS, PRIVATE, read_private, write_private
from tocsin.protocol.errors import StateUnavailable

logger = logging.getLogger(__name__)

NATIVE: Final = "$Default"
"""The name of the registration without a template, as ``Registration.NativeRegistrationName`` of the Windows library has it."""

_MAX_FILE: Final = 65_536


class KeptRegistrations:
    """The file of one app's registrations in one hub; its name tells neither.

    :param folder: where it is; made where it is missing, for its user alone.
    :param owner: what tells it from the files of other apps and other hubs.
    """

    def __init__(self, folder: Path, owner: tuple[str, ...]) -> None:
        name = hashlib.sha256(json.dumps(owner).encode()).hexdigest()[:32]
        self._path = folder / f"hub-{name}.json"

    def load(self) -> dict[str, str]:
        """Return the ids of registrations by their names; none where the file is missing or is no such file.

        :raises StateUnavailable: it cannot be read.
        """
        try:
            kept = read_private(self._path, _MAX_FILE + 1)
        except OSError as failure:
            raise StateUnavailable(f"{self._path} cannot be read: {failure.strerror or failure}") from failure
        if kept is None:
            return {}
        try:
            ids = json.loads(kept)["registrations"]
            if len(kept) > _MAX_FILE or not all(isinstance(each, str) and each for each in ids.values()):
                raise ValueError  # noqa: TRY301  # as what json finds
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
            logger.warning("%s is not what was written; what the hub has for the channel is adopted", self._path)
            return {}
        return dict(ids)

    def settle(self, name: str, before: str | None, id: str) -> str:  # noqa: A002  # of a registration
        """Note a registration's id, unless another process has noted one for it since; return the id that counts.

        :param before: the one that was known, which this one replaces.
        :raises StateUnavailable: it cannot be written; what was there before still is.
        """
        with self._alone():
            ids = self.load()
            there = ids.get(name)
            if there is not None and there != before:
                return there
            self._save({**ids, name: id})
        return id

    def forget(self, name: str, id: str) -> None:  # noqa: A002  # of a registration
        """Forget a registration's id, if it has no other by now; errors as of :meth:`settle`."""
        with self._alone():
            ids = self.load()
            if ids.get(name) == id:
                del ids[name]
                self._save(ids)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes off the file; it is for moments only, so a thread may wait for it."""
        with ExitStack() as stack:
            with self._failing():
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                # The file itself is replaced, and the folder may be locked by a platform whose state folder it is.
                stack.enter_context(_locked(self._path.with_suffix(".lock")))
            yield

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as failure:
            raise StateUnavailable(f"{self._path} cannot be written: {failure.strerror or failure}") from failure

    def _save(self, ids: dict[str, str]) -> None:
        """Write the file as a whole or not at all; it is on disk when this returns."""
        with self._failing():
            write_private(self._path, json.dumps({"registrations": ids}).encode())


if sys.platform == "win32":
    from filelock import FileLock

    def _locked(path: Path) -> AbstractContextManager[object]:
        """Lock a file while the block runs."""
        return FileLock(path)

else:
    import fcntl

    @contextmanager
    def _locked(path: Path) -> Iterator[None]:
        """Lock a file while the block runs."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | NO_LINKS, PRIVATE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            with suppress(OSError):
                fcntl.flock(
                    descriptor, fcntl.LOCK_UN
                )  # closing alone leaves it with a process that was forked meanwhile
            os.close(descriptor)
