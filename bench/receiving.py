"""The receiving process of a bench over the wire: ``python -m bench.receiving KIND URL STATE LOOP``.

It counts what comes, and answers lines on its standard input: ``"begin"`` sets the count to nothing, a number waits until
so many have come (or nothing comes for a while) and tells how many there were, when, and how old; ``"ages"`` asks
for the age of each, after ``"hang"`` the handlers of an app at an agent never return, and ``"parts"`` asks on what the
CPU went since ``"sample"``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from array import array
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from websockets.asyncio.client import connect

from bench import parts
from bench.framework import optional, run_on, tail
from bench.http_load import moment_of
from bench.load import APP
from bench.parts import Sampler
from tocsin import Activators, PushNotificationActivationInfo
from tocsin import connect as connect_app
from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.api.embedded import embedded

_IDLE = 2.0  # seconds after which nothing more is expected


class Tally:
    """Counts what comes, and remembers when, and how old it was."""

    def __init__(self) -> None:
        self.hangs = False
        self.begin()

    def begin(self) -> None:
        """Count from nothing."""
        self.count = 0
        self._first = self._last = 0.0
        self._ages = array("d")
        self._more = asyncio.Event()
        self._cpu = process_time()

    def add(self, body: bytes | str) -> None:
        """Count one."""
        self._last = perf_counter()
        self._first = self._first or self._last
        self.count += 1
        sent = moment_of(body)
        if sent:
            self._ages.append((self._last - sent) * 1000)
        self._more.set()

    async def wait(self, count: int) -> None:
        """Wait until there are so many, or nothing comes any more."""
        try:
            while self.count < count:
                self._more.clear()
                async with asyncio.timeout(_IDLE):
                    await self._more.wait()
        except TimeoutError:
            return

    def ages(self) -> dict[str, list[float]]:
        """Return how old each was, in milliseconds."""
        return {"ages": self._ages.tolist()}

    def found(self) -> dict[str, float]:
        """Return what has come.

        :return: the count, the rate from the first to the last, their moments, the CPU seconds of this process, and p50, p99
            and p99.9 of their age in milliseconds.
        """
        cpu = process_time() - self._cpu  # before the ages are sorted
        seconds = max(self._last - self._first, 1e-9)
        found = {"count": float(self.count), "rate": (self.count - 1) / seconds}
        found |= {"first": self._first, "last": self._last, "cpu": cpu}
        return found | tail(self._ages) if self._ages else found


async def answer(tally: Tally, ready: dict[str, Any]) -> None:
    """Say that all is ready, then answer lines until there are no more."""
    reader, sampler = await open_input(), Sampler(parts.APP)
    say(ready)
    while line := await reader.readline():
        question = json.loads(line)
        if question == "begin":
            tally.begin()
            say({})
        elif question == "ages":
            say(tally.ages())
        elif question == "hang":
            tally.hangs = True
            say({})
        elif question == "sample":
            sampler.begin()
            say({})
        elif question == "parts":
            say(sampler.found())
        else:
            await tally.wait(question)
            say(tally.found())


async def until_input_ends() -> None:
    """Wait until the parent process has closed this one's input, or is gone."""
    await (await open_input()).read()


