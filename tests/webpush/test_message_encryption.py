"""Messages that only their device can read."""

from __future__ import annotations

from contextlib import suppress

import http_ece  # type: ignore[import-untyped]  # it has none
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.webpush import base64url
from tocsin.protocol.webpush.envelope import Envelope
from tocsin.webpush import message_encryption
from tocsin.webpush.message_encryption import MAX_BODY, MAX_PLAINTEXT, SubscriptionKeys, Undecryptable, decrypt, encrypt
from tocsin.webpush.points import read_private, write_public

UA_PRIVATE = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
UA_PUBLIC = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
KEYS = SubscriptionKeys(base64url.decode(UA_PRIVATE), base64url.decode(AUTH))
"""Those of RFC 8291, appendix A."""
SALT = bytes(range(16))
CODINGS = ["aes128gcm", "aesgcm"]
WORDS = b"When I grow up, I want to be a watermelon"


def read(text: str) -> bytes:
    """Read what the standards show."""
    return base64url.decode(text)


def foreign(plaintext: bytes, coding: str, record: int, keys: SubscriptionKeys = KEYS) -> Envelope:
    """Encrypt by the library that many senders use."""
    sender = ec.generate_private_key(ec.SECP256R1())
    body = http_ece.encrypt(
        plaintext, SALT, private_key=sender, dh=keys.p256dh, auth_secret=keys.auth, version=coding, rs=record
    )
    if coding == "aes128gcm":
        return Envelope(coding, "", "", body)
    dh = base64url.encode(write_public(sender.public_key()))
    return Envelope(coding, f"salt={base64url.encode(SALT)};rs={record}", f"dh={dh}", body)


# The examples of the standards

AS_PRIVATE = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
RFC_8291 = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A"
    "_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def test_the_example_of_rfc_8291_is_decrypted() -> None:
    """That of its section 5, with the keys of its appendix A."""
    assert KEYS.p256dh == read(UA_PUBLIC)
    assert decrypt(KEYS, Envelope("aes128gcm", "", "", read(RFC_8291))) == WORDS


def test_the_example_of_rfc_8291_is_encrypted() -> None:
    """To the byte, where salt and key are those of the example."""
    envelope = encrypt(
        read(UA_PUBLIC), read(AUTH), WORDS,
        salt=read("DGv6ra1nlYgDCS1FRnbzlw"), ephemeral=read_private(read(AS_PRIVATE)),
    )  # fmt: skip
    assert envelope == Envelope("aes128gcm", "", "", read(RFC_8291))


@pytest.mark.parametrize(
    ("secret", "body"),
    [
        ("yqdlZ-tYemfogSmv7Ws5PQ", "I1BsxtFttlv3u_Oo94xnmwAAEAAA-NAVub2qFgBEuQKRapoZu-IxkIva3MEB1PD-ly8Thjg"),
        (
            "BO3ZVPxUlnLORbVGMpbT1Q",
            "uNCkWiNYzKTnBN9ji3-qWAAAABkCYTHOG8chz_gnvgOqdGYovxyjuqRyJFjEDyoF1Fvkj6hQPdPHI51OEUKEpgz3SsLWIqS_uA",
        ),
    ],
)
def test_the_records_of_the_examples_of_rfc_8188_are_read(secret: str, body: str) -> None:
    """One record, and two with padding: its sections 3.1 and 3.2, whose keys are no points."""
    whole = read(body)
    records = whole[21 + whole[20] :]
    key, nonce = message_encryption._content_keys(whole[:16], read(secret))
    opened = message_encryption._read_records(key, nonce, records, int.from_bytes(whole[16:20]))
    assert opened == b"I am the walrus"


# Against the library that many senders use


@given(st.binary(min_size=1, max_size=300), st.sampled_from(CODINGS), st.integers(18, 400))
def test_what_another_library_encrypts_is_decrypted(plaintext: bytes, coding: str, record: int) -> None:
    """In both codings, of one record or many; of nothing it makes no record, which is against RFC 8188."""
    assert decrypt(KEYS, foreign(plaintext, coding, record)) == plaintext


