"""The body of a message for templates: a flat JSON object of properties."""

from __future__ import annotations

from typing import Final

from tocsin.protocol.hub.hub_refused import HubRefused
from tocsin.protocol.hub.strict_json import read_json
from tocsin.protocol.hub.template_text import MAX_PROPERTY_NAME
from tocsin.protocol.text import quoted

MAX_PROPERTIES_BYTES: Final = 65_536
"""Bytes of such a body at most."""

MAX_PROPERTIES: Final = 256
"""Properties of a message at most."""


def read_properties(body: bytes) -> dict[str, str]:
    """Read the properties of a message, such as ``{"title": "Hello", "badge": 7}``; a number is as it was written.

    :return: by name, as it was written; of those of one name the last, and none where the value is null.
    :raises HubRefused: 400: it is no flat object; 413: it has more than ``MAX_PROPERTIES_BYTES``.
    """
    if len(body) > MAX_PROPERTIES_BYTES:
        raise HubRefused(413, f"The message has {len(body)} bytes; {MAX_PROPERTIES_BYTES} are allowed at most.")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise HubRefused(400, "A message for templates is JSON in UTF-8, which this is not.") from None
    pairs = read_json(text, "A message for templates")
    if not isinstance(pairs, tuple):
        raise HubRefused(400, 'A message for templates is a JSON object of properties, such as {"title": "Hello"}.')
    if len(pairs) > MAX_PROPERTIES:
        raise HubRefused(400, f"The message has {len(pairs)} properties; {MAX_PROPERTIES} are allowed at most.")
    properties: dict[str, str] = {}
    for name, value in pairs:
        known = _text_of(name, value)
        if known is None:
            properties.pop(name, None)
        else:
            properties[name] = known
    return properties


def _text_of(name: str, value: object) -> str | None:
    if not name or len(name) > MAX_PROPERTY_NAME:
        raise HubRefused(
            400, f"{quoted(name)} is no name of a property: 1 to {MAX_PROPERTY_NAME} characters are allowed."
        )
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is not None and not isinstance(value, str):
        kind = "an array" if isinstance(value, list) else "an object"
        raise HubRefused(400, f"The property {quoted(name)} is {kind}; a text, a number, true or false is expected.")
    try:
        f"{name}{value}".encode()
    except UnicodeEncodeError:
        raise HubRefused(400, f"The property {quoted(name)} has half of a surrogate pair, which is no text.") from None
    return value
