"""Whatever comes from a network: nothing makes the service fail, lose its step, or leave."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import CloseCode

from tests import strategies
from tests.service.world import World, connected, dial, ending, exchange, read_raw
from tocsin.protocol.errors import FrameError
from tocsin.protocol.messages import (
    Acknowledge,
    Hello,
    PowerState,
    RequestChannel,
    RevokeChannels,
    Suspended,
    UnwantedChanged,
    codec,
)
from tocsin.protocol.messages.unpacking import MAX_CHUNK
from tocsin.protocol.service import wns

HARD = settings().max_examples
"""How hard this run looks: 100 in CI."""

TOO_BIG = 1009
"""WebSocket close code: the message is too long (RFC 6455 §7.4.1)."""

ALLOWED = (Acknowledge, PowerState, RequestChannel, RevokeChannels, Suspended, UnwantedChanged)
VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, blacklist_characters="\x7f"), max_size=40)
NAMES = st.sampled_from(
    [*(name for name, _, _ in wns.RULES), "x-wns-match", "authorization", "content-type", "ms-cv", "cookie", "x-other"]
)
VALUES = VISIBLE | st.sampled_from(
    ["wns/raw", "wns/toast", "text/xml", "application/octet-stream", "cache", "true", "1", "type:wns/toast;all", "a, b"]
)
QUERIES = st.text(st.sampled_from("token=&%+;?ab1\xe9-_"), max_size=40) | st.sampled_from(
    ["token=", "token=%", "token"]
)
PIECES = [
    b"POST /w/?token=x HTTP/1.1\r\n", b"GET * HTTP/1.0\r\n", b"GET /device HTTP/1.1\r\n", b"GET //[ HTTP/1.1\r\n",
    b"GET /%zz%00 HTTP/1.1\r\n", b"Host: \xe2\x82\xac\r\n", b"\xff\x00: \xff\r\n", b"Expect: 100-continue\r\n",
    b"Upgrade: websocket\r\n", b"Connection: Upgrade\r\n", b"Sec-WebSocket-Key: x\r\n", b"Sec-WebSocket-Version: 13\r\n",
    b"Content-Length: -1\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n", b"0\r\n",
    b"\r\n", b"\r\n", b"\r\n",
]  # fmt: skip
METHODS = st.sampled_from(["POST", "POST", "POST", "DELETE", "GET", "PUT"])


def write_request(world: World, method: str, target: str, headers: dict[str, str], body: bytes) -> bytes:
    """Write a request whose framing is right, whatever else it is."""
    usual = {"authorization": f"Bearer {world.token}", "x-wns-type": "wns/raw", **headers}
    lines = [f"{method} {target} HTTP/1.1", "host: h", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in usual.items()]
    return "\r\n".join((*lines, "", "")).encode("latin-1") + body


@settings(max_examples=150 * HARD // 100)
@given(
    method=METHODS,
    query=st.none() | QUERIES,
    headers=st.dictionaries(NAMES, VALUES, max_size=6),
    body=st.binary(max_size=60),
)
async def test_no_request_makes_the_channel_route_fail(
    standing: World, method: str, query: str | None, headers: dict[str, str], body: bytes
) -> None:
    """Random headers, queries and bodies get an answer that is theirs, and the next request on the connection its own."""
    path = standing.uri.removeprefix(standing.service.url)
    target = path if query is None else f"/w/?{query}"
    good = write_request(standing, "POST", path, {"content-type": "application/octet-stream"}, b"x")
    bad = write_request(standing, method, target, headers, body)
    reader, writer = await asyncio.open_connection("127.0.0.1", standing.service.port)
    writer.write(bad)
    status, told, _ = await read_raw(reader)
    assert status in {200, 400, 401, 403, 404, 405, 413}
    if told.get("connection") == "close":  # the server could not make out what it was
        assert await reader.read() == b""
    else:
        writer.write(good)
        status, told, _ = await read_raw(reader)
        assert (status, told["x-wns-status"]) == (200, "dropped")
    writer.close()
    await writer.wait_closed()


@settings(max_examples=60 * HARD // 100)
@given(
    path=st.sampled_from(["/accesstoken.srf", "/t/oauth2/v2.0/token", "/t/oauth2/token", "/w/", "/", "/device"]),
    headers=st.dictionaries(NAMES, VALUES, max_size=4),
    body=st.binary(max_size=80)
    | st.text(st.sampled_from("grant_type=client_id&secret%20+"), max_size=80).map(str.encode),
)
async def test_no_request_makes_another_route_fail(
    standing: World, path: str, headers: dict[str, str], body: bytes
) -> None:
    """The token endpoints and the rest take anything, too."""
    [(status, _, _)] = await exchange(standing.service, write_request(standing, "POST", path, headers, body))
    assert status < 500


@given(st.binary(min_size=1, max_size=200) | st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join))
async def test_no_bytes_make_the_server_fail(standing: World, data: bytes) -> None:
    """What is no HTTP, or only nearly, is refused or waited for, and the service serves on."""
    async with connected(standing.service.port) as (reader, writer):
        writer.write(data)
        with suppress(OSError):  # it may have been cut off for the first part
            writer.write_eof()
        answer = await ending(reader)
    assert not answer.startswith(b"HTTP/1.1 5")
    assert (await standing.post()).status == 200


def is_allowed(chunk: bytes) -> bool:
    """Tell whether a greeted device may send that."""
    try:
        return all(isinstance(codec.decode(frame), ALLOWED) for frame in codec.split(chunk))
    except FrameError:
        return False


CHUNKS = (
    st.binary(max_size=60)
    | strategies.packable().map(msgpack.packb)
    | st.lists(st.integers(-9, 20) | st.text(max_size=9) | st.none(), max_size=6).map(msgpack.packb)
    | st.lists(strategies.messages(), min_size=1, max_size=3).map(
        lambda messages: b"".join(codec.encode(message) for message in messages)
    )
)


@settings(max_examples=150 * HARD // 100)
@given(greeted=st.booleans(), chunks=st.lists(CHUNKS, min_size=1, max_size=3))
async def test_no_frames_make_the_device_connections_fail(standing: World, greeted: bool, chunks: list[bytes]) -> None:
    """What a device must not send closes its connection with 1002; what it may send, and the others, go on."""
    async with dial(standing.service) as device:
        if greeted:
            await device.greet("a device that sends whatever it likes")
        allowed = greeted and all(map(is_allowed, chunks))
        with suppress(Exception):  # the service may have closed before the last
            for chunk in chunks:
                await device.socket.send(chunk)
        if allowed:
            await device.send(RevokeChannels(1, "nobody"))
            await device.socket.recv()
        elif not greets(chunks):
            assert (await device.closed())[0] == CloseCode.PROTOCOL_ERROR
    async with dial(standing.service) as another:
        await another.greet("a device that behaves as it should")


def greets(chunks: list[bytes]) -> bool:
    """Tell whether that begins as a conversation does."""
    try:
        return isinstance(codec.decode(codec.split(chunks[0])[0]), Hello)
    except (FrameError, IndexError):
        return False


@pytest.mark.parametrize("greeted", [False, True], ids=["at once", "greeted"])
@pytest.mark.parametrize(
    "bomb",
    [
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\x91" * 100_000 + b"\x00",
        b"\x9f" + b"\x90" * 200_000,
        b"\xc7\xff\x01" + bytes(255),
        b"\xc9\xff\xff\xff\xff\x01",
    ],
    ids=["array", "map", "binary", "string", "deep", "many", "extension", "long extension"],
)
async def test_a_msgpack_bomb_is_refused(standing: World, greeted: bool, bomb: bytes) -> None:
    """What promises more than it brings, or nests without end, costs nothing but its connection."""
    async with dial(standing.service) as device:
        if greeted:
            await device.greet("a device that sends whatever it likes")
        await device.socket.send(bomb)
        assert (await device.closed())[0] == CloseCode.PROTOCOL_ERROR
    assert (await standing.post()).status == 200


async def test_too_long_a_message_ends_the_connection(standing: World) -> None:
    """The web server does not collect a message that is longer than any of ours."""
    async with dial(standing.service) as device:
        await device.socket.send(bytes(MAX_CHUNK + 1))
        assert (await device.closed())[0] == TOO_BIG
    assert (await standing.post()).status == 200


async def test_a_replayed_token_of_a_removed_app_is_worth_nothing(standing: World) -> None:
    """Removal counts at once, for tokens that were used before too."""
    app = await standing.service.registrations.add("short-lived")
    token = {"Authorization": f"Bearer {(await standing.ask_token(app))['access_token']}"}
    assert (await standing.post(headers=token)).status == 403
    await standing.service.registrations.remove("short-lived")
    assert (await standing.post(headers=token)).status == 401
