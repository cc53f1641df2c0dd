"""What nodes share in PostgreSQL, while several write at once, while leases end, and while connections break."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import anyio
import anyio.lowlevel
import asyncpg
import pytest
from attrs import Factory, define, frozen

from tests.persistence.postgres_server import PostgresServer
from tocsin.persistence import postgres_lanes
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.service.nodes.block_numbers import BlockNumbers
from tocsin.protocol.service.nodes.device_row import ABSENT, Home, RowChange, Unchanged
from tocsin.protocol.service.nodes.lease_row import Joining, LeaseRow, NotGranted
from tocsin.protocol.service.offline_queue import Entry
from tocsin.protocol.values import NotificationType
from tocsin.service.registry import postgres_node_store
from tocsin.service.registry.node_store import NodeStore, QueueChange, Renewed, SeenDevice, Wake
from tocsin.service.registry.postgres_service_store import open_postgres_store

pytestmark = pytest.mark.anyio

LONG = 1_000.0


@define(eq=False)
class Node:
    """A node that has a lease."""

    store: NodeStore
    lease: LeaseRow
    numbers: BlockNumbers = Factory(BlockNumbers)

    @property
    def number(self) -> int:
        """Its lease's number."""
        return self.lease.number

    async def sequence(self, above: int = 0) -> int:
        """Return a sequence number."""
        while (found := self.numbers.take(above)) is None:
            self.numbers.drew(await self.store.draw_block())
        return found

    async def adds(self) -> QueueChange:
        """Return a change that stores one notification more."""
        return QueueChange(((entry(await self.sequence()), b"body"),))

    async def renew(self, *read: Wake) -> Renewed:
        """Renew the lease, which is good."""
        renewed = await self.store.renew(self.lease, read, draining=False)
        assert isinstance(renewed, Renewed)
        return renewed


def entry(sequence: int) -> Entry:
    """Return a notification that is to be stored."""
    return Entry(sequence, f"id{sequence}", "c", "app", NotificationType.RAW, "", "", 3, 1.0, None, 2.0)


@asynccontextmanager
async def nodes(url: str, *names: str, patience: float = 5) -> AsyncIterator[list[Node]]:
    """Open a store for each of some nodes, and give it a lease."""
    if not names:
        yield []
        return
    async with open_postgres_store(url, patience, LONG) as store:
        joined = await store.nodes.join(Joining(names[0], "run", "address", "1"))
        assert isinstance(joined, Renewed)
        async with nodes(url, *names[1:], patience=patience) as others:
            yield [Node(store.nodes, joined.lease), *others]


@pytest.fixture
async def short(postgres: PostgresServer) -> str:
    """Return an empty database in which leases of the node n1 are shorter than any that can be asked for in time."""
    url = await postgres.make_database()
    async with open_postgres_store(url), beside(url) as link:
        await link.execute(
            """CREATE FUNCTION shorten() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                new.until = new.granted + interval '50 ms'; RETURN new;
            END $$;
            CREATE TRIGGER shorten BEFORE INSERT OR UPDATE ON nodes
                FOR EACH ROW WHEN (new.node = 'n1') EXECUTE FUNCTION shorten()"""
        )
    return url


@pytest.fixture
async def url(postgres: PostgresServer) -> str:
    """Return an empty database."""
    return await postgres.emptied()


