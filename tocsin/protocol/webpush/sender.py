"""Who may send to a push subscription: what stands in the place of an app's registration, at the device and at the service."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from tocsin.protocol.webpush.base64url import encode
from tocsin.protocol.webpush.vapid import POINT, read_key

WEB_PUSH: Final = "webpush:"
"""How a remote id, and the client id of a channel, begins that stands for senders of Web Push: no GUID begins so."""


def web_push_sender(key: bytes | None) -> str:
    """Return what stands for the senders that have this application server key; None: for all senders."""
    return WEB_PUSH if key is None else f"{WEB_PUSH}{encode(key)}"


def is_web_push(client_id: str) -> bool:
    """Tell whether that stands for senders of Web Push."""
    return client_id.startswith(WEB_PUSH)


def sender_key_of(client_id: str) -> bytes | None:
    """Return the application server key that senders must have; None where any will do.

    :raises ValueError: it stands for no senders of Web Push, or is not spelled as :func:`web_push_sender` does.
    """
    if client_id == WEB_PUSH:
        return None
    with suppress(ValueError):
        key = read_key(client_id.removeprefix(WEB_PUSH))
        if client_id == web_push_sender(key):
            return key
    raise ValueError(f"an application server key is {POINT} bytes in base64url")
