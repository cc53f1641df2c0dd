"""What browsers are told."""

from __future__ import annotations

import json

import pytest

from tocsin.protocol.browsers import browser_answers as answers
from tocsin.protocol.browsers.browser_app import app_of, channel_id_of
from tocsin.protocol.hresult import HResult
from tocsin.protocol.webpush.envelope import Envelope

CHANNEL = "5e6e4cf7-26a6-4ec2-a7a2-0b9b6b3a3ab5"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            answers.hello_answer("key", uses_web_push=True),
            {"messageType": "hello", "status": 200, "uaid": "key", "use_webpush": True},
        ),
        (answers.hello_answer("key", uses_web_push=False), {"messageType": "hello", "status": 200, "uaid": "key"}),
        (
            answers.register_answer(CHANNEL, "http://x/p/t"),
            {"messageType": "register", "channelID": CHANNEL, "status": 200, "pushEndpoint": "http://x/p/t"},
        ),
        (answers.unregister_answer(CHANNEL), {"messageType": "unregister", "channelID": CHANNEL, "status": 200}),
        (
            answers.refusal("register", "x", answers.WRONG, "words"),
            {"messageType": "register", "channelID": "x", "status": 400, "reason": "words"},
        ),
        (answers.PONG, {}),
        (
            answers.notification(CHANNEL, "v", Envelope("", "", "", b"")),
            {"messageType": "notification", "channelID": CHANNEL, "version": "v"},
        ),
        (
            answers.notification(CHANNEL, "v", Envelope("aes128gcm", "", "", b"\xff\xfe")),
            {
                "messageType": "notification",
                "channelID": CHANNEL,
                "version": "v",
                "data": "__4",
                "headers": {"encoding": "aes128gcm"},
            },
        ),
        (
            answers.notification(CHANNEL, "v", Envelope("aesgcm", "salt=a", "dh=b", b"")),
            {
                "messageType": "notification",
                "channelID": CHANNEL,
                "version": "v",
                "data": "",
                "headers": {"encoding": "aesgcm", "encryption": "salt=a", "crypto_key": "dh=b"},
            },
        ),
    ],
)
def test_what_is_said_is_as_browsers_read_it(written: bytes, said: object) -> None:
    """Each is one JSON object; an empty message has neither data nor headers."""
    assert json.loads(written) == said


@pytest.mark.parametrize("coding", ["", "aes128gcm"])
def test_notifications_are_known_by_how_they_begin(coding: str) -> None:
    """Those of a subscription, and of no other whose name is longer."""
    written = answers.notification(CHANNEL, "v", Envelope(coding, "", "", b"x"))
    assert written.startswith(answers.notification_head(CHANNEL))
    assert not written.startswith(answers.notification_head(CHANNEL[:-1]))


@pytest.mark.parametrize(
    ("denied", "status"),
    [
        (HResult.E_INVALIDARG, 400),
        (HResult.E_ACCESSDENIED, 403),
        (HResult.WPN_E_CHANNEL_CLOSED, 409),
        (HResult.WNP_E_BIND_USER_BUSY, 429),
        (HResult.E_FAIL, 400),
    ],
)
def test_each_reason_for_no_subscription_has_its_status(denied: HResult, status: int) -> None:
    """The log of a browser says what to do about it."""
    assert answers.status_of(denied) == status


def test_a_subscription_has_no_name_that_an_app_has() -> None:
    """What is kept for a browser is found by its own name of it, and an app's is none of a browser's."""
    assert channel_id_of(app_of(CHANNEL)) == CHANNEL
    assert channel_id_of("contoso.mail") is None
