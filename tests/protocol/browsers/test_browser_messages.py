"""What browsers say: read as they say it, refused in words where it is wrong, and never anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tocsin.protocol.browsers.browser_messages import (
    MAX_CHANNEL_ID,
    MAX_TEXT,
    MAX_UPDATES,
    MAX_VERSION,
    Acked,
    BrowserHello,
    BrowserPing,
    BrowserRegister,
    BrowserUnregister,
    Misasked,
    PassedOver,
    read_browser_message,
)
from tocsin.protocol.errors import ProtocolViolation
from tocsin.protocol.webpush.base64url import encode

CHANNEL = "5e6e4cf7-26a6-4ec2-a7a2-0b9b6b3a3ab5"
KEY = b"\x04" + bytes(range(64))
UAID = "0123456789abcdef0123456789abcdef"


def said(**fields: Any) -> str:
    """Write a message as a browser does."""
    return json.dumps(fields)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ('{"messageType":"hello","broadcasts":{"a/b":"1"},"use_webpush":true}', BrowserHello(None, uses_web_push=True)),
        (f'{{"messageType":"hello","uaid":"{UAID}","use_webpush":true}}', BrowserHello(UAID, uses_web_push=True)),
        (said(messageType="register", channelID=CHANNEL, key=f"{encode(KEY)}="), BrowserRegister(CHANNEL, KEY)),
        (said(messageType="register", channelID=CHANNEL), BrowserRegister(CHANNEL)),
        (said(messageType="unregister", channelID=CHANNEL, code=202), BrowserUnregister(CHANNEL, "202")),
        (
            said(messageType="ack", updates=[{"channelID": CHANNEL, "version": "v", "code": 100}]),
            Acked((("v", "100"),)),
        ),
        (said(messageType="nack", version="v", code=301), Acked((("v", "301"),))),
        (said(messageType="broadcast_subscribe", broadcasts={}), PassedOver("broadcast_subscribe")),
        ("{}", BrowserPing()),
    ],
    ids=lambda value: "" if isinstance(value, str) else type(value).__name__,
)
def test_what_firefox_says_is_read(text: str, read: object) -> None:
    """Each of its messages is what it says; a key is padded."""
    assert read_browser_message(text) == read


KDE = [
    ('{"messageType":"hello"}', BrowserHello(None, uses_web_push=False)),
    (f'{{"messageType":"hello","uaid":"{UAID}"}}', BrowserHello(UAID, uses_web_push=False)),
    (said(channelID=CHANNEL, messageType="register", key=encode(KEY)), BrowserRegister(CHANNEL, KEY)),
    (said(channelID=f"{{{CHANNEL}}}", messageType="register"), BrowserRegister(f"{{{CHANNEL}}}")),
    (said(messageType="ack", updates=[{"channelID": CHANNEL, "version": "v"}]), Acked((("v", "none"),))),
    (said(channelID=CHANNEL, messageType="unregister"), BrowserUnregister(CHANNEL)),
]


@pytest.mark.parametrize(
    ("text", "read"), KDE, ids=lambda value: "" if isinstance(value, str) else type(value).__name__
)
def test_what_kunifiedpush_says_is_read(text: str, read: object) -> None:
    """It says less than Firefox, and gives no codes."""
    assert read_browser_message(text) == read


@pytest.mark.parametrize("uaid", [None, "short", 7, "ü" * 40, "a" * 129, "a b" * 20, ["x"]])
def test_a_key_that_cannot_be_ours_is_none(uaid: object) -> None:
    """No browser is refused at hello: with a new key it knows that its subscriptions are none of this service's."""
    assert read_browser_message(said(messageType="hello", uaid=uaid)) == BrowserHello(None, uses_web_push=False)


