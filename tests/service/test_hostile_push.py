"""Whatever comes from strangers to a push resource: it is refused in words, and the service goes on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from attrs import frozen
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.service.world import World, dial, ending, exchange, open_world, read_raw
from tocsin.protocol.messages import ChannelRefused, RequestChannel
from tocsin.protocol.service import web_push
from tocsin.protocol.webpush.base64url import decode, encode
from tocsin.protocol.webpush.sender import web_push_sender
from tocsin.protocol.webpush.vapid import MAX_TOKEN, VapidToken, claims
from tocsin.service.senders import vapid_tokens
from tocsin.service.senders.vapid_tokens import VapidTokens
from tocsin.webpush.message_encryption import SubscriptionKeys, encrypt
from tocsin.webpush.vapid_keys import VapidKey

HARD = settings().max_examples
"""How hard this run looks: 100 in CI."""

KEYS = SubscriptionKeys.generate()
SEALED = encrypt(KEYS.p256dh, KEYS.auth, b"hello")
OLDER = encrypt(KEYS.p256dh, KEYS.auth, b"hello", "aesgcm")
VAPID, OTHER = VapidKey.generate(), VapidKey.generate()
K256, P384 = (ec.generate_private_key(curve) for curve in (ec.SECP256K1(), ec.SECP384R1()))
NO_POINT = b"\4" + bytes(63) + b"\1"


@frozen
class Resource:
    """A service with two push subscriptions of a device that is away: for all senders, and for one."""

    world: World
    for_any: str
    for_one: str

    def request(self, headers: list[tuple[str, str]], body: bytes = SEALED.body, *, one: bool = False) -> bytes:
        """Write a request with exactly these headers."""
        path = (self.for_one if one else self.for_any).removeprefix(self.world.service.url)
        lines = [f"POST {path} HTTP/1.1", "Host: h", *(f"{name}: {value}" for name, value in headers), "", ""]
        return "\r\n".join(lines).encode("latin-1") + body

    async def post(self, authorization: str | None, *, one: bool = True) -> tuple[int, str]:
        """Post a message, and return the status and the words."""
        headers = [*usual(SEALED.body), *([] if authorization is None else [("Authorization", authorization)])]
        [(status, _, words)] = await exchange(self.world.service, self.request(headers, one=one))
        return status, words.decode()

    def claims(self, **others: object) -> dict[str, object]:
        """Return what a token says that is right, but for these."""
        return claims(self.world.service.url, self.world.clock() + 3600, "mailto:o@example.com") | others


def usual(body: bytes) -> list[tuple[str, str]]:
    """Return the headers that every message has."""
    return [("TTL", "60"), ("Content-Encoding", "aes128gcm"), ("Content-Length", str(len(body)))]


@pytest.fixture(scope="module")
async def resource(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Resource]:
    """Run one service for all."""
    async with open_world(tmp_path_factory.mktemp("state")) as world:
        async with dial(world.service) as device:
            await device.greet()
            uris = [(await device.channel(web_push_sender(key))).uri for key in (None, VAPID.public_key)]
        yield Resource(world, *uris)


# Who sends


@settings(max_examples=100 * HARD // 100)
@given(at=st.integers(0, 9_999), by=st.integers(0, 8))
async def test_a_token_of_which_anything_is_changed_is_refused(resource: Resource, at: int, by: int) -> None:
    """Whichever character it is, of its head, its claims, its signature or its key."""
    good = VAPID.sign(resource.claims())
    start = good.index("=") + 1
    places = [place for place in range(start, len(good)) if good[place] not in ", k="]
    place = places[at % len(places)]
    other = [each for each in "AZaz09-_." if each != good[place]][by % 8]
    changed = f"{good[:place]}{other}{good[place + 1 :]}"
    status, words = await resource.post(changed)
    if meaning(changed) == meaning(good):  # the last bits of base64url may mean nothing
        assert status in {201, 403}
    else:
        assert (status, bool(words)) == (403, True)


def meaning(authorization: str) -> list[bytes] | None:
    """Return the bytes that a header says; None where it says none."""
    token, _, key = authorization.removeprefix("vapid t=").partition(", k=")
    try:
        return [decode(each) for each in (*token.split("."), key)]
    except ValueError:
        return None


def by(head: dict[str, Any], said: dict[str, object], key: object) -> str:
    """Sign claims in another way; return the token."""
    return jwt.encode(said, key, algorithm=head["alg"], headers=head)  # type: ignore[arg-type]  # any key


async def test_a_token_that_is_signed_in_another_way_is_refused(resource: Resource) -> None:
    """By no key, by the public one, by another's, or by one of another curve."""
    said, k = resource.claims(), VAPID.application_server_key
    key = jwt.encode(said, "", algorithm="none")
    points = [each.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint) for each in (K256, P384)]
    theirs = OTHER.sign(said).partition(",")[0].removeprefix("vapid t=")
    for token, shown in (
        (key, k),
        (by({"alg": "HS256"}, said, VAPID.public_key), k),
        (by({"alg": "ES256K"}, said, K256), k),
        (by({"alg": "ES384"}, said, P384), k),
        (theirs, k),
        (by({"alg": "ES256K"}, said, K256), encode(points[0])),
        (by({"alg": "ES384"}, said, P384), encode(points[1])),
        (theirs, encode(NO_POINT)),
        (theirs, encode(b"\2" + VAPID.public_key[1:33])),
        (theirs, ""),
        (f"{'x' * MAX_TOKEN}.y.z", k),
        ("[" * 900, k),
        (f"{encode(b'[' * 2_000)}.{encode(b'[' * 900)}.{encode(bytes(64))}", k),
    ):
        for one in (True, False):
            status, words = await resource.post(f"vapid t={token}, k={shown}", one=one)
            assert (status, bool(words.strip())) == (403, True), (token[:40], words)


