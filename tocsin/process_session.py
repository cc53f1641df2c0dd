"""The processes of a session, such as a launched process and all that it has started, as Linux shows them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

CAN_LOOK = sys.platform == "linux"
"""Whether this system shows them."""

_PROCESSES = Path("/proc")


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


def _members(session: int) -> Iterator[Member]:
    for name in os.listdir(_PROCESSES):  # noqa: PTH208  # numbers, and there may be thousands
        if name.isdecimal():
            try:
                status = (_PROCESSES / name / "stat").read_bytes()
            except OSError:  # it has just gone
                continue
            # Behind the name of its program, which may have blanks and brackets: state, parent, group, session.
            _, _, group, leader, *_ = status[status.rindex(b")") + 1 :].split(maxsplit=4)
            if int(leader) == session:
                yield Member(int(name), int(group))


def _resident(pid: int) -> int:
    try:
        pages = (_PROCESSES / str(pid) / "statm").read_bytes().split()[1]
    except (OSError, IndexError):  # it has just gone
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
