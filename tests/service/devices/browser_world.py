"""A service's devices as browsers have them, over a store in memory and in virtual time: no network, and no process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Any

from tests.service.nodes.virtual_loop import VirtualLoop
from tests.service.played_socket import PlayedSocket
from tests.service.registry.memory_service_store import MemoryServiceStore
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages import Payload
from tocsin.protocol.service.notification import Notification
from tocsin.protocol.service.offline_queue import Depths
from tocsin.protocol.values import NotificationType
from tocsin.protocol.webpush.envelope import Envelope
from tocsin.service.devices.device_connection import device_of
from tocsin.service.devices.devices import Devices
from tocsin.service.devices.offline_store import OfflineStore
from tocsin.service.devices.outbox import PushResult
from tocsin.service.devices.unwanted_pushes import UnwantedPushes
from tocsin.service.operations.limits import Limits
from tocsin.service.operations.metrics import Counters
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.apps import Apps
from tocsin.service.registry.channel_directory import ChannelFault
from tocsin.service.registry.channels import Channels
from tocsin.service.registry.service_store import ChannelRow
from tocsin.service.url_paths import PUSH_PATH

CHANNEL = "5e6e4cf7-26a6-4ec2-a7a2-0b9b6b3a3ab5"
OTHER_CHANNEL = "c0ffee00-26a6-4ec2-a7a2-0b9b6b3a3ab5"
UAID = "0123456789abcdef0123456789abcdef"
KEY = "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"
"""An application server key: that of the example in RFC 8291."""

BASE = "http://host:1"
EPOCH = 1_800_000_000.0


class PlayedBrowser(PlayedSocket):
    """A browser, of which each message is one JSON text."""

    def tell(self, **fields: Any) -> None:
        """Say something."""
        self.say(json.dumps(fields))

    def hello(self, uaid: str | None = UAID, *, firefox: bool = True) -> None:
        """Say hello, as Firefox or as KDE's distributor."""
        self.tell(
            messageType="hello",
            **({} if uaid is None else {"uaid": uaid}),
            **({"use_webpush": True, "broadcasts": {}} if firefox else {}),
        )

    def register(self, channel_id: str = CHANNEL, **fields: Any) -> None:
        """Ask for a subscription."""
        self.tell(messageType="register", channelID=channel_id, **fields)

    def unregister(self, channel_id: str = CHANNEL, **fields: Any) -> None:
        """End one."""
        self.tell(messageType="unregister", channelID=channel_id, **fields)

    def ack(self, *versions: str, code: int | None = None) -> None:
        """Be done with messages."""
        codes = {} if code is None else {"code": code}
        self.tell(messageType="ack", updates=[{"channelID": CHANNEL, "version": each, **codes} for each in versions])

    @property
    def told(self) -> list[dict[str, Any]]:
        """All that it was told, in order."""
        return [json.loads(text) for text in self.texts]

    @property
    def last(self) -> dict[str, Any]:
        """What it was told last."""
        return self.told[-1]

    @property
    def versions(self) -> list[str]:
        """The ids of the messages that came, in order."""
        return [each["version"] for each in self.told if each.get("messageType") == "notification"]


class Store(MemoryServiceStore):
    """A store that may be unable to say which subscriptions there are."""

    is_readable = True

    async def count_subscriptions(self, device: str, now: float) -> int:
        """Count them, or fail."""
        if not self.is_readable:
            raise StateUnavailable("the disk does not answer")
        return await super().count_subscriptions(device, now)


