"""Text as PostgreSQL takes it: it keeps every character but NUL, which is written as two others here, and read back.

The order of texts by their characters stays, and a text with neither NUL nor U+0001 is kept as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

_MARK: Final = "\x01"
_NUL: Final = "\x01\x01"
_MARK_ITSELF: Final = "\x01\x02"
_PLAIN: Final = frozenset({bytes, float, int, bool, type(None)})


def to_kept(value: Any) -> Any:
    """Return a parameter as it is kept: a text, or a list of texts, without NUL; whatever else as it is."""
    if value.__class__ is str:
        return _without_nul(value)
    if value.__class__ is list and value and value[0].__class__ is str:
        joined = "".join(value)
        return [_without_nul(each) for each in value] if "\0" in joined or _MARK in joined else value
    return value


def from_kept(row: Iterable[Any]) -> tuple[Any, ...]:
    """Return a row as it was before it was kept."""
    row = tuple(row)
    for value in row:
        if _MARK in value if value.__class__ is str else value.__class__ not in _PLAIN:
            break
    else:  # nearly all of them
        return row
    return tuple(value if value.__class__ in _PLAIN else _from_kept(value) for value in row)


def _from_kept(value: Any) -> Any:
    if value.__class__ is str:
        return _with_nul(value) if _MARK in value else value
    return [_from_kept(each) for each in value] if value.__class__ is list else value


def _without_nul(text: str) -> str:
    if "\0" in text or _MARK in text:
        return text.replace(_MARK, _MARK_ITSELF).replace("\0", _NUL)
    return text


def _with_nul(text: str) -> str:
    return text.replace(_NUL, "\0").replace(_MARK_ITSELF, _MARK)
