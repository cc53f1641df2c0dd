"""A message of Web Push decrypted by nothing but ``cryptography``, and by the library ``http-ece``: what the product's own is beside."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench.framework import optional
from tocsin.protocol.webpush import base64url
from tocsin.protocol.webpush.subscription import AUTH

Decrypt = Callable[[bytes], bytes]
"""Takes a body in ``aes128gcm`` of one record, and returns the message."""


def point_of(key: ec.EllipticCurvePublicKey) -> bytes:
    """Write a key as senders know it."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def alone(private: ec.EllipticCurvePrivateKey, auth: bytes) -> Decrypt:
    """Decrypt as RFC 8291 says, and judge nothing."""
    ours, curve, hashed = point_of(private.public_key()), ec.SECP256R1(), SHA256()

    def decrypt(body: bytes) -> bytes:
        salt, theirs = body[:16], body[21:86]
        shared = private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(curve, theirs))
        secret = HKDF(hashed, 32, auth, b"WebPush: info\0" + ours + theirs).derive(shared)
        key = HKDF(hashed, 16, salt, b"Content-Encoding: aes128gcm\0").derive(secret)
        nonce = HKDF(hashed, 12, salt, b"Content-Encoding: nonce\0").derive(secret)
        return AESGCM(key).decrypt(nonce, body[86:], None).rstrip(b"\0")[:-1]

    return decrypt


def new_reader() -> tuple[Decrypt, dict[str, str]]:
    """Return what decrypts by new keys, and what senders encrypt by."""
    private, auth = ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(AUTH)
    told = {"p256dh": point_of(private.public_key()), "auth": auth}
    return alone(private, auth), {name: base64url.encode(value) for name, value in told.items()}


def by_http_ece(private: ec.EllipticCurvePrivateKey, auth: bytes) -> Decrypt:
    """Decrypt by the library.

    :raises Missing: it is not installed.
    """
    library = optional("http_ece", "http-ece")

    def decrypt(body: bytes) -> bytes:
        message: bytes = library.decrypt(body, private_key=private, auth_secret=auth)
        return message

    return decrypt
