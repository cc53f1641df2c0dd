"""The database that simulated nodes share: rows, queues, leases and wakes, changed by the rules and by nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any

from attrs import Factory, define, evolve, field, frozen

from tests.protocol.service.nodes.hosts import Host, Resume, Time, Wait
from tocsin.protocol.service.nodes import device_row, lease_row
from tocsin.protocol.service.nodes.block_numbers import BlockNumbers
from tocsin.protocol.service.nodes.device_row import ABSENT, DeviceRow, RowChange, RowWriter, Unchanged
from tocsin.protocol.service.nodes.lease import LeaseTerms
from tocsin.protocol.service.nodes.lease_row import Joining, LeaseRow, NotGranted
from tocsin.protocol.service.offline_queue import Entry, OfflineQueue
from tocsin.protocol.values import NotificationType

Wake = tuple[str, int]
"""A device that another node has changed, and its row's version then."""


@frozen
class Stored:
    """A notification in the store."""

    number: int
    id: str

    def entry(self) -> Entry:
        """Show it as the offline queue knows it."""
        return Entry(self.number, self.id, "c", "a", NotificationType.RAW, "", "", 1, 0.0, None, 1e12)


@frozen
class Seen:
    """What a read has found."""

    row: DeviceRow
    queue: tuple[Stored, ...]
    good: frozenset[int]


def decide(queue: tuple[Stored, ...], new: Stored | None, acknowledged: frozenset[str]) -> tuple[Stored, ...]:
    """Say what a device's queue becomes, by the rule of the queue."""
    rule = OfflineQueue()
    for each in queue:
        entry = each.entry()
        rule.admit(entry)
        rule.committed(entry)
    rule.acknowledge(rule.held(acknowledged))
    if new is not None and not rule.held([new.id]):
        entry = new.entry()
        rule.admit(entry)
        rule.committed(entry)
    return tuple(Stored(entry.sequence, entry.id) for entry in rule.entries.values())


@define(eq=False)
class Shared:
    """PostgreSQL, as far as nodes know it."""

    time: Time
    terms: LeaseTerms
    up: bool = True
    flaky: float = 0.0
    """How often a question or its answer is lost."""
    slow: float = 0.0
    cut: set[Host] = Factory(set)
    """Those that cannot reach it."""
    rows: dict[str, DeviceRow] = Factory(dict)
    queues: dict[str, tuple[Stored, ...]] = Factory(dict)
    leases: dict[str, LeaseRow] = Factory(dict)
    wakes: dict[int, set[Wake]] = field(init=False, default=Factory(lambda: defaultdict(set)))
    _drawn: Iterator[int] = Factory(lambda: count(1))
    _blocks: Iterator[int] = Factory(lambda: count(1, BlockNumbers().size))

    def ask(
        self, host: Host, statement: Callable[[], Any], patience: float = 1.5, found: Callable[[], None] | None = None
    ) -> Wait:
        """Let a statement be run once at most; None where there is no answer, whether it was run or not.

        :param found: called where it was run, when that is sure to be known: what was in doubt is found out.
        """
        chance = self.time.chance

        def begin(resume: Resume) -> None:
            def run() -> None:
                if self.up and host not in self.cut and chance.random() >= self.flaky / 2:
                    result = statement()
                    if found is not None:
                        self.time.later(patience + 1, partial(host.run, found))
                    if chance.random() >= self.flaky / 2:
                        self.time.later(self._latency(), lambda: resume(result))

            self.time.later(self._latency(), run)

        return host.within(patience, begin)

    def _latency(self) -> float:
        return self.time.chance.expovariate(1 / (0.002 + self.slow))

    def is_good(self, number: int) -> bool:
        """Tell whether a lease is good."""
        return any(each.number == number and each.is_good(self.time.now) for each in self.leases.values())

    # Statements

    def join(self, asked: Joining) -> LeaseRow | NotGranted:
        """Give a lease."""
        given = lease_row.join(self.leases.get(asked.node), asked, next(self._drawn), self.time.now, self.terms.length)
        if isinstance(given, LeaseRow):
            self.leases[asked.node] = given
        return given

    def renew(
        self, lease: LeaseRow, read: frozenset[Wake], *, draining: bool
    ) -> tuple[LeaseRow, frozenset[Wake]] | NotGranted:
        """Give more of a lease, and the wakes that were left for it, but for those that its node has read."""
        held = self.leases.get(lease.node)
        given = lease_row.renew(held, lease, self.time.now, self.terms.length, draining=draining)
        if not isinstance(given, LeaseRow):
            return given
        self.leases[lease.node] = given
        self.wakes[lease.number] -= read
        return given, frozenset(self.wakes[lease.number])

    def release(self, node: str, number: int) -> None:
        """Take a lease back."""
        held = self.leases.get(node)
        if held is not None and held.number == number:
            self.leases[node] = evolve(held, until=self.time.now)

    def read(self, device: str) -> Seen:
        """Read a device's row and queue."""
        good = frozenset(each.number for each in self.leases.values() if each.is_good(self.time.now))
        return Seen(self.rows.get(device, ABSENT), self.queues.get(device, ()), good)

    def draw(self) -> int:
        """Draw a block of numbers."""
        return next(self._blocks)

    def change_row(
        self, device: str, lease: int, rule: Callable[[DeviceRow, RowWriter], RowChange | Unchanged]
    ) -> RowChange | Unchanged:
        """Change where a device is."""
        row = self.rows.get(device, ABSENT)
        others = [
            number
            for number, wakes in self.wakes.items()
            if number != lease and any(each[0] == device for each in wakes)
        ]
        unread = any(map(self.is_good, others))
        changed = rule(row, RowWriter(lease, next(self._drawn), self.is_good, unread))
        if isinstance(changed, RowChange):
            assert self.is_good(lease), "a fenced node has changed something"
            assert changed.row.version > row.version
            self.rows[device] = changed.row
            if changed.wake is not None:
                self.wakes[changed.wake].add((device, changed.row.version))
        return changed

    def change_queue(
        self,
        device: str,
        lease: int,
        from_: Seen,
        becomes: tuple[Stored, ...],
        denied: frozenset[device_row.Home] = frozenset(),
    ) -> RowChange | Unchanged:
        """Write a queue that was decided from what was read."""
        changed = self.change_row(device, lease, lambda row, by: device_row.change(row, from_.row.version, by, denied))
        if isinstance(changed, RowChange):
            before, after = self.queues.get(device, ()), list(becomes)
            assert [each.number for each in after] == sorted({each.number for each in after}), "the queue's order"
            assert before == from_.queue, "decided from another queue"
            self.queues[device] = becomes
        return changed

    def change_queue_locked(
        self,
        device: str,
        lease: int,
        denied: frozenset[device_row.Home],
        decided: Callable[[tuple[Stored, ...], int], tuple[Stored, ...]],
    ) -> RowChange | Unchanged:
        """Decide under the row's lock; a block is drawn within."""
        changed = self.change_row(device, lease, lambda row, by: device_row.change(row, None, by, denied))
        if isinstance(changed, RowChange):
            self.queues[device] = decided(self.queues.get(device, ()), self.draw())
        return changed
