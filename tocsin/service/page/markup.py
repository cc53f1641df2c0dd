"""HTML, made of elements: whatever is not made here is text, and is written as text."""

from __future__ import annotations

from functools import cache
from html import escape
from typing import Final

from tocsin.protocol.text import harmless

Attribute = str | int | float | bool | None

_VOID: Final = frozenset({"input", "link", "meta"})  # they end where they begin


class Markup(str):
    """HTML as it goes out."""

    __slots__ = ()


Child = Markup | str | int | None


def el(name: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """Make an element.

    :param children: elements, and text; None is nothing.
    :param attributes: an underscore stands for a dash, one at the end for nothing; True has no value, False and None are left out.
    """
    written = "".join([_attribute(key, value) for key, value in attributes.items()]) if attributes else ""
    end = "" if name in _VOID else f"{_inside(children)}</{name}>"
    return Markup(f"<{name}{written}>{end}")


def together(*children: Child) -> Markup:
    """Put elements and texts one behind the other."""
    return Markup(_inside(children))


def verbatim(text: str) -> Markup:
    """Write a text as it is, its line ends and all that is not printable included: for what can be edited, and sent again."""
    return Markup(escape(text))


def _inside(children: tuple[Child, ...]) -> str:
    return "".join([_written(child) for child in children if child is not None])  # a list: a generator takes longer


def _written(child: Markup | str | float) -> str:
    return child if isinstance(child, Markup) else escape(harmless(child))


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = _name(key)
    return f" {name}" if value is True else f' {name}="{_written(value)}"'


@cache  # they are all in the code
def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")
