"""Messages that only their device can read: ``aes128gcm`` (RFC 8291 over RFC 8188), and ``aesgcm`` of the drafts before.

The drafts: draft-ietf-webpush-encryption-04 over draft-ietf-httpbis-encryption-encoding-03.
"""

from __future__ import annotations

import secrets
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.webpush import base64url, codings
from tocsin.protocol.webpush.codings import HEAD, LEAST_RECORD, SALT, TAG
from tocsin.protocol.webpush.envelope import Envelope
from tocsin.protocol.webpush.header_parameters import read_parameters
from tocsin.protocol.webpush.subscription import AUTH
from tocsin.protocol.webpush.vapid import POINT
from tocsin.webpush.points import CURVE, read_private, read_public, write_private, write_public

MAX_BODY: Final = 5_000
"""Bytes of an encrypted body at most; push services take 4,096 (RFC 8030 §7.2)."""

MAX_PLAINTEXT: Final = 3_993
"""Bytes of a message at most, so that its body has no more than 4,096 (RFC 8291 §4)."""

_NONCE: Final = 12
_CONTENT_KEY: Final = 16
_RECORD: Final = 4_096
_SHA256: Final = SHA256()
_ECDH: Final = ec.ECDH()


class Undecryptable(Exception):
    """A message is not for this device, was changed on its way, or was made wrongly; the text says what was found."""


class SubscriptionKeys:
    """The secrets of one subscription, which its device keeps.

    :param private: the number of a private key of P-256, 32 bytes.
    :param auth: ``AUTH`` bytes.
    :raises InvalidArgument: they are something else; the sentence does not show them.
    """

    def __init__(self, private: bytes, auth: bytes) -> None:
        if len(auth) != AUTH:
            raise InvalidArgument(f"the secret of a subscription has {AUTH} bytes, not {len(auth)}")
        self.private = private
        self.auth = auth
        self._key = read_private(private)
        self.p256dh: bytes = write_public(self._key.public_key())
        """The public key that senders encrypt by."""

    def __repr__(self) -> str:
        return f"SubscriptionKeys(p256dh={base64url.encode(self.p256dh)})"

    @classmethod
    def generate(cls) -> Self:
        """Make new ones."""
        return cls(write_private(ec.generate_private_key(CURVE)), secrets.token_bytes(AUTH))

    def agree(self, theirs: ec.EllipticCurvePublicKey) -> bytes:
        """Return the secret that this key and a sender's have in common."""
        return self._key.exchange(_ECDH, theirs)


def decrypt(keys: SubscriptionKeys, envelope: Envelope) -> bytes:
    """Return the message; one without a body and a coding is empty.

    :raises Undecryptable: it cannot be read by these keys, or breaks a rule of its coding.
    """
    if len(envelope.body) > MAX_BODY:
        raise Undecryptable(f"its body has more than {MAX_BODY} bytes")
    match envelope.coding:
        case codings.AES128GCM:
            return _read_aes128gcm(keys, envelope.body)
        case codings.AESGCM:
            return _read_aesgcm(keys, envelope)
        case "" if not envelope.body:
            return b""
        case _:
            raise Undecryptable("its coding is neither aes128gcm nor aesgcm")


def encrypt(  # noqa: PLR0913  # two of them are for tests
    p256dh: bytes,
    auth: bytes,
    plaintext: bytes,
    coding: str = codings.AES128GCM,
    *,
    salt: bytes | None = None,
    ephemeral: ec.EllipticCurvePrivateKey | None = None,
) -> Envelope:
    """Encrypt a message as one record (RFC 8291 §4).

    :param p256dh: the public key of the subscription.
    :param auth: its secret, ``AUTH`` bytes.
    :param salt: 16 bytes; None for chance.
    :param ephemeral: the key of this message; None for a new one.
    :raises InvalidArgument: an argument is none of these, or the message has more than ``MAX_PLAINTEXT`` bytes.
    """
    if len(plaintext) > MAX_PLAINTEXT:
        raise InvalidArgument(
            f"a message of Web Push has {MAX_PLAINTEXT} bytes at most, not {len(plaintext)}: let it say where the rest is"
        )
    theirs = read_public(p256dh)
    if theirs is None:
        raise InvalidArgument("the key p256dh of a subscription is a point on P-256, uncompressed, of 65 bytes")
    if len(auth) != AUTH:
        raise InvalidArgument(f"the secret auth of a subscription has {AUTH} bytes, not {len(auth)}")
    ephemeral = ephemeral or ec.generate_private_key(CURVE)
    salt = salt or secrets.token_bytes(SALT)
    ours = write_public(ephemeral.public_key())
    shared = ephemeral.exchange(_ECDH, theirs)
    if coding == codings.AES128GCM:
        key, nonce = _keys_of_aes128gcm(shared, auth, salt, p256dh, ours)
        head = salt + _RECORD.to_bytes(4) + POINT.to_bytes(1) + ours
        return Envelope(coding, "", "", head + AESGCM(key).encrypt(nonce, plaintext + b"\2", None))
    if coding == codings.AESGCM:
        key, nonce = _keys_of_aesgcm(shared, auth, salt, p256dh, ours)
        body = AESGCM(key).encrypt(nonce, b"\0\0" + plaintext, None)
        return Envelope(coding, f"salt={base64url.encode(salt)}", f"dh={base64url.encode(ours)}", body)
    raise InvalidArgument("the coding of a message is aes128gcm, or aesgcm for devices of before 2018")