async def open_input() -> asyncio.StreamReader:
    """Return what reads the standard input."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def say(message: object) -> None:
    """Print one line of JSON at once."""
    print(json.dumps(message), flush=True)


async def tocsin(url: str, state: Path, tally: Tally) -> None:
    """Receive by an app with an async handler, on a push service that runs elsewhere; the URL ends with the remote id."""

    async def handler(args: PushNotificationReceivedEventArgs) -> None:
        args.handled = True
        tally.add(args.payload)

    service, _, remote_id = url.partition("#")
    async with embedded(APP, state, service) as manager:
        result = await manager.create_channel(remote_id)
        assert result.channel is not None, result
        with result.channel.push_received(handler):
            await answer(tally, {"uri": result.channel.uri})


async def connected(url: str, socket: Path, tally: Tally) -> None:
    """Receive by an app that is connected to an agent; the URL is the remote id and the name of the app."""

    async def handler(args: PushNotificationReceivedEventArgs) -> None:
        if tally.hangs:
            await asyncio.Event().wait()
        args.handled = True
        tally.add(args.payload)

    remote_id, _, app = url.partition("#")
    async with connect_app(app, socket, command=[sys.executable, "-c", "pass"]) as manager:
        result = await manager.create_channel(remote_id)
        assert result.channel is not None, result
        with result.channel.push_received(handler):
            await answer(tally, {"uri": result.channel.uri})


async def web_push(url: str, state: Path, tally: Tally) -> None:
    """Receive by an app with a push subscription; the URL ends with the key of the one sender that may push, if not any may."""

    async def handler(args: PushNotificationReceivedEventArgs) -> None:
        args.handled = True
        tally.add(args.payload)

    service, _, key = url.partition("#")
    async with embedded(APP, state, service) as manager:
        subscription = await manager.create_web_push_subscription(key or None)
        with subscription.push_received(handler):
            await answer(tally, subscription.as_json())


async def decrypting(url: str, state: Path, tally: Tally) -> None:
    """Receive by WNS what the app decrypts itself, with nothing but ``cryptography``; the URL ends with the remote id."""
    from bench import bare_decryption  # noqa: PLC0415  # the others import none of it

    decrypt, keys = bare_decryption.new_reader()

    async def handler(args: PushNotificationReceivedEventArgs) -> None:
        args.handled = True
        tally.add(decrypt(args.payload))

    service, _, remote_id = url.partition("#")
    async with embedded(APP, state, service) as manager:
        result = await manager.create_channel(remote_id)
        assert result.channel is not None, result
        with result.channel.push_received(handler):
            await answer(tally, {"uri": result.channel.uri, "keys": keys})


async def registered(url: str, socket: Path, _: Tally) -> None:
    """Register what a push launches, and end; the URL is the remote id and where launches report."""
    remote_id, _mark, report = url.partition("#")
    command = [sys.executable, str(Path(__file__).with_name("launched.py")), str(socket), report]
    async with connect_app(APP, socket, command=command) as manager:
        result = await manager.create_channel(remote_id)
        assert result.channel is not None, result
        await manager.register_activator(PushNotificationActivationInfo(Activators.PROTOCOL_ACTIVATOR))
    say({"uri": result.channel.uri})


async def websocket(url: str, _: Path, tally: Tally) -> None:
    """Receive by a WebSocket."""

    async def receive() -> None:
        async for message in socket:
            tally.add(message)

    async with connect(url, compression=None, proxy=None) as socket, asyncio.TaskGroup() as tasks:
        task = tasks.create_task(receive())
        await answer(tally, {})
        task.cancel()


async def nats(url: str, _: Path, tally: Tally) -> None:
    """Receive from a durable consumer of a stream, acknowledging each message."""
    client = await optional("nats", "nats-py").connect(url)
    stream = client.jetstream()
    await stream.add_stream(name="bench", subjects=["bench"])

    async def receive(message: Any) -> None:
        tally.add(message.data)
        await message.ack()

    await stream.subscribe("bench", durable="bench", cb=receive, manual_ack=True)
    await answer(tally, {})
    await client.close()


async def mqtt(url: str, _: Path, tally: Tally) -> None:
    """Receive from a topic at QoS 1, in a session that the server keeps; each message is acknowledged by the library."""
    aiomqtt = optional("aiomqtt")
    port = int(url.partition("#")[0].rpartition(":")[2])
    async with aiomqtt.Client("127.0.0.1", port, identifier="bench", clean_session=False) as client:
        await client.subscribe("bench", qos=1)

        async def receive() -> None:
            async for message in client.messages:
                tally.add(message.payload)

        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(receive())
            await answer(tally, {})
            task.cancel()


async def redis(url: str, _: Path, tally: Tally) -> None:
    """Receive as a consumer of a stream's group, acknowledging what each read brought."""
    client = optional("redis.asyncio", "redis").from_url(url)
    await client.xgroup_create("bench", "bench", mkstream=True)

    async def receive() -> None:
        while True:
            for _stream, entries in await client.xreadgroup("bench", "bench", {"bench": ">"}, count=64, block=1000):
                for _number, fields in entries:
                    tally.add(fields[b"body"])
                await client.xack("bench", "bench", *(number for number, _ in entries))

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(receive())
        await answer(tally, {})
        task.cancel()
    await client.aclose()


async def amqp(url: str, _: Path, tally: Tally) -> None:
    """Receive from a queue, acknowledging each message; the URL ends with how the queue is set."""
    address, _mark, setting = url.partition("#")
    connection = await optional("aio_pika", "aio-pika").connect(address)
    async with connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=64)
        queue = await channel.declare_queue(setting, durable=setting == "durable")

        async def receive(message: Any) -> None:
            tally.add(message.body)
            await message.ack()

        await queue.consume(receive)
        await answer(tally, {})


KINDS: dict[str, Callable[[str, Path, Tally], Awaitable[None]]] = {
    each.__name__: each
    for each in (tocsin, web_push, decrypting, connected, registered, websocket, nats, mqtt, redis, amqp)
}


def main(kind: str, url: str, state: str, loop: str) -> None:
    """Receive until the input ends."""

    async def receive() -> None:
        await KINDS[kind](url, Path(state), Tally())

    run_on(loop, receive)


if __name__ == "__main__":
    main(*sys.argv[1:])