@asynccontextmanager
async def beside(url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Connect without the code under test."""
    link = await asyncpg.connect(url, server_settings={"search_path": "tocsin"})
    try:
        yield link
    finally:
        await link.close()


def changed(result: RowChange | Unchanged) -> RowChange:
    """Demand that a change was written."""
    assert isinstance(result, RowChange)
    return result


@frozen
class Written:
    """A change of a queue that was written."""

    version: int
    decided_from: int
    added: tuple[int, ...]
    erased: tuple[int, ...]


async def test_no_update_is_lost(url: str) -> None:
    """Two nodes change the same few devices, each time decided from what was read: the queues are what the changes say."""
    log: dict[str, list[Written]] = defaultdict(list)
    results: list[object] = []

    async def hammer(node: Node, seed: int) -> None:
        random = Random(seed)  # noqa: S311  # a test's choice
        for _ in range(40):
            device = f"d{random.randrange(4)}"
            seen = await node.store.look(device)
            there = [each.sequence for each in seen.entries]
            erase = tuple(random.sample(there, min(len(there), random.randrange(3))))
            sequence = await node.sequence(max(there, default=0))
            change = QueueChange(((entry(sequence), b"x"),), erase)
            result = await node.store.change_queue(device, seen.row.version, change, node.number)
            results.append(result)
            if isinstance(result, RowChange):
                log[device].append(Written(result.row.version, seen.row.version, (sequence,), erase))

    async with nodes(url, "n1", "n2") as both:
        async with anyio.create_task_group() as tasks:
            for seed in range(12):
                tasks.start_soon(hammer, both[seed % 2], seed)
        for device, changes in log.items():
            queue: set[int] = set()
            version = 0
            for each in sorted(changes, key=lambda each: each.version):
                assert each.decided_from == version, "each was decided from the one before"
                version = each.version
                queue = (queue - set(each.erased)) | set(each.added)
            seen = await both[0].store.look(device)
            assert [each.sequence for each in seen.entries] == sorted(queue)
            assert seen.row.version == version
    assert Unchanged.MOVED in results


async def test_many_devices_at_once(url: str) -> None:
    """Statements for the same devices, asked for in different orders, do not hold each other up for ever, and each call has its answer."""

    async def write(node: Node, device: str) -> None:
        seen = ABSENT
        while isinstance(
            await node.store.change_queue(device, seen.version, await node.adds(), node.number), Unchanged
        ):
            seen = (await node.store.look(device)).row

    async with nodes(url, "n1", "n2", "n3") as three:
        devices = [f"d{number}" for number in range(150)]
        async with anyio.create_task_group() as tasks:
            for seed, node in enumerate(three):
                for device in Random(seed).sample(devices, len(devices)):  # noqa: S311  # as above
                    tasks.start_soon(write, node, device)
                    tasks.start_soon(node.store.connect, device, node.number)
        for device in devices:
            seen = await three[0].store.look(device)
            assert len(seen.entries) == len(three)
            assert seen.row.home is not None


async def test_a_lease_that_is_over_writes_nothing(url: str) -> None:
    """Once its end has been told, whatever is asked under it is refused, however much is under way."""
    over = anyio.Event()
    results: list[object] = []

    async def hammer(node: Node, device: str) -> None:
        while True:
            is_over = over.is_set()
            seen = await node.store.look(device)
            result = await node.store.change_queue(device, seen.row.version, await node.adds(), node.number)
            results.append(result)
            if is_over:
                assert result is Unchanged.FENCED
                return

    async with nodes(url, "n1", "n2") as (one, other), anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(hammer, one, f"d{number}")
        while len(results) < 100:
            await anyio.lowlevel.checkpoint()
        await other.store.release(one.number)
        over.set()
    assert any(isinstance(result, RowChange) for result in results)


async def test_wakes_are_there_with_the_next_renewal(url: str) -> None:
    """What was written for a device at another node before that asked to renew its lease is among the wakes that it has been told."""
    answered: list[Wake] = []
    is_done = False

    async def hammer(node: Node, seed: int) -> None:
        random = Random(seed)  # noqa: S311  # as above
        for _ in range(40):
            device = f"d{random.randrange(6)}"
            seen = await node.store.look(device)
            result = await node.store.change_queue(device, seen.row.version, await node.adds(), node.number)
            if isinstance(result, RowChange):
                assert result.wake is not None
                assert result.behind
                answered.append(Wake(device, result.row.version))

    async def renew(node: Node) -> None:
        told: dict[str, int] = defaultdict(int)
        read: list[Wake] = []
        is_last = False
        while not is_last:
            is_last = is_done
            before = list(answered)
            renewed = await node.renew(*read)
            for wake in renewed.wakes:
                assert wake not in read, "what was read does not come again"
                told[wake.device] = max(told[wake.device], wake.version)
            read = list(renewed.wakes)
            for wake in before:
                assert told[wake.device] >= wake.version
        assert not (await node.renew(*read)).wakes

    async with nodes(url, "n1", "n2", "n3") as (home, *others):
        for number in range(6):
            changed(await home.store.connect(f"d{number}", home.number))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(renew, home)
            async with anyio.create_task_group() as writing:
                for seed in range(8):
                    writing.start_soon(hammer, others[seed % 2], seed)
            is_done = True
    assert len(answered) > 50


async def test_a_lease_that_was_taken_for_over_is_never_renewed(short: str) -> None:
    """A node renews at the very end of short leases, while another changes its devices: where one has found it over, it was over."""
    granted: dict[int, float] = {}
    cleared: list[tuple[int, float]] = []
    random = Random(1)  # noqa: S311  # as above
    done = anyio.Event()

    async def live(node: Node) -> None:
        while not done.is_set():
            await join_anew(node)
            granted[node.number] = node.lease.until
            await node.store.connect("d", node.number)
            while not done.is_set():
                await until(node.lease.until - 0.004 + 0.006 * random.random())
                renewed = await node.store.renew(node.lease, [], draining=False)
                if renewed is NotGranted.OVER:
                    break
                assert isinstance(renewed, Renewed)
                node.lease = renewed.lease
                granted[node.number] = node.lease.until

    async def change(node: Node) -> None:
        seen = await node.store.look("d")
        result = await node.store.change_queue("d", seen.row.version, await node.adds(), node.number)
        if isinstance(result, RowChange) and seen.row.home is not None:
            if result.row.home is None:
                cleared.append((seen.row.home.lease, time.time()))
            else:
                assert result.wake == seen.row.home.lease

    async with nodes(short, "n2", "n1") as (other, home), anyio.create_task_group() as tasks:
        tasks.start_soon(live, home)
        for _ in range(250):
            await change(other)
        done.set()
    assert cleared
    for lease, moment in cleared:
        assert granted[lease] <= moment


async def join_anew(node: Node) -> None:
    """Have a node join that has lost its lease."""
    joined = await node.store.join(Joining("n1", "run", "address", "1", node.number))
    assert isinstance(joined, Renewed)
    node.lease = joined.lease


async def until(moment: float) -> None:
    """Wait for a moment of the server's clock, which is also that of this machine."""
    while time.time() < moment:
        await anyio.lowlevel.checkpoint()


async def test_a_lease_that_is_being_renewed_is_not_over(short: str) -> None:
    """Its time has passed while its renewal is on its way: a change leaves a wake for it, and does not wait."""
    async with nodes(short, "n2", "n1") as (other, home), beside(short) as link:
        connected = await home.store.connect("d", home.number)
        while connected is Unchanged.FENCED:
            await join_anew(home)
            connected = await home.store.connect("d", home.number)
        async with link.transaction():
            await link.execute("UPDATE nodes SET granted = now() WHERE node = 'n1'")
            await until(home.lease.until + 0.1)
            version = (await other.store.look("d")).row.version
            written = changed(await other.store.change_queue("d", version, await other.adds(), other.number))
            assert written.wake == home.number
            assert written.behind


async def test_a_renewal_waits_for_what_takes_its_lease_for_over(url: str) -> None:
    """And is refused when that is written."""
    results: list[object] = []
    async with nodes(url, "n1") as (home,), beside(url) as link, anyio.create_task_group() as tasks:

        async def renew() -> None:
            results.append(await home.store.renew(home.lease, [], draining=False))

        async with link.transaction():
            await link.execute("UPDATE nodes SET ended = true")
            tasks.start_soon(renew)
            while not await link.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                await anyio.lowlevel.checkpoint()
            assert not results
    assert results == [NotGranted.OVER]


async def test_one_wrong_call_spoils_no_other(url: str) -> None:
    """One that stores under a number that is in use is refused, and not in doubt; those that went with it are written."""
    failures: list[StateUnavailable] = []
    async with nodes(url, "n1") as (node,):
        used = await node.adds()
        changed(await node.store.change_queue("d", 0, used, node.number))

        async def write(device: str, change: QueueChange) -> None:
            try:
                changed(await node.store.change_queue(device, 0, change, node.number))
            except StateUnavailable as failure:
                failures.append(failure)

        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(write, f"e{number}", used if number == 2 else await node.adds())
        assert [failure.in_doubt for failure in failures] == [False]
        lengths = [len((await node.store.look(f"e{number}")).entries) for number in range(5)]
        assert lengths == [1, 1, 0, 1, 1]


async def test_a_broken_connection(url: str) -> None:
    """A change that was under way is in doubt, a connection is written down by the next, and what comes then goes on."""
    failures: list[StateUnavailable] = []
    homes: list[Home | None] = []
    async with nodes(url, "n1") as (node,), beside(url) as link:
        first = changed(await node.store.connect("d", node.number))
        await node.store.connect("e", node.number)

        async def change() -> None:
            try:
                await node.store.change_queue("d", first.row.version, await node.adds(), node.number)
            except StateUnavailable as failure:
                failures.append(failure)

        async def connect() -> None:
            homes.append((changed(await node.store.connect("e", node.number))).row.home)

        async with anyio.create_task_group() as tasks, link.transaction():
            await link.execute("SELECT FROM devices FOR UPDATE")
            tasks.start_soon(change)
            await waiting(link, 1)
            tasks.start_soon(connect)
            await waiting(link, 2)
            await link.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted AND locktype <> 'relation'"
            )
            while not failures:
                await anyio.lowlevel.checkpoint()
        assert [failure.in_doubt for failure in failures] == [True]
        assert (await node.store.look("d")).row == first.row
        assert (await node.store.look("e")).row.home == homes[0]