@pytest.mark.parametrize("one", [True, False], ids=["one", "any"])
async def test_a_token_is_good_for_this_service_and_until_its_end(resource: Resource, one: bool) -> None:
    """One that was shown elsewhere is of no use here, nor one that was good here a moment ago."""
    origin, clock = resource.world.service.url, resource.world.clock
    for said in (
        {"aud": "https://push.example"},
        {"aud": origin.replace("127.0.0.1", "127.0.0.1.example")},
        {"aud": origin.replace("http:", "https:")},
        {"aud": f"{origin}@push.example"},
        {"aud": [origin[:-1], ["x"], None, 5]},
        {"aud": {origin: 1}},
        {"exp": clock() - 1},
        {"exp": clock() + 10**6},
        {"exp": 10**400},
        {"exp": True},
        {"exp": "9999999999"},
        {"nbf": "now"},
    ):
        status, words = await resource.post(VAPID.sign(resource.claims(**said)), one=one)
        assert (status, bool(words.strip())) == (403, True), said
    signed = VAPID.sign(resource.claims(exp=clock() + 5))
    for passed, status in ((0, 201), (4, 201), (5, 403), (100, 403)):
        begin = clock.time
        clock.time += passed
        assert (await resource.post(signed, one=one))[0] == status
        clock.time = begin


async def test_claims_that_are_no_object_are_refused(resource: Resource) -> None:
    """However well they are signed."""
    for payload in (b"", b"[]", b"5", b"null", b"\xff", b'{"aud": NaN', b'{"exp": 1e999}', b"[" * 700):
        token = jwt.PyJWS().encode(payload, VAPID._private, algorithm="ES256")
        status, words = await resource.post(f"vapid t={token}, k={VAPID.application_server_key}")
        assert (status, bool(words.strip())) == (403, True), payload


@pytest.mark.parametrize("key", [NO_POINT, b"\4" + b"\xff" * 64, b"\4" + bytes(64)])
async def test_keys_that_are_no_points_are_refused_by_whom_they_are_shown_to(resource: Resource, key: bytes) -> None:
    """No subscription is for such a sender, and none is who says so."""
    async with dial(resource.world.service) as device:
        await device.greet("another device key, which is long")
        await device.send(RequestChannel(1, "app", web_push_sender(key), ""))
        assert "point" in (await device.receive(ChannelRefused)).text
    token = VAPID.sign(resource.claims()).partition(",")[0]
    assert (await resource.post(f"{token}, k={encode(key)}", one=False))[0] == 403


