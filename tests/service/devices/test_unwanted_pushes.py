"""A device that does not want something: its senders hear of it, and the service remembers."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import anyio
import pytest
from attrs import evolve
from websockets.frames import CloseCode

from tests.processes import PATIENCE
from tests.service.away import CACHE, TOAST, back, drain, heard, post, store
from tests.service.devices.test_offline_store import channel
from tests.service.senders.test_posts import DEFAULTS, sending
from tests.service.senders.test_posts import TOAST as XML
from tests.service.world import KEY, OTHER_KEY, World, dial, open_world
from tocsin.persistence.database import read_database
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages import Payload, UnwantedChanged
from tocsin.protocol.platform.unwanted import MAX_NAMES, NOTHING, Unwanted
from tocsin.protocol.values import DropReason, NotificationType
from tocsin.repeat_log import RepeatLog
from tocsin.service import pruning
from tocsin.service.devices.unwanted_pushes import UnwantedPushes
from tocsin.service.registry.service_store import ServiceStore
from tocsin.service.registry.sqlite_service_store import SqliteServiceStore

OFF = Unwanted(everything=True)
NO_TOASTS = Unwanted(toasts=("app",))
WORDS = {
    OFF: "Group policy on the device forbids notifications from the network",
    Unwanted(apps=("app",)): "Notifications of the app are switched off on the device",
    Unwanted(types=(NotificationType.TOAST,)): "Notifications of this type are switched off on the device",
    NO_TOASTS: "Notifications of this type are switched off on the device",
}
WANTED = {"X-WNS-RequestForStatus": "true"}


async def say(world: World, unwanted: Unwanted, key: str = KEY) -> None:
    """Have a device say what it does not want, and leave."""
    async with dial(world.service) as device:
        await device.greet(key)
        await device.send(UnwantedChanged(unwanted))
        await heard(device)


@pytest.mark.parametrize("unwanted", WORDS)
@pytest.mark.parametrize("there", [True, False])
async def test_a_sender_hears_why_it_is_dropped(world: World, unwanted: Unwanted, there: bool) -> None:
    """Whether the device is there or not, and whether it might wait or not; nothing is sent or stored."""
    async with dial(world.service) as device:
        await device.greet()
        await device.send(UnwantedChanged(unwanted))
        await heard(device)
        if not there:
            await device.socket.close()
        answers = [
            await post(world, "<toast/>", TOAST, wish, WANTED)
            for wish in ({}, CACHE, {"X-WNS-Cache-Policy": "no-cache"})
        ]
        assert {(answer.status, answer.headers["X-WNS-Status"], answer.reason) for answer in answers} == {
            (200, "dropped", WORDS[unwanted])
        }
        assert {answer.headers["X-WNS-DeviceConnectionStatus"] for answer in answers} <= {"connected", "disconnected"}
        if there:
            await heard(device)
            assert not device.waiting()
    assert world.service.report().gauges["kept"] == 0
    assert world.service.report().counters["dropped"] == 3


async def test_what_is_wanted_comes_as_before(world: World) -> None:
    """Another type, another app, another device."""
    await say(world, evolve(NO_TOASTS, apps=("another",)))
    await store(world, "raw", CACHE)
    await say(world, OFF, OTHER_KEY)
    async with back(world) as device:
        assert await drain(device) == ["raw"]


async def test_it_counts_until_the_device_says_otherwise(tmp_path: Path) -> None:
    """Over a restart of the service, and while the device is away."""
    async with open_world(tmp_path) as world:
        await say(world, OFF)
        uri = world.uri
    async with open_world(tmp_path, key=OTHER_KEY) as world:
        assert (await post(world, "x", CACHE, uri=uri)).reason == WORDS[OFF]
        await say(world, NOTHING)
        await store(world, "y", CACHE, uri=uri)
    async with open_world(tmp_path, key=OTHER_KEY) as world:
        await store(world, "z", CACHE, uri=uri)


@pytest.mark.parametrize("unwanted", WORDS)
async def test_a_post_to_a_device_that_is_there_does_not_pass_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unwanted: Unwanted
) -> None:
    """What is unwanted is dropped; where another device does not want something, it goes on."""
    async with sending(tmp_path, monkeypatch) as sender:
        sender.post(b"<toast/>", XML)
        await sender.device.acknowledge()
        await sender.answer()
        await say(sender.world, unwanted, OTHER_KEY)
        sender.post(b"<toast/>", XML)
        await sender.device.acknowledge()
        await sender.answer()
        await sender.device.send(UnwantedChanged(unwanted))
        await heard(sender.device)
        sender.post(b"<toast/>", XML)
        status, headers, _ = await sender.answer()
        assert (status, headers["x-wns-status"], headers["x-wns-error-description"]) == (
            200,
            "dropped",
            WORDS[unwanted],
        )
        if unwanted == NO_TOASTS:
            sender.post(b"raw", DEFAULTS)
            await sender.device.acknowledge()
            assert (await sender.answer())[0] == 200


async def test_what_is_on_its_way_when_the_device_goes_is_not_stored(world: World) -> None:
    """It would come when all is wanted again, long after its sender heard that nothing is."""
    async with dial(world.service) as device, anyio.create_task_group() as group:
        answers = []

        async def push() -> None:
            answers.append(await post(world, "x", CACHE))

        await device.greet()
        group.start_soon(push)
        await device.receive(Payload)
        await device.send(UnwantedChanged(OFF))
        await device.socket.close()
    assert answers[0].reason == WORDS[OFF]
    assert world.service.report().gauges["kept"] == 0


async def test_only_so_much_can_be_unwanted(world: World) -> None:
    """What a device names is kept for as long as it has channels, so it is bounded."""
    async with dial(world.service) as device:
        await device.greet()
        await device.send(UnwantedChanged(Unwanted(apps=tuple(map(str, range(MAX_NAMES + 1))))))
        code, reason = await device.closed()
        assert code == CloseCode.PROTOCOL_ERROR
        assert reason.startswith(f"{MAX_NAMES + 1} names of apps with 661 bytes are unwanted")


async def test_it_is_told_to_the_store_although_the_device_is_replaced_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of its connection cuts off nothing that is being written."""
    asked, may_go = anyio.Event(), anyio.Event()
    original = SqliteServiceStore.set_unwanted

    async def slow(self: SqliteServiceStore, device: str, unwanted: Unwanted | None) -> None:
        asked.set()
        await may_go.wait()
        await original(self, device, unwanted)

    monkeypatch.setattr(SqliteServiceStore, "set_unwanted", slow)
    async with open_world(tmp_path) as world:
        async with dial(world.service) as device, dial(world.service) as other:
            await device.greet()
            await device.send(UnwantedChanged(OFF))
            await asked.wait()
            assert (await post(world, "x")).reason == WORDS[OFF]
            await other.greet()
            may_go.set()
            await device.closed()
        uri = world.uri
    async with open_world(tmp_path, key=OTHER_KEY) as world:
        assert (await post(world, "x", uri=uri)).reason == WORDS[OFF]


