"""The head of an HTTP/1 answer, read as far as it came: enough to judge what answers where another protocol was asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from attrs import frozen

MAX_HEAD: Final = 64 * 1024
"""Bytes of a head that are looked at."""

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[0-9] ([1-9][0-9]{2})(?: .*)?", re.DOTALL)


@frozen
class AnswerHead:
    """A status and the headers behind it, names lower-cased; of one that came several times the first."""

    status: int
    headers: Mapping[str, str]


def read_head(data: bytes | bytearray) -> AnswerHead | None:
    """Read what begins as an answer of HTTP/1.0 or 1.1; None where it begins otherwise, or its first line is not whole.

    A line that is no header is passed over, and so is the last one until its end has come.
    """
    first, *lines = [line.removesuffix(b"\r") for line in bytes(data[:MAX_HEAD]).split(b"\n")]
    status = _STATUS_LINE.fullmatch(first)
    if status is None or not lines:
        return None
    headers: dict[str, str] = {}
    for line in lines[:-1]:
        if not line:
            break
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            headers.setdefault(name.lower(), value.strip())
    return AnswerHead(int(status[1]), headers)
