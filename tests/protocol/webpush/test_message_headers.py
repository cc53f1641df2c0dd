"""What a sender says of a message."""

from __future__ import annotations

from typing import Any

import pytest

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.webpush.message_headers import LONGEST_TTL, URGENCIES, write_headers


def test_a_message_says_how_long_it_is_worth_something() -> None:
    """The standard demands that; the rest is said where it was chosen."""
    assert write_headers(0, "normal", None) == {"TTL": "0"}
    assert write_headers(LONGEST_TTL, "high", "a-B_9") == {"TTL": "2419200", "Urgency": "high", "Topic": "a-B_9"}
    assert {write_headers(0, urgency, None).get("Urgency", "normal") for urgency in URGENCIES} == set(URGENCIES)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((-1, "normal", None), "ttl must be from 0 to 2419200"),
        ((LONGEST_TTL + 1, "normal", None), "ttl must be from 0 to 2419200"),
        ((None, "normal", None), "ttl must be a whole number"),
        ((True, "normal", None), "ttl must be a whole number"),
        ((0, "High", None), "urgency is one of"),
        ((0, None, None), "urgency is one of"),
        ((0, "low", 1), "topic must be text"),
        ((0, "low", ""), "1 to 32"),
        ((0, "low", "a" * 33), "1 to 32"),
        ((0, "low", "a\r\nb: c"), "1 to 32"),
    ],
)
def test_what_no_service_takes_is_refused(arguments: Any, words: str) -> None:
    """In words."""
    with pytest.raises(InvalidArgument, match=words):
        write_headers(*arguments)
