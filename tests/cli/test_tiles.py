"""``tocsin tiles`` on stores of shells."""

from __future__ import annotations

import json
import time
from pathlib import Path

import anyio
import pytest

from tests.processes import call
from tocsin.persistence.shell_store import ShellChanges, StoredBadge, StoredTile
from tocsin.persistence.sqlite_shell_store import open_sqlite_shell
from tocsin.persistence.sqlite_store import open_sqlite

TILE = b"""<tile><visual>
<binding template="TileMedium"><text>Ann</text></binding>
<binding template="TileWide"><text>Ann</text><text>Lunch?\xf0\x9f\x94\x94</text></binding>
</visual></tile>"""
DAY = 86_400


async def tiles(folder: Path, *arguments: str) -> str:
    """Return what the verb prints of this folder."""
    look = ("tiles", "--state", str(folder), *arguments)
    code, output, errors = await anyio.to_thread.run_sync(call, *look)
    assert (code, errors) == (0, "")
    return output


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """Make the state of a platform whose shell keeps tiles and badges."""
    end = time.time() + 3 * DAY + 60
    past = time.time() - 1
    async with open_sqlite(tmp_path / "platform.db"):
        pass
    async with open_sqlite_shell(tmp_path) as store:
        await store.commit(
            ShellChanges(
                tiles=[
                    StoredTile("mail", "", "", TILE, 1.0, end),
                    StoredTile("mail", "inbox", "t1", b"<tile/>", 1.0, None),
                    StoredTile("old", "", "", TILE, 1.0, past),
                ],
                badges=[
                    StoredBadge("chat\n", b'<badge value="newMessage"/>', 1.0, None),
                    StoredBadge("mail", b'<badge value="100"/>', 1.0, end),
                    StoredBadge("none", b'<badge value="0"/>', 1.0, None),
                ],
            )
        )
    return tmp_path


async def test_what_apps_show_stands_below_one_another(folder: Path) -> None:
    """A tile by the face that says most; what has ended or is cleared is not there, and what cannot be read says why."""
    first, badge, other, tile, named = (await tiles(folder)).splitlines()
    assert first.split() == ["APP", "WHAT", "SHOWS", "ENDS"]
    assert badge.split() == ["chat\\n", "badge", "newMessage", "stays"]
    assert other.split() == ["mail", "badge", "99+", "in", "3", "d"]
    assert tile.startswith("mail  ")
    assert "Ann | Lunch?🔔" in tile
    assert tile.endswith("in 3 d")
    assert "tile inbox #t1" in named
    assert "(cannot be read: a tile without <visual> has nothing to show)" in named


async def test_a_script_gets_every_size(folder: Path) -> None:
    """With moments and numbers as they are, of one app where it is named."""
    badge, tile, named = map(json.loads, (await tiles(folder, "--app", "mail", "--json")).splitlines())
    assert (badge["kind"], badge["number"], badge["glyph"], badge["shows"]) == ("badge", 100, None, "99+")
    assert (tile["kind"], tile["tile"], tile["tag"], tile["set"]) == ("tile", "", "", "1970-01-01T00:00:01+00:00")
    assert [(size["size"], size["texts"]) for size in tile["sizes"]] == [
        ("Medium", ["Ann"]),
        ("Wide", ["Ann", "Lunch?🔔"]),
    ]
    assert (named["tile"], named["tag"], named["ends"]) == ("inbox", "t1", None)
    assert "has nothing to show" in named["fault"]


async def test_no_tile_is_said(tmp_path: Path) -> None:
    """Where there is no shell, and where it keeps none."""
    async with open_sqlite(tmp_path / "platform.db"):
        pass
    assert await tiles(tmp_path) == "No app shows a tile or a badge.\n"
    async with open_sqlite_shell(tmp_path):
        assert await tiles(tmp_path) == "No app shows a tile or a badge.\n"
        assert await tiles(tmp_path, "--json") == ""
