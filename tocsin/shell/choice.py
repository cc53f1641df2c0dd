"""Which desktop this system has."""

from __future__ import annotations

import sys

from tocsin.shell.desktop import Desktop
from tocsin.shell.freedesktop import FreedesktopDesktop
from tocsin.shell.native import NativeDesktop


def default_desktop() -> Desktop:
    """Return the desktop of this system; what it needs is loaded, and looked for, when the first toast is to be shown."""
    return NativeDesktop() if sys.platform in {"darwin", "win32"} else FreedesktopDesktop()
