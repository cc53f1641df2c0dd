"""Tiles and badges: the adaptive templates, the families before them, and what is none."""

from __future__ import annotations

import pytest

from tocsin.protocol.errors import UnreadableContent
from tocsin.protocol.toasts.tile_content import GLYPHS, TileFace, read_badge, read_tile


def tile(*bindings: str) -> bytes:
    """Write a tile."""
    return f"<tile><visual>{''.join(bindings)}</visual></tile>".encode()


def binding(template: str, inside: str = "<text>hi</text>", fallback: str = "") -> str:
    """Write a binding."""
    second = f' fallback="{fallback}"' if fallback else ""
    return f'<binding template="{template}"{second}>{inside}</binding>'


@pytest.mark.parametrize(
    ("template", "size"),
    [
        ("TileSmall", "Small"),
        ("TileMedium", "Medium"),
        ("TileWide", "Wide"),
        ("TileLarge", "Large"),
        ("TileSquareText02", "Medium"),
        ("TileSquareBlock", "Medium"),
        ("TileWideText03", "Wide"),
        ("TileWideImageAndText01", "Wide"),
        ("TileSquare150x150PeekImageAndText01", "Medium"),
        ("TileSquare310x310BlockAndText01", "Large"),
        ("TileSquare71x71Image", "Small"),
        ("TileWide310x150SmallImageAndText02", "Wide"),
    ],
)
def test_the_families_have_their_sizes(template: str, size: str) -> None:
    """Of the names of before, of those with their pixels, and of the adaptive ones."""
    (face,) = read_tile(tile(binding(template))).faces
    assert face == TileFace(size, template, ("hi",), ())


def test_what_is_not_known_has_another_to_stand_in_for_it() -> None:
    """A versioned visual says which; sizes that are not known are passed over where one is."""
    content = read_tile(
        tile(binding("TileOfTomorrow", fallback="TileSquareText04"), binding("TileNever"), binding("TileWide"))
    )
    assert [(face.size, face.template) for face in content.faces] == [
        ("Medium", "TileOfTomorrow"),
        ("Wide", "TileWide"),
    ]


def test_the_face_that_says_the_most_is_what_a_tile_says() -> None:
    """Texts in the order of their ids, however deep."""
    inside = '<text id="2">two</text><text id="1">one</text>'
    content = read_tile(tile(binding("TileMedium", "<text>short</text>"), binding("TileWideText02", inside)))
    assert content.texts == ("one", "two")
    deep = "<group><subgroup><text>deep</text></subgroup></group><image src='a.png'/>"
    (face,) = read_tile(tile(binding("TileLarge", deep))).faces
    assert (face.texts, [image.source for image in face.images]) == (("deep",), ["a.png"])
    assert read_tile(tile(binding("TileSquareText02", ""))).texts == ()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<toast/>", "a tile begins with <tile>, not with <toast>"),
        (b"<tile/>", "a tile without <visual>"),
        (tile(binding("Other")), "no known template among 'Other': TileMedium is one"),
        (b"", "it is empty"),
    ],
)
def test_what_is_no_tile_is_refused(body: bytes, words: str) -> None:
    """In a sentence."""
    with pytest.raises(UnreadableContent, match=words):
        read_tile(body)


@pytest.mark.parametrize(
    ("value", "number", "shown"),
    [("0", 0, ""), ("1", 1, "1"), ("99", 99, "99"), ("100", 100, "99+"), ("4000000000", 4_000_000_000, "99+")],
)
def test_a_badge_has_a_number(value: str, number: int, shown: str) -> None:
    """Above 99 it says so, and 0 clears it."""
    badge = read_badge(f'<badge version="1" value="{value}"/>'.encode())
    assert (badge.number, badge.glyph, badge.shown) == (number, "", shown)


@pytest.mark.parametrize("glyph", GLYPHS)
def test_or_a_glyph(glyph: str) -> None:
    """Of which one clears it."""
    badge = read_badge(f'<badge value="{glyph}"/>'.encode())
    assert (badge.number, badge.shown) == (None, "" if glyph == "none" else glyph)


@pytest.mark.parametrize("value", ["", "-1", "1.5", "lots", "٣", "NewMessage", "12345678901", " 1"])
def test_anything_else_is_no_badge(value: str) -> None:
    """And it is said what is."""
    with pytest.raises(UnreadableContent, match="a number or one of none, activity, alarm"):
        read_badge(f'<badge value="{value}"/>'.encode())
