"""The shell's store in memory: for tests, and for a program that keeps nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anyio.lowlevel import checkpoint
from attrs import evolve

from tocsin.persistence.shell_store import (
    REMEMBERED_SHOWN,
    ShellChanges,
    ShellState,
    StoredActivation,
    StoredBadge,
    StoredTile,
    StoredToast,
)


class MemoryShellStore:
    """Keeps what :class:`tocsin.persistence.shell_store.ShellStore` promises for as long as it lives."""

    def __init__(self) -> None:
        self._toasts: dict[int, StoredToast] = {}
        self._shown: dict[str, None] = {}
        self._tiles: dict[tuple[str, str, str], StoredTile] = {}
        self._badges: dict[str, StoredBadge] = {}
        self._activations: dict[int, StoredActivation] = {}
        self._commands: dict[str, bytes] = {}
        self._last_id = 0

    async def load(self) -> ShellState:
        """Return all of it, on start."""
        await checkpoint()
        return ShellState(
            [self._toasts[id_] for id_ in sorted(self._toasts)],
            list(self._shown),
            [self._tiles[key] for key in sorted(self._tiles)],
            [self._badges[app] for app in sorted(self._badges)],
            [self._activations[number] for number in sorted(self._activations)],
            dict(self._commands),
            self._last_id,
        )

    async def awaited(self) -> set[str]:
        """Return the apps that have a toast on the screen or held back, or a click that they have yet to get."""
        await checkpoint()
        toasts = {each.app for each in self._toasts.values() if each.is_held or each.until != 0}
        return toasts | {each.app for each in self._activations.values()}

    async def commit(self, changes: ShellChanges) -> None:
        """Make changes in one transaction."""
        await checkpoint()
        gone = set(changes.forgotten)
        self._toasts = {id_: each for id_, each in self._toasts.items() if each.app not in gone}
        self._tiles = {key: each for key, each in self._tiles.items() if each.app not in gone}
        self._badges = {app: each for app, each in self._badges.items() if app not in gone}
        self._activations = {number: each for number, each in self._activations.items() if each.app not in gone}
        self._commands = {app: each for app, each in self._commands.items() if app not in gone}
        for id_ in changes.dropped:
            self._toasts.pop(id_, None)
        self._toasts |= {toast.id: toast for toast in changes.kept}
        for payload in changes.shown:
            self._shown.pop(payload, None)
            self._shown[payload] = None
        for payload in list(self._shown)[:-REMEMBERED_SHOWN]:
            del self._shown[payload]
        self._activations |= {each.number: each for each in changes.activations}
        self._tiles |= {(tile.app, tile.tile, tile.tag): tile for tile in changes.tiles}
        for key in changes.cleared_tiles:
            self._tiles.pop(key, None)
        self._badges |= {badge.app: badge for badge in changes.badges}
        for app in changes.cleared_badges:
            self._badges.pop(app, None)
        self._last_id = changes.last_id or self._last_id

    async def note_attempts(self, attempts: Mapping[int, int]) -> None:
        """Keep how often clicks were handed out, by their numbers."""
        await checkpoint()
        for number, attempt in attempts.items():
            if number in self._activations:
                self._activations[number] = evolve(self._activations[number], attempt=attempt)

    async def drop_activations(self, numbers: Sequence[int]) -> None:
        """Keep these clicks no more; one that is not there is no error."""
        await checkpoint()
        for number in numbers:
            self._activations.pop(number, None)

    async def keep_command(self, app: str, command: bytes) -> None:
        """Keep what starts an app, packed; an empty one removes it."""
        await checkpoint()
        if command:
            self._commands[app] = command
        else:
            self._commands.pop(app, None)
