"""The body of a message for templates: a flat JSON object of properties."""

from __future__ import annotations

from typing import Final

from tocsin.protocol.hub.hub_json import parse_json
from tocsin.protocol.hub.hub_refused import HubReason, HubRefused
from tocsin.protocol.hub.template_text import MAX_PROPERTY_NAME
from tocsin.protocol.text import quoted

MAX_PROPERTIES: Final = 256
"""Properties of a message at most."""


def read_properties(body: bytes) -> dict[str, str]:
    """Read the properties of a message, such as ``{"title": "Hello", "badge": 7}``.

    :return: by name, as it was written; a number as it was written, and nothing for null.
    :raises HubRefused: 400: it is no flat object; 413: it is too long, as of :func:`~tocsin.protocol.hub.hub_json.parse_json`.
    """
    found = parse_json(body, "The message for templates", numbers_as_texts=True)
    if not isinstance(found, dict):
        raise HubRefused(
            HubReason.WRONG_MESSAGE,
            'A message for templates is a JSON object of properties, such as {"title": "Hello"}.',
        )
    if len(found) > MAX_PROPERTIES:
        raise HubRefused(
            HubReason.WRONG_MESSAGE, f"The message has {len(found)} properties; {MAX_PROPERTIES} are allowed at most."
        )
    return {name: _text_of(name, value) for name, value in found.items() if value is not None}


def _text_of(name: str, value: object) -> str:
    if not name or len(name) > MAX_PROPERTY_NAME:
        raise HubRefused(
            HubReason.WRONG_MESSAGE,
            f"{quoted(name)} is no name of a property: 1 to {MAX_PROPERTY_NAME} characters are allowed.",
        )
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        kind = "an array" if isinstance(value, list) else "an object"
        raise HubRefused(
            HubReason.WRONG_MESSAGE,
            f"The property {quoted(name)} is {kind}; a text, a number, true or false is expected.",
        )
    return value
