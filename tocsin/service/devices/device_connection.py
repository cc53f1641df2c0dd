"""One device's connection: a WebSocket, over which channels are granted and payloads go out.

The conversation: ``Hello`` from the device, ``Welcome`` from the service; then the device may send ``RequestChannel``,
``RevokeChannels``, ``Acknowledge``, ``Suspended``, ``PowerState`` and ``UnwantedChanged``, the service their answers and
``Payload``. Anything else closes the connection. A binary WebSocket message carries one or more frames. What is legal when is the table of
``tocsin.protocol.service.device_connection``.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Hashable, Iterator
from typing import ClassVar

import anyio
from attrs import frozen
from starlette.types import Receive, Send
from websockets.frames import CloseCode

from tocsin.protocol.errors import FrameError, ProtocolViolation
from tocsin.protocol.kernel.machine import step
from tocsin.protocol.messages import (
    Acknowledge,
    Hello,
    Message,
    PowerState,
    RequestChannel,
    RevokeChannels,
    Suspended,
    UnwantedChanged,
    Welcome,
    WithdrawToasts,
    codec,
)
from tocsin.protocol.messages.device_versions import LABELS_SINCE, without_label
from tocsin.protocol.network.causes import OTHER_VERSION
from tocsin.protocol.platform.power import MAX_EXEMPT, PLUGGED_IN, Passage, Power, passage
from tocsin.protocol.service.device_connection import SERVING, TABLE, Effect, Event, Phase
from tocsin.protocol.toast_label import ToastMatch
from tocsin.protocol.values import OLDEST_PROTOCOL_VERSION, PROTOCOL_VERSION
from tocsin.service.devices.channel_answers import ChannelAnswers
from tocsin.service.devices.offline_store import OfflineStore
from tocsin.service.devices.outbox import Outbox
from tocsin.service.devices.replay import Replay
from tocsin.service.devices.unwanted_pushes import UnwantedPushes
from tocsin.service.operations.limits import Limits
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.web.side_tasks import SideTasks

MIN_KEY = 32
"""Characters of a device's key at least."""

_PATIENCE = 5.0  # seconds for a device that does not read to take its close frame

_AT_ONCE = 256  # frames of a message that are handled before other connections have a turn
_SHOWN = 8  # characters of a device's identity that the log shows

logger = logging.getLogger(__name__)


@frozen
class ConnectionContext:
    """What the connections of all devices share.

    ``admit`` is told of a connection whose device has said hello, ``dismiss`` of one that has ended.
    """

    answers: ChannelAnswers
    offline: OfflineStore
    unwanted: UnwantedPushes
    settings: ServiceSettings
    limits: Limits
    admit: Callable[[DeviceConnection], None]
    dismiss: Callable[[DeviceConnection], None]


class _Talkative(Exception):
    """The device sends more messages than the limits allow."""


