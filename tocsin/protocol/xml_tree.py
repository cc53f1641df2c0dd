"""XML as a small tree: read within bounds by expat of the standard library, and written so that it is read as the same tree.

Comments and processing instructions are left out. A document type is refused, and with it every entity that is not XML's own.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Final
from xml.parsers import expat

from attrs import Factory, define, frozen

from tocsin.protocol.errors import UnreadableContent
from tocsin.protocol.text import quoted

MAX_BYTES: Final = 65_536
"""Bytes of a document at most."""
MAX_DEPTH: Final = 32
"""Elements inside each other at most."""
MAX_ELEMENTS: Final = 1_000
MAX_ATTRIBUTES: Final = 64
"""Attributes of one element at most."""

_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_IN_TEXT: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_IN_ATTRIBUTE: Final = _IN_TEXT | str.maketrans({'"': "&quot;", "\n": "&#10;", "\t": "&#9;"})


class CDataText(str):
    """A text with many marks of XML in it, such as XML itself: it is written in a CDATA section, and read as any other text."""

    __slots__ = ()


@frozen
class XmlElement:
    """An element: its name, its attributes in order, and what is in it: texts, of which no two follow each other, and elements."""

    name: str
    attributes: tuple[tuple[str, str], ...] = ()
    children: tuple[XmlElement | str, ...] = ()

    def get(self, attribute: str, default: str = "") -> str:
        """Return the value of an attribute."""
        return next((value for name, value in self.attributes if name == attribute), default)

    def has(self, attribute: str) -> bool:
        """Tell whether it has an attribute."""
        return any(name == attribute for name, _ in self.attributes)

    def elements(self, *names: str) -> Iterator[XmlElement]:
        """Return the elements in it, of these names where any are given."""
        for child in self.children:
            if isinstance(child, XmlElement) and (not names or child.name in names):
                yield child

    def find(self, *names: str) -> Iterator[XmlElement]:
        """Return all elements of these names in it, however deep, in the order of the document."""
        for child in self.elements():
            if child.name in names:
                yield child
            yield from child.find(*names)

    def first(self, name: str) -> XmlElement | None:
        """Return the first element of this name in it; None where there is none."""
        return next(self.elements(name), None)

    @property
    def text(self) -> str:
        """The text in it, without that of elements in it."""
        return "".join(child for child in self.children if isinstance(child, str))


@define
class _Open:
    """An element that is not closed yet."""

    name: str
    attributes: tuple[tuple[str, str], ...]
    children: list[XmlElement | str] = Factory(list)


class _Reader:
    """Builds the tree, and refuses what goes beyond the bounds."""

    def __init__(self, encoding: str | None, max_elements: int) -> None:
        self.root: XmlElement | None = None
        self._max_elements = max_elements
        self._open: list[_Open] = []
        self._count = 0
        self.parser = parser = expat.ParserCreate(encoding)
        parser.ordered_attributes = True
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._refuse_doctype

    def refuse(self, why: str) -> UnreadableContent:
        """Build the error that says where something is wrong."""
        line, column = self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1
        return UnreadableContent(f"{why} (line {line}, column {column})")

    def _start(self, name: str, flat: list[str]) -> None:
        self._count += 1
        if self._count > self._max_elements:
            raise self.refuse(f"it has more than {self._max_elements} elements")
        if len(self._open) >= MAX_DEPTH:
            raise self.refuse(f"its elements are nested more than {MAX_DEPTH} deep")
        if len(flat) > 2 * MAX_ATTRIBUTES:
            raise self.refuse(f"an element has more than {MAX_ATTRIBUTES} attributes")
        self._open.append(_Open(name, tuple(zip(flat[::2], flat[1::2], strict=True))))

    def _end(self, _name: str) -> None:
        closed = self._open.pop()
        element = XmlElement(closed.name, closed.attributes, tuple(closed.children))
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element

    def _text(self, text: str) -> None:
        children = self._open[-1].children
        if children and isinstance(children[-1], str):
            text = children.pop() + text  # type: ignore[operator]  # the line above
        children.append(text)

    def _refuse_doctype(self, *_: object) -> None:
        raise self.refuse("it has a document type, which is not read: leave out <!DOCTYPE ...>")


def parse_xml(body: bytes, *, max_bytes: int = MAX_BYTES, max_elements: int = MAX_ELEMENTS) -> XmlElement:
    """Read a document.

    :param body: up to ``max_bytes``. It is UTF-8, with or without a mark, whatever it declares, unless it is no UTF-8: many
        senders declare the encoding in which the text was in memory.
    :raises UnreadableContent: it is no document, or goes beyond the bounds; the sentence says what and where.
    """
    if len(body) > max_bytes:
        raise UnreadableContent(f"it has {len(body)} bytes; {max_bytes} are read at most")
    if not body.strip():
        raise UnreadableContent("it is empty")
    try:
        body.removeprefix(codecs.BOM_UTF8).decode("utf-8")
        encoding = "utf-8"
    except UnicodeDecodeError:
        encoding = None
    reader = _Reader(encoding, max_elements)
    try:
        reader.parser.Parse(body.lstrip(), True)  # noqa: FBT003  # expat takes it by place only
    except expat.ExpatError as wrong:
        raise reader.refuse(f"it is no XML: {expat.ErrorString(wrong.code)}") from None
    except (LookupError, ValueError) as wrong:  # an encoding that there is not
        raise UnreadableContent(f"it is no XML: {wrong}") from None
    if reader.root is None:
        raise UnreadableContent("it is no XML: it has no element")
    return reader.root


def write_xml(element: XmlElement) -> str:
    """Write a tree, without a declaration; what is read of it is the same tree."""
    attributes = "".join(f' {name}="{value.translate(_IN_ATTRIBUTE)}"' for name, value in element.attributes)
    if not element.children:
        return f"<{element.name}{attributes}/>"
    inside = "".join(
        write_xml(child) if isinstance(child, XmlElement) else _written(child) for child in element.children
    )
    return f"<{element.name}{attributes}>{inside}</{element.name}>"


def _written(text: str) -> str:
    if isinstance(text, CDataText) and "\r" not in text:  # which a section cannot keep
        return f"<![CDATA[{text.replace(']]>', ']]]]><![CDATA[>')}]]>"
    return text.translate(_IN_TEXT)


def as_xml_text(text: str) -> str:
    """Return a text as it stands between tags, with U+FFFD for what XML does not know, such as control characters."""
    return _NO_XML.sub("\ufffd", text).translate(_IN_TEXT)


def as_xml_attribute(text: str) -> str:
    """Return a text as it stands between the quotes of an attribute, of either kind; otherwise as :func:`as_xml_text`."""
    return _NO_XML.sub("\ufffd", text).translate(_IN_ATTRIBUTE).replace("'", "&#39;")


def check_xml_text(text: str, what: str) -> str:
    """Return a text that XML can hold.

    :raises UnreadableContent: it has a character that XML does not know, such as a control character.
    """
    found = _NO_XML.search(text)
    if found is not None:
        raise UnreadableContent(f"{what} cannot hold the character {quoted(found[0])}")
    return text


def xml_text(text: str) -> str:
    """Return a text that XML can hold: each character that it does not know as the one that stands for such."""
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)
