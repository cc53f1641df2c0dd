"""What a sender says of a message of Web Push beside its body (RFC 8030 §5.2 to §5.4)."""

from __future__ import annotations

import re
from typing import Final

from tocsin.protocol.arguments import check_kind, check_within
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.text import quoted

DAY: Final = 24 * 3600
LONGEST_TTL: Final = 28 * DAY
"""Seconds that push services keep a message at most; ours cuts a longer TTL to that, and says so."""

URGENCIES: Final = ("very-low", "low", "normal", "high")

TOPIC: Final = re.compile("[A-Za-z0-9_-]{1,32}")
"""What a topic looks like."""


def write_headers(ttl: int, urgency: str, topic: str | None) -> dict[str, str]:
    """Return the headers; the arguments are those of ``WebPushClient.send``.

    :raises InvalidArgument: an argument is none of these.
    """
    check_within(ttl, "ttl", 0, LONGEST_TTL)
    headers = {"TTL": str(ttl)}
    if urgency not in URGENCIES:
        raise InvalidArgument(f"urgency is one of {', '.join(URGENCIES)}, not {quoted(urgency)}")
    if urgency != "normal":  # which is what is not said
        headers["Urgency"] = urgency
    if topic is not None:
        check_topic(topic)
        headers["Topic"] = topic
    return headers


def check_topic(topic: str) -> None:
    """Refuse what is no topic.

    :raises InvalidArgument: it is none.
    """
    check_kind(topic, "topic", str)
    if not TOPIC.fullmatch(topic):
        raise InvalidArgument(f"a topic has 1 to 32 letters, digits, - and _, not {quoted(topic)}")
