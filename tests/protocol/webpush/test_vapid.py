"""Who a sender says that it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.webpush import base64url
from tocsin.protocol.webpush.vapid import (
    LEEWAY,
    LONGEST,
    MAX_TOKEN,
    VapidRefusal,
    VapidToken,
    check_subject,
    claims,
    fault_of,
    read_vapid,
)

POINT = b"\4" + bytes(range(64))
K = base64url.encode(POINT)
T = "e30.e30.c2ln"
NOW = 1_800_000_000.0
ORIGIN = "https://push.example:8443"
GOOD = claims(ORIGIN, NOW + 12 * 3600, "mailto:push@app.example")


@pytest.mark.parametrize(
    "authorization",
    [
        f"vapid t={T}, k={K}",
        f"vapid t={T},k={K}",
        f"vapid k={K}, t={T}",
        f"VAPID  T = {T} ,\tK = {K}",
        f'Vapid t="{T}", k="{K}"',
        f"vapid t={T}, k={K}=",
        f"vapid t={T}, k={K}, v=2",
        f" vapid t={T},k={K} ",
    ],
)
def test_a_token_and_its_key_are_read_in_any_order_and_spacing(authorization: str) -> None:
    """As real senders write them; the key is compared as bytes, so that padding does not matter."""
    assert read_vapid(authorization, None) == VapidToken(T, POINT)


@pytest.mark.parametrize("crypto_key", [f"p256ecdsa={K}", f"dh=AA;p256ecdsa={K}", f'keyid=a;dh=AA, p256ecdsa="{K}="'])
def test_the_older_form_has_its_key_in_another_header(crypto_key: str) -> None:
    """It stands beside the key of the content."""
    assert read_vapid(f"WebPush {T}", crypto_key) == VapidToken(T, POINT)


@pytest.mark.parametrize(
    ("authorization", "crypto_key", "words"),
    [
        ("", None, "vapid t=TOKEN, k=KEY"),
        (f"Bearer {T}", None, "vapid t=TOKEN, k=KEY"),
        ("vapid", None, "lacks a part"),
        (f"vapid t={T}", None, "lacks a part"),
        (f"vapid k={K}", None, "lacks a part"),
        (f"vapid {T}", None, "lacks a part"),
        (f"vapid t={T}, t={T}, k={K}", None, "one twice"),
        (f"WebPush {T}", None, "p256ecdsa in Crypto-Key"),
        (f"WebPush {T}", f"p256ecdsa={K}, p256ecdsa={K}", "one twice"),
        ("webpush", f"p256ecdsa={K}", "lacks a part"),
        (f"vapid t=e30.e30, k={K}", None, "three parts"),
        (f"vapid t=e30.e30., k={K}", None, "three parts"),
        (f"vapid t={T}{'A' * MAX_TOKEN}, k={K}", None, f"more than {MAX_TOKEN} characters"),
        (f"vapid t={T}, k=+{K}", None, "no base64url"),
        (f"vapid t={T}, k={base64url.encode(POINT[:-1])}", None, "no uncompressed point"),
        (f"vapid t={T}, k={base64url.encode(POINT + b'0')}", None, "no uncompressed point"),
        (f"vapid t={T}, k={base64url.encode(b'5' + POINT[1:])}", None, "no uncompressed point"),
        (f"vapid t={T}, k=", None, "no uncompressed point"),
    ],
)
def test_what_is_not_written_so_is_refused_in_words(authorization: str, crypto_key: str | None, words: str) -> None:
    """The sentence says how it is written, and shows neither token nor key."""
    refusal = read_vapid(authorization, crypto_key)
    assert isinstance(refusal, VapidRefusal)
    assert words in refusal.words
    assert T not in refusal.words
    assert K not in refusal.words


@given(
    st.text(st.sampled_from('vapidwebpsh tk=,;".-_Aé\t\n'), max_size=40) | st.text(max_size=20),
    st.none() | st.text(max_size=20) | st.text(st.sampled_from('p256ecdsa=;,"BA'), max_size=20),
)
def test_no_header_raises(authorization: str, crypto_key: str | None) -> None:
    """Any two texts are read or refused."""
    assert isinstance(read_vapid(authorization, crypto_key), VapidToken | VapidRefusal)


def test_the_token_is_not_shown() -> None:
    """It is good until its end for all that have seen it."""
    assert T not in repr(VapidToken(T, POINT))


@pytest.mark.parametrize(
    ("audience", "origin"),
    [
        (ORIGIN, ORIGIN),
        ("https://push.example", ORIGIN),
        ("https://push.example", "https://push.example"),
        ("https://push.example:443", "https://push.example"),
        ("https://push.example/", "https://push.example:443"),
        ("HTTPS://Push.Example:8443", ORIGIN),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        (["https://other.example", ORIGIN], ORIGIN),
    ],
)
def test_a_token_is_for_the_service_with_its_port_or_without(audience: object, origin: str) -> None:
    """One of several audiences is enough."""
    assert fault_of(GOOD | {"aud": audience}, [origin], NOW) is None
    assert fault_of(GOOD | {"aud": audience}, ["https://else.example", origin], NOW) is None


@pytest.mark.parametrize(
    "audience",
    [
        *(None, 1, "", [], {}, [[ORIGIN]], "push.example", "https://push.example:8444", "http://push.example:8443"),
        *(
            "https://push.example.evil",
            "https://push.example/p/token",
            "https://a@push.example",
            "https://[",
            "https://",
        ),
        *("https://push.example:port", "https://push.example?a", "https://other.example"),
    ],
)
def test_a_token_for_another_service_is_none(audience: object) -> None:
    """A service that it was shown to must not use it elsewhere; the sentence says what it must name."""
    fault = fault_of(GOOD | {"aud": audience}, [ORIGIN], NOW)
    assert fault is not None
    assert fault.endswith(f"its aud must be {ORIGIN}")


@pytest.mark.parametrize("expires", [NOW + 1, NOW + 0.5, int(NOW) + LONGEST, NOW + LONGEST + LEEWAY])
def test_a_token_is_good_for_a_day_and_what_clocks_differ_by(expires: float) -> None:
    """Some senders set its end to the last second."""
    assert fault_of(GOOD | {"exp": expires}, [ORIGIN], NOW) is None


@pytest.mark.parametrize(
    ("expires", "words"),
    [
        (NOW, "is over"),
        (0, "is over"),
        (-(10**400), "is over"),
        (float("nan"), "is over"),
        (NOW + LONGEST + LEEWAY + 1, "ends too late"),
        (10**400, "ends too late"),
        (float("inf"), "ends too late"),
        (None, "has no end"),
        ("1", "has no end"),
        (True, "has no end"),
        ([NOW + 1], "has no end"),
    ],
)
def test_a_token_that_is_over_or_has_no_end_in_sight_is_none(expires: object, words: str) -> None:
    """Numbers that are none or endless are judged, too."""
    fault = fault_of(GOOD | {"exp": expires}, [ORIGIN], NOW)
    assert fault is not None
    assert words in fault


@pytest.mark.parametrize("name", ["iat", "nbf"])
def test_when_a_token_begins_is_looked_at_for_its_kind_only(name: str) -> None:
    """A clock that is ahead keeps no sender out; a text shows that the token was made wrongly."""
    assert fault_of(GOOD | {name: NOW + 10**6}, [ORIGIN], NOW) is None
    assert fault_of(GOOD | {name: "now"}, [ORIGIN], NOW) == f"the VAPID token's {name} is no number"


def test_a_sender_need_not_name_itself() -> None:
    """The subject is for an operator, who may do without."""
    assert fault_of({"aud": ORIGIN, "exp": NOW + 1}, [ORIGIN], NOW) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(["aud", "exp", "iat", "nbf", "sub"]), JSON | st.just(ORIGIN)))
def test_no_claims_raise(said: dict[str, object]) -> None:
    """Claims of any kind are good or have a fault in words."""
    fault = fault_of(said, [ORIGIN], NOW)
    assert fault is None or fault.startswith("the VAPID token")


@pytest.mark.parametrize(
    "subject", ["mailto:ops@app.example", "https://app.example/contact", "MAILTO:ops+push@app.example"]
)
def test_a_subject_is_an_address_or_a_page(subject: str) -> None:
    """By which the operator of a push service reaches the sender."""
    check_subject(subject)


@pytest.mark.parametrize(
    "subject",
    [
        None,
        1,
        "",
        "ops@app.example",
        "mailto:",
        "mailto:ops",
        "https://",
        "http://app.example",
        "mailto:a@b c",
        "mailto:ä@b",
    ],
)
def test_another_subject_is_refused(subject: object) -> None:
    """Some push services refuse what has it, without a reason."""
    with pytest.raises(InvalidArgument, match="the subject"):
        check_subject(subject)
