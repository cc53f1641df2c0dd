"""JSON of a hub's clients: read within bounds, and each name of an object once."""

from __future__ import annotations

import json
from typing import Any, Final

from tocsin.protocol.hub.hub_refused import HubRefused
from tocsin.protocol.text import quoted

MAX_JSON: Final = 65_536
"""Bytes of a document at most."""


def parse_json(body: bytes | str, what: str, *, numbers_as_texts: bool = False) -> Any:
    """Read a JSON document of up to ``MAX_JSON`` bytes of UTF-8, with or without a mark.

    :param numbers_as_texts: whether numbers are returned as they are written.
    :raises HubRefused: 400, where it is no JSON, or an object has a name twice, of which only one could count; 413, where it
        is too long.
    """
    encoded = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    if len(encoded) > MAX_JSON:
        raise HubRefused(413, f"{what} has {len(encoded)} bytes; {MAX_JSON} are read at most.")
    try:
        text = encoded.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        raise HubRefused(400, f"{what} is no UTF-8 (at byte {wrong.start}).") from None
    try:
        document = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=str if numbers_as_texts else None,
            parse_float=str if numbers_as_texts else None,
        )
        json.dumps(document, ensure_ascii=False).encode()
    except HubRefused as refused:
        raise HubRefused(400, f"{what} {refused.detail}") from None
    except json.JSONDecodeError as wrong:
        raise HubRefused(400, f"{what} is no JSON: {wrong.msg} (line {wrong.lineno}, column {wrong.colno}).") from None
    except UnicodeEncodeError:
        raise HubRefused(400, f"{what} has half of a character, such as \\ud800, in one of its texts.") from None
    except RecursionError:
        raise HubRefused(400, f"{what} is no JSON that is read: its brackets are nested too deep.") from None
    except ValueError:  # a whole number with more digits than Python reads
        raise HubRefused(400, f"{what} has a number with too many digits.") from None
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise HubRefused(400, f"has {quoted(twice)} twice in one object.")
    return found


def _constant(name: str) -> None:
    raise HubRefused(400, f"has {name}, which JSON has not.")
