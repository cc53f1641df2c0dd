"""What nodes share, in PostgreSQL: calls of one turn go there as one statement; how races end is said with the statements."""

from __future__ import annotations

from asyncio import Future
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from attrs import define, evolve

from tocsin.persistence.postgres_lanes import AGAIN, Lanes, LaneWork
from tocsin.persistence.postgres_line import PostgresLine
from tocsin.persistence.postgres_statements import Link
from tocsin.persistence.postgres_text import from_kept, to_kept
from tocsin.persistence.postgres_words import FAILURES, event_of
from tocsin.protocol.kernel.durability import Event
from tocsin.protocol.service.nodes.device_row import ABSENT, DeviceRow, Home, RowChange, Unchanged
from tocsin.protocol.service.nodes.lease import LeaseTerms
from tocsin.protocol.service.nodes.lease_row import Joining, LeaseRow, NotGranted
from tocsin.service.registry import postgres_node_sql as sql
from tocsin.service.registry.node_store import QueueChange, Renewed, SeenDevice, Wake
from tocsin.service.registry.postgres_tables import ENTRY_KINDS
from tocsin.service.registry.service_rows import entry_of_row, entry_to_row
from tocsin.tasks import task_group

LANES: Final = 2
"""Connections for devices' calls; leases have one of their own besides."""

_ASKED: Final = 0.3  # of a lease's length: who asks for one learns why there is none before it gives up, after a third
_AT_A_TIME: Final = 2_000  # devices that are looked at, whether their rows may be erased
_NOTHING: Final = QueueChange()
_SETTINGS: Final = {
    "enable_seqscan": "off",  # a table that was empty when its statement was planned may have a million rows
    "plan_cache_mode": "force_generic_plan",
}


@define(eq=False)
class _Asked:
    """A change of a device's row: ``kind`` is one of ``postgres_node_sql``, ``homes`` are those that it is about."""

    device: str
    lease: int
    kind: int
    homes: Collection[Home] = ()
    decided_from: int = 0
    change: QueueChange = _NOTHING


@define(eq=False)
class _Locked:
    device: str
    lease: int
    decide: Callable[[SeenDevice, int], QueueChange]


