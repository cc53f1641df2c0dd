"""Strangers may send anything: the service goes on."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.service.world import KEY, World, connected, ending, exchange
from tocsin.protocol import codec
from tocsin.protocol.messages import Hello

few = settings(max_examples=25)

PIECES = [
    b"POST /w/?token=x HTTP/1.1\r\n", b"GET * HTTP/1.0\r\n", b"GET /device HTTP/1.1\r\n", b"GET //[ HTTP/1.1\r\n",
    b"GET /%zz%00 HTTP/1.1\r\n", b"Host: \xe2\x82\xac\r\n", b"\xff\x00: \xff\r\n", b"Expect: 100-continue\r\n",
    b"Upgrade: websocket\r\n", b"Connection: Upgrade\r\n", b"Sec-WebSocket-Key: x\r\n", b"Sec-WebSocket-Version: 13\r\n",
    b"Content-Length: -1\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n", b"0\r\n",
    b"\r\n", b"\r\n", b"\r\n",
]  # fmt: skip


@few
@given(data=st.one_of(st.binary(max_size=400), st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)))
async def test_no_bytes_bring_the_service_down(standing: World, data: bytes) -> None:
    """Whatever a stranger sends, HTTP or not, the connection comes to an end and the next request is answered."""
    async with connected(standing.service.port) as (reader, writer):
        writer.write(data + b"\r\n\r\n")
        writer.close()
        await ending(reader)
    await _still_well(standing)


@few
@given(
    frames=st.lists(
        st.one_of(
            st.binary(max_size=100),
            st.lists(st.one_of(st.integers(-9, 20), st.text(max_size=9), st.none()), max_size=6).map(msgpack.packb),
        ),
        min_size=1,
        max_size=4,
    ),
    greeted=st.booleans(),
)
async def test_no_device_brings_the_service_down(standing: World, frames: list[bytes], greeted: bool) -> None:
    """Whatever a device sends, at most its own connection ends."""
    async with connect(standing.service.device_url) as device:
        try:
            if greeted:
                await device.send(codec.encode(Hello(1, KEY)))
            for frame in frames:
                await device.send(frame)
            await device.send(b"\x00")  # no frame, so that it ends in any case
            async for _ in device:
                pass
        except ConnectionClosed:
            pass
    assert device.close_code in {1000, 1002}
    await _still_well(standing)


@pytest.mark.parametrize(
    "bomb",
    [
        b"\x91" * 60_000 + b"\x00",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x01",
    ],
    ids=["nested", "array", "map", "bytes", "extension"],
)
async def test_msgpack_bombs_end_the_connection(standing: World, bomb: bytes) -> None:
    """Lengths that promise gigabytes, and depths without end, are a violation of the protocol."""
    async with connect(standing.service.device_url) as device:
        await device.send(bomb)
        with pytest.raises(ConnectionClosed):
            await device.recv()
    assert device.close_code == 1002
    await _still_well(standing)


async def test_too_long_a_message_ends_the_connection(standing: World) -> None:
    """The web server does not collect a message that is longer than any of ours."""
    async with connect(standing.service.device_url) as device:
        await device.send(bytes(codec.MAX_CHUNK + 1))
        with pytest.raises(ConnectionClosed):
            await device.recv()
    assert device.close_code == 1009
    await _still_well(standing)


async def test_a_replayed_token_of_a_removed_app_is_worth_nothing(standing: World) -> None:
    """Removal counts at once, for tokens that were used before too."""
    app = await standing.service.registrations.add("short-lived")
    form = {"grant_type": "client_credentials", "client_id": app.client_id, "client_secret": app.client_secret}
    async with standing.http.post(standing.service.token_url, data={**form, "scope": "notify.windows.com"}) as answer:
        token = (await answer.json())["access_token"]
    assert (await standing.post(headers={"Authorization": f"Bearer {token}"})).status == 403
    await standing.service.registrations.remove("short-lived")
    assert (await standing.post(headers={"Authorization": f"Bearer {token}"})).status == 401


async def _still_well(world: World) -> None:
    ((status, _, _),) = await exchange(world.service, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status == 200
