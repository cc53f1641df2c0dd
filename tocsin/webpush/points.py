"""Keys of P-256, the one curve of Web Push, as the bytes that they travel as."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.webpush.vapid import is_point

CURVE = ec.SECP256R1()

SCALAR = 32
"""Bytes of a private key."""


def read_public(point: bytes) -> ec.EllipticCurvePublicKey | None:
    """Return the key that an uncompressed point is; None where it is none, or not on the curve."""
    if not is_point(point):
        return None
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(CURVE, point)
    except ValueError:
        return None


def write_public(key: ec.EllipticCurvePublicKey) -> bytes:
    """Write a key as an uncompressed point."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def read_private(scalar: bytes) -> ec.EllipticCurvePrivateKey:
    """Return the private key that a number is.

    :param scalar: ``SCALAR`` bytes, the highest first.
    :raises InvalidArgument: it is none of P-256; the sentence does not show it.
    """
    if len(scalar) == SCALAR:
        try:
            return ec.derive_private_key(int.from_bytes(scalar), CURVE)
        except ValueError:
            pass
    raise InvalidArgument(
        f"a private key of P-256 is a number of {SCALAR} bytes, from 1 to below the order of the curve"
    )


def write_private(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Write a private key as its number, ``SCALAR`` bytes."""
    return key.private_numbers().private_value.to_bytes(SCALAR)