async def test_a_running_service_forgets_devices_without_channels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Now and then; the others stay."""
    monkeypatch.setattr(pruning, "EVERY", 0.001)
    async with open_world(tmp_path) as world:
        await say(world, OFF)
        async with dial(world.service) as device:
            await device.greet(OTHER_KEY)
            await device.send(UnwantedChanged(OFF))
            await heard(device)
        with anyio.fail_after(PATIENCE):
            while await kept(tmp_path) != 1:  # noqa: ASYNC110  # there is no event for it
                await anyio.sleep(pruning.EVERY)
        assert (await post(world, "x")).reason == WORDS[OFF]


async def kept(state: Path) -> int:
    """Count the devices that the store has, while the service runs."""
    async with read_database(state / "service.db", 99) as database:
        ((count,),) = await database.read("SELECT count(*) FROM unwanted", ())
    return int(count)


class TestAlone:
    """What is known, without its service."""

    async def test_what_cannot_be_stored_counts_and_is_tried_again(
        self, store: ServiceStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """When the device says so again, which it does at each connection."""
        pushes = UnwantedPushes(store, RepeatLog())

        async def fail(*_: object) -> NoReturn:
            raise StateUnavailable("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(SqliteServiceStore, "set_unwanted", fail)
            await pushes.note("d1", OFF)
        assert pushes.reason(channel(), NotificationType.RAW) is DropReason.CLOUD_DISABLED
        assert await store.unwanted() == {}
        assert [record.getMessage() for record in caplog.records] == [
            "what a device does not want to be sent could not be stored: the disk is full"
        ]
        await pushes.note("d1", OFF)
        assert await store.unwanted() == {"d1": OFF}

    async def test_what_is_known_already_is_not_written_again(
        self, store: ServiceStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A device says it at each connection; most say that they want all."""
        pushes = UnwantedPushes(store, RepeatLog())
        await pushes.note("d1", OFF)

        async def fail(*_: object) -> NoReturn:
            pytest.fail("it was written")

        monkeypatch.setattr(SqliteServiceStore, "set_unwanted", fail)
        await pushes.note("d1", OFF)
        await pushes.note("d2", NOTHING)
        later = await UnwantedPushes.load(store, RepeatLog())
        assert later.known == {"d1": OFF}

    async def test_beyond_the_limit_nothing_is_remembered(self, store: ServiceStore) -> None:
        """A peer that makes up devices fills no memory; there is room again when another device wants all."""
        pushes = UnwantedPushes(store, RepeatLog(), max_size=300)
        await pushes.note("d1", OFF)
        await pushes.note("d2", OFF)
        assert pushes.known == {"d1": OFF}
        assert await store.unwanted() == {"d1": OFF}
        await pushes.note("d1", NOTHING)
        await pushes.note("d2", OFF)
        assert pushes.known == await store.unwanted() == {"d2": OFF}

    @pytest.mark.parametrize("said", [OFF, Unwanted(types=(NotificationType.TILE,))])
    async def test_what_a_device_says_while_it_is_forgotten_stays(
        self, store: ServiceStore, monkeypatch: pytest.MonkeyPatch, said: Unwanted
    ) -> None:
        """It came back in that moment, and said the same as before or another word."""
        pushes = UnwantedPushes(store, RepeatLog())
        await pushes.note("d1", OFF)
        original = SqliteServiceStore.forget_unwanted

        async def forget(kept: SqliteServiceStore, device: str) -> None:
            tasks.start_soon(pushes.note, "d1", said)
            await anyio.wait_all_tasks_blocked()
            await original(kept, device)

        monkeypatch.setattr(SqliteServiceStore, "forget_unwanted", forget)
        async with anyio.create_task_group() as tasks:
            await pushes.prune(lambda _: False)
        assert pushes.known == await store.unwanted() == {"d1": said}

    async def test_devices_without_channels_are_forgotten(self, store: ServiceStore) -> None:
        """Unless they are there, and may ask for one."""
        await store.add_channel(channel())
        pushes = UnwantedPushes(store, RepeatLog())
        for device in ("d1", "d2", "d3"):
            await pushes.note(device, OFF)
        await pushes.prune(lambda device: device == "d3")
        assert pushes.known == await store.unwanted() == {"d1": OFF, "d3": OFF}
