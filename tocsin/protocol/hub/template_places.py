"""Where expressions stand in the body of a template: as whole texts and attributes in XML, as whole values in JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Final

from attrs import frozen

from tocsin.protocol.errors import UnreadableContent
from tocsin.protocol.hub.hub_json import parse_json
from tocsin.protocol.hub.hub_refused import HubReason, HubRefused
from tocsin.protocol.hub.template_text import TemplateExpression, read_template_text, stray_expression
from tocsin.protocol.text import quoted
from tocsin.protocol.xml_tree import as_xml_attribute, as_xml_text, parse_xml

MAX_JSON_DEPTH: Final = 32
"""Objects and arrays of a template inside each other at most."""

_MARKUP: Final = re.compile(r"<!--.*?-->|<\?.*?\?>|<!\[CDATA\[.*?\]\]>|<(?:[^\"'>]|\"[^\"]*\"|'[^']*')*>", re.DOTALL)
_TAG_NAME: Final = re.compile(r"</?([^\s/>]+)")
_ATTRIBUTE: Final = re.compile(r"\s([^\s=]+)\s*=\s*(\"[^\"]*\"|'[^']*')")
_JSON_TOKEN: Final = re.compile(r'"((?:[^"\\]|\\.)*)"(\s*:)?|[{}\[\]]', re.DOTALL)
_JSON_NUMBER: Final = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
"""A number as the documents of templates have it, without a sign."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@frozen
class TemplatePlace:
    """An expression at its place, from ``start`` to ``end`` of the body; ``write`` makes of its value what stands there."""

    start: int
    end: int
    expression: TemplateExpression
    write: Callable[[str], str]


def places_of_xml(body: str) -> Iterator[TemplatePlace]:
    """Return the places of expressions in XML, from the first to the last.

    :raises HubRefused: 400: it is no XML, or an expression cannot be read, or stands where none can.
    """
    try:
        parse_xml(body.encode())
    except UnreadableContent as wrong:
        raise HubRefused(HubReason.WRONG_TEMPLATE, f"The template cannot be read: {wrong}.") from None
    content: int | None = None  # where that of an element begins that has had no element in it so far
    beside = 0
    for markup in _MARKUP.finditer(body):
        if markup[0].startswith(("<!", "<?")):
            continue
        name = _tag_name(markup[0])
        start, end = (beside if content is None else content), markup.start()
        if markup[0].startswith("</") and content is not None:
            yield from _text_place(body, start, end, f"<{name}>")
        else:
            _check_plain(_MARKUP.sub("", body[start:end]), f"beside <{name}>: it is the whole text of an element")
        beside, content = markup.end(), None
        if not markup[0].startswith("</"):
            yield from _attribute_places(markup.start(), markup[0], name)
            if not markup[0].endswith("/>"):
                content = markup.end()


def places_of_json(body: str) -> Iterator[TemplatePlace]:
    """Return the places of expressions in JSON, from the first to the last.

    :raises HubRefused: 400: it is no JSON, or an expression cannot be read, or stands in a name.
    """
    parse_json(body, "The template", numbers_as_texts=True)
    depth = 0
    for token in _JSON_TOKEN.finditer(body):
        if token[1] is None:
            depth += 1 if token[0] in "{[" else -1
            if depth > MAX_JSON_DEPTH:
                raise HubRefused(
                    HubReason.WRONG_TEMPLATE, f"The template's JSON is nested more than {MAX_JSON_DEPTH} deep."
                )
            continue
        text = json.loads(f'"{token[1]}"')
        if token[2] is not None:
            _check_plain(text, "in a name of JSON: it is a whole value")
            continue
        expression = read_template_text(text, f"its JSON at character {token.start() + 1}")
        if expression is not None:
            yield TemplatePlace(
                token.start(), token.end(), expression, _as_number if expression.is_numeric else _as_json
            )


def _tag_name(tag: str) -> str:
    found = _TAG_NAME.match(tag)
    return found[1] if found is not None else ""


def _text_place(body: str, start: int, end: int, where: str) -> Iterator[TemplatePlace]:
    raw = body[start:end]
    if "(" not in raw and raw[:1] not in ("$", ".", "%", "#", "{", "&", "<"):  # most are plain
        return
    expression = read_template_text(parse_xml(f"<t>{raw}</t>".encode()).text, where)
    if expression is not None:
        yield TemplatePlace(start, end, expression, as_xml_text)


def _attribute_places(start: int, tag: str, name: str) -> Iterator[TemplatePlace]:
    for found in _ATTRIBUTE.finditer(tag):
        value = parse_xml(f"<t a={found[2]}/>".encode()).get("a")
        expression = read_template_text(value, f"the attribute {found[1]} of <{name}>")
        if expression is not None:
            yield TemplatePlace(start + found.start(2) + 1, start + found.end(2) - 1, expression, as_xml_attribute)


def _check_plain(text: str, where: str) -> None:
    found = stray_expression(text)
    if found is not None:
        raise HubRefused(HubReason.WRONG_TEMPLATE, f"The template's expression {quoted(found)} cannot stand {where}.")


def _as_json(value: str) -> str:
    return json.dumps(_SURROGATE.sub("\ufffd", value), ensure_ascii=False)


def _as_number(value: str) -> str:
    return value if _JSON_NUMBER.fullmatch(value) else _as_json(value)