@pytest.mark.parametrize("code", [99, 103, "100", 100.0, True, [], 10**400 // 3])
def test_a_code_that_is_not_known_is_counted_as_another(code: object) -> None:
    """So that what is counted has few names."""
    message = said(messageType="ack", updates=[{"version": "v", "code": code}])
    assert read_browser_message(message) == Acked((("v", "other"),))


@pytest.mark.parametrize("channel_id", ["", "x", CHANNEL[:-1], f"{CHANNEL}0", CHANNEL.replace("-", ""), "x" * 64])
@pytest.mark.parametrize("kind", ["register", "unregister"])
def test_a_channel_id_that_is_no_uuid_is_told_to_the_browser(kind: str, channel_id: str) -> None:
    """The answer repeats it, so that the browser knows what it is about."""
    read = read_browser_message(said(messageType=kind, channelID=channel_id))
    assert isinstance(read, Misasked)
    assert (read.kind, read.channel_id) == (kind, channel_id)
    assert read.words.startswith("channelID is a UUID, not ")


@pytest.mark.parametrize(
    "key", ["", 7, encode(KEY[:-1]), encode(b"\x05" + KEY[1:]), encode(KEY + b"x"), "+/" * 30, "ü", "A" * 100_000]
)
def test_a_key_of_senders_that_is_none_is_told_to_the_browser(key: object) -> None:
    """A subscription without the key that was asked for would let other senders in."""
    read = read_browser_message(said(messageType="register", channelID=CHANNEL, key=key))
    assert isinstance(read, Misasked)
    assert read.words == "key is an application server key: 65 bytes in base64url, of which the first is 4"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "a browser's message is a JSON object"),
        ('"hello"', "a browser's message is a JSON object"),
        ('{"x":1}', "a browser's message has a messageType"),
        ('{"messageType":7}', "a browser's message has a messageType"),
        ('{"messageType":"hello","messageType":"hello"}', "messageType"),
        ("{", "no JSON"),
        ("[" * 100_000, "nested too deep"),
        (f'{{"messageType":"{"x" * MAX_TEXT}"}}', "131072"),
        ('{"messageType":"register"}', "channelID is a text of at most 64 characters"),
        (said(messageType="register", channelID="x" * (MAX_CHANNEL_ID + 1)), "channelID is a text of at most 64"),
        (said(messageType="unregister", channelID=7), "channelID is a text of at most 64 characters"),
        ('{"messageType":"ack"}', "the updates of an ack are a list of at most 1024"),
        (said(messageType="ack", updates=[{"version": "v"}] * (MAX_UPDATES + 1)), "a list of at most 1024"),
        (said(messageType="ack", updates=["v"]), "each update of an ack is an object"),
        (said(messageType="ack", updates=[{}]), "the version of a message is a text of 1 to 128 characters"),
        (said(messageType="ack", updates=[{"version": 1}]), "the version of a message is a text"),
        (said(messageType="nack", version=""), "the version of a message is a text"),
        (said(messageType="nack", version="v" * (MAX_VERSION + 1)), "the version of a message is a text"),
    ],
)
def test_what_no_answer_would_be_understood_of_is_refused_in_words(text: str, words: str) -> None:
    """The connection is closed with them."""
    with pytest.raises(ProtocolViolation, match=words):
        read_browser_message(text)


def test_an_unknown_word_is_passed_over_and_named_in_part() -> None:
    """Browsers may learn new ones."""
    assert read_browser_message(said(messageType="x" * 1_000)) == PassedOver("x" * 64)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.dictionaries(
    st.sampled_from(["channelID", "key", "uaid", "use_webpush", "updates", "version", "code", "messageType"]),
    JSON
    | st.sampled_from([CHANNEL, UAID, encode(KEY)])
    | st.lists(st.dictionaries(st.sampled_from(["channelID", "version", "code"]), JSON, max_size=3), max_size=3),
)
KINDS = st.sampled_from(["hello", "register", "unregister", "ack", "nack", "ping", "purge"])


@given(
    st.text()
    | JSON.map(json.dumps)
    | st.builds(lambda kind, rest: json.dumps({"messageType": kind} | rest), KINDS, FIELDS)
)
@example('{"messageType":"hello","uaid":"\\ud800"}')
@example('{"messageType":"ack","updates":[{"version":1e999}]}')
@example("\ud800")
def test_nothing_that_is_said_is_anything_but_read_or_refused(text: str) -> None:
    """There is no other exception; and what is read is within the bounds."""
    try:
        read = read_browser_message(text)
    except ProtocolViolation:
        return
    match read:
        case BrowserHello(uaid=str() as uaid):
            assert 32 <= len(uaid) <= 128
            assert uaid.isascii()
        case (
            BrowserRegister(channel_id=channel_id)
            | BrowserUnregister(channel_id=channel_id)
            | Misasked(channel_id=channel_id)
        ):
            assert len(channel_id) <= MAX_CHANNEL_ID
        case Acked(updates=updates):
            assert all(0 < len(version) <= MAX_VERSION for version, _ in updates)
        case _:
            pass
