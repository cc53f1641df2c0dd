"""Status lines and headers as they go out."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

RawHeaders = list[tuple[bytes, bytes]]

CLOSE: Final = b"connection: close\r\n"
"""What an answer says that is the last one of its connection."""

_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


def status_line(status: int) -> bytes:
    """Return the line that an answer with that status begins with."""
    return _LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def write(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Write headers as they go out, in the spelling that they have."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])