class PostgresNodeStore:
    """Keeps in a PostgreSQL database what :class:`tocsin.service.registry.node_store.NodeStore` promises.

    Made by :func:`open_postgres_nodes`.
    """

    def __init__(
        self, devices: Lanes, leases: Lanes, keep: Callable[[str, bytes], Any], length: float = LeaseTerms().length
    ) -> None:
        self._devices = devices
        self._leases = leases
        self._keep = keep
        self._length = length
        self.durations = {"devices": devices.durations, "leases": leases.durations}
        """How long it takes what it is asked in one go."""

    @property
    def fault(self) -> str | None:
        """Why nothing can be written for devices just now, as a sentence; None while all is well."""
        return self._devices.fault

    async def join(self, asked: Joining) -> Renewed | NotGranted:
        """Give a node a lease of its own."""
        values = (asked.node, asked.run, asked.address, asked.version, asked.last, self._length)
        return await self._lease(sql.JOIN, values, NotGranted.REPLACED)

    async def renew(self, lease: LeaseRow, read: Collection[Wake], *, draining: bool) -> Renewed | NotGranted:
        """Renew a lease, erase these wakes of it and read the others."""
        wakes = [wake.device for wake in read], [wake.version for wake in read]
        values = (lease.number, lease.node, lease.run, *wakes, draining, self._length)
        return await self._lease(sql.RENEW, values, NotGranted.OVER)

    async def _lease(self, statement: str, values: Sequence[Any], otherwise: NotGranted) -> Renewed | NotGranted:
        return _given(await self._leases.ask(_FETCH, None, (statement, values), may_repeat=True), otherwise)

    async def release(self, lease: int) -> None:
        """Let a lease be over."""
        await self._leases.ask(_FETCH, None, (sql.RELEASE, (lease,)), may_repeat=True)

    async def draw_block(self) -> int:
        """Draw a block of sequence numbers."""
        rows = await self._devices.ask(_FETCH, None, (sql.BLOCK, ()), may_repeat=True)
        return int(rows[0][0])

    def look(self, device: str) -> Future[SeenDevice]:
        """Read a device."""
        return self._devices.ask(_LOOK, None, device, may_repeat=True)

    async def connect(self, device: str, lease: int) -> RowChange | Unchanged:
        """Write down that a device is connected."""
        return await self._change(_Asked(device, lease, sql.CONNECT), may_repeat=True)

    async def reclaim(self, device: str, was: Home, lease: int) -> RowChange | Unchanged:
        """Write down a connection that was held meanwhile."""
        return await self._change(_Asked(device, lease, sql.RECLAIM, (was,)))

    async def clear(self, device: str, home: Home, lease: int) -> RowChange | Unchanged:
        """Write down that a connection is no more."""
        return await self._change(_Asked(device, lease, sql.CLEAR, (home,)))

    def change_queue(
        self, device: str, decided_from: int, change: QueueChange, lease: int
    ) -> Future[RowChange | Unchanged]:
        """Change what is stored for a device, where its row's version is this one."""
        return self._change(_Asked(device, lease, sql.CHANGE, change.denied, decided_from, change))

    def _change(self, asked: _Asked, *, may_repeat: bool = False) -> Future[RowChange | Unchanged]:
        return self._devices.ask(_WRITE, asked.device, asked, may_repeat=may_repeat)

    async def change_queue_locked(
        self, device: str, decide: Callable[[SeenDevice, int], QueueChange], lease: int
    ) -> RowChange | Unchanged:
        """Change what is stored for a device by what is read under its row's lock; ``decide`` may be called more than once."""
        changed: RowChange | Unchanged = await self._devices.ask(_UNDER_LOCK, device, _Locked(device, lease, decide))
        return changed

    async def forget_devices(self, after: str) -> str | None:
        """Erase rows of devices of which nothing is kept, of the next behind one; return the last of these."""
        last: str | None = await self._devices.ask(_FORGET, None, after, may_repeat=True)
        return last

    async def keep_authority(self, made: bytes) -> bytes:
        """Return the authority of the nodes' certificates, having kept this one where there was none."""
        kept: bytes = await self._keep("node_authority", made)
        return kept