@given(st.binary(max_size=300), st.sampled_from(CODINGS))
def test_another_library_decrypts_what_is_encrypted(plaintext: bytes, coding: str) -> None:
    """In both codings."""
    envelope = encrypt(KEYS.p256dh, KEYS.auth, plaintext, coding)
    private = read_private(KEYS.private)
    if coding == "aes128gcm":
        opened = http_ece.decrypt(envelope.body, private_key=private, auth_secret=KEYS.auth, version=coding)
    else:
        salt, dh = read(envelope.encryption.removeprefix("salt=")), read(envelope.crypto_key.removeprefix("dh="))
        opened = http_ece.decrypt(
            envelope.body, salt=salt, private_key=private, dh=dh, auth_secret=KEYS.auth, version=coding
        )
    assert opened == plaintext


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("size", [0, 1, MAX_PLAINTEXT])
def test_messages_of_all_sizes_come_back(coding: str, size: int) -> None:
    """The longest has a body of the 4,096 bytes that each push service takes; each is encrypted anew."""
    plaintext = b"\0" * size
    envelope = encrypt(KEYS.p256dh, KEYS.auth, plaintext, coding)
    assert decrypt(KEYS, envelope) == plaintext
    assert envelope != encrypt(KEYS.p256dh, KEYS.auth, plaintext, coding)
    assert len(envelope.body) <= 4096
    assert len(envelope.body) == 4096 or (coding, size) != ("aes128gcm", MAX_PLAINTEXT)


# What is not to be encrypted


@pytest.mark.parametrize(
    ("p256dh", "auth", "plaintext", "coding", "words"),
    [
        (KEYS.p256dh, KEYS.auth, bytes(MAX_PLAINTEXT + 1), "aes128gcm", "3993 bytes at most, not 3994"),
        (KEYS.p256dh, KEYS.auth[:-1], b"", "aes128gcm", "auth of a subscription has 16 bytes, not 15"),
        (KEYS.p256dh[:-1], KEYS.auth, b"", "aes128gcm", "p256dh"),
        (b"\4" + bytes(64), KEYS.auth, b"", "aes128gcm", "p256dh"),
        (KEYS.p256dh, KEYS.auth, b"", "aesgcm128", "aes128gcm, or aesgcm"),
    ],
)
def test_what_cannot_be_encrypted_is_refused_in_words(
    p256dh: bytes, auth: bytes, plaintext: bytes, coding: str, words: str
) -> None:
    """Too long, keys that are none, or a coding that no device has."""
    with pytest.raises(InvalidArgument, match=words):
        encrypt(p256dh, auth, plaintext, coding)


@pytest.mark.parametrize(
    ("private", "auth"),
    [(bytes(32), SALT), (b"\xff" * 32, SALT), (KEYS.private[1:], SALT), (KEYS.private, b"")],
)
def test_keys_of_a_subscription_are_checked(private: bytes, auth: bytes) -> None:
    """The curve has no such number, or a length is wrong."""
    with pytest.raises(InvalidArgument, match="bytes"):
        SubscriptionKeys(private, auth)


def test_keys_of_a_subscription_show_no_secret() -> None:
    """They may come into a log."""
    assert repr(KEYS) == f"SubscriptionKeys(p256dh={base64url.encode(KEYS.p256dh)})"


# What lies


def test_an_empty_push_is_empty() -> None:
    """It has neither body nor coding."""
    assert decrypt(KEYS, Envelope("", "", "", b"")) == b""


ONE = foreign(WORDS, "aes128gcm", 4096)
MANY = foreign(WORDS, "aes128gcm", 40)
OLD = foreign(WORDS, "aesgcm", 20)
OLD_SALT, OLD_DH = base64url.encode(SALT), OLD.crypto_key
NO_POINT = base64url.encode(b"\4" + bytes(64))


def of(body: bytes) -> Envelope:
    """Put a body into an envelope."""
    return Envelope("aes128gcm", "", "", body)


def sized(size: int) -> Envelope:
    """Give another size of records than there is."""
    return of(MANY.body[:16] + size.to_bytes(4) + MANY.body[20:])


