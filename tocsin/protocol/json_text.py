"""JSON from outside: read within bounds, and each name of an object once."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any, Final

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.text import quoted

MAX_NESTING: Final = 64
"""Brackets in one another at most."""


def parse_json_text(content: bytes | str, what: str, most: int, *, numbers_as_texts: bool = False) -> Any:
    """Read a JSON document of UTF-8, with or without a mark.

    What it returns can be written as JSON and as UTF-8 again.

    :param most: bytes of it at most.
    :param numbers_as_texts: whether numbers are returned as they are written.
    :raises InvalidArgument: it is too long, is no JSON, is nested too deep, or has what could be read in two ways: a name twice in
        one object, half of a character, a number that is none. The sentence begins with ``what``.
    """
    text = _decoded(content, what, most)
    try:
        document = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=str if numbers_as_texts else None,
            parse_float=str if numbers_as_texts else _finite,
        )
        too_deep = _is_too_deep(document)
        if not too_deep:
            json.dumps(document, ensure_ascii=False).encode()
    except _Refused as refused:
        raise InvalidArgument(f"{what} {refused}") from None
    except json.JSONDecodeError as wrong:
        raise InvalidArgument(f"{what} is no JSON: {wrong.msg} (line {wrong.lineno}, column {wrong.colno})") from None
    except UnicodeEncodeError:
        raise InvalidArgument(f"{what} has half of a character, such as \\ud800, in one of its texts") from None
    except RecursionError:
        too_deep = True
    except ValueError:  # a whole number with more digits than Python reads
        raise InvalidArgument(f"{what} has a number with too many digits") from None
    if too_deep:
        raise InvalidArgument(
            f"{what} is no JSON that is read: its brackets are nested too deep, {MAX_NESTING} at most"
        )
    return document


class _Refused(Exception):
    """What is wrong, for the sentence."""


def _decoded(content: bytes | str, what: str, most: int) -> str:
    # A text has no fewer bytes than characters, so that one that is too long is not even encoded.
    short = content.encode("utf-8", "surrogatepass") if isinstance(content, str) and len(content) <= most else content
    if isinstance(short, str) or len(short) > most:
        raise InvalidArgument(f"{what} has more than {most} bytes, which are read at most")
    try:
        return short.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        raise InvalidArgument(f"{what} is no UTF-8 (at byte {wrong.start})") from None


def _is_too_deep(document: Any) -> bool:
    level = [document] if isinstance(document, dict | list) else []
    for _ in range(MAX_NESTING):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
    return bool(level)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise _Refused(f"has {quoted(twice)} twice in one object")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise _Refused(f"has the number {quoted(text)}, which is too great")
    return number


def _constant(name: str) -> None:
    raise _Refused(f"has {name}, which JSON has not")
