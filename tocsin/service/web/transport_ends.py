"""The two ends of a connection, as far as its transport knows them, and the end of the transport itself."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

_NO_PROTOCOL: Final = asyncio.BufferedProtocol()  # of a transport that has ended


def remote_address(transport: asyncio.BaseTransport) -> tuple[str, int] | None:
    """Return the address and the port of the peer; None where it has none of these, or has left already."""
    return _pair(transport.get_extra_info("peername"))


def local_address(transport: asyncio.BaseTransport) -> tuple[str, int] | None:
    """Return our address and port; None where there are none."""
    return _pair(transport.get_extra_info("sockname"))


def is_secure(transport: asyncio.BaseTransport) -> bool:
    """Tell whether TLS is spoken."""
    return transport.get_extra_info("sslcontext") is not None


def close(transport: asyncio.Transport) -> None:
    """Close a connection, unless it is closed: asyncio does not abort a TLS connection any more that was closed twice."""
    if not transport.is_closing():
        transport.close()


def release(transport: Any) -> None:
    """Let a transport whose end its protocol has been told of be freed at once, and not when garbage is looked for, which is rare.

    That of TLS keeps methods of its protocol, which knows it; a plain one keeps a method of itself. Of TLS there remains the plain
    one below, which can be found no more: less than 1 KiB, where all of it was 280.
    """
    with contextlib.suppress(
        AttributeError
    ):  # of TLS, and closed twice, as asyncio itself does where a handshake is broken off
        transport.set_protocol(_NO_PROTOCOL)
    with contextlib.suppress(AttributeError):
        transport._read_ready_cb = None  # noqa: SLF001  # asyncio has no other way


def _pair(address: object) -> tuple[str, int] | None:
    return (str(address[0]), int(address[1])) if isinstance(address, tuple) else None