def old(encryption: str = OLD.encryption, crypto_key: str = OLD.crypto_key, body: bytes = OLD.body) -> Envelope:
    """Change a part of what is in the older coding."""
    return Envelope("aesgcm", encryption, crypto_key, body)


@pytest.mark.parametrize(
    ("envelope", "words"),
    [
        (Envelope("gzip", "", "", b"1"), "coding is neither"),
        (Envelope("", "", "", b"1"), "coding is neither"),
        (of(bytes(MAX_BODY + 1)), f"more than {MAX_BODY} bytes"),
        (of(b""), "sender's key"),
        (of(ONE.body[:85]), "sender's key"),
        (of(ONE.body[:86]), "no record"),
        (of(ONE.body[:20] + b"\x40" + ONE.body[21:]), "sender's key"),
        (of(ONE.body[:21] + b"\4" + bytes(64) + ONE.body[86:]), "no point"),
        (of(ONE.body[:21] + b"\2" + ONE.body[22:]), "no point"),
        (of(ONE.body[:-1]), "other keys, or was changed"),
        (of(ONE.body[:90]), "other keys, or was changed"),
        (of(ONE.body + b"\0"), "other keys, or was changed"),
        (sized(0), "no room"),
        (sized(17), "no room"),
        (sized(18), "other keys, or was changed"),
        (sized(2**32 - 1), "other keys, or was changed"),
        (of(MANY.body[: 86 + 40]), "does not end as its place demands"),
        (of(MANY.body + ONE.body[86:126]), "other keys, or was changed"),
        (old(encryption=""), "do not have a salt"),
        (old(encryption="rs=20"), "do not have a salt"),
        (old(encryption="salt"), "do not have a salt"),
        (old(encryption="salt=+"), "do not have a salt"),
        (old(encryption="salt=AAAA"), "no salt of 16 bytes"),
        (old(encryption=f"salt={OLD_SALT};rs=2"), "leaves no room"),
        (old(encryption=f"salt={OLD_SALT};rs=-20"), "leaves no room"),
        (old(encryption=f"salt={OLD_SALT};rs=many"), "do not have a salt"),
        (old(encryption=f"salt={OLD_SALT};rs={'9' * 5_000}"), "do not have a salt"),
        (old(encryption=f"salt={OLD_SALT};rs=21"), "other keys, or was changed"),
        (old(encryption=f"salt={OLD_SALT};keyid=other"), "the key dh in Crypto-Key"),
        (old(crypto_key=""), "the key dh in Crypto-Key"),
        (old(crypto_key=f"p256ecdsa={NO_POINT}"), "the key dh in Crypto-Key"),
        (old(crypto_key=f"dh={NO_POINT}"), "no point"),
        (old(crypto_key="dh="), "no point"),
        (old(body=b""), "last record is missing"),
        (old(body=OLD.body[:36]), "last record is missing"),
        (old(body=OLD.body[:35]), "other keys, or was changed"),
    ],
)  # fmt: skip
def test_what_lies_is_refused_in_words(envelope: Envelope, words: str) -> None:
    """Codings, sizes, keys and places of records."""
    with pytest.raises(Undecryptable, match=words):
        decrypt(KEYS, envelope)


@pytest.mark.parametrize("coding", CODINGS)
def test_other_keys_read_nothing(coding: str) -> None:
    """Neither those of another device, nor the right key with another secret."""
    envelope = encrypt(KEYS.p256dh, KEYS.auth, WORDS, coding)
    for keys in (SubscriptionKeys.generate(), SubscriptionKeys(KEYS.private, bytes(16))):
        with pytest.raises(Undecryptable, match="other keys"):
            decrypt(keys, envelope)


def written(coding: str, plaintext: bytes) -> Envelope:
    """Encrypt one record as it is, which no library would."""
    sender = ec.generate_private_key(ec.SECP256R1())
    ours = write_public(sender.public_key())
    shared = KEYS.agree(sender.public_key())
    if coding == "aes128gcm":
        key, nonce = message_encryption._keys_of_aes128gcm(shared, KEYS.auth, SALT, KEYS.p256dh, ours)
        sealed = AESGCM(key).encrypt(nonce, plaintext, None)
        return of(SALT + (4096).to_bytes(4) + b"\x41" + ours + sealed)
    key, nonce = message_encryption._keys_of_aesgcm(shared, KEYS.auth, SALT, KEYS.p256dh, ours)
    sealed = AESGCM(key).encrypt(nonce, plaintext, None)
    return Envelope("aesgcm", f"salt={OLD_SALT}", f"dh={base64url.encode(ours)}", sealed)


