"""What strangers might do to a push service, each in a process of its own: ``python -m tests.e2e.attacks NAME TARGET``."""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import sys
import time
from collections import Counter
from contextlib import suppress
from typing import Final

import jwt
from aiohttp import ClientSession
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from tests.e2e.strangers import Target, several
from tests.e2e.web_push_attacks import WEB_PUSH_ATTACKS
from tests.e2e.websocket_attacks import WEBSOCKET_ATTACKS, Attack

HEAD: Final = b"POST /w/?token=x HTTP/1.1\r\nHost: x\r\n"
BOMBS: Final = (b"\x91" * 60_000 + b"\x00", b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff")


async def nothing(target: Target) -> str:
    """Attack not at all, for comparison."""
    await asyncio.sleep(target.seconds)
    return "-"


async def slowloris(target: Target) -> str:
    """Send headers so slowly that they never end."""

    async def drip(index: int) -> str:
        reader, writer = await target.open(index)
        writer.write(HEAD)
        for number in itertools.count():
            await asyncio.sleep(1)
            writer.write(b"X-%d: x\r\n" % number)
            if reader.at_eof() or reader.exception():
                writer.close()
                return "cut off"
        return ""

    return await several(target, target.number // 5, drip)


async def half_open(target: Target) -> str:
    """Connect, and say nothing."""
    limit = asyncio.Semaphore(500)

    async def hold(index: int) -> str:
        async with limit:
            reader, writer = await target.open(index)
        said = await reader.read()
        writer.close()
        return "refused with 503" if b" 503 " in said else "cut off"

    return await several(target, target.number, hold)


async def one_address(target: Target) -> str:
    """Connect from one address only, more often than one may."""

    async def hold(_: int) -> str:
        reader, writer = await target.open(0)
        said = await reader.read()
        writer.close()
        return "refused with 503" if b" 503 " in said else "cut off"

    return await several(target, target.number // 2, hold)


async def large_bodies(target: Target) -> str:
    """Send a gigabyte to a channel, with and without a right to do so, said beforehand or not."""
    path = target.uri.removeprefix(target.url)
    right = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {target.token}\r\nX-WNS-Type: wns/raw\r\n"
    right += "Content-Type: application/octet-stream\r\n"
    lengths = ("Content-Length: 1073741824\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n40000000\r\n")
    heads = [head.encode() + length.encode() for head in (right, HEAD.decode()) for length in lengths]
    heads.append(b"POST /accesstoken.srf HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n")
    sent = 0

    async def flood(index: int) -> str:
        nonlocal sent
        _, writer = await target.open(index)
        writer.write(heads[index % len(heads)])
        for _ in range(16 * 1024):
            writer.write(bytes(65_536))
            await writer.drain()
            sent += 65_536
        return "taken whole"

    return f"{await several(target, 50, flood)}; {sent / 2**20:,.0f} MiB left"


async def header_bombs(target: Target) -> str:
    """Send a million headers, or one of a gigabyte."""

    async def bomb(index: int) -> str:
        reader, writer = await target.open(index)
        writer.write(HEAD + (b"X: " if index % 2 else b""))
        chunk = b"x" * 65_536 if index % 2 else b"X: y\r\n" * 10_000
        with suppress(ConnectionError):
            for _ in range(16 * 1024):
                writer.write(chunk)
                await writer.drain()
                if reader.at_eof():
                    break
        said = await reader.read()
        writer.close()
        return "refused with 431" if b" 431 " in said else "cut off"

    return await several(target, 200, bomb)


async def msgpack_bombs(target: Target) -> str:
    """Promise a device connection gigabytes, depths without end, and messages that are too long."""

    async def bomb(index: int) -> str:
        async with connect(
            f"ws://127.0.0.1:{target.port}/device", local_addr=(f"127.0.0.{2 + index % 8}", 0)
        ) as device:
            with suppress(WebSocketException):
                await device.send(BOMBS[index % 5] if index % 5 < 4 else bytes(8 * 1024 * 1024))
                await device.recv()
        return f"closed with {device.close_code}"

    return await several(target, 500, bomb)


async def deaf_peers(target: Target) -> str:
    """Ask without end, and never read an answer."""

    async def shout(index: int) -> str:
        _, writer = await target.open(index)
        transport = writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        requests = b"GET /accesstoken.srf?x HTTP/1.1\r\nHost: x\r\n\r\n" * 1_000
        while True:
            writer.write(requests)
            await writer.drain()

    return await several(target, 200, shout)


async def tokens(target: Target) -> str:
    """Post with forged tokens, and with one of an app that was removed."""
    claims = {"iss": "tocsin", "aud": "https://wns.windows.com/", "appid": "x", "exp": int(time.time()) + 3600}
    forged = [
        target.stale,
        jwt.encode(claims, "", algorithm="none"),
        jwt.encode(claims, b"k" * 32, algorithm="HS256"),
        target.token[:-4] + "AAAA",
        "x" * 2_000,
    ]
    outcomes: Counter[str] = Counter()
    async with ClientSession() as http:
        end = time.monotonic() + target.seconds
        for token in itertools.cycle(forged):
            headers = {"Authorization": f"Bearer {token}", "X-WNS-Type": "wns/raw"}
            async with http.post(target.uri, data=b"x", headers=headers) as answer:
                outcomes[f"refused with {answer.status}"] += 1
            if time.monotonic() > end:
                break
    return ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.most_common())


async def guesses(target: Target) -> str:
    """Guess channels, near to a real one and far from all, and compare the times of the answers."""
    base, _, real = target.uri.partition("token=")
    near = [real[:-1] + each for each in "ABCDEFGH" if each != real[-1]]
    far = ["A" * len(real), "z" * len(real), "-" * len(real)]
    times: dict[str, list[float]] = {"near": [], "far": []}
    statuses: Counter[int] = Counter()
    headers = {"Authorization": f"Bearer {target.token}", "X-WNS-Type": "wns/raw"}
    async with ClientSession() as http:
        end = time.monotonic() + target.seconds
        for number in itertools.count():
            for kind, tokens_ in (("near", near), ("far", far)):
                began = time.perf_counter()
                uri = f"{base}token={tokens_[number % len(tokens_)]}"
                async with http.post(uri, data=b"x", headers=headers) as answer:
                    statuses[answer.status] += 1
                times[kind].append(time.perf_counter() - began)
            if time.monotonic() > end:
                break
    medians = {kind: statistics.median(each) * 1e6 for kind, each in times.items()}
    spread = statistics.quantiles(times["far"], n=4)
    return (
        f"{statuses.total():,} guesses, answered {dict(statuses)}; median near {medians['near']:.0f} µs, "
        f"far {medians['far']:.0f} µs (quartiles {spread[0] * 1e6:.0f} to {spread[2] * 1e6:.0f})"
    )


ATTACKS: Final[dict[str, Attack]] = {
    attack.__name__: attack
    for attack in (
        nothing, slowloris, half_open, one_address, large_bodies, header_bombs, msgpack_bombs, deaf_peers, tokens, guesses,
        *WEBSOCKET_ATTACKS, *WEB_PUSH_ATTACKS,
    )
}  # fmt: skip

if __name__ == "__main__":
    print(asyncio.run(ATTACKS[sys.argv[1]](Target(**json.loads(sys.argv[2])))))  # noqa: T201 - for who started it