def test_tokens_that_are_remembered_are_few_and_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender that signs as many as it likes for itself fills no memory."""
    monkeypatch.setattr(vapid_tokens, "_REMEMBERED", 10)
    tokens = VapidTokens("http://h", lambda: 0.0)

    def shown(subject: str) -> VapidToken:
        text = OTHER.sign(claims("http://h", 60, subject)).partition("t=")[2].partition(",")[0]
        return VapidToken(text, OTHER.public_key)

    for number in range(30):
        assert tokens.refusal(web_push_sender(None), shown(f"{number}")) is None
    assert len(tokens._verified) == 10
    long = shown("x" * 1_024)
    before = tokens.verifications
    for _ in range(2):
        assert tokens.refusal(web_push_sender(None), long) is None
    assert (tokens.verifications - before, long in tokens._verified) == (2, False)


# What is sent


VISIBLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, blacklist_characters="\x7f"), max_size=60)
VALUES = VISIBLE | st.sampled_from(
    ["0", "60", "-1", "9" * 30, "high", "aes128gcm", "aesgcm", "gzip", "a, b", "vapid t=a.b.c, k=", "WebPush a.b.c",
     OLDER.encryption, OLDER.crypto_key, "salt=;rs=0", "dh=;dh=", 'keyid="', "p256ecdsa=x"]
)  # fmt: skip
HEADERS = st.lists(st.tuples(st.sampled_from(sorted(web_push.READ - {"expect", "content-length"})), VALUES), max_size=6)
BODIES = (
    st.binary(max_size=130)
    | st.sampled_from([SEALED.body, OLDER.body, b""])
    | st.builds(lambda cut, more: SEALED.body[:cut] + more, st.integers(0, 120), st.binary(max_size=40))
    | st.sampled_from([16, 17, 102, 103, 4_096, 4_097, 5_000]).map(bytes)
)


@settings(max_examples=150 * HARD // 100)
@given(headers=HEADERS, body=BODIES, one=st.booleans())
async def test_no_request_makes_a_push_resource_fail(
    resource: Resource, headers: list[tuple[str, str]], body: bytes, one: bool
) -> None:
    """Any headers, as often as one likes, and any body get an answer in words, and the next request on the connection its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", resource.world.service.port)
    writer.write(resource.request([*headers, ("Content-Length", str(len(body)))], body, one=one))
    status, told, words = await read_raw(reader)
    assert status in {201, 400, 401, 403, 411, 413, 415}
    assert status == 201 or words
    if told.get("connection") == "close":  # the server could not make out what it was
        assert await reader.read() == b""
    else:
        writer.write(resource.request(usual(SEALED.body)))
        assert (await read_raw(reader))[0] == 201
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("name", ["TTL", "Topic", "Urgency", "Content-Encoding", "Authorization"])
async def test_a_header_that_comes_twice_is_refused(resource: Resource, name: str) -> None:
    """Whichever of the two a proxy would have gone by."""
    once = {"TTL": "60", "Topic": "a", "Urgency": "low", "Content-Encoding": "aes128gcm"}
    once["Authorization"] = VAPID.sign(resource.claims())
    headers = [*once.items(), ("Content-Length", str(len(SEALED.body)))]
    answers = await exchange(
        resource.world.service,
        *(resource.request(each, one=True) for each in (headers, [*headers, (name, once[name])])),
    )
    statuses = [status for status, _, _ in answers]
    assert (statuses[0], statuses[1] in {400, 403, 415}) == (201, True)


@pytest.mark.parametrize(
    "lengths",
    [
        ["Content-Length: 5", "Content-Length: 50"],
        ["Content-Length: 5, 50"],
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 5"],
        ["Transfer-Encoding: chunked, identity"],
        ["Transfer-Encoding : chunked"],
        ["Content-Length: +5"],
        ["Content-Length: 0x5"],
        ["Content-Length: 5\r\n ignored: yes"],
    ],
)
async def test_a_message_whose_end_is_in_doubt_hides_no_other(resource: Resource, lengths: list[str]) -> None:
    """It is refused, and what stands behind it on the connection is taken for no request."""
    path = resource.for_any.removeprefix(resource.world.service.url)
    hidden = resource.request(usual(SEALED.body))
    head = f"POST {path} HTTP/1.1\r\nHost: h\r\nTTL: 60\r\n" + "".join(f"{each}\r\n" for each in lengths) + "\r\n"
    before = resource.world.service.offline.kept
    reader, writer = await asyncio.open_connection("127.0.0.1", resource.world.service.port)
    writer.write(head.encode() + b"0\r\n\r\n" + hidden)
    writer.write_eof()
    answer = await ending(reader)
    writer.close()
    await writer.wait_closed()
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 411 ")), answer[:60]
    assert b"HTTP/1.1 201 " not in answer
    assert resource.world.service.offline.kept == before


def test_no_secret_of_a_sender_is_shown() -> None:
    """Neither its token nor the rest of its header, whatever prints it."""
    shown = repr(VapidToken(json.dumps({"secret": 1}), VAPID.public_key))
    assert "secret" not in shown
