"""Whose program has connected from this machine, where the system says it: another user's is none of ours.

Linux lists each socket with its user in ``/proc/net``. Elsewhere all programs of this machine count as one's own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final

from starlette.types import Scope

_LISTS: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_ESTABLISHED: Final = " 01 "  # a socket that its program has closed is listed as root's
_ROOT: Final = "0"


def is_of_another_user(scope: Scope) -> bool:
    """Tell whether a connection from this machine is not one that a program of our own user, or of root, has open.

    Of a system that keeps no such list it cannot be told, and is not; of one whose list is hidden from us it is.
    """
    client, server = scope.get("client"), scope.get("server")
    if not client or not server or sys.platform != "linux":
        return False
    known = tuple(
        f" {there} {here}{_ESTABLISHED}" for there, here in zip(_ends(*client[:2]), _ends(*server[:2]), strict=True)
    )
    users = {user for each in _LISTS for user in _users(each, known)}
    return not users or not users <= {_ROOT, str(os.geteuid())}


def _users(sockets: Path, known: tuple[str, ...]) -> Iterable[str]:
    """Give the users of the sockets of a list that have such ends."""
    with suppress(OSError), sockets.open(encoding="ascii") as lines:
        for line in lines:
            if any(ends in line for ends in known):
                yield line.split()[7]


def _ends(host: str, port: int) -> tuple[str, str]:
    """Write an address and port as the system does, as such and as IPv4 within IPv6."""
    address: IPv4Address | IPv6Address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        if mapped is None:
            return _end(address.packed, port), _end(address.packed, port)
        address = mapped
    return _end(address.packed, port), _end(b"\0" * 10 + b"\xff\xff" + address.packed, port)


def _end(packed: bytes, port: int) -> str:
    """Write 32 bits at a time, in the order of this machine's bytes."""
    words = (int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed), 4))
    return "".join(f"{word:08X}" for word in words) + f":{port:04X}"
