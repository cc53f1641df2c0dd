"""The files of a database: private, not reached through links, and known again by what they are.

A name may come to lead elsewhere while a file is open: it was deleted, moved away, or another was put in its place. What
is written then is nowhere afterwards, so the names are looked at after each commit and before anything is acknowledged.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from contextlib import suppress
from errno import ELOOP
from pathlib import Path

from tocsin.protocol.errors import StateUnavailable

LOGS = ("-wal", "-shm")
"""What is added to a database's name for its write-ahead log and for the index of that."""

_SETTLING = 2_500_000_000
"""Nanoseconds that lie between two changes of a folder with different times: no file system counts in longer steps than two seconds."""

_PIECE = 65_536
"""Bytes of zeros that are written at a time."""

_ADVICE = "; put back what was there, or start anew with what is there now"

NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""Flags by which opening a file follows no link, nor waits for the other end of a pipe; 0 where the system has none."""


class Displaced(OSError):
    """A name leads to something else than what is open; the text says which, and what to do."""


class Place:
    """Where a database is: its folder, its file and its log files, each known by device and inode.

    It holds the file open until :meth:`close`, so that no other file can get its inode. SQLite must have closed the file
    by then: with any descriptor that a process closes, all its locks on the file end (POSIX, fcntl).

    :param path: the file, which is made where it is missing (mode 0600).
    :raises StateUnavailable: it is a link, no regular file, or of another user.
    :raises OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path = path.absolute()
        self._logs = tuple(f"{path}{end}" for end in LOGS)
        self._known_logs: list[tuple[str, int, int]] = []
        self._settled: tuple[int, int] | None = None
        self._descriptor = _open(path)
        try:
            folder, file = path.parent.stat(), os.fstat(self._descriptor)
            _check(path, file, folder.st_uid)
            for name in (*self._logs, f"{path}-journal"):
                with suppress(FileNotFoundError):
                    _check(name, os.lstat(name), folder.st_uid)
        except BaseException:
            self.close()
            raise
        self._folder = str(path.parent), folder.st_dev, folder.st_ino
        self._file = str(path), file.st_dev, file.st_ino

    def note_logs(self) -> None:
        """Remember the log files, which SQLite has opened just now.

        :raises OSError: they are not there.
        """
        self._known_logs = [(name, at.st_dev, at.st_ino) for name in self._logs for at in (os.lstat(name),)]

    def check(self) -> None:
        """See that all names lead to what is open; mostly this is one call of the system, of two microseconds.

        A folder whose entries have changed says so by its time of change, once that is so old that no two changes share it.

        :raises Displaced: a name does not.
        """
        folder = self.check_folder()
        change = folder.st_ctime_ns, folder.st_mtime_ns
        if change != self._settled:
            self.check_file()
            self.check_logs()
            self._settled = change if time.time_ns() - max(change) > _SETTLING else None

    def check_folder(self) -> os.stat_result:
        """See that the folder is the one in which the file was opened.

        :raises Displaced: it is not.
        """
        return _look(self._folder, _ADVICE, follow=True)  # it may be reached through a link

    def check_file(self) -> None:
        """See that the name of the file leads to what is open.

        :raises Displaced: it does not.
        """
        _look(self._file, _ADVICE)

    def check_logs(self) -> None:
        """See that the names of the log files lead to what is open.

        :raises Displaced: one does not.
        """
        for log in self._known_logs:
            _look(log)

    def lengthen_log(self, size: int) -> None:
        """Fill the write-ahead log with zeros up to a size in bytes, behind all that it holds; it must not be written meanwhile.

        SQLite takes zeros for the end of a log, and writes over them.

        :raises Displaced: its name leads elsewhere.
        :raises OSError: there is no room for all of it; then it is as long as it was.
        """
        log = self._known_logs[0]
        _look(log)
        descriptor = os.open(log[0], os.O_WRONLY | NO_LINKS)
        try:
            length = os.fstat(descriptor).st_size
            try:
                while (end := os.lseek(descriptor, 0, os.SEEK_END)) < size:
                    os.write(descriptor, bytes(min(_PIECE, size - end)))
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, length)
                raise
        finally:
            os.close(descriptor)

    def remove_logs(self) -> None:
        """Remove the log files, if their names lead to what is open; what they hold must be in the file."""
        for log in self._known_logs:
            with suppress(OSError):  # what was displaced is left to where it is
                _look(log)
                Path(log[0]).unlink()

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


def _open(path: Path) -> int:
    """Open the file, or make it; where the superuser does, it becomes that of the folder's owner, as SQLite does with its logs."""
    try:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | NO_LINKS, 0o600)
        except FileExistsError:
            return os.open(path, os.O_RDWR | NO_LINKS)
    except OSError as failure:
        if failure.errno == ELOOP or path.is_symlink():
            raise StateUnavailable(_linked(path)) from None
        raise
    if sys.platform != "win32" and os.geteuid() == 0:
        folder = path.parent.stat()
        os.fchown(descriptor, folder.st_uid, folder.st_gid)
    return descriptor


def _linked(name: Path | str) -> str:
    return f"{name} is a symbolic link, and nothing is written through one; put the file itself there"


def _check(name: Path | str, file: os.stat_result, folders_owner: int) -> None:
    """Refuse what another program or another user may write under another name, and what is no file."""
    if stat.S_ISLNK(file.st_mode):
        raise StateUnavailable(_linked(name))
    if not stat.S_ISREG(file.st_mode):
        raise StateUnavailable(f"{name} is no regular file; move it away")
    if file.st_nlink > 1:  # under each name SQLite keeps a log of its own, of which the other knows nothing
        raise StateUnavailable(f"{name} has another name, too (a hard link); put a copy in its place")
    if sys.platform != "win32" and file.st_uid not in {os.geteuid(), folders_owner, 0}:
        raise StateUnavailable(f"{name} belongs to another user (id {file.st_uid}), who may change it; move it away")


def _look(known: tuple[str, int, int], advice: str = "", *, follow: bool = False) -> os.stat_result:
    """Return what a name leads to, if that is what it led to before."""
    name, device, inode = known
    try:
        found = os.stat(name, follow_symlinks=follow)  # noqa: PTH116  # after each commit: a path would cost more
    except FileNotFoundError:
        raise Displaced(f"{name} was deleted or moved away while it was in use{advice}") from None
    except OSError as failure:
        raise Displaced(f"{name} cannot be looked at: {failure.strerror or failure}") from None
    if found.st_ino != inode or found.st_dev != device:
        raise Displaced(f"{name} was replaced while it was in use{advice}")
    return found
