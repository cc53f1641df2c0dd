"""A state folder: private to its user, and in use by one process at a time."""

from __future__ import annotations

import logging
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tocsin.persistence.place import NO_LINKS
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.text import harmless

_DYING = 1.0
"""Seconds for which a folder may be locked on behalf of a process that is no more."""

logger = logging.getLogger(__name__)


@contextmanager
def state_folder(path: Path, hint: str = "") -> Iterator[Path]:
    """Make the folder where it is missing (mode 0700), hold it for this process, and give its absolute path.

    The folder may be reached through a link; the superuser may hold one of another user.

    :param hint: what a process that comes second is told of this one, such as how to use it; printable ASCII, 200 characters
        at most.

    :raises StateUnavailable: it cannot be made or written, belongs to another user, may be written by others, or is held
        by another process.
    """
    with ExitStack() as stack:
        try:
            path = path.absolute()
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            stack.enter_context(_hold(path))
        except OSError as failure:
            raise StateUnavailable(_unusable(path, failure)) from failure
        _sign(path, hint)
        try:
            yield path
        finally:
            if _signature(path)[0] == os.getpid():  # else the path leads to the folder of another process by now
                with suppress(OSError):
                    (path / "owner").unlink()


def _unusable(path: Path, failure: OSError) -> str:
    """Say why the system gives no folder there, and what is in the way."""
    why = failure.strerror or str(failure)
    if isinstance(failure, FileExistsError | NotADirectoryError):
        file = next((each for each in (path, *path.parents) if each.is_file()), path)
        why = f"{file} is a file, and no folder"
    elif isinstance(failure, PermissionError):
        who = "this user" if sys.platform == "win32" else f"this user (id {os.geteuid()})"
        why = f"{who} has no right to it ({why})"
    return f"the state folder {path} cannot be used: {why}; give another --state"


if sys.platform == "win32":
    from filelock import FileLock, Timeout

    @contextmanager
    def _hold(path: Path) -> Iterator[None]:
        """Lock a file in the folder: it cannot be deleted while it is open. Who may do what, the system's lists say."""
        lock = FileLock(path / "lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise _in_use(path) from None
        try:
            yield
        finally:
            lock.release()

else:
    import fcntl

    _held: set[int] = (
        set()
    )  # not a state of ours: a process has its descriptors once, and a fork hands down all of them

    def _let_go_in_child() -> None:
        """Close what was inherited: a child that outlives its parent would go on holding the folder."""
        while _held:
            os.close(_held.pop())

    os.register_at_fork(after_in_child=_let_go_in_child)

    @contextmanager
    def _hold(path: Path) -> Iterator[None]:
        """Lock the folder itself: a file in it could be deleted, and another process would lock the next one."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        _held.add(descriptor)
        try:
            _check(path, os.fstat(descriptor))
            _lock(descriptor, path)
            yield
        finally:
            if descriptor in _held:  # in a child it is closed
                _held.discard(descriptor)
                os.close(descriptor)

    def _lock(descriptor: int, path: Path) -> None:
        """Lock a folder.

        A process that is killed while it starts another leaves its lock with that child, until the child is another program.
        """
        patience = time.monotonic() + _DYING
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if holder_of(path) is not None or time.monotonic() >= patience:
                    raise _in_use(path) from None
                time.sleep(0.01)  # flock says when it is free to a caller only that waits without an end
            else:
                return

    def _check(path: Path, folder: os.stat_result) -> None:
        """Refuse a folder in which another user could put files of their own; say it where others may look into it."""
        user = os.geteuid()
        if user not in {folder.st_uid, 0}:
            raise StateUnavailable(
                f"the state folder {path} belongs to another user (id {folder.st_uid}, this is {user});"
                f" give another --state, or change its owner: chown -R {user} {path}"
            )
        mode = stat.S_IMODE(folder.st_mode)
        if mode & 0o022:
            raise StateUnavailable(
                f"the state folder {path} may be written by other users (mode {mode:04o}); chmod 700 {path}"
            )
        if mode & 0o055:
            logger.warning("the state folder %s may be read by other users (mode %04o); chmod 700 %s", path, mode, path)


def holder_of(path: Path) -> int | None:
    """Return the id of the process that uses a state folder, as far as it has left one; None where none does."""
    owner, _ = _signature(path)
    if owner is None:
        return None
    try:
        os.kill(owner, 0)
    except ProcessLookupError:
        return None
    except OSError:  # another user's
        return owner
    return owner


def silent_holder(path: Path) -> str | None:
    """Say which process uses a state folder, and has not answered the command; None where none does."""
    owner = holder_of(path)
    return None if owner is None else f"process {owner} holds {path} and takes no commands; its log may say why"


@contextmanager
def state_folder_at_rest(path: Path) -> Iterator[Path]:
    """Hold a state folder, as :func:`state_folder` does, for a command that nothing there has answered.

    :raises StateUnavailable: as there; where a process holds it, the sentence advises no other folder.
    """
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(state_folder(path))
        except StateUnavailable:
            words = silent_holder(path)
            if words is None:
                raise
            raise StateUnavailable(f"{words}: try again once it has started, or end it") from None
        yield folder


def _in_use(path: Path) -> StateUnavailable:
    owner, hint = _signature(path)
    by = "another process" if owner is None else f"process {owner}"
    advice = hint or "give this one another --state"
    return StateUnavailable(f"the state folder {path} is in use by {by}; {advice}")


def _sign(path: Path, hint: str) -> None:
    """Leave our process id, so that a process that comes second can say which is first; made anew, it follows no link."""
    owner = path / "owner"
    try:
        owner.unlink(missing_ok=True)
        descriptor = os.open(owner, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, f"{os.getpid()} {hint}".strip().encode("ascii"))
        finally:
            os.close(descriptor)
    except OSError as failure:
        raise StateUnavailable(
            f"the state folder {path} cannot be written: {failure.strerror or failure}; give another --state"
        ) from failure


def _signature(path: Path) -> tuple[int | None, str]:
    """Return the process id that was left, if one is to be read, and its hint."""
    try:
        descriptor = os.open(path / "owner", os.O_RDONLY | NO_LINKS)
        try:
            number, _, hint = os.read(descriptor, 256).partition(b" ")
            return int(number), harmless(hint.decode("ascii"), 200)
        finally:
            os.close(descriptor)
    except (OSError, ValueError):
        return None, ""
