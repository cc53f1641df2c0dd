"""The socket that the service listens on, and the port that it keeps over restarts."""

from __future__ import annotations

import errno
import socket
import sys

import anyio

from tocsin.protocol.errors import PlatformUnavailable
from tocsin.protocol.text import quoted

_BACKLOG = 2_048  # connections that the system accepts ahead of us


class PortInUse(PlatformUnavailable):
    """Another socket listens on that port."""


async def listen(host: str, port: int, remembered: int | None) -> socket.socket:
    """Listen on the port; with port 0 on the remembered one if it is free, else on any.

    :raises PortInUse: an explicit port is taken.
    :raises PlatformUnavailable: the host is not ours, or the system refuses for another reason.
    """
    if port == 0 and remembered is not None:
        try:
            return await _listen(host, remembered)
        except PortInUse:
            pass  # the caller compares the port, and tells
    return await _listen(host, port)


async def _listen(host: str, port: int) -> socket.socket:
    try:
        addresses = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as failure:
        why = getattr(failure, "strerror", None) or "it cannot be the name of a host"
        raise PlatformUnavailable(f"{quoted(host)} is not an address or name of this machine: {why}") from failure
    family, kind, protocol, _, address = addresses[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if sys.platform == "win32":  # where the other option would let two programs share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:  # so that a restarted service has its port back at once
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)  # now, because two sockets may bind the same port as long as neither listens
    except OSError as failure:
        listener.close()
        if failure.errno == errno.EADDRINUSE:
            raise PortInUse(f"port {port} on {host} is in use by another program; choose another port") from failure
        raise PlatformUnavailable(f"cannot listen on port {port} of {host}: {failure.strerror or failure}") from failure
    listener.setblocking(False)  # noqa: FBT003 - the socket's own signature
    return listener


def url_of(host: str, port: int, *, secure: bool = False) -> str:
    """Return the URL under which a service on that host and port is reached from the same machine."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - to avoid it
    scheme = "https" if secure else "http"
    return f"{scheme}://[{reachable}]:{port}" if ":" in reachable else f"{scheme}://{reachable}:{port}"
