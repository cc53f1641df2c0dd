"""What the user types into the terminal of this process, line by line, without holding up the event loop."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import anyio

MAX_LINE = 4_096
"""Bytes of a line at most; what is longer comes in pieces."""


class TypedLines:
    """Lines from a terminal that is read without waiting."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._begun = bytearray()

    async def read(self) -> str | None:
        """Wait for a line, and return it without its end; None once there is no more, or the terminal is no longer ours."""
        while True:
            line, found, rest = self._begun.partition(b"\n")
            if found or len(line) >= MAX_LINE:
                self._begun = rest
                return line.decode("utf-8", "replace").rstrip("\r")
            await anyio.wait_readable(self._descriptor)
            if not _in_foreground(self._descriptor):  # reading would stop the process (SIGTTIN)
                return None
            try:
                more = os.read(self._descriptor, MAX_LINE)
            except BlockingIOError:  # another process of the terminal was faster
                continue
            except OSError:  # the terminal has gone
                return None
            if not more:
                return None
            self._begun += more


@contextmanager
def typed_lines(source: TextIO | None, output: TextIO | None) -> Iterator[TypedLines | None]:
    """Read what is typed until the block is left; None where there is no terminal on both sides, or it may not be read.

    The terminal is opened once more: whether reads wait is a matter of the open file, which the shell and other programs share.
    """
    descriptor = _open_terminal(source, output)
    if descriptor is None:
        yield None
        return
    try:
        yield TypedLines(descriptor)
    finally:
        os.close(descriptor)


def _open_terminal(source: TextIO | None, output: TextIO | None) -> int | None:
    if sys.platform == "win32" or source is None or output is None:
        return None
    try:
        if not (source.isatty() and output.isatty() and _in_foreground(source.fileno())):
            return None
        return os.open(os.ttyname(source.fileno()), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError):  # closed, without a name here, or of another user
        return None


def _in_foreground(descriptor: int) -> bool:
    """Tell whether what is typed is for this process, and not for the shell that has put it into the background."""
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return False
