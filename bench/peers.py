"""What a user would pick instead: published, acknowledged, and delivered to a Python client in another process.

Every peer has a publisher in this process and a client in another, each with the Python library that is usual for it.
Each has the machine to itself: its server and client run only while it is its turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter

from attrs import frozen

from bench import servers, set_ups
from bench.framework import Contestant, Options, Report, Sample, measure, optional
from bench.http_load import CONNECTIONS, Poster, Target, stamped
from bench.load import BODY
from bench.processes import Process, started

Publish = Callable[[bytes], Awaitable[object]]
Publisher = Callable[[], AbstractAsyncContextManager[Publish]]
"""Connects, and yields what publishes a body and returns once it is acknowledged."""

_ALL = "no budget, no cancellation, no conditions;"


@asynccontextmanager
async def post(target: Target) -> AsyncIterator[Publish]:
    """Post over HTTP, with a connection for each request in flight."""
    idle = [await Poster.connect(target) for _ in range(CONNECTIONS)]
    head = target.head(BODY)

    async def publish(body: bytes) -> None:
        poster = idle.pop()
        status = await poster.post(head + body)
        assert status == 200, status
        idle.append(poster)

    yield publish
    for poster in idle:
        await poster.aclose()


@asynccontextmanager
async def nats(url: str) -> AsyncIterator[Publish]:
    """Publish into a JetStream stream."""
    client = await optional("nats", "nats-py").connect(url)
    stream = client.jetstream()
    yield partial(stream.publish, "bench")
    await client.close()


@asynccontextmanager
async def mqtt(url: str) -> AsyncIterator[Publish]:
    """Publish at QoS 1."""
    port = int(url.partition("#")[0].rpartition(":")[2])
    aiomqtt = optional("aiomqtt")
    async with aiomqtt.Client(
        servers.HOST, port, max_inflight_messages=CONNECTIONS, max_concurrent_outgoing_calls=2 * CONNECTIONS
    ) as client:
        client.pending_calls_threshold = CONNECTIONS  # it warns of more
        yield partial(client.publish, "bench", qos=1)


@asynccontextmanager
async def redis(url: str) -> AsyncIterator[Publish]:
    """Add to a stream."""
    client = optional("redis.asyncio", "redis").from_url(url)
    yield lambda body: client.xadd("bench", {"body": body})
    await client.aclose()


@asynccontextmanager
async def amqp(url: str) -> AsyncIterator[Publish]:
    """Publish to a queue, and wait for the confirmation; the URL ends with how the queue is set."""
    aio_pika = optional("aio_pika", "aio-pika")
    address, _, setting = url.partition("#")
    mode = aio_pika.DeliveryMode.PERSISTENT if setting == "durable" else aio_pika.DeliveryMode.NOT_PERSISTENT
    async with await aio_pika.connect(address) as connection:
        exchange = (await connection.channel()).default_exchange
        yield lambda body: exchange.publish(aio_pika.Message(body, delivery_mode=mode), setting)


@frozen
class Peer:
    """A peer in one setting."""

    name: str
    module: str
    """What its Python library is imported as."""
    scheme: str
    server: Callable[[Path], AbstractContextManager[int]]
    publisher: Callable[[str], AbstractAsyncContextManager[Publish]]
    note: str

    @contextmanager
    def running(self, options: Options) -> Iterator[tuple[Publisher, Process]]:
        """Run its server, and its client in a process."""
        optional(self.module)
        with options.state() as state, self.server(state) as port:
            url = f"{self.scheme}://{servers.HOST}:{port}#{'durable' if 'durable' in self.name else 'usual'}"
            with started("bench.receiving", self.publisher.__name__, url, str(state), "asyncio") as client:
                client.line()
                yield partial(self.publisher, url), client


PEERS = (
    Peer(
        "NATS JetStream, nats-py",
        "nats",
        "nats",
        partial(servers.nats, durable=False),
        nats,
        f"{_ALL} on files, but fsynced every two minutes only: what was acknowledged may be gone after a power cut",
    ),
    Peer(
        "NATS JetStream durable, nats-py",
        "nats",
        "nats",
        partial(servers.nats, durable=True),
        nats,
        f"{_ALL} fsynced before the acknowledgement",
    ),
    Peer(
        "mosquitto QoS 1, aiomqtt",
        "aiomqtt",
        "mqtt",
        partial(servers.mosquitto, durable=False),
        mqtt,
        f"{_ALL} in memory: all is gone when the server ends",
    ),
    Peer(
        "mosquitto QoS 1 durable, aiomqtt",
        "aiomqtt",
        "mqtt",
        partial(servers.mosquitto, durable=True),
        mqtt,
        f"{_ALL} a snapshot after each change, for which no acknowledgement waits",
    ),
    Peer(
        "Redis stream, redis-py",
        "redis",
        "redis",
        partial(servers.redis, durable=False),
        redis,
        f"{_ALL} in memory, with a snapshot now and then; what has been read stays until it is trimmed",
    ),
    Peer(
        "Redis stream durable, redis-py",
        "redis",
        "redis",
        partial(servers.redis, durable=True),
        redis,
        f"{_ALL} appendfsync always; what has been read stays until it is trimmed",
    ),
    Peer(
        "RabbitMQ, aio-pika",
        "aio_pika",
        "amqp",
        servers.rabbitmq,
        amqp,
        f"{_ALL} confirmed, but in memory: all is gone when the server ends",
    ),
    Peer(
        "RabbitMQ durable, aio-pika",
        "aio_pika",
        "amqp",
        servers.rabbitmq,
        amqp,
        f"{_ALL} persistent messages in a durable queue, confirmed when they are on disk",
    ),
)


def run(options: Options) -> Report:
    """Measure Tocsin and all peers that are installed, by turns."""
    report = Report(
        "peers",
        f"{BODY}-byte payloads published by a Python client, {CONNECTIONS} in flight, acknowledged and delivered to another",
    )
    payloads = options.sized(5_000, 100)
    contestants = [
        Contestant(name, partial(exchange, partial(_tocsin, set_up), payloads))
        for name, set_up in set_ups.each(options)
    ]
    for peer in PEERS:
        running = partial(peer.running, options)
        contestants.append(Contestant(peer.name, partial(exchange, running, payloads), "peer", peer.note))
    return measure(report, contestants, options.rounds)


@contextmanager
def _tocsin(set_up: set_ups.SetUp) -> Iterator[tuple[Publisher, Process]]:
    with set_up() as (target, receiver):
        yield partial(post, target), receiver


def exchange(running: Callable[[], AbstractContextManager[tuple[Publisher, Process]]], payloads: int) -> Sample:
    """Publish so many payloads, and measure both ends."""
    with running() as (publisher, receiver):
        asyncio.run(publish_all(publisher, payloads // 5))  # warms up
        set_ups.received(receiver, payloads // 5)
        set_ups.begin(receiver)
        rate = asyncio.run(publish_all(publisher, payloads))
        found = set_ups.received(receiver, payloads)
    return {
        "payloads/s": found["rate"],
        "published/s": rate,
        "delivery p50 ms": found["p50"],
        "delivery p99 ms": found["p99"],
        "missed": payloads - found["count"],
    }


async def publish_all(publisher: Publisher, payloads: int) -> float:
    """Publish so many bodies, ``CONNECTIONS`` at a time, and return how many a second were acknowledged."""
    left = payloads
    async with publisher() as publish:

        async def publish_in_turn() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                await publish(stamped(perf_counter()))

        start = perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(CONNECTIONS):
                tasks.create_task(publish_in_turn())
        return payloads / (perf_counter() - start)
