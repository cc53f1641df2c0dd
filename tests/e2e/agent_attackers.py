"""What a process might do to the socket of an agent, each in a process of its own: ``python -m tests.e2e.agent_attackers NAME TARGET``."""

from __future__ import annotations

import json
import os
import random
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final

import anyio
from attrs import frozen

from tocsin.protocol import messages as m
from tocsin.protocol.errors import FrameError
from tocsin.protocol.messages.codec import decode_own, encode
from tocsin.protocol.messages.framing import with_lengths
from tocsin.protocol.messages.unpacking import MAX_OWN_FRAME
from tocsin.protocol.values import AGENT_VERSION, Outcome
from tocsin.transport.frame_stream import FrameStream, StreamBroken

NOBODY: Final = 65_534
"""A user id that is not ours."""

AT_ONCE: Final = 64
"""Connections that are being made at a time, where there is no reason for more."""


@frozen
class Target:
    """An agent, an honest app, and one of its channels."""

    socket: str
    app: str
    channel: str
    seconds: float
    """How long an attack lasts that has no end of its own."""
    attacker: str
    """What the attacker calls itself."""
    share: float
    """How much of the full number an attack does, from 0 to 1."""

    def of(self, number: int) -> int:
        """Return that share of a number, 1 at least."""
        return max(1, round(number * self.share))

    def hello(self) -> bytes:
        """Return the first frame of the attacker."""
        return hello(self.attacker)

    @asynccontextmanager
    async def frames(self, first: bytes | None = None) -> AsyncIterator[FrameStream]:
        """Connect, and send a first frame if there is one."""
        async with await anyio.connect_unix(self.socket) as stream:
            frames = FrameStream(stream, MAX_OWN_FRAME)
            if first is not None:
                await frames.send([first])
            yield frames


def hello(app: str) -> bytes:
    """Return the first frame of an app."""
    return encode(m.SessionHello(AGENT_VERSION, app))


async def last_word(frames: FrameStream) -> str:
    """Read until the agent closes the connection, and return the last that it said."""
    word = "cut off"
    with suppress(StreamBroken, FrameError):
        while True:
            for frame in await frames.receive():
                message = decode_own(frame)
                if isinstance(message, m.SessionRefused):
                    word = f"refused ({message.error})"
    return word


async def several(number: int, attack: Callable[[int], Awaitable[str]], at_once: int = AT_ONCE) -> str:
    """Run an attack many times, and count what became of each."""
    outcomes, places = Counter[str](), anyio.Semaphore(at_once)

    async def one(index: int) -> None:
        async with places:
            try:
                outcomes[await attack(index)] += 1
            except (OSError, StreamBroken, anyio.BrokenResourceError) as failure:
                outcomes[f"cut off ({type(failure.__cause__ or failure).__name__})"] += 1

    async with anyio.create_task_group() as tasks:
        for index in range(number):
            tasks.start_soon(one, index)
    return ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.most_common())


async def send_and_listen(target: Target, first: Sequence[bytes], *, raw: bytes = b"") -> str:
    """Send frames and bytes, and return what the agent says to that."""
    async with await anyio.connect_unix(target.socket) as stream:
        with suppress(anyio.BrokenResourceError):
            await stream.send(with_lengths(first) + raw)
        return await last_word(FrameStream(stream, MAX_OWN_FRAME))


async def nothing(target: Target) -> str:
    """Attack not at all, for comparison."""
    await anyio.sleep(target.seconds)
    return "-"


