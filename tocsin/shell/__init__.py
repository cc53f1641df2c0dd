"""What shows toasts: the desktop over D-Bus, that of macOS and Windows, or a terminal, behind one promise.

:func:`tocsin.embedded` takes any ``desktop`` that keeps the promise :class:`Desktop`; here are the names that it goes by.
"""

from tocsin.protocol.toasts.popup import DEFAULT_KEY, Handle, Popup, PopupButton, PopupInput
from tocsin.shell.desktop import (
    Closed,
    ClosedBy,
    DaemonChanged,
    Desktop,
    DesktopAbsent,
    DesktopError,
    DesktopEvent,
    DesktopFull,
    DesktopRefused,
    DesktopStanding,
    Pressed,
)

__all__ = [
    "DEFAULT_KEY",
    "Closed",
    "ClosedBy",
    "DaemonChanged",
    "Desktop",
    "DesktopAbsent",
    "DesktopError",
    "DesktopEvent",
    "DesktopFull",
    "DesktopRefused",
    "DesktopStanding",
    "Handle",
    "Popup",
    "PopupButton",
    "PopupInput",
    "Pressed",
]
