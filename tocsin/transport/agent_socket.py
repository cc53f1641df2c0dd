"""Where the agent of a user listens, and who is at the other end of its socket."""

from __future__ import annotations

import os
import shlex
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path

from tocsin.protocol.errors import NotSupported

VARIABLE = "TOCSIN_SOCKET"
"""The environment variable that names the socket; the agent sets it in what it launches."""

MAX_PATH = 107 if sys.platform == "linux" else 103
"""Bytes of the path of a Unix socket at most."""

_LINUX_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
_BSD_CREDENTIALS = struct.Struct("Ii")  # version, uid, and then the groups
_SOL_LOCAL, _LOCAL_PEERCRED = 0, 1


def default_socket() -> Path:
    """Return the socket that ``TOCSIN_SOCKET`` names, or that in the user's runtime folder.

    Where a login has made no such folder (``XDG_RUNTIME_DIR``), or one that others may open, it is in the folder for the
    user's state, which is as private.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if sys.platform != "darwin" and _is_private(runtime):
        return Path(runtime) / "tocsin" / "agent.sock"
    from platformdirs import user_runtime_path, user_state_path  # noqa: PLC0415  # a launched process has the variable

    return (user_runtime_path if sys.platform == "darwin" else user_state_path)("tocsin") / "agent.sock"


def _is_private(folder: str) -> bool:
    """Tell whether a folder is what the XDG Base Directory Specification wants of a runtime folder: this user's, and closed to others."""
    try:
        found = Path(folder).stat()
    except OSError:
        return False
    return folder.startswith("/") and found.st_uid == os.getuid() and not found.st_mode & 0o077


def unit_folder() -> Path:
    """Return the folder of the units that the user has written for systemd."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")) / "systemd" / "user"  # noqa: PTH111  # Path.expanduser fails where there is no home


def starting_command(path: Path) -> str:
    """Return the command that starts an agent on a socket."""
    from tocsin.protocol.platform.agent_units import SOCKET_UNIT, listens_on  # noqa: PLC0415  # an app that finds its agent does not pay for it

    with suppress(OSError, UnicodeDecodeError):
        unit = (unit_folder() / SOCKET_UNIT).read_text(encoding="utf-8")
        if listens_on(unit, str(path), os.environ.get("XDG_RUNTIME_DIR", "")):
            return f"systemctl --user start {SOCKET_UNIT}"
    return "tocsin agent" if path == default_socket() else f"tocsin agent --socket {shlex.quote(str(path))}"


def fault_of_path(path: Path) -> str:
    """Say why no agent can listen on a path; empty where one can."""
    if len(os.fsencode(path)) > MAX_PATH:
        return f"the path of a socket has {MAX_PATH} bytes at most"
    try:
        return "" if path.is_socket() or not path.exists() else "something else than a socket is there"
    except OSError:
        return ""


def check_same_user(connected: socket.socket, what: str) -> None:
    """See that the process at the other end is one of this user, or of the superuser.

    :param what: the process, for the sentence.
    :raises NotSupported: it is another user's: it is neither told anything nor believed.
    """
    uid = peer_uid(connected)
    if uid is not None and uid not in {os.getuid(), 0}:
        raise NotSupported(
            f"{what} is of the user with the id {uid}, and this process of that with the id {os.getuid()}"
        )


def peer_pid(connected: socket.socket) -> int | None:
    """Return the number of the process that has connected; None where the system does not tell, or it has gone."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    try:
        found = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _LINUX_CREDENTIALS.size)
    except OSError:
        return None
    return int(_LINUX_CREDENTIALS.unpack(found)[0])


def peer_uid(connected: socket.socket) -> int | None:
    """Return the user id of the process that has connected, as the system knows it; None where the system cannot tell.

    :raises OSError: the peer has gone.
    """
    if hasattr(socket, "SO_PEERCRED"):
        found = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _LINUX_CREDENTIALS.size)
        return int(_LINUX_CREDENTIALS.unpack(found)[1])
    if sys.platform == "darwin" or "bsd" in sys.platform:
        found = connected.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, 76)
        return int(_BSD_CREDENTIALS.unpack_from(found)[1])
    return None
