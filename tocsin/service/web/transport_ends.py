"""The two ends of a connection, as far as its transport knows them, and the end of the transport itself."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any


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
    """Let a transport that has been closed be freed at once: asyncio's own has its reader, a method of itself, in a field."""
    with contextlib.suppress(AttributeError):
        transport._read_ready_cb = None  # noqa: SLF001  # else it is there until garbage is looked for, which is rare


def _pair(address: object) -> tuple[str, int] | None:
    return (str(address[0]), int(address[1])) if isinstance(address, tuple) else None
