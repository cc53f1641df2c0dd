"""The connection of one of our own devices, a platform.

The conversation: ``Hello`` from the device, ``Welcome`` from the service; then the device may send ``RequestChannel``,
``RevokeChannels``, ``Acknowledge``, ``Suspended``, ``PowerState`` and ``UnwantedChanged``, the service their answers and
``Payload``. Anything else closes the connection. A binary WebSocket message carries one or more frames.
"""

from __future__ import annotations

from functools import partial

from websockets.frames import CloseCode

from tocsin.protocol.errors import ProtocolViolation
from tocsin.protocol.messages import (
    Acknowledge,
    ChannelGranted,
    Message,
    Payload,
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
from tocsin.protocol.service.device_connection import SERVING, Event, Phase
from tocsin.protocol.toast_label import ToastMatch
from tocsin.protocol.values import PROTOCOL_VERSION
from tocsin.service.devices.device_connection import ConnectionContext, DeviceConnection, Wait
from tocsin.service.devices.device_words import read_hello, read_power, read_unwanted
from tocsin.service.web.websocket import WebSocket

_GREETING = Phase.GREETING  # up to Python 3.11 looking it up in its class costs as much as looking at it


class PlatformConnection(DeviceConnection):
    """The connection of one of our own devices."""

    __slots__ = ("_version",)

    def __init__(self, around: ConnectionContext, address: str, socket: WebSocket) -> None:
        super().__init__(around, address, socket)
        self._version = PROTOCOL_VERSION

    # What the service does with it

    def encode(self, payload: Payload, app: str) -> bytes:
        """Make a frame of a payload, as the device's version has it."""
        del app
        return codec.encode(payload) if self._version >= LABELS_SINCE else without_label(payload)

    def withdraw(self, channel: str, match: ToastMatch) -> None:
        """Tell the device that toasts of a channel were deleted, if its version has such a word."""
        if self._version >= LABELS_SINCE and self.outbox.phase in SERVING:
            self.outbox.send_behind_stored(codec.encode(WithdrawToasts(channel, match.tag, match.group)))

    def tell_what_ended(self) -> None:
        """Tell the device which of its channels ended because their apps were removed, if there may be any."""
        if self._around.answers.may_have_ended(self.device):
            self.start_soon(self._tell_what_ended)

    def _send_frames(self) -> bool:
        """Send a turn's frames in one message."""
        chunk = self.outbox.take_chunk()
        if chunk:
            self._socket.send(chunk)
        return bool(chunk)

    # The conversation

    def take(self, message: bytes | str) -> None:
        """Handle a message of frames, or begin to."""
        if isinstance(message, str):
            self.close(CloseCode.PROTOCOL_ERROR, "messages are binary, not text")
        elif not message and self.outbox.phase is _GREETING:
            self.close(CloseCode.PROTOCOL_ERROR, "a device begins with Hello, not with an empty message")
        else:
            self._take_all(codec.messages(message))

    def _handle(self, message: Message) -> Wait | None:
        if self.outbox.phase is _GREETING:
            self._greet(message)
            return None
        match message:
            case Acknowledge():
                return self._acknowledged(message.ids, self.outbox)
            case Suspended(suspended=suspended):
                self._count()
                self.step(Event.SUSPENDED if suspended else Event.RESUMED)
            case PowerState():
                self._count()
                self.power = read_power(message)
                self.look()
            case UnwantedChanged():
                self._count()
                return partial(self._around.unwanted.note, self.device, read_unwanted(message))
            case RequestChannel() | RevokeChannels():
                self._count()
                return partial(self._answer, message)
            case _:
                raise ProtocolViolation(f"a device does not send {type(message).__name__} here")
        return None

    def _greet(self, message: Message) -> None:
        """Take the first message, and learn which device this is."""
        hello = read_hello(message)
        self._version = hello.version
        self._greeted(hello.device_key)

    def _welcome(self) -> None:
        around = self._around
        welcome = Welcome(self._version, around.settings.device_window, around.offline.now())
        self.outbox.send_answer(codec.encode(welcome))
        self.tell_what_ended()

    async def _answer(self, question: RequestChannel | RevokeChannels) -> None:
        await self.outbox.room()
        answer = await self._around.answers.answer(self.device, self._address, question)
        self._is_known = self._is_known or isinstance(answer, ChannelGranted)
        self.outbox.send_answer(codec.encode(answer))

    async def _tell_what_ended(self) -> None:
        for message in await self._around.answers.ended(self.device):
            await self.outbox.room()
            self.outbox.send_answer(codec.encode(message))
