"""What a sender sends to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.webpush.subscription import PushSubscription

POINT = b"\4" + bytes(64)
AUTH = bytes(range(16))
SUBSCRIPTION = PushSubscription("https://push.example/p/capability", POINT, AUTH)
JSON = SUBSCRIPTION.as_json()


def test_it_is_read_as_it_was_written() -> None:
    """As text, as its bytes, and as what was read from that; a browser says more, and may pad."""
    for each in (JSON, json.dumps(JSON), json.dumps(JSON).encode(), SUBSCRIPTION):
        assert PushSubscription.of(each) == SUBSCRIPTION
    keys = {name: value + "=" * (-len(value) % 4) for name, value in JSON["keys"].items()}
    assert PushSubscription.from_json({**JSON, "expirationTime": None, "keys": keys}) == SUBSCRIPTION


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ("[]", "is a JSON object such as"),
        ("1", "is a JSON object such as"),
        ("{", "is no JSON"),
        ("{}", "is a JSON object such as"),
        (1, "is a JSON object such as"),
        (b"1", "is a JSON object such as"),
        (b"{", "is no JSON"),
        (b'{"endpoint": "capability\xff"}', "is no UTF-8"),
        (b"{" + b" " * 20_000 + b"}", "has more than 16384 bytes"),
        ({**JSON, "keys": None}, "is a JSON object such as"),
        ({**JSON, "keys": {}}, "p256dh of the keys of a subscription must be text"),
        ({**JSON, "endpoint": None}, "the endpoint of a subscription must be text"),
        ({**JSON, "endpoint": ""}, "the endpoint of a subscription must not be empty"),
        ({**JSON, "keys": JSON["keys"] | {"auth": 1}}, "auth of the keys of a subscription must be text"),
        ({**JSON, "keys": JSON["keys"] | {"auth": "capability+"}}, "auth of the keys .* cannot be read"),
        ({**JSON, "keys": JSON["keys"] | {"auth": "AAAA"}}, "auth of a subscription has 16 bytes, not 3"),
        ({**JSON, "keys": JSON["keys"] | {"p256dh": "AAAA"}}, "point on P-256, of 65 bytes"),
        ("{" + " " * 20_000 + "}", "has more than 16384 bytes"),
    ],
)
def test_what_is_none_is_refused_in_words(changed: Any, words: str) -> None:
    """They say what is missing, and show nothing of it."""
    with pytest.raises(InvalidArgument, match=words) as refused:
        PushSubscription.from_json(changed)
    assert "capability" not in str(refused.value)


@pytest.mark.parametrize("subscription", [None, 1, bytearray(b"{}"), ["endpoint"], object()])
def test_what_is_neither_json_nor_a_subscription_is_refused(subscription: Any) -> None:
    """The sentence names what would be one, and the type of what was given."""
    with pytest.raises(InvalidArgument, match=f"with endpoint, p256dh and auth, not {type(subscription).__name__}"):
        PushSubscription.of(subscription)


@given(
    st.text(max_size=20)
    | st.binary(max_size=20)
    | st.dictionaries(st.sampled_from(["endpoint", "keys"]), st.none() | st.text(max_size=5))
)
def test_nothing_else_is_raised(subscription: Any) -> None:
    """Whatever an app has sent."""
    with pytest.raises(InvalidArgument):
        PushSubscription.from_json(subscription)


def test_what_is_secret_is_not_shown() -> None:
    """All that have the endpoint may send."""
    assert repr(SUBSCRIPTION) == f"PushSubscription(p256dh={POINT!r})"
