"""What a binding shows: its texts and its pictures, of the generic templates and of those that came before them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from tocsin.protocol.errors import UnreadableContent
from tocsin.protocol.text import quoted
from tocsin.protocol.toasts.toast_content import ToastImage
from tocsin.protocol.xml_tree import XmlElement

LEGACY_TOASTS: Final = {
    f"Toast{kind}{number:02}": number for kind in ("Text", "ImageAndText") for number in range(1, 5)
}
"""The templates of before ToastGeneric, with their layouts: 01 is one text, 02 and 03 a title and a text, 04 a title and two."""

LEGACY_TEXTS: Final = {1: 1, 2: 2, 3: 2, 4: 3}
"""How many texts each layout has."""

_PLACE: Final = re.compile("[1-9][0-9]?")


def texts_of(binding: XmlElement) -> tuple[str, ...]:
    """Return the texts of a binding in the order in which they are shown; those of a legacy template by their ids."""
    found = list(binding.find("text"))
    legacy = LEGACY_TOASTS.get(binding.get("template"))
    numbered = [text for text in found if _PLACE.fullmatch(text.get("id"))]
    if numbered and len(numbered) == len(found):
        found.sort(key=lambda text: int(text.get("id")))
    if legacy is not None:
        found = found[: LEGACY_TEXTS[legacy]]
    return tuple(text.text.strip() for text in found if text.get("placement") != "attribution")


def images_of(binding: XmlElement) -> tuple[ToastImage, ...]:
    """Return the pictures of a binding that have a source."""
    images = (ToastImage(each.get("src"), each.get("alt"), each.get("placement")) for each in binding.find("image"))
    return tuple(image for image in images if image.source)


def bindings_of(root: XmlElement, what: str) -> Iterator[XmlElement]:
    """Return the bindings of a toast or a tile.

    :raises UnreadableContent: it has none.
    """
    visual = root.first("visual")
    bindings = () if visual is None else tuple(visual.elements("binding"))
    if not bindings:
        missing = "<visual>" if visual is None else "<binding> in its <visual>"
        raise UnreadableContent(f"a {what} without {missing} has nothing to show")
    return iter(bindings)


def check_root(root: XmlElement, name: str) -> None:
    """See that a document is what it was sent as.

    :raises UnreadableContent: its root is another element.
    """
    if root.name != name:
        raise UnreadableContent(f"a {name} begins with <{name}>, not with <{quoted(root.name)[1:-1]}>")


def chosen(bindings: Iterable[XmlElement], template: str) -> XmlElement:
    """Return the binding with this template, else the first."""
    listed = list(bindings)
    return next((each for each in listed if each.get("template") == template), listed[0])
