"""The body of a notification, from wherever the command line says that it comes."""

from __future__ import annotations

import os
import select
import signal
import sys

from tocsin.cli.terminal import complain
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.text import quoted
from tocsin.protocol.values import MAX_PAYLOAD

_MOST = MAX_PAYLOAD + 1  # bytes that are read: one more shows that it is too much


def read_body(word: str, speaker: str = "tocsin send") -> bytes:
    """Return the bytes that are sent: a text, ``@FILE``, or ``-`` or ``@-`` for standard input; ``@@`` begins a text with one.

    It may wait for a person or a pipe, so it is called outside the event loop, where one Ctrl-C ends it.

    :param speaker: the verb that asks a person for it.
    :raises InvalidArgument: it cannot be read, or has more bytes than a payload may have.
    """
    if word in {"-", "@-"}:
        return _typed(speaker)
    if word.startswith("@") and not word.startswith("@@"):
        return _of_file(word[1:])
    return _encoded(word.removeprefix("@") if word.startswith("@@") else word)


def _typed(speaker: str) -> bytes:
    if sys.stdin is None:
        raise InvalidArgument("there is no standard input to read the payload from: give it as BODY")
    if sys.stdin.isatty():
        ending = "Ctrl-Z and Enter" if sys.platform == "win32" else "Ctrl-D"
        complain(speaker, f"type the payload; {ending} on a line of its own ends it, Ctrl-C gives up")
    try:
        body = sys.stdin.buffer.read(_MOST) if sys.platform == "win32" else _read_interruptibly(sys.stdin.fileno())
    except OSError as failure:
        raise InvalidArgument(f"standard input cannot be read: {failure.strerror or failure}") from failure
    return _bounded(body, "standard input")


def _read_interruptibly(source: int) -> bytes:
    """Read to the end, or as much as shows that it is too much.

    A Ctrl-C that comes between Python's look for signals and the wait of a plain read would be heard with the next line only.
    """
    body = b""
    heard, hear = os.pipe()
    os.set_blocking(hear, False)
    before = signal.set_wakeup_fd(hear)
    try:
        while len(body) < _MOST:
            ready, _, _ = select.select([source, heard], [], [])
            if source not in ready:
                os.read(heard, 64)  # of a signal whose handler has had its turn
                continue
            part = os.read(source, _MOST - len(body))
            if not part:
                break
            body += part
    finally:
        signal.set_wakeup_fd(before)
        os.close(heard)
        os.close(hear)
    return body


def _of_file(name: str) -> bytes:
    try:
        with open(name, "rb") as file:  # noqa: PTH123  # of an empty name a Path makes the folder
            body = file.read(_MOST)
    except (OSError, ValueError) as failure:
        words = getattr(failure, "strerror", None) or failure
        text = f"@@{name}"
        raise InvalidArgument(
            f"the file {quoted(name)} cannot be read: {words}; a text that begins with @ is written {quoted(text)}"
        ) from failure
    return _bounded(body, f"the file {quoted(name)}")


def _bounded(body: bytes, what: str) -> bytes:
    if len(body) > MAX_PAYLOAD:
        raise InvalidArgument(f"{what} has more than the {MAX_PAYLOAD} bytes that a payload may have")
    return body


def _encoded(text: str) -> bytes:
    """Return a body of the command line as it is sent: its text as UTF-8, or the bytes that were no text."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return os.fsencode(text)
