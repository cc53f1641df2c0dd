"""JSON of a client as it was written: numbers as their texts, objects as pairs, and nothing that JSON does not know."""

from __future__ import annotations

import json
from typing import Any

from tocsin.protocol.hub.hub_refused import HubRefused


def read_json(text: str, what: str) -> Any:
    """Read a document; the caller bounds its length.

    :param what: the subject of the sentence that refuses it.
    :return: an object is a tuple of its pairs, a number the text of it.
    :raises HubRefused: 400: it is no JSON, or nested deeper than Python's reader goes.
    """
    try:
        return json.loads(
            text, object_pairs_hook=tuple, parse_int=str, parse_float=str, parse_constant=_refuse_constant
        )
    except RecursionError:
        raise HubRefused(400, f"{what} cannot be read as JSON: it is nested too deep.") from None
    except ValueError as wrong:
        raise HubRefused(400, f"{what} cannot be read as JSON: {wrong}.") from None


def _refuse_constant(name: str) -> str:
    raise ValueError(f"{name} is no value of JSON")
