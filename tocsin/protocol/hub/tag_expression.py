"""Tag expressions: which registrations a message is for, by their tags.

``&&``, ``||`` and ``!`` join tags, with brackets; ``!`` binds more than ``&&``, which binds more than ``||``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, NoReturn, TypeAlias

from attrs import frozen

from tocsin.protocol.hub.hub_refused import HubReason, HubRefused
from tocsin.protocol.hub.tag_rules import ALLOWED, MAX_TAG, SPECIAL_TAG, TAG_CHARACTERS, check_special
from tocsin.protocol.text import quoted

MAX_EXPRESSION: Final = 8_192
"""Characters of an expression at most."""

MAX_EXPRESSION_DEPTH: Final = 32
"""Brackets and ``!`` inside each other at most."""

MOST_ORED: Final = 20
"""Tags of an expression at most, each as often as it stands there, where nothing but ``||`` joins them."""

MOST_MIXED: Final = 6
"""Where ``&&`` or ``!`` stands among them."""


class _Expression:
    """What all expressions can be asked."""

    def matches(self, tags: frozenset[str]) -> bool:
        """Tell whether the message is for a registration that has these tags."""
        return _matches(self, tags)

    @property
    def text(self) -> str:
        """The expression, with no more brackets than it needs; what is read of it is the same expression."""
        return _write(self)

    @property
    def tags(self) -> frozenset[str]:
        """The tags that it names."""
        return _tags(self)

    def drivers(self, weight: Callable[[str], int] = lambda _tag: 1) -> frozenset[str] | None:
        """Return tags of which each registration that matches has at least one, so that only theirs need to be looked through.

        :param weight: how many registrations have a tag of :attr:`tags`; of several such sets the lightest is returned.
        :return: None where what has no tag matches, as with ``!news``: then all registrations need to be looked through.
        """
        return _drivers(self, negated=False, weight=weight)


@frozen
class HasTag(_Expression):
    """A tag: it matches what has it."""

    tag: str


@frozen
class HasNot(_Expression):
    """``!``."""

    part: TagExpression


@frozen
class HasAll(_Expression):
    """``&&`` of two parts or more, of which none is a :class:`HasAll`."""

    parts: tuple[TagExpression, ...]


@frozen
class HasAny(_Expression):
    """``||`` of two parts or more, of which none is a :class:`HasAny`."""

    parts: tuple[TagExpression, ...]


TagExpression: TypeAlias = HasTag | HasNot | HasAll | HasAny
"""An expression as it was read: each kind has ``matches``, ``text``, ``tags`` and ``drivers``."""


def read_tag_expression(text: str) -> TagExpression:
    """Read an expression such as ``(news || sports) && !$UserId:{ann}``.

    :param text: ``MAX_EXPRESSION`` characters, ``MAX_EXPRESSION_DEPTH`` brackets inside each other, and tags as ``MOST_ORED``
        and ``MOST_MIXED`` say, which are numbers that Microsoft documents.
    :raises HubRefused: 400: it cannot be read; the sentence says where and why.
    """
    if len(text) > MAX_EXPRESSION:
        raise HubRefused(
            HubReason.WRONG_TAG_EXPRESSION,
            f"The tag expression has {len(text)} characters; {MAX_EXPRESSION} are read at most.",
        )
    if not text.strip():
        raise HubRefused(
            HubReason.WRONG_TAG_EXPRESSION,
            "The tag expression is empty: name a tag, or leave the header out to reach all registrations.",
        )
    return _Parser(text).read()


def _matches(node: _Expression, tags: frozenset[str]) -> bool:
    match node:
        case HasTag(tag):
            return tag in tags
        case HasNot(part):
            return not _matches(part, tags)
        case HasAll(parts):
            return all(_matches(part, tags) for part in parts)
        case HasAny(parts):
            return any(_matches(part, tags) for part in parts)
    raise TypeError(node)  # there are no others


def _tags(node: _Expression) -> frozenset[str]:
    match node:
        case HasTag(tag):
            return frozenset({tag})
        case HasNot(part):
            return _tags(part)
        case HasAll(parts) | HasAny(parts):
            return frozenset().union(*map(_tags, parts))
    raise TypeError(node)


def _write(node: _Expression) -> str:
    match node:
        case HasTag(tag):
            return tag
        case HasNot(part):
            return f"!({_write(part)})" if isinstance(part, HasAll | HasAny) else f"!{_write(part)}"
        case HasAll(parts):
            return " && ".join(f"({_write(part)})" if isinstance(part, HasAny) else _write(part) for part in parts)
        case HasAny(parts):
            return " || ".join(map(_write, parts))
    raise TypeError(node)


def _drivers(node: _Expression, *, negated: bool, weight: Callable[[str], int]) -> frozenset[str] | None:
    match node:
        case HasTag(tag):
            return None if negated else frozenset({tag})
        case HasNot(part):
            return _drivers(part, negated=not negated, weight=weight)
        case HasAll(parts) | HasAny(parts):
            sets = [_drivers(part, negated=negated, weight=weight) for part in parts]
            known = [each for each in sets if each is not None]
            # "Not any of" means that all fail, so that one of them is enough.
            if isinstance(node, HasAll) is not negated:
                return min(known, key=lambda each: sum(map(weight, each)), default=None)
            return frozenset().union(*known) if len(known) == len(sets) else None
    raise TypeError(node)


_TOKEN: Final = re.compile(rf"&&|\|\||[!()]|(?P<special>{SPECIAL_TAG})|(?P<tag>{TAG_CHARACTERS}+)", re.IGNORECASE)
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_END: Final = ""


class _Parser:
    """Goes through an expression from left to right; ``_next`` is what comes next, ``_END`` where nothing does."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split()
        self._seen = set[str]()
        self._count = 0
        self._depth = 0
        self._place = 0
        self._is_tag = False
        self._next = ""
        self._advance()

    def read(self) -> TagExpression:
        found = self._any()
        if self._next == ")":
            self._refuse("no ( stands before this )")
        if self._next != _END:
            self._refuse("&& or || should stand before it")
        only_ored = self._seen <= {"||"}
        most, where = (MOST_ORED, "where only || joins them") if only_ored else (MOST_MIXED, "with && or !")
        if self._count > most:
            raise HubRefused(
                HubReason.WRONG_TAG_EXPRESSION,
                f"The tag expression has {self._count} tags; {most} are allowed at most {where}.",
            )
        return found

    def _any(self) -> TagExpression:
        parts = list(self._parts_of(HasAny, self._all()))
        while self._next == "||":
            self._advance()
            parts += self._parts_of(HasAny, self._all())
        return parts[0] if len(parts) == 1 else HasAny(tuple(parts))

    def _all(self) -> TagExpression:
        parts = list(self._parts_of(HasAll, self._one()))
        while self._next == "&&":
            self._advance()
            parts += self._parts_of(HasAll, self._one())
        return parts[0] if len(parts) == 1 else HasAll(tuple(parts))

    @staticmethod
    def _parts_of(kind: type[HasAny | HasAll], part: TagExpression) -> tuple[TagExpression, ...]:
        return part.parts if isinstance(part, kind) else (part,)

    def _one(self) -> TagExpression:
        if self._is_tag:
            tag = self._next
            self._advance()
            return HasTag(tag)
        if self._next not in ("!", "("):
            self._refuse("a tag, ! or ( should stand here")
        self._depth += 1
        if self._depth > MAX_EXPRESSION_DEPTH:
            self._refuse(f"brackets and ! are read {MAX_EXPRESSION_DEPTH} deep at most")
        opened = self._next
        self._advance()
        part = HasNot(self._one()) if opened == "!" else self._any()
        if opened == "(":
            if self._next != ")":
                self._refuse("&&, || or ) should stand here")
            self._advance()
        self._depth -= 1
        return part

    def _advance(self) -> None:
        self._is_tag, self._next = next(self._tokens, (False, _END))
        if self._is_tag:
            self._count += 1
        elif self._next in ("&&", "||", "!"):
            self._seen.add(self._next)

    def _split(self) -> Iterator[tuple[bool, str]]:
        end = 0
        while True:
            self._place = _SPACE.match(self._text, end).end()  # type: ignore[union-attr]  # it matches also nothing
            if self._place == len(self._text):
                return
            found = _TOKEN.match(self._text, self._place)
            if found is None:
                self._refuse(self._advice())
            end = found.end()
            if found["special"]:
                yield True, self._special(found["special"])
            elif found["tag"]:
                if len(found["tag"]) > MAX_TAG:
                    self._refuse(f"a tag has {len(found['tag'])} characters; {MAX_TAG} are allowed at most")
                yield True, found["tag"]
            else:
                yield False, found[0]

    def _special(self, tag: str) -> str:
        try:
            return check_special(tag)
        except HubRefused as refused:
            self._refuse(refused.detail.removesuffix("."))

    def _advice(self) -> str:
        match self._text[self._place]:
            case "&" | "|" as single:
                return f"it is written {single * 2}"
            case "$":
                return "the special tags are $InstallationId:{...} and $UserId:{...}, with braces"
            case ",":
                return "tags are joined by && or ||"
        return f"it stands in no tag and joins none. {ALLOWED.removesuffix('.')}"

    def _refuse(self, why: str) -> NoReturn:
        if self._place >= len(self._text):
            where = "at its end"
        else:
            where = f"at character {self._place + 1}, {quoted(self._text[self._place :][:20])}"
        raise HubRefused(HubReason.WRONG_TAG_EXPRESSION, f"The tag expression cannot be read {where}: {why}.")
