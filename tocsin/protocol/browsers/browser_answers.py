"""What a push service says to a browser: one JSON object a message, as Mozilla's push service has it (autopush)."""

from __future__ import annotations

import json
from typing import Any, Final

from tocsin.protocol.hresult import HResult
from tocsin.protocol.webpush.base64url import encode
from tocsin.protocol.webpush.envelope import Envelope

PONG: Final = b"{}"
"""The answer to a browser that asks whether the connection is alive."""

WRONG: Final = 400
"""The status of a question that cannot be right."""

NO_STORE: Final = 503
"""The status while the service cannot use its store."""

_STATUS: Final = {
    HResult.E_INVALIDARG: WRONG,
    HResult.E_ACCESSDENIED: 403,
    HResult.WPN_E_CHANNEL_CLOSED: 409,
    HResult.WNP_E_BIND_USER_BUSY: 429,
}


def status_of(denied: HResult) -> int:
    """Return the status that tells a browser why it is given no subscription; it takes any but 200 as a refusal."""
    return _STATUS.get(denied, WRONG)


def hello_answer(uaid: str, *, uses_web_push: bool) -> bytes:
    """Let a browser in under this key: where it has named another, Firefox has its sites subscribe anew."""
    web_push = {"use_webpush": True} if uses_web_push else {}
    return _text("hello", status=200, uaid=uaid, **web_push)


def register_answer(channel_id: str, endpoint: str) -> bytes:
    """Give a browser a subscription."""
    return _text("register", channelID=channel_id, status=200, pushEndpoint=endpoint)


def unregister_answer(channel_id: str) -> bytes:
    """Tell a browser that a subscription has ended."""
    return _text("unregister", channelID=channel_id, status=200)


def refusal(kind: str, channel_id: str, status: int, words: str) -> bytes:
    """Refuse what a browser asks; the words are for who reads its log."""
    return _text(kind, channelID=channel_id, status=status, reason=words)


def notification_head(channel_id: str) -> bytes:
    """Return how each notification of a subscription begins."""
    return _text("notification", channelID=channel_id).removesuffix(b"}")


def notification(channel_id: str, version: str, envelope: Envelope) -> bytes:
    """Bring a browser a message; one without a body has neither data nor headers."""
    if not envelope.coding:
        return _text("notification", channelID=channel_id, version=version)
    headers = {"encoding": envelope.coding}
    if envelope.encryption:
        headers["encryption"] = envelope.encryption
    if envelope.crypto_key:
        headers["crypto_key"] = envelope.crypto_key
    return _text("notification", channelID=channel_id, version=version, data=encode(envelope.body), headers=headers)


def _text(kind: str, **fields: Any) -> bytes:
    return json.dumps({"messageType": kind, **fields}, separators=(",", ":")).encode()
