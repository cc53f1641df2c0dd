"""Registrations as the Atom entries of the REST API: read of requests, and written as answers.

Names are read whatever their prefix, and elements that are not known are passed over. An answer has its elements in the order
in which .NET reads them, and no white space between them, which some clients take for an element.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from tocsin.protocol.errors import UnreadableContent
from tocsin.protocol.hub.channel_uri import check_channel_uri
from tocsin.protocol.hub.descriptions import BodyTemplate, RegistrationDescription
from tocsin.protocol.hub.hub_json import parse_json
from tocsin.protocol.hub.hub_refused import HubReason, HubRefused
from tocsin.protocol.hub.tag_rules import read_tags
from tocsin.protocol.hub.w3c_time import NEVER, read_time, write_time
from tocsin.protocol.text import quoted
from tocsin.protocol.values import MAX_TOAST_LABEL
from tocsin.protocol.xml_tree import CDataText, XmlElement, parse_xml, write_xml, xml_text

MAX_TEMPLATE_NAME: Final = 200
"""Characters of a template's name at most, as the .NET library has it."""

MAX_HEADERS: Final = 32
"""Headers of a template at most."""

MAX_VARIABLES: Final = 60
"""Push variables of a registration at most."""

CONTENT_TYPE: Final = "application/atom+xml;type=entry;charset=utf-8"
"""That of an entry; of a feed with ``type=feed``."""

ATOM: Final = "http://www.w3.org/2005/Atom"
CONNECT: Final = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"
INSTANCE: Final = "http://www.w3.org/2001/XMLSchema-instance"
METADATA: Final = "http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"

NATIVE: Final = "WindowsRegistrationDescription"
TEMPLATE: Final = "WindowsTemplateRegistrationDescription"
_ANY: Final = "RegistrationDescription"

_DECLARATION: Final = '<?xml version="1.0" encoding="utf-8"?>'
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_HEADER_VALUE: Final = re.compile(r"[^\x00-\x1f\x7f]{1,1000}")
_ETAG: Final = re.compile("[0-9]{1,18}")


def read_registration(body: bytes, id: str) -> RegistrationDescription:  # noqa: A002  # the field's name
    """Read the entry that a client posts or puts.

    :param id: the registration's, which the path says, or which the hub has made; one in the body does not count.
    :raises HubRefused: 400; the sentence says what is wrong, and what would be right.
    """
    try:
        entry = parse_xml(body)
    except UnreadableContent as wrong:
        raise HubRefused(
            HubReason.WRONG_REGISTRATION, f"The entry of a registration cannot be read: {wrong}."
        ) from None
    if local_name(entry.name) != "entry":
        raise HubRefused(
            HubReason.WRONG_REGISTRATION, f"A registration is an Atom entry, not {quoted(local_name(entry.name))}."
        )
    found = description_of(entry)
    if found is None:
        raise HubRefused(HubReason.WRONG_REGISTRATION, f"The entry has no content with a {NATIVE} or a {TEMPLATE}.")
    kind, description = found
    if kind not in {NATIVE, TEMPLATE}:
        raise HubRefused(
            HubReason.WRONG_REGISTRATION,
            f"This hub sends to Windows: a registration is a {NATIVE} or a {TEMPLATE}, not {quoted(kind)}.",
        )
    return registration_of(description, id, is_template=kind == TEMPLATE)


def description_of(entry: XmlElement) -> tuple[str, XmlElement] | None:
    """Return the description in an entry and its kind, whichever of three forms it has; None where there is none."""
    for content in _named(entry, "content"):
        for description in content.elements():
            name = local_name(description.name)
            if name != _ANY:
                return name, description
            types = [value for key, value in description.attributes if local_name(key) == "type"]
            return (local_name(types[0].strip()) if types else name), description
    return None


