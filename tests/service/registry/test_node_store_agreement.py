"""What nodes share: in PostgreSQL each step comes to what the rules in memory make of it, and leaves the same."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from itertools import pairwise
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
from anyio.from_thread import start_blocking_portal
from attrs import astuple, evolve
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.persistence.postgres_server import PostgresServer
from tests.service.nodes.memory_node_store import MemoryNodeStore
from tests.strategies import bodies
from tocsin.protocol.service.nodes.device_row import DeviceRow, Home, RowChange
from tocsin.protocol.service.nodes.lease_row import Joining, LeaseRow
from tocsin.protocol.service.offline_queue import Entry
from tocsin.protocol.values import NotificationType
from tocsin.service.registry.node_store import NodeStore, QueueChange, Renewed, SeenDevice, Wake
from tocsin.service.registry.postgres_service_store import PostgresServiceStore, open_postgres_store

LENGTH = 1_000.0
"""Seconds of a lease; the test itself takes fewer than a tenth of it."""

NODES = st.sampled_from(["n1", "n\0"])
DEVICES = ["d1", "d\0"]
NEWEST = st.sampled_from([1, 1, 1, 2, 3])
"""Which of all that there were, from the newest."""


class _Same:
    """Which numbers of the server stand for which of memory."""

    def __init__(self) -> None:
        self.numbers = {0: 0}

    def see(self, here: int, there: int) -> None:
        """Demand that both stand for each other, and are in order with all others."""
        assert self.numbers.setdefault(here, there) == there
        ordered = [self.numbers[number] for number in sorted(self.numbers)]
        assert all(one < other for one, other in pairwise(ordered)), "numbers rise"


class BothNodeStores(RuleBasedStateMachine):
    """The store in memory and one on a server get the same calls; numbers that they draw are known by their order."""

    def __init__(self, server: PostgresServer) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.portal = self.stack.enter_context(start_blocking_portal())
        self.time = 0.0
        self.memory = MemoryNodeStore(lambda: self.time, LENGTH)
        self.server, self.url = server, self.portal.call(server.emptied)
        life: AbstractContextManager[PostgresServiceStore] = self.portal.wrap_async_context_manager(
            open_postgres_store(self.url, lease=LENGTH)
        )
        self.store = self.stack.enter_context(life)
        self.kept = self.store.nodes
        self.leases, self.versions = _Same(), _Same()
        self.given: list[LeaseRow] = []
        self.homes: list[Home] = [Home(0, 0)]
        self.woken: list[Wake] = []
        self.sequence = 0

    def teardown(self) -> None:
        """Close both."""
        self.stack.close()

    def there(self, value: Any) -> Any:
        """Return what the server's store is given for what that in memory is given."""
        if isinstance(value, Home):
            return Home(self.leases.numbers[value.lease], self.versions.numbers[value.epoch])
        if isinstance(value, Wake):
            return Wake(value.device, self.versions.numbers[value.version])
        if isinstance(value, LeaseRow):
            return evolve(value, number=self.leases.numbers[value.number])
        if isinstance(value, QueueChange):
            return evolve(value, denied=frozenset(map(self.there, value.denied)))
        return value

    def same(self, here: Any, there: Any) -> None:
        """Demand that an answer is the same in both."""
        if isinstance(here, LeaseRow):
            self.leases.see(here.number, there.number)
            times = {"granted": here.granted, "until": here.until}
            assert evolve(there, number=here.number, **times) == here
            assert abs((there.until - there.granted) - (here.until - here.granted)) < 1 or here.granted > here.until
        elif isinstance(here, DeviceRow):
            self.versions.see(here.version, there.version)
            assert (here.home is None) == (there.home is None)
            if here.home is not None:
                assert self.there(here.home) == there.home
        elif isinstance(here, RowChange):
            self.versions.see(here.row.version, there.row.version)
            self.same(here.row, there.row)
            assert (None if here.wake is None else self.leases.numbers[here.wake]) == there.wake
            assert here.behind == there.behind
            if here.row.home is not None:
                self.homes.append(here.row.home)
        elif isinstance(here, Renewed):
            self.same(here.lease, there.lease)
            assert set(map(self.there, here.wakes)) == there.wakes
            self.same_all(here.others, there.others)
            assert here.is_first == there.is_first
            self.given.append(here.lease)
            self.woken += sorted(here.wakes, key=lambda wake: wake.version)
        elif isinstance(here, SeenDevice):
            self.same(here.row, there.row)
            assert list(map(astuple, here.entries)) == list(map(astuple, there.entries))
            self.same_all([each for each in [here.at] if each], [each for each in [there.at] if each])
        else:
            assert here == there

    def same_all(self, here: Any, there: Any) -> None:
        """Demand that leases are the same, in whatever order."""
        assert len(here) == len(there)
        for one, other in zip(*(sorted(each, key=lambda lease: lease.node) for each in (here, there)), strict=True):
            self.same(one, other)

    def both(self, call: Callable[[NodeStore, Callable[[Any], Any]], Coroutine[Any, Any, Any]]) -> Any:
        """Call both, each with its own numbers, and demand the same answer."""
        here = self.portal.call(call, self.memory, lambda value: value)
        there = self.portal.call(call, self.kept, self.there)
        self.same(here, there)
        return here

    def lease(self, newest: int) -> LeaseRow:
        """Return one of the leases that were given."""
        return self.given[-min(newest, len(self.given))]

    def number(self, lease: LeaseRow, say: Callable[[Any], Any]) -> int:
        """Return a lease's number at one of the stores."""
        number: int = say(lease).number
        return number

    @initialize()
    def nodes_join(self) -> None:
        """Two of them."""
        for node in ("n1", "n\0"):
            self.both(lambda store, _, node=node: store.join(Joining(node, "r1", "a", "1")))  # type: ignore[misc]

    @rule(dt=st.sampled_from([300, 600, 1_200]))
    def time_passes(self, dt: int) -> None:
        """Leases become older, and some are over."""
        self.time += dt
        older = ", ".join(f"{name} = {name} - interval '{dt} seconds'" for name in ("granted", "until"))
        sql = f"UPDATE tocsin.nodes SET {older} RETURNING node"  # noqa: S608  # the test's own
        self.portal.call(self.server.execute, urlsplit(self.url).path[1:], sql)

    @rule(node=NODES, run=st.sampled_from(["r1", "r2"]), newest=st.none() | NEWEST, address=st.sampled_from(["a", "b"]))
    def a_node_joins(self, node: str, run: str, newest: int | None, address: str) -> None:
        """For the first time, again, as another process, or in the name of another."""
        last = LeaseRow(0, node, run, address, "1", 0, 0) if newest is None else self.lease(newest)
        self.both(lambda store, say: store.join(Joining(node, run, address, "1", say(last).number)))

    @rule(newest=NEWEST, read=st.lists(NEWEST, max_size=2), draining=st.booleans())
    def a_lease_is_renewed(self, newest: int, read: list[int], draining: bool) -> None:  # by Hypothesis
        """That one is good or over, and some of its wakes were read."""
        lease = self.lease(newest)
        wakes = [self.woken[-number] for number in read if number <= len(self.woken)]
        self.both(lambda store, say: store.renew(say(lease), list(map(say, wakes)), draining=draining))

    @rule(newest=NEWEST)
    def a_lease_is_released(self, newest: int) -> None:
        """Whether it is good or not."""
        lease = self.lease(newest)
        if self.memory.is_good(lease.number):
            self.both(lambda store, say: store.release(say(lease).number))

    @rule(device=st.sampled_from(DEVICES), newest=NEWEST)
    def a_device_connects(self, device: str, newest: int) -> None:
        """To whichever node."""
        lease = self.lease(newest)
        self.both(lambda store, say: store.connect(device, say(lease).number))

    @rule(device=st.sampled_from(DEVICES), home=NEWEST, newest=NEWEST)
    def a_connection_is_reclaimed(self, device: str, home: int, newest: int) -> None:
        """Whether it is that of the row or not."""
        lease, was = self.lease(newest), self.homes[-min(home, len(self.homes))]
        self.both(lambda store, say: store.reclaim(device, say(was), say(lease).number))

    @rule()
    def devices_are_forgotten(self) -> None:
        """Those of which nothing is kept."""
        self.both(lambda store, _: store.forget_devices(""))

    @rule(device=st.sampled_from(DEVICES), home=NEWEST, newest=NEWEST)
    def a_connection_ends(self, device: str, home: int, newest: int) -> None:
        """Whether it is that of the row or not."""
        lease, was = self.lease(newest), self.homes[-min(home, len(self.homes))]
        self.both(lambda store, say: store.clear(device, say(was), say(lease).number))

    @rule(
        device=st.sampled_from(DEVICES),
        newest=NEWEST,
        kept=st.lists(bodies(), max_size=2),
        erased=st.lists(NEWEST, max_size=2),
        denied=st.lists(NEWEST, max_size=2),
        behind=st.sampled_from(["", "", "late", "locked"]),
    )
    def a_queue_changes(  # noqa: PLR0917  # by Hypothesis
        self, device: str, newest: int, kept: list[bytes], erased: list[int], denied: list[int], behind: str
    ) -> None:
        """Decided from the row as it is, or as it was, or under its lock."""
        lease, row = self.lease(newest), self.memory.rows.get(device, DeviceRow(0))
        version = sorted(self.versions.numbers)[-2 % len(self.versions.numbers)] if behind == "late" else row.version
        entries = [(self.entry(body), body) for body in kept]
        there = sorted(self.memory.queues.get(device, ()))
        erase = tuple(there[-number] for number in erased if number <= len(there))
        homes = frozenset(self.homes[-number] for number in denied if number <= len(self.homes))
        change = QueueChange(tuple(entries), erase, homes)

        async def write(store: NodeStore, say: Callable[[Any], Any]) -> Any:
            if behind == "locked":
                return await store.change_queue_locked(device, partial(self.decide, say(change)), say(lease).number)
            numbers = self.versions.numbers
            return await store.change_queue(
                device, version if store is self.memory else numbers[version], say(change), say(lease).number
            )

        self.both(write)

    def entry(self, body: bytes) -> Entry:
        """Return a notification that is to be stored, under the next number."""
        self.sequence += 1
        return Entry(
            *(self.sequence, f"id{len(body)}\0", "c", "app", NotificationType.TOAST, "t", "\0", 3, 1.5),
            *(None if len(body) % 2 else 7.5, 8.5, bool(len(body) % 3)),
        )

    def decide(self, change: QueueChange, seen: SeenDevice, block: int) -> QueueChange:
        """Return a change, having seen that what is read under the lock is what there is."""
        assert block > 0
        assert {entry.sequence for entry in seen.entries}.issuperset(change.erase)
        return change

    @invariant()
    def they_agree(self) -> None:
        """On all that is kept."""
        for device in DEVICES:
            self.both(lambda store, _, device=device: store.look(device))  # type: ignore[misc]
        bodies = self.portal.call(self.store.stored_bodies, range(1, self.sequence + 1))
        assert bodies == self.memory.bodies


@pytest.mark.hypothesis
def test_agreement(postgres: PostgresServer) -> None:
    """Whatever nodes do in whatever order, and whichever leases are over."""
    machine = cast("type[BothNodeStores]", partial(BothNodeStores, postgres))  # it is called, and no more
    few = settings(max_examples=settings().max_examples // 2, stateful_step_count=40)
    run_state_machine_as_test(machine, settings=few)
