"""The promise of the shell's store: the toasts, tiles and badges that are kept, and the clicks that apps have yet to get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from attrs import frozen

from tocsin.protocol.messages import ToastActivationType

REMEMBERED_SHOWN = 4096
"""How many of the payloads that were shown last are known again when they come once more."""


@frozen
class StoredToast:
    """A toast that is kept; times in seconds since the epoch.

    ``payload`` is the id of the payload that has brought it, empty for an app's own; ``until`` is when it leaves the screen,
    0 where it is not there, None where it stays; ``boot`` is the id of the system's run that it does not outlive, or empty;
    ``daemon`` and ``number`` are the handle of its popup, empty and 0 where it has none.
    """

    id: int
    app: str
    tag: str
    group: str
    payload: str
    content: bytes
    data: tuple[tuple[str, str], ...]
    sequence_number: int
    is_held: bool
    """Whether quiet hours hold it back."""
    shown: float
    until: float | None
    expires: float | None
    boot: str
    daemon: str
    number: int


@frozen
class StoredTile:
    """What a tile shows; ``tile`` is empty for the app's own, times as in :class:`StoredToast`."""

    app: str
    tile: str
    tag: str
    content: bytes
    at: float
    expires: float | None


@frozen
class StoredBadge:
    """The badge of an app; times as in :class:`StoredToast`."""

    app: str
    content: bytes
    at: float
    expires: float | None


@frozen
class StoredActivation:
    """A click that its app has yet to get; ``attempt`` is how often it was handed out, ``at`` in seconds since the epoch."""

    number: int
    app: str
    toast: int
    tag: str
    group: str
    kind: ToastActivationType
    argument: str
    inputs: tuple[tuple[str, str], ...]
    at: float
    attempt: int = 0


@frozen
class ShellChanges:
    """What one commit does, in this order; what is kept replaces what is there of the same id, tile or app."""

    forgotten: Sequence[str] = ()
    """Apps of which nothing is kept any more, but what is changed with this."""
    dropped: Sequence[int] = ()
    """Toasts that are kept no more, by their ids."""
    kept: Sequence[StoredToast] = ()
    shown: Sequence[str] = ()
    """The ids of payloads that were shown."""
    activations: Sequence[StoredActivation] = ()
    tiles: Sequence[StoredTile] = ()
    cleared_tiles: Sequence[tuple[str, str, str]] = ()
    """By app, tile and tag."""
    badges: Sequence[StoredBadge] = ()
    cleared_badges: Sequence[str] = ()
    last_id: int = 0
    """The last number that a toast or a click was given; 0 where that has not changed."""

    def __bool__(self) -> bool:
        toasts = self.dropped, self.kept, self.shown, self.activations
        return any((*toasts, self.tiles, self.cleared_tiles, self.badges, self.cleared_badges, self.forgotten))


@frozen
class ShellState:
    """What was found on start."""

    toasts: Sequence[StoredToast]
    """In the order of their ids."""
    shown: Sequence[str]
    tiles: Sequence[StoredTile]
    badges: Sequence[StoredBadge]
    activations: Sequence[StoredActivation]
    """In the order of their numbers."""
    commands: Mapping[str, bytes]
    """What starts each app, packed."""
    last_id: int


class ClickStore(Protocol):
    """What is kept of clicks: a part of the shell's store."""

    async def note_attempts(self, attempts: Mapping[int, int]) -> None:
        """Keep how often clicks were handed out, by their numbers."""
        ...

    async def drop_activations(self, numbers: Sequence[int]) -> None:
        """Keep these clicks no more; one that is not there is no error."""
        ...

    async def keep_command(self, app: str, command: bytes) -> None:
        """Keep what starts an app, packed; an empty one removes it."""
        ...


class ShellStore(ClickStore, Protocol):
    """What the shell needs; every change is on disk when its call returns.

    A store that cannot be written for now lets its writers wait. All methods raise ``StateUnavailable`` when there is
    nothing to wait for.
    """

    async def load(self) -> ShellState:
        """Return all of it, on start."""
        ...

    async def awaited(self) -> set[str]:
        """Return the apps that have a toast on the screen or held back, or a click that they have yet to get."""
        ...

    async def commit(self, changes: ShellChanges) -> None:
        """Make changes in one transaction: so a click is stored when its toast is gone, and not before."""
        ...