# aes128gcm: its head says all that is needed; each record ends with a delimiter and zeros


def _keys_of_aes128gcm(shared: bytes, auth: bytes, salt: bytes, device: bytes, sender: bytes) -> tuple[bytes, bytes]:
    """Derive the key of the content and the first nonce (RFC 8291 §3.4)."""
    return _content_keys(salt, _derive(auth, shared, b"WebPush: info\0" + device + sender, 32))


def _content_keys(salt: bytes, secret: bytes) -> tuple[bytes, bytes]:
    """Derive them of what both sides know (RFC 8188 §2.2, §2.3)."""
    key = _derive(salt, secret, b"Content-Encoding: aes128gcm\0", _CONTENT_KEY)
    return key, _derive(salt, secret, b"Content-Encoding: nonce\0", _NONCE)


def _read_aes128gcm(keys: SubscriptionKeys, body: bytes) -> bytes:
    theirs, records = body[HEAD : HEAD + POINT], body[HEAD + POINT :]
    if len(theirs) < POINT or body[HEAD - 1] != POINT:
        raise Undecryptable("its head does not have the sender's key")
    size = int.from_bytes(body[SALT : HEAD - 1])
    if size < LEAST_RECORD:
        raise Undecryptable("the size that it gives for its records leaves no room in them")
    key, nonce = _keys_of_aes128gcm(_agree(keys, theirs), keys.auth, body[:SALT], keys.p256dh, theirs)
    return _read_records(key, nonce, records, size)


def _read_records(key: bytes, nonce: bytes, records: bytes, size: int) -> bytes:
    *opened, last = _open(key, nonce, records, size)
    content = _until(b"\2", last)
    return b"".join([*(_until(b"\1", record) for record in opened), content]) if opened else content


def _until(delimiter: bytes, record: bytes) -> bytes:
    content = record.rstrip(b"\0")
    if content[-1:] != delimiter:
        raise Undecryptable("a record does not end as its place demands: some are missing, or too many")
    return content[:-1]


# aesgcm: headers say what is needed; each record begins with the number of zeros before its content


def _keys_of_aesgcm(shared: bytes, auth: bytes, salt: bytes, device: bytes, sender: bytes) -> tuple[bytes, bytes]:
    """Derive the key of the content and the first nonce."""
    secret = _derive(auth, shared, b"Content-Encoding: auth\0", 32)
    both = b"P-256\0" + b"".join(len(point).to_bytes(2) + point for point in (device, sender))
    key = _derive(salt, secret, b"Content-Encoding: aesgcm\0" + both, _CONTENT_KEY)
    return key, _derive(salt, secret, b"Content-Encoding: nonce\0" + both, _NONCE)


def _read_aesgcm(keys: SubscriptionKeys, envelope: Envelope) -> bytes:
    salt, theirs, size = _read_headers(envelope.encryption, envelope.crypto_key)
    if len(envelope.body) % (size + TAG) == 0:  # the last record is shorter, to show that it is the last
        raise Undecryptable("its last record is missing")
    key, nonce = _keys_of_aesgcm(_agree(keys, theirs), keys.auth, salt, keys.p256dh, theirs)
    return b"".join(map(_behind_zeros, _open(key, nonce, envelope.body, size + TAG)))


def _read_headers(encryption: str, crypto_key: str) -> tuple[bytes, bytes, int]:
    """Return the salt, the sender's key, and the size of a record without its tag; ``keyid`` says which belong together."""
    try:
        first = next(entry for entry in read_parameters(encryption) if "salt" in entry)
        named = {
            entry.get("keyid", "p256dh"): entry["dh"]
            for entry in reversed(read_parameters(crypto_key))
            if "dh" in entry
        }
        salt = base64url.decode(first["salt"])
        theirs = base64url.decode(named[first.get("keyid", "p256dh")])
        size = int(first.get("rs", _RECORD))
    except (KeyError, StopIteration, ValueError):
        raise Undecryptable("its headers do not have a salt in Encryption and the key dh in Crypto-Key") from None
    if len(salt) != SALT or size <= 2:
        raise Undecryptable(
            "its header Encryption has no salt of 16 bytes, or a size that leaves no room in its records"
        )
    return salt, theirs, size


def _behind_zeros(record: bytes) -> bytes:
    start = 2 + int.from_bytes(record[:2])
    if len(record) < start or any(record[2:start]):
        raise Undecryptable("a record lies about the zeros that it begins with")
    return record[start:]


# Both


def _agree(keys: SubscriptionKeys, theirs: bytes) -> bytes:
    point = read_public(theirs)
    if point is None:
        raise Undecryptable("the sender's key is no point on P-256")
    return keys.agree(point)


def _derive(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    return HKDF(_SHA256, length, salt, info).derive(secret)


def _open(key: bytes, nonce: bytes, records: bytes, size: int) -> list[bytes]:
    """Decrypt records of that many bytes each, the last of which may be shorter."""
    if not records:
        raise Undecryptable("it has no record")
    cipher = AESGCM(key)
    try:
        if len(records) <= size:  # as nearly every sender does it
            return [cipher.decrypt(nonce, records, None)]
        first = int.from_bytes(nonce)
        return [
            cipher.decrypt((first ^ number).to_bytes(_NONCE), records[start : start + size], None)
            for number, start in enumerate(range(0, len(records), size))
        ]
    except InvalidTag:
        raise Undecryptable("it is for other keys, or was changed") from None