def registration_of(
    description: XmlElement,
    id: str,  # noqa: A002  # the field's name
    *,
    is_template: bool,
    special: bool = False,
) -> RegistrationDescription:
    """Read a description.

    :param special: whether special tags may be among its tags, as in what a hub answers.
    :raises HubRefused: as of :func:`read_registration`.
    """
    return RegistrationDescription(
        id=id,
        channel_uri=check_channel_uri(_text(description, "ChannelUri").strip()),
        tags=read_tags(_text(description, "Tags"), special=special),
        expires=_expires(_text(description, "ExpirationTime").strip()),
        template=_template(description) if is_template else None,
        variables=_variables(_text(description, "PushVariables")),
        secondary_tile=_label(description, "SecondaryTileName", MAX_TOAST_LABEL),
    )


def etag_of(description: XmlElement) -> int:
    """Return the ETag in what a hub answers; 1 where it is none of a hub's."""
    text = _text(description, "ETag").strip()
    return int(text) if _ETAG.fullmatch(text) else 1


def id_of(description: XmlElement) -> str:
    """Return the id in what a hub answers, empty where there is none."""
    return _text(description, "RegistrationId").strip()


def write_registration(registration: RegistrationDescription, hub_url: str, moment: float) -> bytes:
    """Write the entry that answers a client.

    :param hub_url: that of the hub, without a slash at the end.
    :param moment: the time of the answer in seconds since the epoch.
    """
    return _document(_entry(registration, hub_url, moment, ("xmlns", ATOM)))


def write_registrations(registrations: Iterable[RegistrationDescription], hub_url: str, moment: float) -> bytes:
    """Write the feed that answers a list; parameters as of :func:`write_registration`."""
    url = f"{hub_url}/registrations"
    entries = [_entry(each, hub_url, moment) for each in registrations]
    return _document(XmlElement("feed", (("xmlns", ATOM),), (*_head(url, "registrations", moment), *entries)))


def write_registration_request(registration: RegistrationDescription) -> bytes:
    """Write the entry that a client posts or puts: without what the hub says itself, its id, its ETag and its end."""
    content = XmlElement("content", (("type", "application/xml"),), (_description(registration, ()),))
    return _document(XmlElement("entry", (("xmlns", ATOM),), (content,)))


def local_name(name: str) -> str:
    """Return a name without its prefix."""
    return name.rpartition(":")[2]


def _named(element: XmlElement, name: str) -> list[XmlElement]:
    return [child for child in element.elements() if local_name(child.name) == name]


def _text(element: XmlElement, name: str) -> str:
    found = _named(element, name)
    if len(found) > 1:
        raise HubRefused(
            HubReason.WRONG_REGISTRATION, f"{name} stands there {len(found)} times, of which only one could count."
        )
    return found[0].text if found else ""


def _label(description: XmlElement, name: str, most: int) -> str:
    text = _text(description, name).strip()
    if len(text) > most or not text.isprintable():
        raise HubRefused(
            HubReason.WRONG_REGISTRATION, f"{name} has up to {most} printable characters, not {quoted(text)}."
        )
    return text


def _expires(text: str) -> float | None:
    try:
        return read_time(text or NEVER)
    except ValueError as wrong:
        raise HubRefused(HubReason.WRONG_REGISTRATION, f"ExpirationTime is {quoted(text)}: {wrong}.") from None


def _variables(text: str) -> tuple[tuple[str, str], ...]:
    if not text.strip():
        return ()
    variables = parse_json(text, "PushVariables")
    if not isinstance(variables, dict) or not all(isinstance(value, str) for value in variables.values()):
        raise HubRefused(
            HubReason.WRONG_REGISTRATION,
            'PushVariables is a JSON object whose values are texts, such as {"name": "value"}.',
        )
    if len(variables) > MAX_VARIABLES:
        raise HubRefused(
            HubReason.WRONG_REGISTRATION, f"PushVariables has {len(variables)} variables; {MAX_VARIABLES} are allowed."
        )
    return tuple(variables.items())


