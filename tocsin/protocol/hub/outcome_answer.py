"""What a hub answers of a message: where it stands, and what it has come to; of the real hub, too, read within bounds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from attrs import Factory, frozen

from tocsin.protocol.errors import ProtocolViolation, UnreadableContent
from tocsin.protocol.hub.message_life import ENDED, state_of
from tocsin.protocol.hub.registration_xml import local_name
from tocsin.protocol.text import quoted
from tocsin.protocol.xml_tree import XmlElement, parse_xml

_MAX_NAME: Final = 64
_COUNT: Final = re.compile("[0-9]{1,9}")
_ENDED: Final = frozenset(map(state_of, ENDED))


@frozen
class MessageStanding:
    """Where a message stands, by the words of the hub: those of ``HubOutcome`` and others, since each hub has more of them."""

    state: str
    counts: Mapping[str, int] = Factory(dict)
    """How many devices of Windows have which outcome, none of them 0."""

    @property
    def ended(self) -> bool:
        """Tell whether nothing happens to it any more."""
        return self.state in _ENDED


def read_outcome_answer(body: bytes) -> MessageStanding:
    """Read the ``NotificationDetails`` of a message; an outcome that is told twice is counted twice.

    :param body: up to 65,536 bytes.
    :raises ProtocolViolation: it is none, or has a state or an outcome that cannot be read.
    """
    try:
        root = parse_xml(body)
    except UnreadableContent as wrong:
        raise ProtocolViolation(f"the hub's answer is no NotificationDetails: {wrong}") from None
    if local_name(root.name) != "NotificationDetails":
        raise ProtocolViolation(f"the hub's answer is no NotificationDetails, but {quoted(local_name(root.name))}")
    counts: dict[str, int] = {}
    for outcome in (each for all_ in _named(root, "WnsOutcomeCounts") for each in _named(all_, "Outcome")):
        name, count = _text(outcome, "Name"), _text(outcome, "Count")
        if not _COUNT.fullmatch(count):
            raise ProtocolViolation(f"the hub counts {quoted(count)} of the outcome {name}, which is no number")
        if int(count):
            counts[name] = counts.get(name, 0) + int(count)
    return MessageStanding(_text(root, "State"), counts)


def _named(parent: XmlElement, name: str) -> list[XmlElement]:
    return [each for each in parent.elements() if local_name(each.name) == name]


def _text(parent: XmlElement, name: str) -> str:
    text = "".join(each.text for each in _named(parent, name)[:1]).strip()
    if not (0 < len(text) <= _MAX_NAME and text.isprintable()):
        raise ProtocolViolation(f"the hub's answer has no {name} of 1 to {_MAX_NAME} printable characters")
    return text