async def _fetch(link: Link, asked: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
    ((statement, values),) = asked
    return [await link.fetch(statement, *map(to_kept, values))]


async def _look(link: Link, devices: Sequence[str]) -> list[SeenDevice]:
    rows = await link.fetch(sql.LOOK, to_kept(list(devices)))
    return [_seen(list(of_one)) for _, of_one in groupby(rows, itemgetter(0))]


def _seen(rows: Sequence[Any]) -> SeenDevice:
    """Return a device of its rows: one for each notification, or one."""
    _, version, lease, epoch = rows[0][:4]
    row = ABSENT if version is None else DeviceRow(version, None if lease is None else Home(lease, epoch))
    at = None if rows[0][4] is None else LeaseRow(*from_kept(rows[0][4:12]))
    entries = () if rows[0][12] is None else tuple(entry_of_row(from_kept(each[12:])) for each in rows)
    return SeenDevice(row, entries, at)


async def _write(link: Link, asked: Sequence[_Asked]) -> list[Any]:
    # Rows are locked in the order of the devices: two statements do not wait for each other.
    places = sorted(range(len(asked)), key=lambda place: asked[place].device)
    sorted_ = [asked[place] for place in places]
    changes = [(place, each.change) for place, each in enumerate(sorted_, 1) if each.change is not _NOTHING]
    parameters = (
        [each.device for each in sorted_],
        [each.lease for each in sorted_],
        [each.kind for each in sorted_],
        [each.decided_from for each in sorted_],
        *_columns(3, [(place, home.lease, home.epoch) for place, each in enumerate(sorted_, 1) for home in each.homes]),
        *_columns(
            2 + len(ENTRY_KINDS),
            [(place, *entry_to_row(entry), body) for place, change in changes for entry, body in change.add],
        ),
        *_columns(2, [(place, sequence) for place, change in changes for sequence in sorted(change.erase)]),
    )
    results: list[Any] = [AGAIN] * len(asked)
    for place, came_to, *changed in await link.fetch(sql.WRITE, *map(to_kept, parameters)):
        results[places[place - 1]] = _come_to(came_to, changed)
    return results


def _columns(count: int, rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(count)]


def _come_to(came_to: int, changed: Sequence[Any]) -> Any:
    if came_to == sql.WRITTEN:
        version, lease, epoch, wake, behind = changed
        return RowChange(DeviceRow(version, None if lease is None else Home(lease, epoch)), wake, behind)
    return {sql.FENCED: Unchanged.FENCED, sql.MOVED: Unchanged.MOVED, sql.RACED: AGAIN}[came_to]


async def _write_locked(link: Link, asked: Sequence[_Locked]) -> list[Any]:
    (one,) = asked
    transaction = link.transaction()
    await transaction.start()
    try:
        await link.execute(sql.LOCK, to_kept(one.device))
        (seen,) = await _look(link, [one.device])
        change = one.decide(seen, int(await link.fetchval(sql.BLOCK)))
        results = await _write(
            link, [_Asked(one.device, one.lease, sql.CHANGE, change.denied, seen.row.version, change)]
        )
    except BaseException:
        if not link.is_closed():
            await transaction.rollback()
        raise
    await (transaction.commit() if isinstance(results[0], RowChange) else transaction.rollback())
    return results


async def _try(link: Link, asked: Sequence[None]) -> Sequence[None]:
    """Write as much as needs room, and take it back."""
    transaction = link.transaction()
    await transaction.start()
    try:
        await link.execute(sql.TRIAL)
    except FAILURES as failure:
        if event_of(failure) is not Event.REFUSED:  # else a newer Tocsin has changed the tables, and this tells nothing
            raise
    finally:
        if not link.is_closed():
            await transaction.rollback()
    return asked


async def _forget(link: Link, asked: Sequence[str]) -> list[str | None]:
    (after,) = asked
    last: str | None = await link.fetchval(sql.NEXT, to_kept(after), _AT_A_TIME)
    if last is not None:
        async with link.transaction():
            unused = [device for (device,) in await link.fetch(sql.LOCK_UNUSED, to_kept(after), last)]
            await link.execute(sql.FORGET, unused)
    return [None if last is None else from_kept([last])[0]]


_FORGET: Final = LaneWork(_forget, 1)
_FETCH: Final = LaneWork(_fetch, 1)
_LOOK: Final = LaneWork(_look, 128)
_WRITE: Final = LaneWork(_write)
_UNDER_LOCK: Final = LaneWork(_write_locked, 1)
_TRIAL: Final = LaneWork(_try, 1)


def _given(rows: Sequence[Sequence[Any]], otherwise: NotGranted) -> Renewed | NotGranted:
    """Return what came of asking for a lease: its row and those of others, or whether another process has the name."""
    others: list[LeaseRow] = []
    given: Renewed | NotGranted = otherwise
    for kind, *row in rows:
        lease, (devices, versions, told) = LeaseRow(*from_kept(row[:8])), row[8:]
        if kind == sql.GIVEN:
            given = Renewed(lease, frozenset(map(Wake, *from_kept((devices, versions)))), (), told)
        elif kind == sql.OTHER:
            others.append(lease)
        elif told:
            given = NotGranted.REPLACED
    return evolve(given, others=tuple(others)) if isinstance(given, Renewed) else given


@asynccontextmanager
async def open_postgres_nodes(
    url: str, patience: float, keep: Callable[[str, bytes], Any], length: float = LeaseTerms().length
) -> AsyncIterator[PostgresNodeStore]:
    """Run what nodes share of a database whose tables are there; it is connected to when the first call comes.

    :param patience: seconds that a call waits at most; one for a lease waits three tenths of its length.
    :param keep: keeps a value of the service's own where there is none, and returns what is there.
    :param length: seconds that a lease is good.
    """
    devices = Lanes(url, patience, [PostgresLine(url, _SETTINGS) for _ in range(LANES)], _TRIAL)
    leases = Lanes(url, _ASKED * length, [PostgresLine(url, _SETTINGS, _ASKED * length)])
    async with task_group() as tasks:
        devices.start(tasks)
        leases.start(tasks)
        try:
            yield PostgresNodeStore(devices, leases, keep, length)
        finally:
            devices.break_off()
            leases.break_off()
            tasks.cancel_scope.cancel()
