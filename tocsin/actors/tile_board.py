"""The tiles and badges of all apps: state that is kept and listed, a part of the shell."""

from __future__ import annotations

from tocsin.actors.clock import LoopClock
from tocsin.actors.shell_answers import ShellAnswers
from tocsin.persistence.shell_store import ShellState, StoredBadge, StoredTile
from tocsin.protocol import messages as m
from tocsin.protocol.toasts.tile_content import TILE_LIFETIME, TILES_OF_APP, read_badge, read_tile
from tocsin.protocol.toasts.toast_rules import is_over


class TileBoard:
    """What each tile and each badge shows; what has expired shows nothing."""

    def __init__(self, clock: LoopClock, answers: ShellAnswers) -> None:
        self._clock, self._answers = clock, answers
        self._tiles: dict[tuple[str, str, str], StoredTile] = {}
        self._badges: dict[str, StoredBadge] = {}

    def restore(self, state: ShellState) -> None:
        """Go on with what is in the store."""
        self._tiles = {(each.app, each.tile, each.tag): each for each in state.tiles}
        self._badges = {each.app: each for each in state.badges}

    def set_tile(self, app: str, tile: str, tag: str, content: bytes, expires: float | None = None) -> None:
        """Let a tile of an app show something, in the place of what has the same tag.

        :param expires: in seconds since the epoch; None: it is shown for three days.
        :raises UnreadableContent: it is no tile.
        """
        read_tile(content)
        now = self._clock.wall()
        stored = StoredTile(app, tile, tag, content, now, now + TILE_LIFETIME if expires is None else expires)
        self._tiles.pop((app, tile, tag), None)
        self._tiles[app, tile, tag] = stored
        self._answers.set_tile(app, tile, tag, stored)
        mine = [key for key in self._tiles if key[0] == app]
        for key in mine[:-TILES_OF_APP]:
            self._drop(key)

    def clear_tile(self, app: str, tile: str) -> None:
        """Let a tile show nothing."""
        for key in [key for key in self._tiles if key[:2] == (app, tile)]:
            self._drop(key)

    def set_badge(self, app: str, content: bytes, expires: float | None = None) -> None:
        """Set the badge of an app; one that shows nothing clears it.

        :param expires: as for :meth:`set_tile`.
        :raises UnreadableContent: it is no badge.
        """
        if not read_badge(content).shown:
            self.clear_badge(app)
            return
        now = self._clock.wall()
        stored = StoredBadge(app, content, now, now + TILE_LIFETIME if expires is None else expires)
        self._badges[app] = stored
        self._answers.set_badge(app, stored)

    def clear_badge(self, app: str) -> None:
        """Let an app have no badge."""
        self._badges.pop(app, None)
        self._answers.set_badge(app, None)

    def listed(self, app: str, request: int) -> m.TileList:
        """Return what an app's badge and tiles show now, the newest of a tile first."""
        now = self._clock.wall()
        badge = self._badges.get(app)
        rows = [
            m.TileRow(each.tile, each.tag, each.content, each.expires)
            for each in reversed(self._tiles.values())
            if each.app == app and not is_over(each.expires, now)
        ]
        return m.TileList(request, b"" if badge is None or is_over(badge.expires, now) else badge.content, tuple(rows))

    def forget(self, app: str) -> None:
        """Let an app that was removed have none."""
        self._badges.pop(app, None)
        self._tiles = {key: each for key, each in self._tiles.items() if each.app != app}

    def _drop(self, key: tuple[str, str, str]) -> None:
        del self._tiles[key]
        self._answers.set_tile(*key, None)
