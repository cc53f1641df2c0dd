"""Plain words as the XML of a toast, a tile or a badge, for those who push by hand."""

from __future__ import annotations

from tocsin.protocol.errors import InvalidArgument, UnreadableContent
from tocsin.protocol.text import quoted
from tocsin.protocol.toasts.tile_content import GLYPHS, MOST_SHOWN, read_badge
from tocsin.protocol.values import NotificationType
from tocsin.protocol.xml_tree import XmlElement, check_xml_text, parse_xml, write_xml

_BINDINGS = {
    NotificationType.TOAST: ("ToastGeneric",),
    NotificationType.TILE: ("TileMedium", "TileWide"),
}
"""The templates that hold plain texts; each shows all of them."""


def as_content(kind: NotificationType, body: bytes, title: str | None) -> bytes:
    """Return the body that is sent: of a toast, a tile or a badge the XML for plain words, anything else as it is.

    :param title: what stands above the text of a toast or a tile; None where there is nothing.
    :raises InvalidArgument: the title has no place there, or the words are no text that XML can hold, or no badge.
    """
    is_plain = kind is not NotificationType.RAW and not body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
    if title is not None and (kind not in _BINDINGS or not is_plain):
        raise InvalidArgument("a title is for a toast or a tile whose body is plain text, not XML")
    if not is_plain:
        return body
    if not body.strip() and not title:
        raise InvalidArgument(f"the body of a {kind} must not be empty: nothing would be shown")
    try:
        text = body.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise InvalidArgument(f"the body of a {kind} is text or XML, and these bytes are neither") from None
    element = _badge(text) if kind is NotificationType.BADGE else _texts(kind, [title, text] if title else [text])
    return write_xml(element).encode()


def doubt_of(kind: NotificationType, body: bytes) -> str | None:
    """Say of what is sent, and taken by every service, that no device will show it; None where it is XML, or need not be."""
    if kind is NotificationType.RAW:
        return None
    try:
        parse_xml(body)
    except UnreadableContent as wrong:
        return f"no device will show this {kind}, though the service takes it: {wrong}"
    return None


def _texts(kind: NotificationType, texts: list[str]) -> XmlElement:
    children = tuple(XmlElement("text", (), (check_xml_text(text, f"a {kind}"),)) for text in texts if text)
    bindings = tuple(XmlElement("binding", (("template", template),), children) for template in _BINDINGS[kind])
    return XmlElement(str(kind), (), (XmlElement("visual", (), bindings),))


def _badge(value: str) -> XmlElement:
    badge = XmlElement("badge", (("value", value),))
    try:
        read_badge(write_xml(badge).encode())
    except UnreadableContent:
        names = ", ".join(GLYPHS)
        raise InvalidArgument(
            f"a badge is a number (above {MOST_SHOWN} it shows {MOST_SHOWN}+) or one of {names}, not {quoted(value)}"
        ) from None
    return badge
