"""The traceback of an error as text, whatever the error does while it is looked at."""

from __future__ import annotations

import traceback

from tocsin.protocol.text import describe_error, encodable, harmless

MAX_TRACE = 16_000
"""Characters of a traceback at most: its begin and its end, where the words of the error are."""


def trace(error: BaseException) -> str:
    """Return the traceback of an error, ``MAX_TRACE`` characters at most; its words only, where it cannot be had."""
    try:
        text = "".join(traceback.format_exception(error)).strip()
    except BaseException:  # noqa: BLE001  # an error may have notes, a cause or members that fail, or too many of them
        return describe_error(error)
    # Behind the first, each line is indented: an error's text may have lines that look like others of the log.
    text = "\n  ".join(map(harmless, text.split("\n")))
    if len(text) > MAX_TRACE:
        half = MAX_TRACE // 2 - 5
        text = f"{text[:half]}\n[...]\n{text[-half:]}"
    return encodable(text, MAX_TRACE)
