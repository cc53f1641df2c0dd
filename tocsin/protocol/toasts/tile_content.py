"""Tiles and badges: what they show, of the adaptive templates and of the families that came before them."""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

from tocsin.protocol.errors import UnreadableContent
from tocsin.protocol.text import quoted
from tocsin.protocol.toasts.toast_content import ToastImage
from tocsin.protocol.toasts.visual_texts import bindings_of, check_root, images_of, texts_of
from tocsin.protocol.xml_tree import XmlElement, parse_xml, write_xml

GLYPHS: Final = (
    "none",
    "activity",
    "alarm",
    "alert",
    "attention",
    "available",
    "away",
    "busy",
    "error",
    "newMessage",
    "paused",
    "playing",
    "unavailable",
)
"""What a badge may show in place of a number."""

MOST_SHOWN: Final = 99
"""The greatest number that a badge shows; a greater one is shown as ``99+``."""

TILE_LIFETIME: Final = 3 * 24 * 3600.0
"""Seconds that a tile or a badge shows what it does, where its sender has not said how long."""

TILES_OF_APP: Final = 50
"""What tiles of one app show at most, by tile and tag; the oldest goes first."""

_SIZES: Final = ("Small", "Medium", "Wide", "Large")
_LEGACY: Final = {
    "TileSquare150x150": "Medium",
    "TileWide310x150": "Wide",
    "TileSquare310x310": "Large",
    "TileSquare71x71": "Small",
    "TileSquare": "Medium",
    "TileWide": "Wide",
}
"""The families of before the adaptive templates, by what the names of their templates begin with, and their sizes."""

_NUMBER: Final = re.compile(r"\d{1,10}", re.ASCII)


@frozen
class TileFace:
    """What a tile shows in one size: ``Small``, ``Medium``, ``Wide`` or ``Large``."""

    size: str
    template: str
    texts: tuple[str, ...]
    images: tuple[ToastImage, ...]


@frozen
class TileContent:
    """A tile, by its sizes; ``tree`` is the whole of it as it was written."""

    tree: XmlElement
    faces: tuple[TileFace, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts of the face that says the most."""
        return max((face.texts for face in self.faces), key=len)

    def get_xml(self) -> str:
        """Return it as XML, with what is not understood."""
        return write_xml(self.tree)


@frozen
class BadgeContent:
    """A badge: a number, or one of ``GLYPHS``; ``tree`` as in :class:`TileContent`."""

    tree: XmlElement
    number: int | None
    glyph: str = ""

    @property
    def shown(self) -> str:
        """What is shown; empty where the badge is cleared."""
        if self.number is None:
            return "" if self.glyph == "none" else self.glyph
        return "" if self.number == 0 else f"{MOST_SHOWN}+" if self.number > MOST_SHOWN else str(self.number)


def read_tile(body: bytes) -> TileContent:
    """Read a tile.

    :raises UnreadableContent: it is none, or none of its templates is known; the sentence says which are.
    """
    root = parse_xml(body)
    check_root(root, "tile")
    bindings = list(bindings_of(root, "tile"))
    sizes = [(_size_of(each), each) for each in bindings]
    faces = [
        TileFace(size, each.get("template"), texts_of(each), images_of(each))
        for size, each in sizes
        if size is not None
    ]
    if not faces:
        names = ", ".join(quoted(each.get("template")) for each in bindings[: len(_SIZES)])
        raise UnreadableContent(f"no known template among {names}: TileMedium is one, or TileSquare150x150Text01")
    return TileContent(root, tuple(faces))


def _size_of(binding: XmlElement) -> str | None:
    """Return the size of a template, or of the one that stands in for it where it is not known."""
    for template in (binding.get("template"), binding.get("fallback")):
        size = template.removeprefix("Tile")
        if template.startswith("Tile") and size in _SIZES:
            return size
        for beginning, legacy in _LEGACY.items():
            if template.startswith(beginning):
                return legacy
    return None


def read_badge(body: bytes) -> BadgeContent:
    """Read a badge.

    :raises UnreadableContent: it is none, or its value is neither a number nor a glyph.
    """
    root = parse_xml(body)
    check_root(root, "badge")
    value = root.get("value")
    if _NUMBER.fullmatch(value):
        return BadgeContent(root, int(value))
    if value in GLYPHS:
        return BadgeContent(root, None, value)
    raise UnreadableContent(f"the value of a badge is a number or one of {', '.join(GLYPHS)}, not {quoted(value)}")
