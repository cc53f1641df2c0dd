"""What the command shows: every text can be, and none of it reaches a terminal as an order."""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import suppress

from tocsin.protocol.errors import PlatformUnavailable, PushError
from tocsin.protocol.hresult import HResult
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
    _to_errors(f"{speaker}: {harmless(text)}")


def refuse(speaker: str, failure: Exception, *, as_json: bool, sentence: str | None = None) -> None:
    """Say on standard error why what was asked for was not done: in a sentence, or as a JSON object in one line.

    The object is ASCII. ``kind`` is the name of the error's class, ``hresult`` the code that Windows would report.

    :param sentence: says it; by default the failure's own.
    """
    sentence = str(failure) if sentence is None else sentence
    if not as_json:
        complain(speaker, sentence)
        return
    code = failure.hresult if isinstance(failure, PushError) else HResult.E_INVALIDARG
    kind = type(failure).__name__
    _to_errors(
        json.dumps(
            {"event": "error", "command": speaker, "kind": kind, "sentence": sentence, "hresult": f"0x{code:08X}"}
        )
    )


def _to_errors(line: str) -> None:
    if sys.stderr is not None:  # else it would go to standard output
        with suppress(OSError):  # there is no third place to say it
            sys.stderr.write(f"{line}\n")  # at once, so that two processes do not mix


def discard_output() -> None:
    """Throw away what standard output still holds: at its exit Python would complain of it once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
