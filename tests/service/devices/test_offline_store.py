"""The offline store by itself: queues that come into memory and leave it, and rows that cannot be written."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service.world import Clock
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages import Payload
from tocsin.protocol.service.offline_queue import STRICT, Depths, Entry, Phase
from tocsin.protocol.toast_label import ToastMatch
from tocsin.protocol.values import NotificationType
from tocsin.service.devices import offline_store as module
from tocsin.service.devices.offline_store import OfflineStore
from tocsin.service.registry.service_store import ChannelRow, ServiceStore
from tocsin.service.registry.sqlite_service_store import SqliteServiceStore

EVER = 4e9


def channel(name: str = "c1", device: str = "d1", *, revoked: bool = False, expires: float = EVER) -> ChannelRow:
    """Make a channel."""
    return ChannelRow(name.encode(), name, "client", "app", device, expires, revoked=revoked)


def admitted(_: Entry) -> None:
    """Do nothing: no device is connected."""


async def keep(offline: OfflineStore, *ids: str, row: ChannelRow | None = None, expires: float | None = None) -> None:
    """Store raw payloads with these ids."""
    row = row or channel()
    for id in ids:  # noqa: A001 - the field's name
        payload = Payload(id, row.name, NotificationType.RAW, id.encode(), expires, 3)
        await offline.keep(row, payload, admitted)


async def ids_of(offline: OfflineStore, device: str = "d1") -> list[str]:
    """Return what is stored for a device."""
    queue = await offline.attend(device)
    offline.leave(device)
    return [entry.id for entry in queue.entries.values()]


async def test_rows_are_what_the_queue_says(store: ServiceStore, offline: OfflineStore) -> None:
    """What was acknowledged is gone from the disk, and what was not is there with its body."""
    await store.add_channel(channel())
    await keep(offline, "a", "b", "c")
    await offline.acknowledge("d1", ["a", "c", "a", "x"])
    [entry] = await store.stored("d1")
    assert (entry.id, await offline.bodies([entry])) == ("b", {entry.sequence: b"b"})
    assert offline.counts == {Phase.DELIVERED: 2, Phase.EXPIRED: 0, Phase.CHANNEL_ENDED: 0}


async def test_nothing_is_done_for_who_has_nothing(offline: OfflineStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device without a queue costs no look at the disk, and gets no queue."""
    monkeypatch.setattr(offline, "_store", None)
    await offline.acknowledge("d1", ["a"])
    await offline.end_channels("d1", ["c1"])
    await offline.withdraw(channel(), ToastMatch())
    offline.connection_lost("d1")
    offline.take_back("d1", ["a"])
    assert not offline.has("d1")


async def test_idle_queues_leave_the_memory(offline: OfflineStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limit those that nothing happens to are put away; they are found again, in order."""
    monkeypatch.setattr(module, "LOADED", 2)
    for number in range(5):
        await keep(offline, f"{number}a", f"{number}b", row=channel(f"c{number}", f"d{number}"))
    assert len(offline._loaded) == 2
    assert all(offline.has(f"d{number}") for number in range(5))
    assert await ids_of(offline, "d0") == ["0a", "0b"]
    await offline.acknowledge("d0", ["0a", "0b"])
    assert not offline.has("d0")


async def test_a_queue_in_use_stays(offline: OfflineStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue stays in memory from ``attend`` to ``leave``."""
    monkeypatch.setattr(module, "LOADED", 0)
    await keep(offline, "a")
    queue = await offline.attend("d1")
    await keep(offline, "b", row=channel("c2", "d2"))
    await keep(offline, "c")
    assert offline.of("d1") is queue
    offline.leave("d1")
    assert offline.of("d1") is None
    assert await ids_of(offline) == ["a", "c"]


async def test_an_opened_store_prunes(store: ServiceStore, clock: Clock) -> None:
    """What expired, and what belongs to channels that are gone, is counted and let go; the rest is there."""
    offline = await OfflineStore.load(store, Depths(), clock)
    rows = [channel(), channel("c2", revoked=True), channel("c3", expires=clock() + 5)]
    for row in rows:
        await store.add_channel(row)
        await keep(offline, f"{row.name}a", f"{row.name}b", row=row)
    await keep(offline, "short", expires=clock() + 5)
    clock.time += 5
    later = await OfflineStore.load(store, Depths(), clock)
    assert later.counts == {Phase.EXPIRED: 1, Phase.CHANNEL_ENDED: 4}
    assert await ids_of(later) == ["c1a", "c1b"]
    await keep(later, "next")
    assert await ids_of(later) == ["c1a", "c1b", "next"]


async def test_a_stricter_store_keeps_less_of_what_there_was(
    store: ServiceStore, offline: OfflineStore, clock: Clock
) -> None:
    """The oldest give way when their queue is loaded."""
    await store.add_channel(channel())
    await keep(offline, "a", "b", "c")
    strict = await OfflineStore.load(store, STRICT, clock)
    assert await ids_of(strict) == ["c"]
    assert strict.counts[Phase.OVERFLOWED] == 2
    await keep(strict, "d")
    assert [entry.id for entry in await store.stored("d1")] == ["d"]


async def test_what_could_not_be_erased_is_erased_with_the_next(
    offline: OfflineStore, store: ServiceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault leaves rows behind for a while; nothing of them is sent, and they are not forgotten."""

    async def fail(*_: Any) -> None:
        raise StateUnavailable("the disk is full")

    await keep(offline, "a", "b")
    with monkeypatch.context() as patch:
        patch.setattr(SqliteServiceStore, "erase_stored", fail)
        patch.setattr(SqliteServiceStore, "add_stored", fail)
        await offline.acknowledge("d1", ["a"])
        with pytest.raises(StateUnavailable):
            await keep(offline, "c")
    assert await ids_of(offline) == ["b"]
    assert [entry.id for entry in await store.stored("d1")] == ["a", "b"]
    await keep(offline, "d")
    assert [entry.id for entry in await store.stored("d1")] == ["b", "d"]
    assert offline.counts[Phase.NOT_STORED] == 1
