"""What the service keeps."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from attrs import evolve

from tests.service.registry.conftest import Opening
from tests.service.registry.kept import kept_apps
from tocsin.protocol.errors import StateUnavailable
from tocsin.service.registry.service_store import AppRow, ChannelRow, SecretRow, ServiceStore
from tocsin.service.registry.sqlite_service_store import open_store

APP = AppRow("client", "name", "remote")
SECRET = SecretRow(b"hash", "client", 1.0, None)
CHANNEL = ChannelRow(b"hash", "name", "client", "app", "device", 100.0, revoked=False)


async def test_everything_outlives_the_process(opening: Opening) -> None:
    """What was written is there when the store is opened again."""
    async with opening() as store:
        await store.set_meta("key", b"value")
        await store.save_app(APP, [SECRET])
        await store.add_channel(CHANNEL)
    async with opening() as store:
        assert await store.meta("key") == b"value"
        assert await store.apps() == [APP]
        assert await store.secrets() == [SECRET]
        assert await store.channels([b"hash"]) == {b"hash": CHANNEL}


async def test_what_is_not_there_is_none(store: ServiceStore) -> None:
    """An unknown key and an unknown hash are no errors."""
    assert await store.meta("key") is None
    assert await store.channels([b"hash"]) == {}


async def test_a_value_is_replaced(store: ServiceStore) -> None:
    """The last value of a key counts."""
    await store.set_meta("key", b"old")
    await store.set_meta("key", b"new")
    assert await store.meta("key") == b"new"


async def test_of_several_that_set_a_value_one_counts(store: ServiceStore) -> None:
    """All of them are told which; one that is there already stays."""
    told = set()

    async def settle(value: bytes) -> None:
        told.add(await store.meta_or_set("key", value))

    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(settle, b"%d" % number)
    assert len(told) == 1
    assert await store.meta_or_set("key", b"later") == told.pop()


async def test_saving_an_app_again_replaces_its_secrets(store: ServiceStore) -> None:
    """The secrets given are all that there are."""
    await store.save_app(APP, [SECRET])
    newer = SecretRow(b"newer", "client", 2.0, None)
    aged = evolve(SECRET, expires=3.0)
    await store.save_app(APP, [aged, newer], await kept_apps(store))
    assert await store.secrets() == [aged, newer]


async def test_a_removed_app_leaves_nothing(store: ServiceStore) -> None:
    """App and secrets go together."""
    await store.save_app(APP, [SECRET])
    await store.remove_app("client", await kept_apps(store))
    assert await store.apps() == []
    assert await store.secrets() == []


async def test_live_channels_are_neither_revoked_nor_expired_nor_anothers(store: ServiceStore) -> None:
    """Only what is good now, of that app on that device, is live."""
    others = [
        evolve(CHANNEL, hash=b"revoked", name="revoked"),
        evolve(CHANNEL, hash=b"expired", name="expired", expires=50.0),
        evolve(CHANNEL, hash=b"app", name="app", app="other"),
        evolve(CHANNEL, hash=b"device", name="device", device="other"),
    ]
    for channel in (CHANNEL, *others):
        await store.add_channel(channel)
    await store.revoke(others[:2], now=60.0)
    assert await store.live_channels("device", "app", now=50.0) == [CHANNEL]
    ended = evolve(others[0], revoked=True, expires=60.0), evolve(others[1], revoked=True)
    assert await store.channels([b"revoked", b"expired"]) == {each.hash: each for each in ended}


async def test_pruning_forgets_what_expired_before(store: ServiceStore) -> None:
    """The limit itself is kept."""
    await store.add_channel(evolve(CHANNEL, expires=99.0))
    await store.add_channel(evolve(CHANNEL, hash=b"kept", name="kept"))
    await store.prune_channels(before=100.0)
    assert await store.channels([b"hash"]) == {}
    assert await store.channels([b"kept"])


async def test_a_failed_write_takes_no_other_with_it(store: ServiceStore) -> None:
    """Writes at the same time are transactions of their own: one that fails is undone alone."""
    await store.add_channel(CHANNEL)
    failures = []

    async def fail() -> None:
        try:
            await store.add_channel(CHANNEL)
        except StateUnavailable as failure:
            failures.append(failure)

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(store.set_meta, str(number), b"value")
            group.start_soon(fail)
    assert len(failures) == 20
    assert [await store.meta(str(number)) for number in range(20)] == [b"value"] * 20


async def test_a_file_that_is_none_of_ours_is_left_alone(tmp_path: Path) -> None:
    """A corrupt file is an error in words, and is not touched."""
    path = tmp_path / "service.db"
    path.write_bytes(b"no database, but long enough to be looked into" * 100)
    before = path.read_bytes()
    with pytest.raises(StateUnavailable, match=r"service\.db is corrupt"):
        async with open_store(tmp_path):
            pass
    assert path.read_bytes() == before