def _template(description: XmlElement) -> BodyTemplate:
    body = _text(description, "BodyTemplate")
    if not body.strip():
        raise HubRefused(HubReason.WRONG_REGISTRATION, f"A {TEMPLATE} has a BodyTemplate, which is not empty.")
    headers = tuple(
        (_text(header, "Header").strip(), _text(header, "Value").strip())
        for headers in _named(description, "WnsHeaders")
        for header in _named(headers, "WnsHeader")
    )
    if len(headers) > MAX_HEADERS:
        raise HubRefused(
            HubReason.WRONG_REGISTRATION, f"WnsHeaders has {len(headers)} headers; {MAX_HEADERS} are allowed."
        )
    for name, value in headers:
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise HubRefused(
                HubReason.WRONG_REGISTRATION,
                f"WnsHeaders has a header that none can be: {quoted(name)} with {quoted(value)}.",
            )
    names = [name.lower() for name, _ in headers]
    if len(set(names)) < len(names):
        raise HubRefused(HubReason.WRONG_REGISTRATION, "WnsHeaders has a header twice, of which only one could count.")
    if "x-wns-type" not in names:
        raise HubRefused(
            HubReason.WRONG_REGISTRATION,
            "WnsHeaders lacks X-WNS-Type, which says what the template makes: such as wns/toast.",
        )
    return BodyTemplate(_label(description, "TemplateName", MAX_TEMPLATE_NAME), body, headers)


def _document(root: XmlElement) -> bytes:
    return f"{_DECLARATION}{write_xml(root)}".encode()


def _head(url: str, title: str, moment: float) -> tuple[XmlElement, ...]:
    return (
        _element("id", url),
        XmlElement("title", (("type", "text"),), (xml_text(title),)),
        _element("updated", write_time(moment)),
    )


def _entry(
    registration: RegistrationDescription, hub_url: str, moment: float, *namespaces: tuple[str, str]
) -> XmlElement:
    known = (
        _element("ETag", str(registration.etag)),
        _element("ExpirationTime", write_time(registration.expires)),
        _element("RegistrationId", registration.id),
    )
    etag = (("xmlns:m", METADATA), ("m:etag", f'W/"{registration.etag}"'))
    head = _head(f"{hub_url}/registrations/{quote(registration.id, safe='')}", registration.id, moment)
    content = XmlElement("content", (("type", "application/xml"),), (_description(registration, known),))
    return XmlElement("entry", (*namespaces, *etag), (*head, content))


def _description(registration: RegistrationDescription, known: tuple[XmlElement, ...]) -> XmlElement:
    template = registration.template
    children = [*known]
    if registration.tags:
        children.append(_element("Tags", ",".join(registration.tags)))
    if registration.variables:
        children.append(_element("PushVariables", json.dumps(dict(registration.variables), ensure_ascii=False)))
    children.append(_element("ChannelUri", registration.channel_uri))
    if registration.secondary_tile:
        children.append(_element("SecondaryTileName", registration.secondary_tile))
    if template is not None:
        headers = tuple(
            XmlElement("WnsHeader", (), (_element("Header", name), _element("Value", value)))
            for name, value in template.headers
        )
        # Some versions of fast-xml-parser, with which @azure/notification-hubs reads, give up at the thousandth "&lt;".
        body = XmlElement("BodyTemplate", (), (CDataText(xml_text(template.body)),))
        children += [body, XmlElement("WnsHeaders", (), headers)]
        if template.name:
            children.append(_element("TemplateName", template.name))
    name = NATIVE if template is None else TEMPLATE
    return XmlElement(name, (("xmlns:i", INSTANCE), ("xmlns", CONNECT)), tuple(children))


def _element(name: str, text: str) -> XmlElement:
    """Return an element with a text; a character that XML cannot hold is shown as one that could not be."""
    return XmlElement(name, (), (xml_text(text),) if text else ())