async def waiting(link: asyncpg.Connection[asyncpg.Record], count: int) -> None:
    """Wait until so many wait for rows."""
    while await link.fetchval("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted") < count:
        await anyio.lowlevel.checkpoint()


async def test_a_server_that_has_gone(postgres: PostgresServer) -> None:
    """Calls wait for it as long as they may, and not in doubt where they were not sent; they go on when it is back in time."""
    url = await postgres.make_database()
    async with nodes(url, "n1", patience=20) as (node,), nodes(url, "n2", patience=0.2) as (hasty,):
        assert (await node.store.look("d")).row == ABSENT
        postgres.kill()
        with pytest.raises(StateUnavailable, match=r"reached|answer") as raised:
            await hasty.store.change_queue("d", 0, QueueChange(((entry(1), b""),)), hasty.number)
        assert not raised.value.in_doubt
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(node.store.connect, "d", node.number)
            await anyio.lowlevel.checkpoint()
            postgres.start()
        assert (await node.store.look("d")).row.home is not None


async def test_too_many_wait(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """More are refused at once."""
    monkeypatch.setattr(postgres_lanes, "MOST", 50)
    async with nodes(url, "n1") as (node,):

        async def look(device: str) -> None:
            await node.store.look(device)

        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(look, f"d{number}")
            await anyio.lowlevel.checkpoint()
            with pytest.raises(StateUnavailable, match="too much waits"):
                await node.store.look("d")
            tasks.cancel_scope.cancel()


async def test_what_is_decided_under_a_lock_may_fail(url: str) -> None:
    """Then nothing is written, and the caller has its own error."""

    def decide(_: SeenDevice, __: int) -> QueueChange:
        raise LookupError

    async with nodes(url, "n1") as (node,):
        with pytest.raises(LookupError):
            await node.store.change_queue_locked("d", decide, node.number)
        assert (await node.store.look("d")).row == ABSENT
        assert (await node.store.change_queue_locked("d", lambda _, __: QueueChange(), -1)) is Unchanged.FENCED


async def test_blocks_do_not_overlap(url: str) -> None:
    """Each is as long as nodes take it to be."""
    async with open_postgres_store(url) as store:
        first = await store.nodes.draw_block()
        assert await store.nodes.draw_block() == first + BlockNumbers().size


async def test_authority(url: str) -> None:
    """The first counts."""
    async with nodes(url, "n1", "n2") as (one, other):
        assert await one.store.keep_authority(b"one") == b"one"
        assert await other.store.keep_authority(b"other") == b"one"


async def test_devices_of_which_nothing_is_kept_are_forgotten(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many are looked at in one go; one that is connected, has a channel or for which something is stored stays, and one that comes again is new."""
    monkeypatch.setattr(postgres_node_store, "_AT_A_TIME", 2)
    async with nodes(url, "n1") as (node,), beside(url) as link:
        for device in ("there", "subscribed", "waited for", *"abc"):
            home = changed(await node.store.connect(device, node.number)).row.home
            if device != "there":
                assert home is not None
                changed(await node.store.clear(device, home, node.number))
        await link.execute("INSERT INTO channels VALUES ('h', 'c', 'webpush:', 'app', 'subscribed', 9e9, false)")
        version = (await node.store.look("waited for")).row.version
        changed(await node.store.change_queue("waited for", version, await node.adds(), node.number))
        before = (await node.store.look("a")).row.version
        looked: list[str | None] = [""]
        while looked[-1] is not None:
            looked.append(await node.store.forget_devices(looked[-1]))
        assert looked[1:] == ["b", "subscribed", "waited for", None]
        left = {device for (device,) in await link.fetch("SELECT device FROM devices")}
        assert left == {"there", "subscribed", "waited for"}
        assert (await node.store.look("a")).row == ABSENT
        assert await node.store.change_queue("a", before, await node.adds(), node.number) is Unchanged.MOVED
        assert changed(await node.store.connect("a", node.number)).row.version > before
