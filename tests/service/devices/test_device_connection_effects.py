"""The driver of a device connection: each effect that its table names is needed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import cast

import anyio
import pytest
from anyio.lowlevel import checkpoint

from tests.service.played_socket import PlayedSocket
from tests.service.world import KEY
from tocsin.protocol.messages import Hello, Message, Payload, Suspended, codec
from tocsin.protocol.service.device_connection import TABLE, Effect, Event
from tocsin.protocol.service.offline_queue import Depths, Entry, OfflineQueue
from tocsin.protocol.service.tally import MinuteTally
from tocsin.protocol.values import PROTOCOL_VERSION, NotificationType
from tocsin.service.devices import device_connection
from tocsin.service.devices.channel_answers import ChannelAnswers
from tocsin.service.devices.device_connection import ConnectionContext, DeviceConnection
from tocsin.service.devices.offline_store import OfflineStore
from tocsin.service.devices.platform_connection import PlatformConnection
from tocsin.service.devices.turn import WritingTurn
from tocsin.service.devices.unwanted_pushes import UnwantedPushes
from tocsin.service.operations.limits import Limits
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.channels import Channels
from tocsin.service.registry.service_store import ServiceStore
from tocsin.service.web.heart import Rounds

DEVICE = hashlib.sha256(KEY.encode()).hexdigest()
WHOLE = [
    "admitted", "Welcome", "stored", "waited",  # greeted, and caught up
    "waited: SUSPENDED", "stored later", "live",  # suspended, and back
    "live: LOST", "last",  # overtaken, and the newest again
    "dismissed", "last: LOST", "forgotten",  # by the service
]  # fmt: skip


async def _settle() -> None:
    """Let all tasks do what they can: all is in memory, and anyio's own way takes a tenth of a second on asyncio."""
    for _ in range(50):
        await checkpoint()


class _Store:
    """A store that can be read when the test lets it be."""

    def __init__(self) -> None:
        self.readable = anyio.Event()

    async def stored_bodies(self, sequences: Sequence[int]) -> dict[int, bytes]:
        await self.readable.wait()
        return dict.fromkeys(sequences, b"")


class _Channels:
    """No channel has ended."""

    def may_have_orphans(self, device: str) -> bool:
        return not device


class _Seen(PlayedSocket):
    """Notes what is sent by its name."""

    def __init__(self, seen: list[str]) -> None:
        super().__init__()
        self._seen = seen

    def send(self, message: bytes) -> None:
        """Note each message."""
        for frame in codec.frames(message):
            sent = codec.decode(frame)
            self._seen.append(sent.id if isinstance(sent, Payload) else type(sent).__name__)


def _put(queue: OfflineQueue, number: int, name: str) -> None:
    """Have a notification on disk."""
    entry = Entry(number, name, "channel", "app", NotificationType.RAW, "", "", 2, 0.0, None, 1e9)
    queue.admit(entry)
    queue.committed(entry)


async def _live() -> list[str]:
    """Greet, replay, suspend, resume, overtake, restore and close a connection; return what was seen of it, in order."""
    seen: list[str] = []
    store, settings = _Store(), ServiceSettings()
    offline = OfflineStore(cast(ServiceStore, store), Depths(), lambda: 0.0)
    queue = await offline.attend(DEVICE)
    _put(queue, 1, "stored")
    limits = Limits(settings, lambda: 0.0)
    around = ConnectionContext(
        ChannelAnswers(cast(Channels, _Channels()), offline, limits, MinuteTally(0.0)),
        offline,
        UnwantedPushes(cast(ServiceStore, store), offline.recurring),
        settings,
        limits,
        WritingTurn(),
        Rounds(settings.hello_timeout, DeviceConnection.miss_hello),
        lambda _: seen.append("admitted"),
        lambda _: seen.append("dismissed"),
        lambda _: seen.append("forgotten"),
    )
    socket = _Seen(seen)
    connection = PlatformConnection(around, "here", socket)
    socket.receiver = connection

    async def say(message: Message) -> None:
        socket.say(codec.encode(message))
        await _settle()

    def push(name: str) -> None:
        frame = codec.encode(Payload(name, "channel", NotificationType.RAW, b"", None, 2, None))
        connection.outbox.push_nowait(name, frame, lambda result: seen.append(f"{name}: {result.name}"))

    await say(Hello(PROTOCOL_VERSION, KEY))
    push("waited")
    await _settle()
    store.readable.set()
    await _settle()
    await say(Suspended(suspended=True))
    _put(queue, 2, "stored later")
    await say(Suspended(suspended=False))
    push("live")
    await _settle()
    connection.step(Event.OVERTAKEN)
    connection.step(Event.NEWEST)
    push("last")
    await _settle()
    connection.close(1001, "the service is stopping")
    await _settle()
    ending = list(seen)
    for task in socket.tasks:  # where nothing has stopped them
        task.cancel()
    await _settle()
    return ending


async def test_a_life_with_the_whole_table() -> None:
    """What is stored goes before what comes now; all who wait are told, and the connection ends."""
    assert await _live() == WHOLE


@pytest.mark.parametrize("erased", Effect, ids=lambda effect: effect.name)
async def test_an_effect_that_is_erased_is_noticed(monkeypatch: pytest.MonkeyPatch, erased: Effect) -> None:
    """No effect is in the table in vain."""
    table = {
        pair: (after, tuple(effect for effect in effects if effect is not erased))
        for pair, (after, effects) in TABLE.items()
    }
    monkeypatch.setattr(device_connection, "TABLE", table)
    assert await _live() != WHOLE
