"""The signatures by which a sender of Web Push shows who it is: ES256 (RFC 8292 §2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tocsin.protocol.arguments import check_kind
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.json_text import parse_json_text
from tocsin.protocol.webpush import base64url
from tocsin.protocol.webpush.vapid import MAX_TOKEN, VapidToken
from tocsin.webpush.points import CURVE, read_private, read_public, write_private, write_public

_ALGORITHM: Final = "ES256"
_SIGNED: Final = jwt.PyJWS(algorithms=[_ALGORITHM])


def verify(token: VapidToken) -> Mapping[str, object] | None:
    """Return what a token says; None where its key has not signed it, or is no point on P-256.

    What it says is judged by :func:`tocsin.protocol.webpush.vapid.fault_of`.
    """
    key = read_public(token.key)
    if key is None:
        return None
    try:
        payload = _SIGNED.decode(token.token, key, algorithms=[_ALGORITHM])
        claims = parse_json_text(payload, "a VAPID token", MAX_TOKEN)
    except (jwt.InvalidTokenError, InvalidArgument, RecursionError):  # the latter by a head with very many brackets
        return None
    return claims if isinstance(claims, dict) else None


class VapidKey:
    """A sender's private key: push services know it by the public one, and a subscription may be for that alone.

    Make it once (:meth:`generate`) and keep it as one keeps a password: who subscribed to the public key can be pushed to
    by no other.
    """

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self._private = private
        self.public_key: bytes = write_public(private.public_key())
        """The point of 65 bytes that subscribers are given."""

    def __repr__(self) -> str:
        return f"VapidKey({self.application_server_key})"

    @property
    def application_server_key(self) -> str:
        """The public key as text, base64url without padding: what a page gives its browser as ``applicationServerKey``."""
        return base64url.encode(self.public_key)

    @classmethod
    def generate(cls) -> Self:
        """Make a new key."""
        return cls(ec.generate_private_key(CURVE))

    @classmethod
    def from_pem(cls, pem: str | bytes) -> Self:
        """Read a private key of P-256 as OpenSSL writes it, by either of its headings.

        :raises InvalidArgument: it is none, or has a password; the sentence does not show it.
        """
        check_kind(pem, "a VAPID key in PEM", str, bytes)
        try:
            key = load_pem_private_key(pem.encode() if isinstance(pem, str) else pem, password=None)
        except TypeError:
            raise InvalidArgument("a VAPID key is read without a password: write it anew without one") from None
        except (ValueError, UnsupportedAlgorithm):
            raise InvalidArgument(
                "a VAPID key in PEM begins with '-----BEGIN PRIVATE KEY-----'; this is none"
            ) from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise InvalidArgument(
                "a VAPID key is a private key of the curve P-256 (prime256v1); this is of another kind"
            )
        return cls(key)

    def pem(self) -> str:
        """Write the private key, unencrypted."""
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a private key from the base64url of its number, as other libraries of Web Push write it.

        :raises InvalidArgument: it is none; the sentence does not show it.
        """
        check_kind(text, "a VAPID key in base64url", str)
        try:
            scalar = base64url.decode(text.strip())
        except ValueError as wrong:
            raise InvalidArgument(f"a VAPID key as text is base64url of 32 bytes: {wrong}") from None
        return cls(read_private(scalar))

    def text(self) -> str:
        """Write the private key as the base64url of its number."""
        return base64url.encode(write_private(self._private))

    def sign(self, claims: Mapping[str, object]) -> str:
        """Return the value of ``Authorization`` that says this."""
        token = jwt.encode(dict(claims), self._private, algorithm=_ALGORITHM)
        return f"vapid t={token}, k={self.application_server_key}"
