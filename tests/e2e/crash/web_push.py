"""The other half of the senders: they post messages of Web Push, encrypted to what a device said of its push subscription."""

from __future__ import annotations

from typing import Any

import aiohttp
from attrs import frozen

from tests.processes import Sender
from tocsin.api.web_push_subscription import WebPushSubscription
from tocsin.protocol.webpush.subscription import PushSubscription
from tocsin.webpush.message_encryption import encrypt

TTL = 600
"""Seconds that messages wait for an app that is away: longer than any kill."""


@frozen
class Reached:
    """Where an app is pushed to, which it says when it is ready: its channel, and its push subscription."""

    uri: str
    subscription: dict[str, Any]

    @classmethod
    def by(cls, uri: str, subscription: WebPushSubscription) -> Reached:
        """Write down what there is."""
        return cls(uri, subscription.as_json())


def sealed(subscription: PushSubscription, plaintext: bytes, ttl: int) -> tuple[bytes, dict[str, str]]:
    """Encrypt a message; return the body to post, and its headers."""
    body = encrypt(subscription.p256dh, subscription.auth, plaintext).body
    return body, {"TTL": str(ttl), "Content-Encoding": "aes128gcm"}


def outcome_of(status: int, words: str) -> str:
    """Read of an answer what became of a message: "received" where it is promised to come."""
    if status != 201:
        return str(status)
    return "dropped" if words else "received"


async def post(
    http: aiohttp.ClientSession, subscription: dict[str, Any], plaintext: bytes, ttl: int
) -> tuple[str, str]:
    """Post a message; return what became of it, and its id."""
    body, headers = sealed(PushSubscription.from_json(subscription), plaintext, ttl)
    async with http.post(subscription["endpoint"], data=body, headers=headers) as answer:
        outcome = outcome_of(answer.status, await answer.text())
        return outcome, answer.headers.get("Location", "").rpartition("/")[2]


async def notify(sender: Sender, uri: str, body: bytes) -> tuple[str, str]:
    """Push by WNS; return what became of it as :func:`post` does, and its id."""
    status, headers = await sender.push(body, uri)
    return str(headers.get("x-wns-status")) if status == 200 else str(status), headers.get("x-wns-msg-id", "")
