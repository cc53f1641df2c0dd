"""The expressions of templates: ``$(name)``, ``$(name, n)``, ``.(name, n)``, ``%(name)``, ``#(name)``, and ``{'text' + $(name)}``.

It is the language that Microsoft documents, read as its .NET library checks it, with default values such as
``$(name:{Hello})``, which that library knows and the documents do not tell of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NoReturn
from urllib.parse import quote

from attrs import frozen

from tocsin.protocol.hub.hub_refused import HubReason, HubRefused
from tocsin.protocol.text import quoted

MAX_PROPERTY_NAME: Final = 120
"""Characters of a property's name at most."""

DOTS: Final = "..."
"""What ``.(name, n)`` ends with where it clips."""

_BEGIN: Final = frozenset("$.%#{")
_NAME: Final = re.compile(r"\s*([A-Za-z0-9_]*)\s*")
_DEFAULT: Final = re.compile(r":\{((?:[^\\}]|\\.)*)\}\s*", re.DOTALL)
_LENGTH: Final = re.compile(r",\s*\+?([0-9]{1,9})\s*")
_LITERAL: Final = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
_SPACE: Final = re.compile(r"\s*")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_STRAY: Final = re.compile(r"([$%#]\(\s*\w+\s*(?:,\s*[0-9]+\s*)?|\.\(\s*\w+\s*,\s*[0-9]+\s*)\)", re.ASCII)
"""What is an expression by itself, and none where other text stands beside it."""


@frozen
class PropertyReference:
    """A property of the message in an expression, whose ``name`` is in lower case; ``sign`` is ``$``, ``.``, ``%`` or ``#``."""

    sign: str
    name: str
    length: int | None = None
    """Characters at most, ``DOTS`` included where ``sign`` is ``.``."""
    default: str = ""
    """What stands there where there is no such property."""

    def value(self, properties: Mapping[str, str]) -> str:
        """Return what stands in its place; names of ``properties`` are in lower case."""
        value = properties.get(self.name, self.default)
        if self.sign == "%":
            return quote(value, safe="", errors="replace")
        if self.length is None or len(value) <= self.length:
            return value
        if self.sign == ".":
            return value[: max(0, self.length - len(DOTS))] + DOTS[: self.length]
        return value[: self.length]


@frozen
class TemplateExpression:
    """An expression: what stands in its place is put together of its parts."""

    parts: tuple[PropertyReference | str, ...]
    is_numeric: bool = False
    """Whether it is ``#(name)`` without braces: in JSON a number where the property reads as one."""

    def value(self, properties: Mapping[str, str]) -> str:
        """Return what stands in its place; names of ``properties`` are in lower case."""
        return "".join(part if isinstance(part, str) else part.value(properties) for part in self.parts)

    @property
    def references(self) -> int:
        """How many references to properties it has."""
        return sum(isinstance(part, PropertyReference) for part in self.parts)


def read_template_text(text: str, where: str) -> TemplateExpression | None:
    """Read a text, or a value of an attribute, of a header or of JSON, as an expression; None where it is a plain text.

    It is one where its first character is ``$``, ``.``, ``%``, ``#`` or ``{``, so that a plain text does not begin with them.

    :param where: what the text is in the template, for the sentence that refuses it.
    :raises HubRefused: 400: it cannot be read, or an expression stands beside plain text; the sentence says what would be right.
    """
    if text[:1] not in _BEGIN:
        found = stray_expression(text)
        if found is not None:
            raise HubRefused(
                HubReason.WRONG_TEMPLATE,
                f"The template has the expression {quoted(found)} beside other text, in {where}."
                f" Join them in braces, as in {{'text ' + {found}}}, or write {{'...'}} around what is meant as text.",
            )
        return None
    return _TextReader(text, where).read()


def stray_expression(text: str) -> str | None:
    """Return what would be an expression if nothing else stood beside it, None where there is nothing of that kind."""
    found = _STRAY.search(text)
    return None if found is None else found[0]


class _TextReader:
    """Goes through an expression from left to right."""

    def __init__(self, text: str, where: str) -> None:
        self._text = text
        self._where = where
        self._place = 0
        self._end = len(text)

    def read(self) -> TemplateExpression:
        is_braced = self._text[0] == "{"
        if is_braced:
            if len(self._text) < 2 or self._text[-1] != "}":
                self._refuse("a } should end it")
            self._place, self._end = 1, self._end - 1
        parts = [self._part()]
        while self._more(is_braced=is_braced):
            parts.append(self._part())
        numeric = [isinstance(part, PropertyReference) and part.sign == "#" for part in parts]
        if len(parts) > 1 and any(numeric):
            self._refuse("#(name) is not joined with others: use $(name)")
        return TemplateExpression(tuple(parts), numeric[0] and not is_braced)

    def _more(self, *, is_braced: bool) -> bool:
        after = self._place
        self._take(_SPACE)
        if self._place == self._end and (is_braced or after == self._end):
            return False
        if not self._at("+"):
            self._refuse(f"+ or its end should stand at character {after + 1}")
        self._place += 1
        return True

    def _at(self, sign: str) -> bool:
        return self._text.startswith(sign, self._place, self._end)

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._place, self._end)
        if found is not None:
            self._place = found.end()
        return found

    def _part(self) -> PropertyReference | str:
        self._take(_SPACE)
        sign = self._text[self._place] if self._place < self._end else " "
        if sign in "'\"":
            literal = self._take(_LITERAL)
            if literal is None:
                self._refuse(f"the {sign} that ends a text is missing")
            return literal[0][1:-1].replace(sign * 2, sign)
        if sign not in "$.%#":
            self._refuse(
                f"$(name), .(name, n), %(name), #(name) or a 'text' should stand at character {self._place + 1}"
            )
        return self._reference(sign)

    def _reference(self, sign: str) -> PropertyReference:
        self._place += 1
        if not self._at("("):
            self._refuse(f"a ( should follow the {sign}")
        self._place += 1
        name = self._take(_NAME)
        if name is None or not 1 <= len(name[1]) <= MAX_PROPERTY_NAME:
            self._refuse(f"in brackets stands the name of a property: 1 to {MAX_PROPERTY_NAME} of A to Z, digits and _")
        default = self._default() if self._at(":") else ""
        length = self._length(sign) if self._at(",") else None
        if length is None and sign == ".":
            self._refuse("a length is needed, as in .(name, 20)")
        if not self._at(")"):
            self._refuse(f"a ) should stand at character {self._place + 1}")
        self._place += 1
        return PropertyReference(sign, name[1].lower(), length, default)

    def _default(self) -> str:
        found = self._take(_DEFAULT)
        if found is None:
            self._refuse("a default value is written as in $(name:{text})")
        return _ESCAPE.sub(r"\1", found[1])

    def _length(self, sign: str) -> int:
        if sign in "%#":
            self._refuse(f"{sign}(name) takes no length")
        found = self._take(_LENGTH)
        if found is None:
            self._refuse("a whole number of characters should follow the comma")
        return int(found[1])

    def _refuse(self, why: str) -> NoReturn:
        raise HubRefused(
            HubReason.WRONG_TEMPLATE,
            f"The template's expression {quoted(self._text)}, in {self._where}, cannot be read: {why}."
            " What is meant as text, though it begins like an expression, is written {'...'}.",
        )
