"""The two ends of a connection, as far as its transport knows them."""

from __future__ import annotations

import asyncio


def remote_address(transport: asyncio.BaseTransport) -> tuple[str, int] | None:
    """Return the address and the port of the peer; None where it has none of these, or has left already."""
    return _pair(transport.get_extra_info("peername"))


def local_address(transport: asyncio.BaseTransport) -> tuple[str, int] | None:
    """Return our address and port; None where there are none."""
    return _pair(transport.get_extra_info("sockname"))


def is_secure(transport: asyncio.BaseTransport) -> bool:
    """Tell whether TLS is spoken."""
    return transport.get_extra_info("sslcontext") is not None


def _pair(address: object) -> tuple[str, int] | None:
    return (str(address[0]), int(address[1])) if isinstance(address, tuple) else None
