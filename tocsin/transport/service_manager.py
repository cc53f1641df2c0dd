"""The service manager that has started this process: takes the socket that it passes, and tells it how the process does.

Its rules are in ``tocsin.protocol.platform.service_manager``.
"""

from __future__ import annotations

import logging
import os
import socket
import stat
from collections.abc import MutableMapping
from typing import Self

from attrs import define

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.platform.service_manager import (
    VARIABLES,
    choose_socket,
    notify_address,
    passed_sockets,
    watchdog_interval,
)
from tocsin.protocol.text import quoted

_PATIENCE = 0.5  # seconds that a full socket of the manager may hold this process up

logger = logging.getLogger(__name__)


@define
class ServiceManager:
    """What has started this process; one that was started by hand has a manager that passes and hears nothing."""

    inherited: socket.socket | None = None
    """The socket that it listens on, for apps; None where it passes none."""
    watchdog: float | None = None
    """Seconds within which it must hear :meth:`tell_alive`; None where it does not wait for that."""
    _address: str | None = None
    _is_deaf: bool = False

    @classmethod
    def take(cls, environment: MutableMapping[str, str]) -> ServiceManager:
        """Take what it has passed out of the environment, so that no process that is started here finds it.

        :raises InvalidArgument: it cannot be used; the text says what would be right.
        """
        variables = {name: environment.pop(name) for name in VARIABLES if name in environment}
        pid = os.getpid()
        passed = passed_sockets(variables, pid)
        for descriptor in passed:
            _keep_from_children(descriptor)
        inherited = None
        if passed:
            chosen = choose_socket(passed)
            inherited = _socket_of(chosen, passed[chosen])
            for other in passed.keys() - {chosen}:
                os.close(other)
        return cls(inherited, watchdog_interval(variables, pid), notify_address(variables))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.inherited is not None:
            self.inherited.close()

    def tell_ready(self, status: str) -> None:
        """Tell it that the process serves, and in a line what it does."""
        self._tell(f"READY=1\nSTATUS={status}")

    def tell_stopping(self) -> None:
        """Tell it that the process is about to end."""
        self._tell("STOPPING=1")

    def tell_alive(self) -> None:
        """Tell it that the process is well."""
        self._tell("WATCHDOG=1")

    def _tell(self, text: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(_PATIENCE)
                sender.sendto(text.encode("utf-8", "backslashreplace"), self._address)
        except OSError as failure:
            if not self._is_deaf:
                logger.warning("the service manager does not hear this process: %s", failure)
            self._is_deaf = True
        else:
            self._is_deaf = False


def _keep_from_children(descriptor: int) -> None:
    try:
        os.set_inheritable(descriptor, False)  # noqa: FBT003  # the system's own signature
    except OSError:
        raise InvalidArgument(f"LISTEN_FDS passes descriptor {descriptor}, which is not open") from None


def _socket_of(descriptor: int, name: str) -> socket.socket:
    """Return the socket of a descriptor, which has to be one that apps of this user can connect to, and no others."""
    what = f"descriptor {descriptor}, passed as {quoted(name)}, is"
    try:
        passed = socket.socket(fileno=descriptor)
    except OSError:
        raise InvalidArgument(f"{what} no socket; the agent needs one of the kind ListenStream=PATH") from None
    try:
        if passed.family != socket.AF_UNIX or passed.type != socket.SOCK_STREAM:
            kind = f"{_word(passed.family)}, {_word(passed.type)}"
            raise InvalidArgument(f"{what} a socket of another kind ({kind}); the agent needs ListenStream=PATH")  # noqa: TRY301  # to close it in one place
        if not _listens(passed):
            raise InvalidArgument(f"{what} a socket that does not listen, such as one connection (Accept=no is right)")  # noqa: TRY301  # as above
        _check_private(passed.getsockname(), what)
        passed.setblocking(False)  # noqa: FBT003  # the socket's own signature
    except BaseException:
        passed.close()
        raise
    return passed


def _listens(passed: socket.socket) -> bool:
    try:
        return bool(passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:  # a system that cannot tell: it will when the first app is to be let in
        return True


def _check_private(path: str | bytes, what: str) -> None:
    """See that only this user can connect.

    :raises InvalidArgument: the socket has no path, or others may open it.
    """
    if isinstance(path, bytes) or not path:
        raise InvalidArgument(f"{what} a socket without a path, which every user can reach; ListenStream=PATH is right")
    try:
        found = os.lstat(path)
    except OSError as failure:
        raise InvalidArgument(f"{what} a socket that apps cannot reach: {path}: {failure.strerror}") from None
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.getuid():
        raise InvalidArgument(f"{what} a socket of another user, or one that another file has replaced: {path}")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):  # who connects to it has to be allowed to write
        mode = stat.S_IMODE(found.st_mode)
        raise InvalidArgument(f"{what} a socket that other users may open ({path} has mode {mode:04o}); 0600 is right")


def _word(kind: object) -> str:
    """Return the system's name of a family or type."""
    return str(getattr(kind, "name", kind))
