"""The promise of a desktop: it shows popups, takes them down, and tells of clicks.

It keeps no rule: which toasts there are, how long they are shown and what a click means is decided by its caller.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol, runtime_checkable

from attrs import frozen

from tocsin.protocol.toasts.popup import Handle, Popup


class DesktopError(Exception):
    """The desktop does not show a popup; never seen by an app."""


class DesktopAbsent(DesktopError):
    """No desktop is there that could show anything, or it did not answer; the sentence says which is missing."""


class DesktopFull(DesktopError):
    """The desktop shows as many popups as it may."""


class DesktopRefused(DesktopError):
    """The desktop will not show this one; the sentence has its reason."""


class ClosedBy(Enum):
    """Why a popup has gone, as the desktop says it: a hint, no more."""

    EXPIRED = auto()
    USER = auto()
    CALLER = auto()
    UNKNOWN = auto()


@frozen
class Pressed:
    """A popup was clicked: ``key`` is that of a button, or ``DEFAULT_KEY``; ``inputs`` what the user has typed or chosen."""

    handle: Handle
    key: str
    inputs: tuple[tuple[str, str], ...] = ()


@frozen
class Closed:
    """A popup has gone from the screen."""

    handle: Handle
    by: ClosedBy


@frozen
class DaemonChanged:
    """Another daemon is there, or none, where ``daemon`` is empty: all handles of before are void.

    One that is there follows upon none, also where the next has taken the place of the one before.
    """

    daemon: str


DesktopEvent = Pressed | Closed | DaemonChanged


@frozen
class DesktopStanding:
    """What is known of the desktop; empty and False where nothing is yet."""

    name: str = ""
    version: str = ""
    daemon: str = ""
    actions: bool = False
    """Whether it can have buttons."""
    one_at_a_time: bool = False
    """Whether it shows one popup and lets the others wait, so that ordinary ones have to make room for an urgent one."""
    keeps: bool = False
    """Whether it shows a toast until the user is done with it, as a terminal does: its time is never over."""
    fault: str = ""
    """Why there is none, in a sentence."""


@runtime_checkable
class Desktop(Protocol):
    """A desktop; safe to use from one event loop, by one caller at a time or several."""

    @property
    def standing(self) -> DesktopStanding:
        """What is known of it now."""
        ...

    async def run(self) -> None:
        """Hold what it needs, for as long as this runs; it ends by cancellation only. Nothing is connected before it is needed."""
        ...

    async def show(self, popup: Popup, replaces: Handle | None = None) -> Handle:
        """Show a popup, in the place of another one where that is given and this very daemon gave its number.

        :raises DesktopAbsent: there is no desktop, or it did not answer in time (5 s).
        :raises DesktopFull: it shows as many as it may.
        :raises DesktopRefused: it will not show this one.
        """
        ...

    async def close(self, handle: Handle) -> None:
        """Take a popup down; one that is gone already, or is of another daemon, is no error."""
        ...

    async def events(self) -> list[DesktopEvent]:
        """Wait for events, and return those that are there, in their order."""
        ...
