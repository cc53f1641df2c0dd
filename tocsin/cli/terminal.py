"""What the command shows: every text can be, and none of it reaches a terminal as an order."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress

from tocsin.protocol.errors import PlatformUnavailable
from tocsin.protocol.text import harmless


def open_streams() -> None:
    """Let the streams of the process show any text: what their encoding lacks is shown as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a test has others, and a process may have none
            stream.reconfigure(errors="backslashreplace")


def show(text: str) -> None:
    """Print to standard output at once; a text that is not ours has gone through ``harmless``.

    :raises BrokenPipeError: the reader has left.
    :raises PlatformUnavailable: it cannot be written, such as to a full disk.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as failure:
        discard_output()
        raise PlatformUnavailable(f"the output cannot be written: {failure.strerror or failure}") from failure


def complain(speaker: str, text: object) -> None:
    """Print a sentence to standard error, in the name of the command or of one of its verbs."""
    if sys.stderr is not None:  # else it would go to standard output
        with suppress(OSError):  # there is no third place to say it
            sys.stderr.write(f"{speaker}: {harmless(text)}\n")  # at once, so that two processes do not mix


def discard_output() -> None:
    """Throw away what standard output still holds: at its exit Python would complain of it once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