class BrowserWorld:
    """One service, which may be started anew over what it has stored, and browsers that keep the key that they were given last."""

    def __init__(self, settings: ServiceSettings | None = None) -> None:
        self.settings = settings or ServiceSettings.private()
        self.store = Store()
        self.keys: dict[str, str] = {}
        """By what a browser called itself first."""
        self.counters = Counters()
        self.results: dict[str, PushResult] = {}
        self.later = 0.0
        """Seconds by which the service's clock was put forward."""
        self._numbers = count(1)

    def now(self) -> float:
        """Tell the service's time."""
        return EPOCH + self.later + asyncio.get_running_loop().time()

    async def lose_state(self) -> None:
        """Start a service in its place that knows nothing."""
        self.store = Store()
        await self.start()

    async def start(self) -> None:
        """Start the service, or another in its place that knows what is stored."""
        self.channels = Channels(self.store, await Apps.load(self.store, self.now), BASE, self.now)
        await self.channels.prune()
        self.offline = await OfflineStore.load(self.store, Depths(), self.now)
        unwanted = await UnwantedPushes.load(self.store, self.offline.recurring)
        limits = Limits(self.settings, asyncio.get_running_loop().time)
        self.devices = Devices(self.channels, self.offline, unwanted, self.settings, limits, self.counters)

    def connect(self) -> PlayedBrowser:
        """Let a browser connect."""
        browser = PlayedBrowser()
        browser.receiver = self.devices.open_browser(browser)
        return browser

    async def greeted(self, uaid: str | None = UAID, *, firefox: bool = True) -> PlayedBrowser:
        """Let one connect and say hello, under the key that it has."""
        browser = self.connect()
        browser.hello(None if uaid is None else self.keys.get(uaid, uaid), firefox=firefox)
        await settle()
        assert browser.told[0]["messageType"] == "hello"
        if uaid is not None:
            self.keys[uaid] = browser.told[0]["uaid"]
        return browser

    @property
    def device(self) -> str:
        """Which device the usual browser is."""
        return device_of(self.keys[UAID])

    async def subscribed(self, browser: PlayedBrowser, channel_id: str = CHANNEL) -> str:
        """Let a browser subscribe, and return the endpoint."""
        browser.register(channel_id)
        await settle()
        assert browser.last["status"] == 200, browser.last
        endpoint: str = browser.last["pushEndpoint"]
        return endpoint

    async def post(
        self, endpoint: str, body: bytes = b"body", coding: str = "aes128gcm", ttl: int = 60
    ) -> str | ChannelFault:
        """Begin to push, as the push resource does; return the message's id, or why the endpoint leads nowhere."""
        channel = await self.channels.directory.find(endpoint.removeprefix(f"{BASE}{PUSH_PATH}"))
        if isinstance(channel, ChannelFault):
            return channel
        id_ = f"m{next(self._numbers)}"
        expires, sent = (self.now() + ttl, self.now()) if ttl else (None, None)
        envelope = Envelope(coding, "salt=x", "dh=y", body) if coding == "aesgcm" else Envelope(coding, "", "", body)
        payload = Payload(id_, channel.name, NotificationType.PUSH, envelope.pack(), expires, 2, sent)
        wishes = Notification(NotificationType.PUSH, True, None, None, ttl, 2)  # noqa: FBT003  # it may wait

        async def push() -> None:
            self.results[id_] = await self.devices.push(channel, payload, wishes)

        asyncio.get_running_loop().create_task(push())
        await settle()
        return id_

    async def push_raw(self, channel: ChannelRow) -> PushResult:
        """Push a raw notification to a channel."""
        payload = Payload("raw", channel.name, NotificationType.RAW, b"", None, 2, None)
        wishes = Notification(NotificationType.RAW, True, None, None, None, 2)  # noqa: FBT003  # it may wait
        return await self.devices.push(channel, payload, wishes)

    async def posted(self, endpoint: str, **wishes: Any) -> str:
        """Begin to push to an endpoint that is good."""
        id_ = await self.post(endpoint, **wishes)
        assert isinstance(id_, str), id_
        return id_


async def settle() -> None:
    """Let all do what they can at this moment: the loop's time goes on when there is nothing else to do."""
    await asyncio.sleep(0.001)


def run(play: Callable[[BrowserWorld], Awaitable[None]], settings: Mapping[str, Any] | None = None) -> None:
    """Play in a world of its own."""

    async def whole() -> None:
        world = BrowserWorld(ServiceSettings.private(**(settings or {})))
        await world.start()
        await play(world)
        await world.devices.aclose()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(whole())
