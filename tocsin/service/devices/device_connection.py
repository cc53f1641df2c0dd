"""One device's connection: a WebSocket, over which channels are granted and payloads go out.

The conversation: ``Hello`` from the device, ``Welcome`` from the service; then the device may send ``RequestChannel``,
``RevokeChannels``, ``Acknowledge``, ``Suspended``, ``PowerState`` and ``UnwantedChanged``, the service their answers and
``Payload``. Anything else closes the connection. A binary WebSocket message carries one or more frames. What is legal when is the table of
``tocsin.protocol.service.device_connection``.

No task belongs to a connection: its socket calls it with what comes. What has to wait does so in a task of its own, for which reading is
paused, so that what comes is dealt with in its order.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Hashable, Iterator
from functools import partial
from typing import ClassVar

from attrs import frozen
from websockets.frames import CloseCode

from tocsin.protocol.errors import ProtocolViolation
from tocsin.protocol.kernel.machine import step
from tocsin.protocol.messages import (
    Acknowledge,
    ChannelGranted,
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
from tocsin.protocol.platform.power import PLUGGED_IN, Passage, passage
from tocsin.protocol.service.device_connection import ENDING, SERVING, TABLE, Effect, Event, Phase
from tocsin.protocol.toast_label import ToastMatch
from tocsin.protocol.values import PROTOCOL_VERSION
from tocsin.service.devices.channel_answers import ChannelAnswers
from tocsin.service.devices.device_words import Unwelcome, read_hello, read_power, read_unwanted
from tocsin.service.devices.offline_queues import OfflineQueues
from tocsin.service.devices.outbox import Outbox
from tocsin.service.devices.replay import Replay
from tocsin.service.devices.turn import WritingTurn
from tocsin.service.devices.unwanted_pushes import UnwantedPushes
from tocsin.service.operations.limits import Limits
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.web.heart import Rounds
from tocsin.service.web.side_tasks import SideTasks
from tocsin.service.web.websocket import WebSocket

_AT_ONCE = 256  # frames of a message that are handled before other connections have a turn
_SHOWN = 8  # characters of a device's identity that the log shows
_GREETING = Phase.GREETING  # up to Python 3.11 looking it up in its class costs as much as looking at it

logger = logging.getLogger(__name__)

Wait = Callable[[], Awaitable[None]]
"""What has to be waited for before the next frame is handled."""


@frozen
class ConnectionContext:
    """What the connections of all devices share.

    ``unheard`` are those that have yet to say hello. ``admit`` is told of a connection whose device has said hello, ``dismiss`` of
    one of these that ends, and ``forget`` of any of which nothing runs any more.
    """

    answers: ChannelAnswers
    offline: OfflineQueues
    unwanted: UnwantedPushes
    settings: ServiceSettings
    limits: Limits
    turn: WritingTurn
    unheard: Rounds[DeviceConnection]
    admit: Callable[[DeviceConnection], None]
    dismiss: Callable[[DeviceConnection], None]
    forget: Callable[[DeviceConnection], None]


class DeviceConnection(SideTasks):
    """One device's connection; ``device`` is its identity once it has said hello, or empty.

    :param address: where the device is, as the limits count.
    """

    __slots__ = (
        "_address", "_around", "_has_joined", "_is_known", "_replay", "_socket", "_version", "device", "outbox", "power"
    )  # fmt: skip

    def __init__(self, around: ConnectionContext, address: str, socket: WebSocket) -> None:
        super().__init__(socket.tasks)
        settings = around.settings
        self.device = ""
        self.outbox = Outbox(settings.device_window, settings.device_backlog, settings.acknowledge_timeout)
        self.power = PLUGGED_IN
        """What the device has said of its power state."""
        self._around = around
        self._address = address
        self._socket = socket
        self._replay: Replay | None = None  # while it runs
        self._has_joined = False  # the turn in which it writes
        self._is_known = False  # whether it was given a channel, or has acknowledged what was pushed to it
        self._version = PROTOCOL_VERSION
        around.unheard.watch(self)

    # What the service does with it

    def holds_back(self, app: str, priority: int) -> bool:
        """Tell whether the device's power state holds back what comes for that app with that priority."""
        return self.power is not PLUGGED_IN and passage(self.power, app, priority) is not Passage.DELIVER

    def withdraw(self, channel: str, match: ToastMatch) -> None:
        """Tell the device that toasts of a channel were deleted, if it knows such a word."""
        if self._version >= LABELS_SINCE and self.outbox.phase in SERVING:
            self.outbox.send_behind_stored(codec.encode(WithdrawToasts(channel, match.tag, match.group)))

    def tell_what_ended(self) -> None:
        """Tell the device which of its channels ended because their apps were removed, if there may be any."""
        if self._around.answers.may_have_ended(self.device):
            self.start_soon(self._tell_what_ended)

    def look(self) -> None:
        """Note that what is stored for the device has changed, or its state has."""
        if self.outbox.phase not in SERVING:
            return
        if not self._around.offline.is_read(self.device):  # it is told to look again when it is
            self.step(Event.BEHIND)
        elif self._replay is not None or self._around.offline.has(self.device):
            if self._replay is None:
                self._replay = Replay(self, self._around.offline)
                self.start_soon(partial(self._send_stored, self._replay))
            self._replay.look()
        else:
            self.step(Event.CAUGHT_UP)

    def hold_back(self) -> None:
        """Let nothing go out until what is stored is read anew; what was queued of it goes back."""
        self._around.offline.take_back(self.device, self.outbox.take_back())
        self.look()

    async def _send_stored(self, replay: Replay) -> None:
        try:
            await replay.run()
        finally:
            self._replay = None
            self.step(Event.CAUGHT_UP if self._around.offline.is_read(self.device) else Event.BEHIND)

    def close(self, code: int, reason: str) -> None:
        """End the connection with this close code and reason, unless it is ending already."""
        if self.outbox.phase not in ENDING:
            self._log(code, f"closed with {code}: {reason}")
            self.step(Event.LEFT)
            self._socket.close(code, reason)
            self._look_if_over()

    def write(self) -> None:
        """Send what the outbox has, a turn's frames in one message, for as long as the device reads."""
        self._has_joined = False
        try:
            while self._socket.is_writable and (chunk := self.outbox.take_chunk()):
                self._socket.send(chunk)
        except Exception as failure:  # noqa: BLE001  # one connection's fault, which is logged
            self._socket.fail(failure)

    # What the socket says

    def take(self, message: bytes | str) -> None:
        """Handle a message, or begin to."""
        if isinstance(message, str):
            self.close(CloseCode.PROTOCOL_ERROR, "messages are binary, not text")
            return
        if not message and self.outbox.phase is _GREETING:
            self.close(CloseCode.PROTOCOL_ERROR, "a device begins with Hello, not with an empty message")
            return
        messages = codec.messages(message)
        wait = self._handle_all(messages)
        if wait is not None:
            self._socket.pause()
            self.start_soon(partial(self._work, wait, messages))

    def flowing(self) -> None:
        """Go on to write."""
        self._join()
        self._look_if_over()

    def ended(self, code: int) -> None:
        """End with the socket."""
        del code
        if self.outbox.phase not in ENDING:
            self.step(Event.LEFT)
        self._look_if_over()

    # What its tasks say

    def tasks_ended(self) -> None:
        """Look whether this was all."""
        self._look_if_over()

    def task_failed(self, failure: BaseException) -> None:
        """Let the connection end with it."""
        self._socket.fail(failure)

    # The conversation

    def _handle_all(self, messages: Iterator[Message]) -> Wait | None:
        """Handle messages until one has to wait, or others have their turn; return what to wait for before the next."""
        try:
            for number, message in enumerate(messages, 1):
                wait = self._handle(message)
                if wait is not None:
                    return wait
                if number == _AT_ONCE:  # a message may have many thousands
                    return partial(asyncio.sleep, 0)
        except ProtocolViolation as violation:
            self.close(CloseCode.PROTOCOL_ERROR, str(violation))
        except Unwelcome as unwelcome:
            self.close(unwelcome.code, str(unwelcome))
        return None

    async def _work(self, wait: Wait | None, messages: Iterator[Message]) -> None:
        """Wait and go on with what came behind it, as often as it takes; then read again."""
        while wait is not None:
            await wait()
            wait = None if self.outbox.phase in ENDING else self._handle_all(messages)
        self._socket.resume()

    def _handle(self, message: Message) -> Wait | None:
        if self.outbox.phase is _GREETING:
            self._greet(message)
            return None
        match message:
            case Acknowledge():
                ids = message.ids
                others = self.outbox.acknowledge(ids)
                if len(others) == len(ids):
                    self._count()
                else:
                    self._is_known = True
                if others and self._around.offline.has(self.device):
                    return partial(self._around.offline.acknowledge, self.device, others)
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
        self._around.unheard.forget(self)
        self._version = hello.version
        if hello.version < LABELS_SINCE:
            self.outbox.encode = without_label
        self.device = hashlib.sha256(hello.device_key.encode()).hexdigest()
        self.step(Event.GREETED)

    def miss_hello(self) -> bool:
        """End the connection, since it was silent for too long; tell that it is waited for no more."""
        self.close(CloseCode.PROTOCOL_ERROR, f"no Hello within {self._around.settings.hello_timeout:g} s")
        return False

    async def _answer(self, question: RequestChannel | RevokeChannels) -> None:
        await self.outbox.room()
        answer = await self._around.answers.answer(self.device, self._address, question)
        self._is_known = self._is_known or isinstance(answer, ChannelGranted)
        self.outbox.send_answer(codec.encode(answer))

    async def _tell_what_ended(self) -> None:
        for message in await self._around.answers.ended(self.device):
            await self.outbox.room()
            self.outbox.send_answer(codec.encode(message))

    def _count(self) -> None:
        """Count a frame that acknowledges no payload that is on its way: a device may send only so many."""
        if not self._around.limits.may_talk(self.device):
            raise Unwelcome(CloseCode.POLICY_VIOLATION, "too many messages that bring nothing new")

    # The table

    def step(self, event: Event) -> None:
        """Go by the table."""
        self.outbox.phase, effects = step(TABLE, self.outbox.phase, event)
        for effect in effects:
            self._PERFORM[effect](self)

    def _welcome(self) -> None:
        self.outbox.on_filled = self._join
        self.outbox.send_answer(
            codec.encode(Welcome(self._version, self._around.settings.device_window, self._around.offline.now()))
        )
        self.tell_what_ended()

    def _give_back(self) -> None:
        self.outbox.give_up()
        self._around.offline.take_back(self.device, self.outbox.take_back())

    def _stop(self) -> None:
        self._around.unheard.forget(self)
        self.cancel_tasks()

    # One for all: thousands of devices are connected.
    _PERFORM: ClassVar[dict[Effect, Callable[[DeviceConnection], None]]] = {
        Effect.ADMIT: lambda self: self._around.admit(self),
        Effect.WELCOME: _welcome,
        Effect.LOOK: lambda self: self.look(),
        Effect.SEND: lambda self: self.outbox.release(),
        Effect.GIVE_BACK: _give_back,
        Effect.STOP: _stop,
        Effect.DISMISS: lambda self: self._around.dismiss(self),
        Effect.FAIL: lambda self: self.outbox.fail(),
        Effect.FORGET: lambda self: self._around.forget(self),
    }

    def _look_if_over(self) -> None:
        """Note the end once no task runs, and the close frame does not wait for the device to read."""
        if self.outbox.phase is Phase.CLOSING and not self.has_tasks and self._socket.is_writable:
            self.step(Event.ENDED)

    def _join(self) -> None:
        """Write in this turn, if the device reads."""
        if not self._has_joined and self._socket.is_writable:
            self._has_joined = True
            self._around.turn.join(self)

    def _log(self, kind: Hashable, words: str) -> None:
        """Log what became of the connection; neither a device that comes again and again nor a stranger of many names fills the log."""
        recurring, text = self._around.offline.recurring, "device connection %s %s"
        thing = (self.device if self._is_known else bool(self.device), kind)
        recurring.log(logger, logging.INFO, thing, text, self.device[:_SHOWN] or "(unnamed)", words)
