"""What a hub tells of messages and of what it refuses, as XML: outcomes of tests, the state of a message, errors.

Elements have no prefix, and what would be empty is left out: clients look for names, and read an empty list as one value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from attrs import field, frozen

from tocsin.protocol.hub.hub_outcomes import HubOutcome, Tally, TargetOutcome
from tocsin.protocol.hub.w3c_time import write_time
from tocsin.protocol.xml_tree import XmlElement, write_xml, xml_text

_DECLARATION: Final = '<?xml version="1.0" encoding="utf-8"?>'
_NAMESPACE: Final = (
    ("xmlns", "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"),
    ("xmlns:i", "http://www.w3.org/2001/XMLSchema-instance"),
)
_PLATFORM: Final = "windows"
_MAX_REASONS: Final = 10  # of one outcome: each payload that is too long has words of its own


@frozen
class TriedTarget:
    """What became of a test at one target; ``registration`` is empty for a channel that was named itself."""

    channel_uri: str = field(repr=False)
    registration: str
    outcome: TargetOutcome


def write_error(status: int, detail: str) -> bytes:
    """Write why a request is refused."""
    return _document("Error", (_element("Code", str(status)), _element("Detail", detail)), ())


def write_test_outcome(results: Iterable[TriedTarget]) -> bytes:
    """Write what became of a message that was sent as a test: ``NotificationOutcome``."""
    results = list(results)
    success = sum(each.outcome.name is HubOutcome.SUCCESS for each in results)
    children = (
        _element("Success", str(success)),
        _element("Failure", str(len(results) - success)),
        XmlElement("Results", (), tuple(map(_result, results))),
    )
    return _document("NotificationOutcome", children)


def write_details(  # noqa: PLR0913, PLR0917 - what it tells
    id: str,  # noqa: A002 - the field's name
    location: str,
    state: str,
    moments: Mapping[str, float | None],
    texts: Mapping[str, str],
    tally: Tally,
) -> bytes:
    """Write where a message stands: ``NotificationDetails``.

    :param moments: by element; what has not come yet is None.
    :param texts: elements behind these, such as ``Tags``; an empty one is left out.
    """
    times = (_element(name, write_time(moment)) for name, moment in moments.items() if moment is not None)
    others = (_element(name, text) for name, text in texts.items() if text)
    counts = tuple(_count(name, tally) for name in HubOutcome if tally.of(name))
    children = (
        *(_element("NotificationId", id), _element("Location", location), _element("State", state)),
        *times,
        *others,
        _element("TargetPlatforms", _PLATFORM),
        *((XmlElement("WnsOutcomeCounts", (), counts),) if counts else ()),
    )
    return _document("NotificationDetails", children)


def _result(result: TriedTarget) -> XmlElement:
    name, words = result.outcome.name, result.outcome.words
    children = (
        _element("ApplicationPlatform", _PLATFORM),
        _element("PnsHandle", result.channel_uri),
        _element("RegistrationId", result.registration),
        _element("Outcome", f"{name}: {words}" if words else name),
    )
    return XmlElement("RegistrationResult", (), children)


def _count(name: HubOutcome, tally: Tally) -> XmlElement:
    """Return the count of an outcome, and how often it had which reason.

    There is one for each name: .NET reads them as a dictionary, and raises an error where a name is there twice.
    """
    counts = {outcome.words: count for outcome, count in tally.counts.items() if outcome.name is name and outcome.words}
    reasons = sorted(counts, key=lambda words: (-counts[words], words))[:_MAX_REASONS]
    details = (_element("Detail", f"{counts[words]} x {words}") for words in reasons)
    return XmlElement("Outcome", (), (_element("Name", name), _element("Count", str(tally.of(name))), *details))


def _element(name: str, text: str) -> XmlElement:
    return XmlElement(name, (), (xml_text(text),) if text else ())


def _document(
    name: str, children: tuple[XmlElement, ...], namespace: tuple[tuple[str, str], ...] = _NAMESPACE
) -> bytes:
    return f"{_DECLARATION}{write_xml(XmlElement(name, namespace, children))}".encode()
