"""A message of Web Push as it is posted: encrypted, with its headers, or the reason why it cannot be."""

from __future__ import annotations

from attrs import field, frozen

from tocsin.client.body_bytes import bytes_of
from tocsin.protocol.webpush.codings import AESGCM
from tocsin.protocol.webpush.envelope import Envelope
from tocsin.protocol.webpush.message_headers import write_headers
from tocsin.protocol.webpush.subscription import PushSubscription
from tocsin.webpush.message_encryption import encrypt


@frozen
class PostedMessage:
    """One request to a push service, all but its token."""

    method: str
    url: str = field(repr=False)
    headers: dict[str, str]
    body: bytes = field(repr=False)


def build_message(  # noqa: PLR0913  # one for each header
    subscription: PushSubscription,
    body: bytes | bytearray | memoryview | str | None,
    *,
    ttl: int,
    urgency: str,
    topic: str | None,
    coding: str,
) -> PostedMessage:
    """Build the POST of a message; the arguments are those of ``WebPushClient.send``.

    :raises InvalidArgument: an argument is none of these.
    """
    headers = write_headers(ttl, urgency, topic)
    plaintext = b"" if body is None else bytes_of(body)
    if not plaintext:
        return PostedMessage("POST", subscription.endpoint, headers, b"")
    sealed = encrypt(subscription.p256dh, subscription.auth, plaintext, coding)
    return PostedMessage("POST", subscription.endpoint, headers | _headers_of(sealed), sealed.body)


def _headers_of(sealed: Envelope) -> dict[str, str]:
    headers = {"Content-Encoding": sealed.coding, "Content-Type": "application/octet-stream"}
    if sealed.coding == AESGCM:
        headers |= {"Encryption": sealed.encryption, "Crypto-Key": sealed.crypto_key}
    return headers
