"""The sender-side rules of WNS."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.service import wns
from tocsin.protocol.service.notification import Notification
from tocsin.protocol.service.wns import NotificationRequest, WnsRefusal
from tocsin.protocol.values import MAX_PAYLOAD, NotificationStatus, NotificationType

RAW = {"x-wns-type": "wns/raw", "content-type": "application/octet-stream", "content-length": "4"}
TOAST = {"x-wns-type": "wns/toast", "content-type": "text/xml", "content-length": "4"}

ACCEPTED = {
    "raw": RAW,
    "toast": TOAST,
    "tile": {**TOAST, "x-wns-type": "wns/tile"},
    "badge": {**TOAST, "x-wns-type": "wns/badge"},
    "a charset goes with a content type": {**TOAST, "content-type": "text/xml; charset=utf-8"},
    "the charset may be quoted": {**TOAST, "content-type": 'text/xml;charset="UTF-8"'},
    "and so does any other parameter": {**RAW, "content-type": "application/octet-stream; charset=utf-8; q=1"},
    "a media type has no case": {**TOAST, "content-type": "Text/XML"},
    "cache": {**RAW, "x-wns-cache-policy": "cache"},
    "no-cache": {**TOAST, "x-wns-cache-policy": "no-cache"},
    "status wanted": {**RAW, "x-wns-requestforstatus": "true"},
    "status not wanted": {**RAW, "x-wns-requestforstatus": "false"},
    "the longest tag": {**TOAST, "x-wns-tag": "a1B2c3D4e5F6g7H8"},
    "the longest group": {**TOAST, "x-wns-group": "a1B2c3D4e5F6g7H8"},
    "the longest ttl": {**RAW, "x-wns-ttl": "9999999999"},
    "a ttl with cache": {**RAW, "x-wns-ttl": "60", "x-wns-cache-policy": "cache"},
    "no ttl with no-cache": {**RAW, "x-wns-ttl": "0", "x-wns-cache-policy": "no-cache"},
    "a ttl without a policy": {**RAW, "x-wns-ttl": "60"},
    "priority": {**RAW, "x-wns-priority": "4"},
    "a popup that is not suppressed": {**TOAST, "x-wns-suppresspopup": "false"},
    "the longest body": {**RAW, "content-length": str(MAX_PAYLOAD)},
    "an empty toast, which WNS does not look into": {**TOAST, "content-length": "0"},
}

REFUSED = {
    "no type": ({"x-wns-type": None}, 400, "X-WNS-Type is missing"),
    "unknown type": ({"x-wns-type": "wns/phone"}, 400, "X-WNS-Type must be .*, not 'wns/phone'"),
    "type without wns/": ({"x-wns-type": "raw"}, 400, "X-WNS-Type must be"),
    "no content type": ({"content-type": None}, 400, "Content-Type is missing: wns/raw goes with application/octet"),
    "xml for raw": (
        {"content-type": "text/xml"},
        400,
        "Content-Type must be application/octet-stream .* not 'text/xml'",
    ),
    "bytes for a toast": ({"x-wns-type": "wns/toast"}, 400, "Content-Type must be text/xml with wns/toast, not 'appl"),
    "cache policy": ({"x-wns-cache-policy": "always"}, 400, "X-WNS-Cache-Policy must be cache or no-cache, not 'al"),
    "request for status": ({"x-wns-requestforstatus": "yes"}, 400, "X-WNS-RequestForStatus must be true or false"),
    "tag too long": ({"x-wns-tag": "a" * 17}, 400, "X-WNS-Tag must be 1 to 16"),
    "tag with a space": ({"x-wns-tag": "a b"}, 400, "X-WNS-Tag must be 1 to 16"),
    "empty tag": ({"x-wns-tag": ""}, 400, "X-WNS-Tag must be 1 to 16"),
    "tag not in ASCII": ({"x-wns-tag": "é"}, 400, "X-WNS-Tag must be 1 to 16"),
    "group": ({"x-wns-group": "a_b"}, 400, "X-WNS-Group must be 1 to 16"),
    "negative ttl": ({"x-wns-ttl": "-1"}, 400, "X-WNS-TTL must be a whole number"),
    "fractional ttl": ({"x-wns-ttl": "1.5"}, 400, "X-WNS-TTL must be a whole number"),
    "ttl of eleven digits": ({"x-wns-ttl": "10000000000"}, 400, "X-WNS-TTL must be a whole number"),
    "ttl with no-cache": ({"x-wns-ttl": "60", "x-wns-cache-policy": "no-cache"}, 400, re.escape(wns.TTL_CONFLICT)),
    "no ttl with cache": ({"x-wns-ttl": "0", "x-wns-cache-policy": "cache"}, 400, re.escape(wns.TTL_CONFLICT)),
    "priority": ({"x-wns-priority": "5"}, 400, "X-WNS-PRIORITY must be 1"),
    "suppressed popup": ({"x-wns-suppresspopup": "yes"}, 400, "X-WNS-SuppressPopup must be true or false"),
    "chunked": ({"transfer-encoding": "chunked", "content-length": None}, 400, "Transfer-Encoding is not supported"),
    "no length": ({"content-length": None}, 400, "Content-Length is missing"),
    "a length that is no number": ({"content-length": "4, 4"}, 400, "Content-Length must be"),
    "empty raw": ({"content-length": "0"}, 400, "A raw notification must not be empty"),
    "too long": ({"content-length": "5001"}, 413, "The payload has 5001 bytes; at most 5000"),
    "far too long": ({"content-length": "9" * 19}, 413, "The payload has 9+ bytes"),
}


@pytest.mark.parametrize("headers", ACCEPTED.values(), ids=ACCEPTED)
def test_acceptable_headers_make_a_notification(headers: dict[str, str]) -> None:
    """What WNS accepts is accepted."""
    assert isinstance(wns.read_notification(headers), NotificationRequest)


@pytest.mark.parametrize(("change", "status", "words"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_header_is_refused_in_words(change: dict[str, str | None], status: int, words: str) -> None:
    """Each rule refuses with its status and a sentence that names the header."""
    headers = {name: value for name, value in {**RAW, **change}.items() if value is not None}
    refusal = wns.read_notification(headers)
    assert isinstance(refusal, WnsRefusal)
    assert refusal.status == status
    assert re.match(words, refusal.description)


@pytest.mark.parametrize(
    ("kind", "cache", "priority"),
    [
        (NotificationType.TOAST, True, 1),
        (NotificationType.TILE, True, 2),
        (NotificationType.BADGE, True, 2),
        (NotificationType.RAW, False, 3),
    ],
)
def test_defaults_go_by_type(kind: NotificationType, cache: bool, priority: int) -> None:
    """Cache policy and priority have the defaults that WNS documents for each type."""
    media_type = RAW["content-type"] if kind is NotificationType.RAW else TOAST["content-type"]
    request = wns.read_notification({**RAW, "x-wns-type": f"wns/{kind}", "content-type": media_type})
    notification = Notification(kind, cache, tag=None, group=None, ttl=None, priority=priority)
    assert request == NotificationRequest(notification, wants_status=False)


def test_all_headers_are_read() -> None:
    """What the headers say stands in the notification."""
    headers = {
        **TOAST,
        "x-wns-cache-policy": "cache",
        "x-wns-requestforstatus": "true",
        "x-wns-tag": "tag1",
        "x-wns-group": "group1",
        "x-wns-ttl": "60",
        "x-wns-priority": "4",
        "x-wns-suppresspopup": "true",
    }
    notification = Notification(
        NotificationType.TOAST, cache=True, tag="tag1", group="group1", ttl=60, priority=4, suppress_popup=True
    )
    assert notification.label == "tag1/group1!"
    assert wns.read_notification(headers) == NotificationRequest(notification, wants_status=True)


def test_only_post_and_delete_are_methods() -> None:
    """Any other method is 405, and named."""
    assert wns.check_method("POST") is None
    assert wns.check_method("DELETE") is None
    words = "The method must be POST, or DELETE with X-WNS-Match, not 'GET'"
    assert wns.check_method("GET") == WnsRefusal(405, words, reason="wrong_method")


@pytest.mark.parametrize("value", ["Bearer abc.D-_~+/e==", "bearer abc.D-_~+/e==", "BEARER   abc.D-_~+/e=="])
def test_a_bearer_token_is_taken(value: str) -> None:
    """The scheme has no case, and the token is what follows it."""
    assert wns.bearer_token({"authorization": value}) == "abc.D-_~+/e=="


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "Authorization is missing"),
        ({"authorization": ""}, "Authorization is malformed"),
        ({"authorization": "Bearer"}, "Authorization is malformed"),
        ({"authorization": "Bearer a b"}, "Authorization is malformed"),
        ({"authorization": "Bearer a, Bearer b"}, "Authorization is malformed"),
        ({"authorization": "Basic YTpi"}, "Authorization is malformed"),
    ],
)
def test_a_missing_or_malformed_ticket_is_refused(headers: dict[str, str], words: str) -> None:
    """Both are 401, and told apart."""
    refusal = wns.bearer_token(headers)
    assert isinstance(refusal, WnsRefusal)
    assert refusal.status == 401
    assert refusal.description.startswith(words)


def test_headers_are_collected_whatever_their_case() -> None:
    """Names have no case, and headers that no rule looks at are left out."""
    assert wns.collect([(b"X-WNS-Type", b"wns/raw"), (b"x-wns-tag", b"a"), (b"Host", b"h")]) == {
        "x-wns-type": "wns/raw",
        "x-wns-tag": "a",
    }


def test_a_repeated_header_is_refused_by_its_own_rule() -> None:
    """Two values for one header are not silently one."""
    headers = wns.collect(
        [(b"x-wns-tag", b"a"), (b"x-wns-tag", b"b"), *((k.encode(), v.encode()) for k, v in RAW.items())]
    )
    refusal = wns.read_notification(headers)
    words = "X-WNS-Tag must be 1 to 16 letters and digits, not 'a, b'"
    assert refusal == WnsRefusal(400, words, NotificationStatus.DROPPED, reason="wrong_tag")


ANYTHING = st.binary(max_size=200).map(lambda value: value.decode("latin-1"))  # what a header's bytes may be
HEADERS = st.dictionaries(
    st.sampled_from(
        sorted([*RAW, *(name for name, _, _ in wns.RULES), "transfer-encoding", "authorization", "x-wns-match"])
    ),
    st.one_of(
        ANYTHING,
        st.text(alphabet="0123456789"),
        st.sampled_from(["wns/raw", "wns/toast", "text/xml", "application/octet-stream", "cache", "true", "1", "5"]),
    ),
)


REASONS = {
    *("token_missing", "token_malformed", "too_large", "wrong_body", "wrong_content_length", "wrong_content_type"),
    *("wrong_match", "wrong_transfer_encoding"),
    *(f"wrong_{name.removeprefix('x-wns-').replace('-', '_')}" for name, _, _ in wns.RULES),
}
"""By which refusals of headers are counted."""


@given(HEADERS)
def test_no_header_value_makes_the_rules_raise(headers: dict[str, str]) -> None:
    """Whatever comes, the result is a notification or a refusal in words that fit into a header, with a reason of ours."""
    for result in (wns.read_notification(headers), wns.bearer_token(headers), wns.read_match(headers)):
        if isinstance(result, WnsRefusal):
            assert result.description
            assert result.description.isascii()
            assert result.description.isprintable()
            assert result.reason in REASONS


@given(ANYTHING)
def test_no_method_makes_the_rules_raise(method: str) -> None:
    """Whatever the method, it is accepted or refused in words."""
    refusal = wns.check_method(method)
    assert refusal is None or refusal.description.isprintable()


@given(st.lists(st.tuples(st.binary(), st.binary())))
def test_no_header_bytes_make_the_collection_raise(headers: list[tuple[bytes, bytes]]) -> None:
    """Headers are bytes, and any bytes will do."""
    assert isinstance(wns.collect(headers), dict)


@pytest.mark.parametrize(
    ("headers", "storable"),
    [
        (TOAST, True),
        (RAW, False),
        ({**RAW, "x-wns-cache-policy": "cache"}, True),
        ({**TOAST, "x-wns-cache-policy": "no-cache"}, False),
        ({**TOAST, "x-wns-ttl": "0"}, False),
        ({**TOAST, "x-wns-ttl": "1"}, True),
        ({**RAW, "x-wns-ttl": "1"}, False),
    ],
)
def test_what_may_wait_is_said_by_policy_and_ttl(headers: dict[str, str], storable: bool) -> None:
    """The policy in force allows it, and a TTL of 0 does not."""
    request = wns.read_notification(headers)
    assert isinstance(request, NotificationRequest)
    assert request.notification.storable is storable


def test_throttling_has_its_status_and_time() -> None:
    """406, the status that WNS has for it, and when to come again."""
    expected = WnsRefusal(406, "Too many", NotificationStatus.CHANNEL_THROTTLED, 7, reason="app_throttled")
    assert wns.throttled("Too many", 7, "app_throttled") == expected
