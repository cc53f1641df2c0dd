"""What a hub answers to an app that registers: entries and feeds, of the real one, too, read within bounds."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from tocsin.protocol.errors import ProtocolViolation, UnreadableContent
from tocsin.protocol.hub.descriptions import RegistrationDescription
from tocsin.protocol.hub.hub_refused import HubRefused
from tocsin.protocol.hub.registration_xml import (
    NATIVE,
    TEMPLATE,
    description_of,
    etag_of,
    id_of,
    local_name,
    registration_of,
)
from tocsin.protocol.text import quoted
from tocsin.protocol.xml_tree import XmlElement, parse_xml

MAX_ANSWER: Final = 8 * 1024 * 1024
"""Bytes of an answer at most: a hundred registrations with long templates."""

_MAX_ELEMENTS: Final = 20_000


def read_registration_answer(body: bytes) -> RegistrationDescription:
    """Read the entry that answers to a registration.

    :raises ProtocolViolation: it is none, or has no id.
    """
    entry = _root(body, "entry")
    found = _registration(entry)
    if found is None:
        raise ProtocolViolation(f"the hub's answer has no {NATIVE} and no {TEMPLATE}")
    return found


def read_registrations_answer(body: bytes) -> list[RegistrationDescription]:
    """Read the feed that answers to a list; registrations that are not of Windows are passed over.

    :raises ProtocolViolation: it is none, or has a registration that cannot be read.
    """
    entries = [each for each in _root(body, "feed").elements() if local_name(each.name) == "entry"]
    return [found for found in map(_registration, entries) if found is not None]


def _root(body: bytes, name: str) -> XmlElement:
    try:
        root = parse_xml(body, max_bytes=MAX_ANSWER, max_elements=_MAX_ELEMENTS)
    except UnreadableContent as wrong:
        raise ProtocolViolation(f"the hub's answer is no Atom {name}: {wrong}") from None
    if local_name(root.name) != name:
        raise ProtocolViolation(f"the hub's answer is no Atom {name}, but {quoted(local_name(root.name))}")
    return root


def _registration(entry: XmlElement) -> RegistrationDescription | None:
    kind, description = description_of(entry) or ("", entry)
    if kind not in {NATIVE, TEMPLATE}:
        return None
    try:
        registration = registration_of(description, id_of(description), is_template=kind == TEMPLATE, special=True)
    except HubRefused as wrong:
        raise ProtocolViolation(f"the hub's answer has a registration that cannot be read: {wrong.detail}") from None
    if not registration.id:
        raise ProtocolViolation("the hub's answer has a registration without a RegistrationId")
    return evolve(registration, etag=etag_of(description))
