"""What an app wants to have registered in a hub, looked at before the hub is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import NoneType
from typing import Final

from attrs import evolve

from tocsin.protocol.arguments import check_kind, check_text
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.hub.channel_uri import check_channel_uri
from tocsin.protocol.hub.descriptions import BodyTemplate, RegistrationDescription
from tocsin.protocol.hub.hub_refused import HubRefused
from tocsin.protocol.hub.registration_xml import read_registration, write_registration_request
from tocsin.protocol.hub.tag_rules import check_tags
from tocsin.protocol.text import quoted
from tocsin.protocol.xml_tree import parse_xml

_KINDS: Final = frozenset({"toast", "tile", "badge"})
"""Root elements that tell the type of a template by themselves."""


def native_registration(uri: str, tags: Iterable[str]) -> RegistrationDescription:
    """Return a registration of a channel, as yet without an id.

    :raises InvalidArgument: an argument cannot be right.
    """
    check_text(uri, "a channel's URI")
    if isinstance(tags, str):
        raise InvalidArgument(f"tags are several texts, such as [{quoted(tags)}], not one")
    check_kind(tags, "tags", Iterable)
    each = list(tags)
    for tag in each:
        check_text(tag, "a tag")
    try:
        return RegistrationDescription("", check_channel_uri(uri), check_tags(each))
    except HubRefused as refused:
        raise InvalidArgument(refused.detail) from None


def template_registration(  # noqa: PLR0913, PLR0917  # one for each part of it
    uri: str,
    body: str,
    name: str,
    kind: str | None,
    headers: Mapping[str, str] | None,
    tags: Iterable[str],
) -> RegistrationDescription:
    """Return a registration with a template; as of :func:`native_registration`."""
    check_text(body, "the body")
    check_text(name, "a template's name")
    check_kind(kind, "type", str, NoneType)
    check_kind(headers, "headers", Mapping, NoneType)
    template = BodyTemplate(name, body, _headers(body, kind, headers or {}))
    wanted = evolve(native_registration(uri, tags), template=template)
    _check_whole(wanted, template)
    return wanted


def _headers(body: str, kind: str | None, headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the headers of a template, with its type.

    :raises InvalidArgument: they are no texts, or the type is not to be known.
    """
    for header, value in headers.items():
        check_text(header, "a header")
        check_text(value, f"the header {quoted(header)}")
    given = next((value for header, value in headers.items() if header.lower() == "x-wns-type"), None)
    if kind is not None and given is not None:
        raise InvalidArgument("the type is either an argument or the header X-WNS-Type")
    if given is not None:
        return tuple(headers.items())
    kind = kind or parse_xml(body.encode()).name
    if not kind or (kind not in _KINDS and kind != "raw"):
        raise InvalidArgument(f"a type is toast, tile, badge or raw, not {quoted(kind)}")
    return (("X-WNS-Type", f"wns/{kind}"), *headers.items())


def _check_whole(wanted: RegistrationDescription, template: BodyTemplate) -> None:
    """Refuse what a hub would, and what would not arrive there as it is: characters that XML cannot hold.

    :raises InvalidArgument: the sentence says which.
    """
    try:
        arrives = read_registration(write_registration_request(wanted), wanted.id).template
    except HubRefused as refused:
        raise InvalidArgument(refused.detail) from None
    if arrives is None or arrives.name != template.name or arrives.headers != template.headers:
        raise InvalidArgument("a template's name and headers have printable characters, and no space before or after")
    if arrives.body != template.body.replace("\r\n", "\n").replace("\r", "\n"):  # as all that reads XML takes them
        raise InvalidArgument("the body has a character that XML cannot hold")
