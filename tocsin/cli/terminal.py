"""What the command shows: every text can be, and none of it reaches a terminal as an order."""

from __future__ import annotations

import io
import os
import sys

from tocsin.protocol.errors import PlatformUnavailable


def open_streams() -> None:
    """Let the streams of the process show any text: what their encoding lacks is shown as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a test has others, and a process may have none
            stream.reconfigure(errors="backslashreplace")


def harmless(text: object) -> str:
    """Return a text from outside as one line: what is not printable is shown as an escape.

    So neither control sequences nor marks that turn the direction of writing reach the terminal.
    """
    shown = str(text)
    return shown if shown.isprintable() else "".join(map(_escaped, shown))


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


def show(text: str) -> None:
    """Print to standard output at once; a text that is not ours has gone through :func:`harmless`.

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
    print(f"{speaker}: {harmless(text)}", file=sys.stderr)


def discard_output() -> None:
    """Throw away what standard output still holds: at its exit Python would complain of it once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
