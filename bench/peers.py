"""What a user would pick instead: published, acknowledged, and delivered to a Python client in another process.

Every peer has a publisher in this process and a client in another, each with the Python library that is usual for it.
Each has the machine to itself: its server and client run only while it is its turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from attrs import frozen

from bench import servers, set_ups
from bench.exchange import Publish, Way, exchange
from bench.framework import Contestant, Options, Report, measure, optional
from bench.http_load import CONNECTIONS, Poster, Target
from bench.load import BODY
from bench.processes import started
from tocsin.client.wns_client import WnsClient

_ALL = "no budget, no cancellation, no conditions;"


@asynccontextmanager
async def wns_client(uri: str, service: Mapping[str, Any]) -> AsyncIterator[Publish]:
    """Send to a channel as a server that uses Tocsin does."""
    async with WnsClient(service["client_id"], service["client_secret"], token_url=service["token_url"]) as client:

        async def publish(body: bytes) -> None:
            result = await client.send(uri, body)
            assert result.received, result

        yield publish


@asynccontextmanager
async def post(target: Target, in_flight: int) -> AsyncIterator[Publish]:
    """Post over HTTP, with a connection for each request in flight, doing no more than that for it."""
    posters = [await Poster.connect(target) for _ in range(in_flight)]
    idle = asyncio.LifoQueue[Poster]()
    for poster in posters:
        idle.put_nowait(poster)
    head = target.head(BODY)

    async def publish(body: bytes) -> None:
        poster = await idle.get()
        status = await poster.post(head + body)
        assert 200 <= status < 300, status
        idle.put_nowait(poster)

    yield publish
    for poster in posters:
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
    server: Callable[[Path], AbstractContextManager[servers.Server]]
    publisher: Callable[[str], AbstractAsyncContextManager[Publish]]
    note: str

    @contextmanager
    def running(self, options: Options) -> Iterator[Way]:
        """Run its server, and its client in a process."""
        optional(self.module)
        with options.state() as state, self.server(state) as server:
            url = f"{self.scheme}://{servers.HOST}:{server.port}#{'durable' if 'durable' in self.name else 'usual'}"
            with started("bench.receiving", self.publisher.__name__, url, str(state), "asyncio") as client:
                client.line()
                yield Way(partial(self.publisher, url), client, server.pid)


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
    contestants = []
    for name, set_up in set_ups.each(options):
        both = ((f"{name}, WnsClient", through_client), (f"{name}, a hand-made sender", by_hand))
        contestants += [Contestant(each, partial(exchange, partial(way, set_up), payloads)) for each, way in both]
    for peer in PEERS:
        running = partial(peer.running, options)
        contestants.append(Contestant(peer.name, partial(exchange, running, payloads), "peer", peer.note))
    return measure(report, contestants, options.rounds)


@contextmanager
def through_client(set_up: set_ups.SetUp) -> Iterator[Way]:
    """Run a set-up of Tocsin's that is sent to with its own client."""
    with set_up() as at:
        yield Way(partial(wns_client, at.targets[0].url, at.service), at.receiver, at.server)


@contextmanager
def by_hand(set_up: set_ups.SetUp, in_flight: int = CONNECTIONS) -> Iterator[Way]:
    """Run a set-up that is posted to by the least that can do it, so many requests at a time at most."""
    with set_up() as at:
        yield Way(partial(post, at.targets[0], in_flight), at.receiver, at.server)
