"""Which links of toasts the desktop opens: those of the web and of mail. All others activate the app that the toast is of."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from tocsin.protocol.messages import ToastActivationType

OPENED_BY_DESKTOP: Final = frozenset({"http", "https", "mailto"})
"""Schemes of links that the desktop has a program for, whatever the app; ``file`` and what runs programs is not among them."""

MAX_LINK: Final = 2048
"""Characters of a link that is opened at most: some systems take no longer one."""

_LINK: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):[\x21-\x7e]+")
"""A scheme and printable ASCII, as RFC 3986 has it; a link that begins so is no option of any program."""


def is_for_desktop(kind: ToastActivationType, argument: str) -> bool:
    """Tell whether a click is a link that the desktop is to open."""
    link = _LINK.fullmatch(argument) if kind == ToastActivationType.PROTOCOL else None
    if link is None or len(argument) > MAX_LINK or (scheme := link["scheme"].lower()) not in OPENED_BY_DESKTOP:
        return False
    # Some mail programs would attach a file of the user's.
    return scheme != "mailto" or "attach" not in unquote(argument).lower()
