"""A Unix socket that only its user may open, and the loop that lets peers in."""

from __future__ import annotations

import logging
import os
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
from anyio.abc import SocketListener, SocketStream, TaskGroup

from tocsin.protocol.errors import PlatformUnavailable
from tocsin.tasks import task_group
from tocsin.transport.agent_socket import fault_of_path

_BACKLOG = 65_536  # peers that wait to be let in; the system may allow fewer
_PAUSE = 1.0  # seconds until the next try, where the system lets no peer in

logger = logging.getLogger(__name__)

Serve = Callable[[SocketStream], Awaitable[None]]


async def is_served(path: Path) -> bool:
    """Tell whether a process listens on a socket."""
    try:
        async with await anyio.connect_unix(path):
            return True
    except OSError:
        return False


@asynccontextmanager
async def serving_unix(
    path: Path, serve: Serve, *, at_once: int, what: str, inherited: socket.socket | None = None
) -> AsyncIterator[Callable[[], None]]:
    """Serve each peer in a task of its own while the block runs; a failure to serve one is logged, and ends no other.

    The block gets a function that removes the socket and lets no further peer in; those that are there are still served.

    A socket that an ended process has left there is replaced; on leaving, the socket is removed if it is still this one.

    :param at_once: peers that are served at a time; others wait their turn.
    :param what: what the peers are, for the log, such as "a command".
    :param inherited: a socket that listens there already; it is used, and only what has made it may remove it.
    :raises PlatformUnavailable: the socket cannot be made.
    """
    listener, remove = await (_listen(path) if inherited is None else _listen_further(inherited))
    async with listener:  # removed before it is closed: the number of its inode is no other's until then
        try:
            async with task_group() as tasks:
                accepting = anyio.CancelScope()

                async def accept() -> None:
                    with accepting:
                        await _let_in(tasks, listener, serve, anyio.Semaphore(at_once), what)

                def let_no_more_in() -> None:
                    accepting.cancel()
                    remove()

                tasks.start_soon(accept)
                yield let_no_more_in
                tasks.cancel_scope.cancel()
        finally:
            remove()


async def _listen(path: Path) -> tuple[SocketListener, Callable[[], None]]:
    """Make the socket; return it with what removes it."""
    try:
        bound = _bind(path)
        made = os.lstat(path)
    except (OSError, AttributeError) as failure:  # a path too long, or a system without such sockets
        why = fault_of_path(path) or failure
        raise PlatformUnavailable(f"{path} cannot be made a socket: {why}") from failure
    listener = await SocketListener.from_socket(bound)

    def remove() -> None:
        with suppress(OSError):  # the path may lead to the socket of another process by now
            if os.path.samestat(os.lstat(path), made):
                os.unlink(path)  # noqa: PTH108  # as above

    return listener, remove


def _bind(path: Path) -> socket.socket:
    """Listen on a path, in place of what an ended process has left there; no other user can connect at any moment.

    It takes no turn of the loop, unlike anyio's: a program has to hear of all that happens to its connection, which is
    being made meanwhile, and a cancellation must not leave the socket behind.
    """
    with suppress(FileNotFoundError, NotADirectoryError):
        if stat.S_ISSOCK(path.stat().st_mode):
            path.unlink()
    bound = socket.socket(socket.AF_UNIX)
    try:
        bound.bind(str(path))
        path.chmod(0o600)
        bound.listen(_BACKLOG)
    except BaseException:
        bound.close()
        raise
    return bound


async def _listen_further(inherited: socket.socket) -> tuple[SocketListener, Callable[[], None]]:
    return await SocketListener.from_socket(inherited), lambda: None


async def _let_in(tasks: TaskGroup, listener: SocketListener, serve: Serve, places: anyio.Semaphore, what: str) -> None:
    refused = False

    async def answer(stream: SocketStream) -> None:
        try:
            async with stream:
                await serve(stream)
        except Exception:
            logger.exception("%s was not served", what)
        finally:
            places.release()

    while True:
        await places.acquire()
        try:
            stream = await listener.accept()
        except anyio.BrokenResourceError as failure:  # such as a system without descriptors
            if not refused:
                logger.warning("%s waits until the system lets it in: %s", what, failure.__cause__)
            refused = True
            places.release()
            await anyio.sleep(_PAUSE)
        else:
            refused = False
            tasks.start_soon(answer, stream)
