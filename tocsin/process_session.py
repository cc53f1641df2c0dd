"""Processes as Linux shows them: those of a session, such as a launched process and all that it has started, and since when one runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

CAN_LOOK = sys.platform == "linux"
"""Whether this system shows them."""

_PROCESSES = Path("/proc")
_GROUP, _SESSION, _BEGAN = 2, 3, 19  # where they are behind the name, from 0


@frozen
class Member:
    """A process of a session, and its group."""

    pid: int
    group: int


def members(session: int) -> list[Member]:
    """Return the processes of a session, those included that have ended and were not taken leave of; none where they are not shown."""
    return list(_members(session)) if CAN_LOOK else []


def memory_of(session: int) -> int:
    """Return how many bytes of memory the processes of a session have; what they share counts for each of them."""
    return sum(map(_resident, (member.pid for member in members(session))))


def began(pid: int) -> int:
    """Return in which tick since the boot a process began, which tells it from a later one of its number; 0 where that is not shown."""
    try:
        return int(_fields(pid)[_BEGAN]) if CAN_LOOK else 0
    except OSError:
        return 0


def _members(session: int) -> Iterator[Member]:
    for name in os.listdir(_PROCESSES):  # noqa: PTH208  # numbers, and there may be thousands
        if name.isdecimal():
            try:
                fields = _fields(int(name))
            except OSError:  # it has just gone
                continue
            if int(fields[_SESSION]) == session:
                yield Member(int(name), int(fields[_GROUP]))


def _fields(pid: int) -> list[bytes]:
    """Return what is said of a process behind the name of its program, which may have blanks and brackets.

    :raises OSError: there is none.
    """
    status = (_PROCESSES / str(pid) / "stat").read_bytes()
    return status[status.rindex(b")") + 1 :].split()


def _resident(pid: int) -> int:
    try:
        pages = (_PROCESSES / str(pid) / "statm").read_bytes().split()[1]
    except (OSError, IndexError):  # it has just gone
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
