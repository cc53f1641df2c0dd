"""An app's badge and tiles: what is asked of the shell, and what is refused before it is asked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import trio.testing

from tests.api.shell_port import app_of, done
from tocsin.api.tiles_and_badge import MAX_BADGE, KeptTile
from tocsin.protocol import messages as m
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.hresult import HResult
from tocsin.protocol.values import MAX_TOAST_LABEL, MAX_TOAST_LENGTH

TILE = "<tile><visual><binding template='TileMedium'><text>Hello</text></binding></visual></tile>"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Run on virtual time."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


async def test_tiles_are_set_and_cleared() -> None:
    """The app's own, or one that is named; a tile that is cleared has no content."""
    async with app_of(done) as (manager, port):
        await manager.tiles.update(TILE)
        await manager.tiles.update(TILE.encode(), "inbox", "t")
        await manager.tiles.clear()
        await manager.tiles.clear("inbox")
        assert port.asked == [
            m.SetTile(1, "", "", TILE.encode()),
            m.SetTile(2, "inbox", "t", TILE.encode()),
            m.SetTile(3, "", "", b""),
            m.SetTile(4, "inbox", "", b""),
        ]


async def test_tiles_are_listed() -> None:
    """With the time at which they are cleared, where there is one."""
    rows = (m.TileRow("", "", TILE.encode(), None), m.TileRow("inbox", "t", b"<tile/>", 1.5))

    def answer(message: m.Message) -> m.Message | None:
        return m.TileList(message.request, b"", rows) if isinstance(message, m.AskTiles) else None

    async with app_of(answer) as (manager, _):
        assert await manager.tiles.get() == [
            KeptTile("", "", TILE, None),
            KeptTile("inbox", "t", "<tile/>", datetime.fromtimestamp(1.5, UTC)),
        ]


@pytest.mark.parametrize(
    ("value", "xml"),
    [
        (0, b'<badge value="0"/>'),
        (MAX_BADGE, b'<badge value="2147483647"/>'),
        ("newMessage", b'<badge value="newMessage"/>'),
    ],
)
async def test_a_badge_is_a_number_or_a_glyph(value: int | str, xml: bytes) -> None:
    """It goes as XML; cleared it has none."""
    async with app_of(done) as (manager, port):
        await manager.badge.set(value)
        await manager.badge.clear()
        assert port.asked == [m.SetBadge(1, xml), m.SetBadge(2, b"")]


@pytest.mark.parametrize(
    ("badge", "value"), [(b"", None), (b'<badge value="7"/>', 7), (b'<badge version="1" value="alarm" />', "alarm")]
)
async def test_a_badge_says_what_it_shows(badge: bytes, value: int | str | None) -> None:
    """Whether a push or the app has set it."""

    def answer(message: m.Message) -> m.Message | None:
        return m.TileList(message.request, badge, ()) if isinstance(message, m.AskTiles) else None

    async with app_of(answer) as (manager, _):
        assert await manager.badge.get() == value


@pytest.mark.parametrize("value", [-1, MAX_BADGE + 1, 1.5, True, None, "", "x" * 33, "a b", '"/>', "é", b"alarm"])
async def test_what_is_no_badge_is_refused(value: Any) -> None:
    """Before the shell is asked, with E_INVALIDARG."""
    async with app_of(done) as (manager, port):
        with pytest.raises(InvalidArgument, match="the value of a badge") as refused:
            await manager.badge.set(value)
        assert refused.value.hresult == HResult.E_INVALIDARG
        assert port.asked == []


@pytest.mark.parametrize(
    ("content", "names", "words"),
    [
        ("", (), "content must not be empty"),
        ("x" * (MAX_TOAST_LENGTH + 1), (), "content has at most 5120 characters"),
        (TILE, ("x" * (MAX_TOAST_LABEL + 1),), "a tile has at most 64 printable characters"),
        (TILE, ("a\0",), "a tile has at most 64 printable characters"),
        (TILE, ("", "x" * (MAX_TOAST_LABEL + 1)), "a tag has at most 64 printable characters"),
    ],
)
async def test_what_cannot_be_a_tile_is_refused(content: Any, names: tuple[str, ...], words: str) -> None:
    """Before the shell is asked."""
    async with app_of(done) as (manager, port):
        with pytest.raises(InvalidArgument, match=words):
            await manager.tiles.update(content, *names)
        assert port.asked == []