class DeviceConnection:
    """One device's connection; ``device`` is its identity once it has said hello, or empty.

    One task reads; a second one writes for as long as there is something to send.

    :param address: where the device is, as the limits count.
    """

    __slots__ = (
        "_address", "_around", "_farewell", "_receive", "_scope", "_send", "_tasks", "_version", "_writes", "device", "outbox", "replay"
    )  # fmt: skip

    def __init__(self, around: ConnectionContext, address: str, receive: Receive, send: Send) -> None:
        settings, offline = around.settings, around.offline
        self.device = ""
        self.outbox = Outbox(settings.device_window, settings.device_backlog, settings.acknowledge_timeout)
        self._around = around
        self._address = address
        self._receive = receive
        self._send = send
        self._scope = anyio.CancelScope()
        self._tasks = SideTasks(self._scope.cancel)
        self.replay = Replay(offline, self.outbox, offline.now, self._tasks, self._step)
        self._writes = False  # whether there is a task that writes, which there may be in any phase
        self._farewell: tuple[int, str] | None = None
        self._version = PROTOCOL_VERSION

    def holds_back(self, app: str, priority: int) -> bool:
        """Tell whether the device's power state holds back what comes for that app with that priority."""
        return self.replay.power is not PLUGGED_IN and passage(self.replay.power, app, priority) is not Passage.DELIVER

    def withdraw(self, channel: str, match: ToastMatch) -> None:
        """Tell the device that toasts of a channel were deleted, if it knows such a word."""
        if self._version >= LABELS_SINCE and self.outbox.phase in SERVING:
            self.outbox.send_behind_stored(codec.encode(WithdrawToasts(channel, match.tag, match.group)))

    def close(self, code: int, reason: str) -> None:
        """End the connection with this close code and reason, unless it is ending already."""
        if self.outbox.phase not in {Phase.CLOSING, Phase.CLOSED}:
            self._farewell = (code, reason)
        self._step(Event.CLOSE)

    async def serve(self) -> None:
        """Greet the device, serve it until either side ends the connection, and say why if it was this side."""
        try:
            with self._scope:
                await self._converse()
        finally:
            self._step(Event.LEFT)
            await self._tasks.aclose()
        if self._farewell is not None:
            code, reason = self._farewell
            self._log(code, f"closed with {code}: {reason}")
            with anyio.move_on_after(_PATIENCE):
                await self._transmit({"type": "websocket.close", "code": code, "reason": reason})
        self._step(Event.ENDED)

    async def _converse(self) -> None:
        try:
            frames = await self._greet()
            if frames is None:
                return
            self._step(Event.GREETED)
            await self._read(frames)
        except ProtocolViolation as violation:
            self.close(CloseCode.PROTOCOL_ERROR, str(violation))
        except _Talkative:
            self.close(CloseCode.POLICY_VIOLATION, "too many messages that bring nothing new")

    async def _greet(self) -> Iterator[bytes] | None:
        """Take the device's hello and return the frames that came with it; None where there will be no conversation."""
        try:
            with anyio.fail_after(self._around.settings.hello_timeout):
                frames = await self._frames()
        except TimeoutError:
            raise ProtocolViolation(f"no Hello within {self._around.settings.hello_timeout:g} s") from None
        if frames is None:
            return None
        first = next(frames, None)
        if first is None:
            raise ProtocolViolation("a device begins with Hello, not with an empty message")
        hello = codec.decode(first)
        if not isinstance(hello, Hello):
            raise ProtocolViolation(f"a device begins with Hello, not with {type(hello).__name__}")
        if not OLDEST_PROTOCOL_VERSION <= hello.version <= PROTOCOL_VERSION:
            versions = f"{OLDEST_PROTOCOL_VERSION} to {PROTOCOL_VERSION}"
            self.close(OTHER_VERSION, f"this service speaks the versions {versions}, not {hello.version}")
            return None
        self._version = hello.version
        if hello.version < LABELS_SINCE:
            self.outbox.encode = without_label
        if len(hello.device_key) < MIN_KEY:
            raise ProtocolViolation(f"a device key has at least {MIN_KEY} characters, not {len(hello.device_key)}")
        self.device = self.replay.device = hashlib.sha256(hello.device_key.encode()).hexdigest()
        return frames

    async def _frames(self) -> Iterator[bytes] | None:
        """Return the frames of the next message, None at the connection's end."""
        event = await self._receive()
        if event["type"] == "websocket.disconnect":
            return None
        data = event.get("bytes")
        if data is None:
            raise FrameError("messages are binary, not text")
        return codec.frames(data)

    async def _read(self, frames: Iterator[bytes] | None) -> None:
        while frames is not None:
            for number, frame in enumerate(frames, 1):
                await self._handle(codec.decode(frame))
                if number % _AT_ONCE == 0:
                    await asyncio.sleep(0)  # a message may have many thousands
            frames = await self._frames()

    async def _handle(self, message: Message) -> None:
        match message:
            case Acknowledge(ids=ids):
                others = self.outbox.acknowledge(ids)
                if len(others) == len(ids):
                    self._count()
                if others and self._around.offline.has(self.device):
                    await self._around.offline.acknowledge(self.device, others)
            case Suspended(suspended=suspended):
                self._count()
                self._step(Event.SUSPENDED if suspended else Event.RESUMED)
            case PowerState(screen_on_or_plugged=on, battery_saver=saver, exempt=exempt):
                self._count()
                if len(exempt) > MAX_EXEMPT:
                    raise ProtocolViolation(f"{len(exempt)} apps are exempt from battery saver, more than {MAX_EXEMPT}")
                power = Power(on, saver, exempt)
                self.replay.power = PLUGGED_IN if power == PLUGGED_IN else power
                self.replay.look()
            case UnwantedChanged(unwanted=unwanted):
                self._count()
                if unwanted.fault:
                    raise ProtocolViolation(unwanted.fault)
                await self._around.unwanted.note(self.device, unwanted)
            case RequestChannel() | RevokeChannels():
                self._count()
                await self.outbox.room()
                self.outbox.send_answer(
                    codec.encode(await self._around.answers.answer(self.device, self._address, message))
                )
            case _:
                raise ProtocolViolation(f"a device does not send {type(message).__name__} here")

    def _step(self, event: Event) -> None:
        self.outbox.phase, effects = step(TABLE, self.outbox.phase, event)
        for effect in effects:
            self._PERFORM[effect](self)

    def _welcome(self) -> None:
        self.outbox.on_filled = self._start_to_write
        self.outbox.send_answer(
            codec.encode(Welcome(self._version, self._around.settings.device_window, self._around.offline.now()))
        )
        self.tell_what_ended()

    def _give_back(self) -> None:
        self.outbox.give_up()
        self._around.offline.take_back(self.device, self.outbox.take_back())

    def _admit(self) -> None:
        self._around.admit(self)

    def _dismiss(self) -> None:
        self._around.dismiss(self)

    def _stop_reading(self) -> None:
        self._scope.cancel()

    _PERFORM: ClassVar[
        dict[Effect, Callable[[DeviceConnection], None]]
    ] = {  # one for all: thousands of devices are connected
        Effect.ADMIT: _admit,
        Effect.WELCOME: _welcome,
        Effect.LOOK: lambda self: self.replay.look(),
        Effect.SEND: lambda self: self.outbox.release(),
        Effect.GIVE_BACK: _give_back,
        Effect.STOP_READING: _stop_reading,
        Effect.DISMISS: _dismiss,
        Effect.FAIL: lambda self: self.outbox.fail(),
    }

    def _count(self) -> None:
        """Count a frame that acknowledges no payload that is on its way: a device may send only so many."""
        if not self._around.limits.may_talk(self.device):
            raise _Talkative

    def tell_what_ended(self) -> None:
        """Tell the device which of its channels ended because their apps were removed, if there may be any."""
        if self._around.answers.may_have_ended(self.device):
            self._tasks.start_soon(self._tell_what_ended)

    async def _tell_what_ended(self) -> None:
        for message in await self._around.answers.ended(self.device):
            await self.outbox.room()
            self.outbox.send_answer(codec.encode(message))

    def _start_to_write(self) -> None:
        if not self._writes:
            self._writes = True
            self._tasks.start_soon(self._write)

    async def _write(self) -> None:
        """Send what the outbox has, a tick's frames in one message, until there is no more."""
        try:
            while chunk := self.outbox.take_chunk():
                if not await self._transmit({"type": "websocket.send", "bytes": chunk}):
                    self._scope.cancel()
                    return
        finally:
            self._writes = False

    async def _transmit(self, event: dict[str, object]) -> bool:
        """Send; False where the connection has ended, which the server tells by either error."""
        try:
            await self._send(event)
        except (OSError, RuntimeError) as gone:
            self._log("gone", f"is gone: {type(gone).__name__}")
            return False
        return True

    def _log(self, kind: Hashable, words: str) -> None:
        """Log what became of the connection; a device that comes again and again does not fill the log."""
        text = "device connection %s %s"
        self._around.offline.recurring.log(
            logger, logging.INFO, (self.device, kind), text, self.device[:_SHOWN] or "(unnamed)", words
        )
