"""What has ended goes by itself, and what is stored for all devices together has a limit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from tests.processes import PATIENCE
from tests.service.away import BADGE, CACHE, TOAST, back, drain, post, store
from tests.service.devices.test_offline_store import channel, ids_of, keep
from tests.service.registry.kept import kept_apps
from tests.service.world import OTHER_KEY, Clock, open_world
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.service.offline_queue import Depths, Phase
from tocsin.service import pruning
from tocsin.service.devices import offline_store as module
from tocsin.service.devices.offline_store import OfflineStore
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.channels import Channels
from tocsin.service.registry.service_store import AppRow, ServiceStore
from tocsin.service.registry.sqlite_service_store import SqliteServiceStore

NO_ROOM = "The device cannot be sent it now, and the service keeps no more notifications for later"


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that the service does by itself."""
    with anyio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110  # there is no event for it
            await anyio.sleep(pruning.EVERY)


async def test_beyond_the_limit_a_sender_is_told_that_nothing_is_kept(tmp_path: Path) -> None:
    """``dropped``, with the reason, and counted; another device is no exception, and room is there again with time."""
    async with open_world(tmp_path, ServiceSettings(max_stored=2)) as world:
        await store(world, "one", CACHE)
        await store(world, "two", TOAST)
        first = world.uri
        await world.open_channel(OTHER_KEY)
        for uri in (first, world.uri):
            answer = await post(world, "three", CACHE, {"X-WNS-RequestForStatus": "true"}, uri=uri)
            assert (answer.status, answer.headers["X-WNS-Status"], answer.reason) == (200, "dropped", NO_ROOM)
            assert answer.headers["X-WNS-DeviceConnectionStatus"] == "disconnected"
        report = world.service.report()
        assert (report.counters["stored"], report.counters["dropped"], report.gauges["kept"]) == (2, 2, 2)
        async with back(world) as device:
            assert await drain(device) == ["one", "two"]
        assert world.service.report().gauges["kept"] == 0
        await store(world, "four", CACHE, uri=first)


async def test_what_takes_the_place_of_another_is_kept_at_the_limit_too(tmp_path: Path) -> None:
    """A newer toast for an older one; a badge is one more."""
    async with open_world(tmp_path, ServiceSettings(max_stored=1)) as world:
        await store(world, "old", TOAST)
        await store(world, "new", TOAST)
        assert (await post(world, "1", BADGE)).headers["X-WNS-Status"] == "dropped"
        async with back(world) as device:
            assert await drain(device) == ["new"]


async def test_what_has_expired_goes_though_its_device_never_comes(
    store: ServiceStore, offline: OfflineStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In memory or not, each counted once by its reason; what is still of use stays."""
    monkeypatch.setattr(module, "LOADED", 1)
    for number in range(4):
        row = channel(f"c{number}", f"d{number}", expires=clock() + (3 if number == 3 else 100))
        await store.add_channel(row)
        await keep(offline, f"{number}a", row=row, expires=clock() + 5)
        await keep(offline, f"{number}b", row=row)
    assert offline.kept == 8
    clock.time += 5
    await offline.prune()
    assert offline.kept == 3
    assert (offline.counts[Phase.EXPIRED], offline.counts[Phase.CHANNEL_ENDED]) == (3, 2)
    assert await store.count_stored() == {"d0": 1, "d1": 1, "d2": 1}
    assert [await ids_of(offline, f"d{number}") for number in range(4)] == [["0b"], ["1b"], ["2b"], []]
    assert not offline.has("d3")


async def test_what_was_stored_for_a_removed_app_is_not_counted_for_ever(
    store: ServiceStore, offline: OfflineStore, clock: Clock
) -> None:
    """Its rows went with it; its devices are forgotten, and there is room again."""
    await store.save_app(AppRow("client", "contoso", "remote"), [])
    await store.add_channel(channel())
    await keep(offline, "a", "b")
    later = await OfflineStore.load(store, Depths(), clock)
    await store.remove_app("client", await kept_apps(store))
    assert (later.kept, later.has("d1")) == (2, True)
    await later.prune()
    assert (later.kept, later.has("d1")) == (0, False)


async def test_a_running_service_prunes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regularly, and after a failure of its store, or a fault of ours, as well as before."""
    monkeypatch.setattr(pruning, "EVERY", 0.001)
    failures: list[Exception] = []
    original = SqliteServiceStore.prune_channels

    async def prune_channels(self: SqliteServiceStore, before: float) -> None:
        if failures:
            raise failures.pop()
        await original(self, before)

    monkeypatch.setattr(SqliteServiceStore, "prune_channels", prune_channels)
    async with open_world(tmp_path) as world:
        await store(world, "body", CACHE)

        def now(name: str) -> int:
            return world.service.report().gauges[name]

        assert (now("channels"), now("kept")) == (1, 1)
        failures.extend((KeyError("planted"), StateUnavailable("the disk is full")))
        world.clock.time += 61 * 24 * 3600
        await until(lambda: (now("channels"), now("kept")) == (0, 0))
        assert failures == []
        assert world.counts[Phase.CHANNEL_ENDED] == 1


async def test_a_store_that_cannot_be_pruned_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In words while it is the same fault, whatever the number of hours; once more when it comes again later."""
    monkeypatch.setattr(pruning, "EVERY", 0.001)
    looks, broken = 0, False

    async def prune(*_: object) -> None:
        nonlocal looks
        looks += 1
        if broken:
            raise StateUnavailable("the disk is full")

    monkeypatch.setattr(Channels, "prune", prune)
    monkeypatch.setattr(OfflineStore, "prune", prune)

    async with open_world(tmp_path):
        for is_broken in (True, False, True):
            broken, seen = is_broken, looks
            await until(lambda: looks >= seen + 10)  # noqa: B023  # it is waited for at once
    lines = [record for record in caplog.records if record.name == pruning.__name__]
    words = "what has ended stays in the store for now, and is looked for again each hour: the disk is full"
    assert [record.getMessage() for record in lines] == [words, words]
    assert not any(record.exc_info for record in lines)


class Played:
    """Something that keeps what ends, and what nodes tell each other."""

    def __init__(self, name: str, journal: list[str]) -> None:
        self._name = name
        self._journal = journal

    async def prune(self) -> None:
        """Note it."""
        self._journal.append(f"{self._name} pruned")

    async def erase(self) -> None:
        """Note it."""
        self._journal.append("changes erased")

    async def recount(self) -> None:
        """Note it."""
        self._journal.append(f"{self._name} counted")


class PlayedHub(Played):
    """Hubs, which count when more is added."""

    def recount(self) -> None:  # type: ignore[override]
        """Note it."""
        self._journal.append("hub counted")


async def test_one_of_several_nodes_prunes_and_all_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it is another node that leads, this one prunes no more."""
    monkeypatch.setattr(pruning, "EVERY", 0.001)
    monkeypatch.setattr(pruning, "COUNT_EVERY", 0.001)
    journal: list[str] = []
    channels, queues, devices, feed = [
        cast("Any", Played(name, journal)) for name in ("channels", "queues", "devices", "feed")
    ]
    hub = cast("Any", PlayedHub("hub", journal))
    counted, leader = {"hub counted", "channels counted"}, False
    async with pruning.pruning(channels, queues, devices, hub, feed, lambda: leader):
        await until(lambda: journal.count("channels counted") > 5)
        assert set(journal) == counted
        leader = True
        await until(lambda: "changes erased" in journal)
        assert set(journal) == counted | {*(f"{name} pruned" for name in ("channels", "queues", "devices", "hub"))} | {
            "changes erased"
        }
