"""Signatures of senders."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.webpush import base64url
from tocsin.protocol.webpush.vapid import VapidToken, claims, fault_of, read_vapid
from tocsin.webpush.vapid_keys import VapidKey, verify

RFC_8292 = (
    "vapid t=eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL3B1c2guZXhhbXBsZS5uZXQiLCJleHAiOjE0NTM1MjM3Njgs"
    "InN1YiI6Im1haWx0bzpwdXNoQGV4YW1wbGUuY29tIn0.i3CYb7t4xfxCDquptFOepC9GAu_HLGkMlMuCGSK2rpiUfnK9ojFwDXb1JrErtmysazNjj"
    "vW2L9OkSSHzvoD1oA,"
    " k=BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs"
)
KEY = VapidKey.from_text("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")
CLAIMS = claims("https://push.example", 1_800_000_000, "mailto:push@app.example")


def read(authorization: str) -> VapidToken:
    """Read what is written as it should be."""
    token = read_vapid(authorization, None)
    assert isinstance(token, VapidToken)
    return token


def test_the_example_of_the_standard_is_verified() -> None:
    """That of RFC 8292 §2.4, which was good until 2016-01-23."""
    said = verify(read(RFC_8292))
    assert said is not None
    assert said == {"aud": "https://push.example.net", "exp": 1453523768, "sub": "mailto:push@example.com"}
    assert fault_of(said, ["https://push.example.net"], 1453523768 - 3600) is None
    assert fault_of(said, ["https://push.example.net"], 1453523768) is not None


def test_what_was_signed_is_verified() -> None:
    """The header that it is sent as has all that it takes."""
    token = read(KEY.sign(CLAIMS))
    assert token.key == KEY.public_key
    assert verify(token) == CLAIMS


def test_a_token_of_another_key_is_forged() -> None:
    """Whose key it comes with has not signed it."""
    token = read(KEY.sign(CLAIMS))
    assert verify(VapidToken(token.token, VapidKey.generate().public_key)) is None


@pytest.mark.parametrize("key", [b"\4" + bytes(64), b"\4" + b"\xff" * 64, b"", b"\4", KEY.public_key[:33], bytes(65)])
def test_a_key_that_is_no_point_has_signed_nothing(key: bytes) -> None:
    """Not on the curve, beyond its field, cut short, or compressed."""
    assert verify(VapidToken(read(KEY.sign(CLAIMS)).token, key)) is None


def signed(header: str, payload: bytes) -> VapidToken:
    """Sign what no library would write."""
    body = f"{base64url.encode(header.encode())}.{base64url.encode(payload)}"
    signature = ECAlgorithm(ECAlgorithm.SHA256).sign(body.encode(), KEY._private)
    return VapidToken(f"{body}.{base64url.encode(signature)}", KEY.public_key)


@pytest.mark.parametrize(
    ("header", "payload"),
    [
        ('{"alg": "none"}', b"{}"),
        ('{"alg": "HS256"}', b"{}"),
        ('{"alg": "ES384"}', b"{}"),
        ("{}", b"{}"),
        ("[]", b"{}"),
        ('"ES256"', b"{}"),
        ("{", b"{}"),
        ('{"alg": "ES256", "crit": ["b64"], "b64": false}', b"{}"),
        ('{"alg": "ES256"}', b"[]"),
        ('{"alg": "ES256"}', b"\xff"),
        ('{"alg": "ES256"}', b"{"),
        ('{"alg": "ES256"}', b"[" * 100_000),
        ("[" * 100_000, b"{}"),
        ('{"alg": "ES256"}', b'{"exp": 1' + b"0" * 5_000 + b"}"),
    ],
)
def test_what_is_signed_must_be_claims(header: str, payload: bytes) -> None:
    """Another algorithm, no object, no JSON, and JSON that no reader stands: none of it is verified, nor raises."""
    assert verify(signed(header, payload)) is None


def test_claims_of_any_kind_are_verified() -> None:
    """What they are worth is judged by the rules, which need no signature."""
    odd = b'{"aud": 1, "exp": "never", "iat": [], "iss": {}, "jti": 1, "nbf": "", "sub": null}'
    assert verify(signed('{"alg": "ES256"}', odd)) is not None


TOKEN = read(KEY.sign(CLAIMS)).token


@given(st.integers(0, len(TOKEN) - 2), st.sampled_from("Ab1-_."))
def test_a_token_that_was_changed_is_forged(position: int, character: str) -> None:
    """In any part of it: of the last character only some bits count."""
    changed = TOKEN[:position] + character + TOKEN[position + 1 :]
    assert verify(VapidToken(changed, KEY.public_key)) == (CLAIMS if changed == TOKEN else None)


@given(st.text(max_size=40) | st.lists(st.binary(max_size=20), min_size=3, max_size=3).map(
    lambda parts: ".".join(map(base64url.encode, parts))
))  # fmt: skip
def test_no_token_raises(token: str) -> None:
    """Any text is forged."""
    assert verify(VapidToken(token, KEY.public_key)) is None


def test_a_key_is_kept_as_pem_or_text() -> None:
    """Both are read again, and PEM also with the older heading of OpenSSL."""
    assert VapidKey.from_pem(KEY.pem()).public_key == KEY.public_key
    assert (
        VapidKey.from_text(KEY.text()).public_key == VapidKey.from_text(KEY.text() + "=\n").public_key == KEY.public_key
    )
    older = KEY._private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    assert older.startswith(b"-----BEGIN EC PRIVATE KEY-----")
    assert VapidKey.from_pem(older).public_key == KEY.public_key


def test_the_public_half_is_a_text_that_pages_take() -> None:
    """The key of the example in RFC 8291, without padding."""
    assert KEY.application_server_key == (
        "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"
    )
    assert base64url.decode(KEY.application_server_key) == KEY.public_key


def test_a_key_shows_its_public_half_only() -> None:
    """It may come into a log."""
    assert repr(KEY) == f"VapidKey({KEY.application_server_key})"


def pem_of(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    """Write another key."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("pem", "words"),
    [
        ("", "begins with"),
        (KEY.text(), "begins with"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "begins with"),
        (pem_of(ec.generate_private_key(ec.SECP384R1())), "of the curve P-256"),
        (pem_of(ec.generate_private_key(ec.SECP256K1())), "of the curve P-256"),
        (pem_of(ed25519.Ed25519PrivateKey.generate()), "of the curve P-256"),
        (
            KEY._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")),
            "without a password",
        ),
    ],
)
def test_another_pem_is_refused_in_words(pem: str | bytes, words: str) -> None:
    """No PEM, of another curve, or with a password."""
    with pytest.raises(InvalidArgument, match=words):
        VapidKey.from_pem(pem)


@pytest.mark.parametrize("text", ["", "AAAA", "=", "+" * 43, "A" * 43, "_" * 43, "A" * 86])
def test_another_text_is_refused_in_words(text: str) -> None:
    """No base64url, another length, and the numbers that the curve has not."""
    with pytest.raises(InvalidArgument, match="32 bytes"):
        VapidKey.from_text(text)