@pytest.mark.parametrize(
    ("coding", "plaintext", "words"),
    [
        *(("aes128gcm", plaintext, "does not end") for plaintext in (b"", b"\0\0", b"words", b"words\1", b"words\0\0")),
        *(("aesgcm", plaintext, "zeros") for plaintext in (b"", b"\0", b"\0\1", b"\0\2\0\1words", b"\xff\xffwords")),
    ],
)
def test_padding_is_as_its_coding_demands(coding: str, plaintext: bytes, words: str) -> None:
    """Else two readers might read two messages."""
    with pytest.raises(Undecryptable, match=words):
        decrypt(KEYS, written(coding, plaintext))


@pytest.mark.parametrize(
    ("coding", "plaintext"),
    [("aes128gcm", b"words\2\0\0\0"), ("aesgcm", b"\0\3\0\0\0words"), ("aes128gcm", b"words\2")],
)
def test_padding_hides_how_long_a_message_is(coding: str, plaintext: bytes) -> None:
    """It is taken away."""
    assert decrypt(KEYS, written(coding, plaintext)) == b"words"


@pytest.mark.parametrize(
    ("encryption", "crypto_key"),
    [
        ("keyid=p256dh;salt={salt};rs=20", "keyid=p256dh;{dh}, p256ecdsa=AA"),
        ("salt={salt};rs=20", "{dh};p256ecdsa=AA"),
        ('keyid="a";salt="{salt}";rs=20', "p256ecdsa=AA, keyid=b;dh=AA, keyid=a;{dh}"),
        ("rs=1, salt={salt};rs=20, salt=AA", "{dh}, dh=AA"),
    ],
)
def test_the_key_is_found_among_others(encryption: str, crypto_key: str) -> None:
    """By its name, and beside that of the sender; of two with one name it is the first."""
    envelope = old(encryption.format(salt=OLD_SALT), crypto_key.format(dh=OLD_DH))
    assert decrypt(KEYS, envelope) == WORDS


@st.composite
def mutations(draw: st.DrawFn) -> Envelope:
    """Change some bytes of a body, cut it, or add to it; or change a character of a header."""
    envelope = draw(st.sampled_from([ONE, MANY, OLD]))
    body = bytearray(envelope.body)
    for _ in range(draw(st.integers(0, 3))):
        body[draw(st.integers(0, len(body) - 1))] = draw(st.integers(0, 255))
    cut = bytes(body[: draw(st.integers(0, len(body)))]) if draw(st.booleans()) else bytes(body)
    headers = [envelope.encryption, envelope.crypto_key]
    which = draw(st.sampled_from([0, 1]))
    if headers[which]:
        position = draw(st.integers(0, len(headers[which]) - 1))
        changed = draw(st.characters(codec="ascii", exclude_characters="\n"))
        headers[which] = headers[which][:position] + changed + headers[which][position + 1 :]
    return Envelope(envelope.coding, headers[0], headers[1], cut + draw(st.binary(max_size=3)))


@given(mutations())
def test_what_was_changed_is_undecryptable_and_nothing_else_is_raised(envelope: Envelope) -> None:
    """It is the message, where the change has no meaning, or it is refused."""
    with suppress(Undecryptable):
        assert decrypt(KEYS, envelope) == WORDS


@given(st.sampled_from(CODINGS), st.text(max_size=30), st.text(max_size=30), st.binary(max_size=200))
def test_no_envelope_raises_anything_else(coding: str, encryption: str, crypto_key: str, body: bytes) -> None:
    """Whatever stands in it."""
    with pytest.raises(Undecryptable):
        decrypt(KEYS, Envelope(coding, encryption, crypto_key, body))