async def other_user(target: Target) -> str:
    """Connect as a process of another user, whom the modes of the files let in."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    return await several(target.of(100), lambda _: send_and_listen(target, [hello(target.app)]))


async def wrong_hellos(target: Target) -> str:
    """Say hello in a wrong way, or something else first."""
    wrong = [
        encode(m.SessionHello(AGENT_VERSION + 1, target.app)),
        encode(m.SessionHello(-1, target.app)),
        encode(m.SessionHello(AGENT_VERSION, "")),
        encode(m.SessionHello(AGENT_VERSION, "x" * 129)),
        encode(m.SessionHello(AGENT_VERSION, "two\nlines")),
        encode(m.Subscribe(target.channel)),
        encode(m.SessionWelcome(AGENT_VERSION, "mail/1", b"", b"")),
    ]
    return await several(target.of(1_400), lambda index: send_and_listen(target, [wrong[index % len(wrong)]]))


async def garbage(target: Target) -> str:
    """Send bytes without a meaning, before a hello and after it."""
    chance = random.Random(15)  # noqa: S311  # the same garbage each time

    async def once(index: int) -> str:
        first = [target.hello()] if index % 2 else []
        frame = chance.randbytes(chance.randint(1, 2_000))
        how = index % 3
        if how == 0:  # not even a frame
            return await send_and_listen(target, first, raw=chance.randbytes(64))
        return await send_and_listen(target, [*first, frame if how == 1 else b"\x91" * 2_000])

    return await several(target.of(1_000), once)


async def large_frames(target: Target) -> str:
    """Announce a frame of a hundred megabytes, and send it."""

    async def once(index: int) -> str:
        async with await anyio.connect_unix(target.socket) as stream:
            with suppress(anyio.BrokenResourceError):
                if index % 2:
                    await stream.send(with_lengths([target.hello()]))
                    await stream.receive()
                await stream.send((100 << 20).to_bytes(4, "big"))
                for _ in range(100):
                    await stream.send(bytes(1 << 20))
            return await last_word(FrameStream(stream, MAX_OWN_FRAME))

    return await several(target.of(200), once)


async def opened_and_dropped(target: Target) -> str:
    """Open sessions and drop them: before the hello, behind it, behind the welcome."""

    async def once(index: int) -> str:
        async with target.frames(target.hello() if index % 3 else None) as frames:
            if index % 3 == 1:
                await frames.receive()
        return "dropped"

    return await several(target.of(5_000), once)


async def many_names(target: Target) -> str:
    """Open sessions of apps that nothing has heard of before."""

    async def once(index: int) -> str:
        async with target.frames(hello(f"{target.attacker}.{index}")) as frames:
            (first, *_) = await frames.receive()
            return type(decode_own(first)).__name__

    return await several(target.of(1_000), once)


async def held(target: Target) -> str:
    """Hold more sessions than there may be."""
    number, answers, all_here = target.of(600), Counter[str](), anyio.Event()

    async def hold() -> None:
        with suppress(StreamBroken, OSError):
            async with target.frames(target.hello()) as frames:
                (first, *_) = await frames.receive()
                message = decode_own(first)
                answers[message.error if isinstance(message, m.SessionRefused) else type(message).__name__] += 1
                if sum(answers.values()) == number:
                    all_here.set()
                await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        for _ in range(number):
            tasks.start_soon(hold)
        with anyio.move_on_after(target.seconds + 10):
            await all_here.wait()
        await anyio.sleep(target.seconds)
        tasks.cancel_scope.cancel()
    return ", ".join(f"{count:,} {answer}" for answer, count in answers.most_common())


async def silent(target: Target) -> str:
    """Connect, and say nothing."""

    async def once(_: int) -> str:
        async with target.frames() as frames:
            return await last_word(frames)

    return await several(target.of(500), once, at_once=500)


def _questions(target: Target) -> list[Callable[[int], m.Message]]:
    return [
        lambda number: m.UnregisterActivators(number, 4, False),  # noqa: FBT003  # the message's own fields
        lambda number: m.CloseChannel(number, "no such channel"),
        lambda number: m.ClaimPayload(number, "a guess"),
        lambda number: m.CreateChannel(number, "00000000-0000-0000-0000-000000000001"),
        lambda number: m.CloseChannel(number, target.channel),
    ]


async def unread(target: Target) -> str:
    """Ask a hundred thousand questions, each session of one kind, and read no answer."""

    async def once(index: int) -> str:
        question = _questions(target)[index % 5]
        async with target.frames(target.hello()) as frames:
            with anyio.move_on_after(target.seconds + 10):
                for begin in range(0, target.of(100_000), 100):
                    await frames.send([encode(question(number)) for number in range(begin, begin + 100)])
                return "took all"
        return "left waiting"

    return await several(5, once)


async def thief(target: Target) -> str:
    """Settle the payloads of another app, take its channel, cancel its work, claim what it was launched for."""
    sequences = tuple(range(1, 500))
    rows = tuple(m.OutcomeRow(sequence, Outcome.NOT_HANDLED, "stolen", 1) for sequence in sequences)
    stealing = [
        m.Subscribe(target.channel),
        m.Unsubscribe(target.channel),
        m.Subscribe(target.channel),
        m.Handled(sequences, (1,) * len(sequences)),
        m.Outcomes(rows),
        m.CloseChannel(1, target.channel),
        m.UnregisterActivators(2, 7, True),  # noqa: FBT003  # the message's own fields
        m.LeaveSession(),
    ]
    stolen = 0
    async with target.frames(target.hello()) as frames:
        with anyio.move_on_after(target.seconds):
            await frames.send([encode(message) for message in stealing])
            while True:
                found = map(decode_own, await frames.receive())
                stolen += sum(isinstance(message, (m.Deliveries, m.Activation)) for message in found)
    return f"{stolen} payloads stolen"


async def forbidden(target: Target) -> str:
    """Send what only the platform's own actors and the service may send."""
    frames = [
        encode(m.Fence()),
        encode(m.SessionEnded(f"{target.app}/1")),
        encode(m.Stamped(f"{target.app}/1", target.app, encode(m.LeaveSession()))),
        encode(m.HandledLate(target.app, (1, 2, 3))),
        encode(m.Claimed("attacker/1", target.app, 1, 1, 1)),
    ]
    return await several(
        target.of(500), lambda index: send_and_listen(target, [target.hello(), frames[index % len(frames)]])
    )


async def drip(target: Target) -> str:
    """Send a hello, or a frame behind it, one byte at a time."""

    async def once(index: int) -> str:
        async with await anyio.connect_unix(target.socket) as stream:
            if index % 2:
                await stream.send(with_lengths([target.hello()]))
            with anyio.move_on_after(target.seconds):
                for byte in (1_000).to_bytes(4, "big") + bytes(1_000):
                    await stream.send(bytes([byte]))
                    await anyio.sleep(0.2)
            return "went on to the end"

    return await several(target.of(200), once, at_once=200)


async def many_channels(target: Target) -> str:
    """Subscribe to a hundred thousand channels that there are not, and leave."""
    async with target.frames(target.hello()) as frames:
        for begin in range(0, target.of(100_000), 100):
            await frames.send([encode(m.Subscribe(f"{number} {'x' * 200}")) for number in range(begin, begin + 100)])
        await frames.send([encode(m.Fence())])  # refused behind all of them
        return await last_word(frames)


ATTACKS: Final[dict[str, Callable[[Target], Awaitable[str]]]] = {
    attack.__name__: attack
    for attack in (
        nothing, other_user, wrong_hellos, garbage, large_frames, opened_and_dropped, many_names, held, silent, unread,
        thief, forbidden, drip, many_channels,
    )
}  # fmt: skip


if __name__ == "__main__":
    assert hasattr(socket, "AF_UNIX")
    print(anyio.run(partial(ATTACKS[sys.argv[1]], Target(**json.loads(sys.argv[2])))))  # noqa: T201  # for who started it
