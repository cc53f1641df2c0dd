"""JSON of a hub's clients: read within bounds, and each name of an object once."""

from __future__ import annotations

from typing import Any, Final

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.hub.hub_refused import HubReason, HubRefused
from tocsin.protocol.json_text import parse_json_text

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
        raise HubRefused(HubReason.TOO_LARGE, f"{what} has {len(encoded)} bytes; {MAX_JSON} are read at most.")
    try:
        return parse_json_text(encoded, what, MAX_JSON, numbers_as_texts=numbers_as_texts)
    except InvalidArgument as wrong:
        raise HubRefused(HubReason.WRONG_JSON, f"{wrong}.") from None
