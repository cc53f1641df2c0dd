"""Templates: what is sent to one registration, made of the properties of a message that is for all kinds of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from attrs import frozen

from tocsin.protocol.hub.hub_refused import HubReason, HubRefused
from tocsin.protocol.hub.template_places import TemplatePlace, places_of_json, places_of_xml
from tocsin.protocol.hub.template_text import TemplateExpression, read_template_text
from tocsin.protocol.text import quoted

MAX_TEMPLATE: Final = 16_384
"""Bytes of a template's body at most."""

MAX_REFERENCES: Final = 100
"""References to properties in a template at most, those in its headers included."""

MAX_TEMPLATE_HEADERS: Final = 32
"""Headers of a template at most."""

MAX_TEMPLATE_HEADER: Final = 512
"""Characters of a header's value at most, also of what is made of it."""

MAX_RENDERED: Final = 16_384
"""Characters behind which what is made of a template breaks off: no push service takes as much."""

_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\x80-\x9f\u2028\u2029\ud800-\udfff]+")


@frozen
class Template:
    """A template that has been read: its body and its headers, with the expressions at their places."""

    body: str
    places: tuple[TemplatePlace, ...]
    headers: tuple[tuple[str, TemplateExpression | str], ...]

    def render(self, properties: Mapping[str, str], variables: Mapping[str, str] | None = None) -> str:
        """Make a body of the properties of a message: XML or JSON as the template is, and apart from expressions unchanged.

        :param properties: the case of their names does not matter.
        :param variables: those of the registration: used where the message has no property of that name.
        :return: it breaks off behind ``MAX_RENDERED`` characters, and is refused by the push service then, as too large.
        """
        values = _merged(properties, variables)
        made: list[str] = []
        size = end = 0
        for place in self.places:
            made += self.body[end : place.start], place.write(place.expression.value(values))
            size += len(made[-2]) + len(made[-1])
            end = place.end
            if size > MAX_RENDERED:
                return "".join(made)
        return "".join((*made, self.body[end:]))

    def render_headers(
        self, properties: Mapping[str, str], variables: Mapping[str, str] | None = None
    ) -> tuple[tuple[str, str], ...]:
        """Make the headers; each is one line, and one whose expression comes out empty is left out. Parameters as of :meth:`render`."""
        values = _merged(properties, variables)
        made = [
            (name, value if isinstance(value, str) else _one_line(value.value(values))) for name, value in self.headers
        ]
        return tuple((name, value) for name, value in made if value)


def read_template(body: str, headers: Iterable[tuple[str, str]]) -> Template:
    """Read a template.

    :param body: XML, which begins with ``<``, or a JSON object; ``MAX_TEMPLATE`` bytes and ``MAX_REFERENCES`` at most.
    :param headers: ``X-WNS-Type`` is needed; values may be expressions.
    :raises HubRefused: 400: it is no template; the sentence names the expression and says what would be right.
    """
    try:
        size = len(body.encode())
    except UnicodeEncodeError:
        raise HubRefused(
            HubReason.WRONG_TEMPLATE, "The template has half of a surrogate pair, which is no text."
        ) from None
    if size > MAX_TEMPLATE:
        raise HubRefused(
            HubReason.WRONG_TEMPLATE, f"The template has {size} bytes; {MAX_TEMPLATE} are allowed at most."
        )
    read_headers = _read_headers(headers)
    bare = body.lstrip("\ufeff").strip()
    if bare.startswith("<"):
        found = places_of_xml(body)
    elif bare.startswith("{") and bare.endswith("}"):
        found = places_of_json(body)
    else:
        raise HubRefused(
            HubReason.WRONG_TEMPLATE,
            "The body of a template is XML, which begins with <, or a JSON object, in { and }.",
        )
    count = sum(value.references for _, value in read_headers if isinstance(value, TemplateExpression))
    places: list[TemplatePlace] = []
    for place in found:
        count += max(1, place.expression.references)
        if count > MAX_REFERENCES:
            raise HubRefused(
                HubReason.WRONG_TEMPLATE, f"The template refers to properties more than {MAX_REFERENCES} times."
            )
        places.append(place)
    return Template(body, tuple(places), read_headers)


def _read_headers(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, TemplateExpression | str], ...]:
    found: dict[str, tuple[str, TemplateExpression | str]] = {}
    for name, value in headers:
        if not _HEADER_NAME.fullmatch(name):
            raise HubRefused(
                HubReason.WRONG_TEMPLATE, f"{quoted(name)} is no name of a header of a template, such as X-WNS-Type."
            )
        if name.lower() in found:
            raise HubRefused(HubReason.WRONG_TEMPLATE, f"The template has the header {name} twice.")
        if not value.strip() or len(value) > MAX_TEMPLATE_HEADER or _CONTROL.search(value):
            raise HubRefused(
                HubReason.WRONG_TEMPLATE,
                f"The header {name} of the template should have a value of one line, of 1 to {MAX_TEMPLATE_HEADER} characters.",
            )
        found[name.lower()] = (name, read_template_text(value, f"the header {name}") or value)
        if len(found) > MAX_TEMPLATE_HEADERS:
            raise HubRefused(HubReason.WRONG_TEMPLATE, f"The template has more than {MAX_TEMPLATE_HEADERS} headers.")
    if "x-wns-type" not in found:
        raise HubRefused(
            HubReason.WRONG_TEMPLATE,
            "The template has no header X-WNS-Type: wns/toast, wns/tile, wns/badge or wns/raw is needed.",
        )
    return tuple(found.values())


def _merged(properties: Mapping[str, str], variables: Mapping[str, str] | None) -> dict[str, str]:
    merged = {name.lower(): value[: MAX_RENDERED + 1] for name, value in (variables or {}).items()}
    merged.update((name.lower(), value[: MAX_RENDERED + 1]) for name, value in properties.items())
    return merged


def _one_line(value: str) -> str:
    return _CONTROL.sub(" ", value[:MAX_TEMPLATE_HEADER]).strip()
