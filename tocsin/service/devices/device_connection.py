"""One device's connection, whatever it speaks: a WebSocket, over which channels are granted and payloads go out.

What is legal when is the table of ``tocsin.protocol.service.device_connection``; what is said is for the dialect, which is a subclass:
``tocsin.service.devices.platform_connection`` is that of our own devices, ``tocsin.service.devices.browser_connection`` that of browsers.

No task belongs to a connection: its socket calls it with what comes. What has to wait does so in a task of its own, for which reading is
paused, so that what comes is dealt with in its order.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Hashable, Iterator
from functools import partial
from typing import Any, ClassVar

from attrs import frozen
from websockets.frames import CloseCode

from tocsin.protocol.errors import ProtocolViolation
from tocsin.protocol.kernel.machine import step
from tocsin.protocol.messages import Payload
from tocsin.protocol.network.causes import REPLACED
from tocsin.protocol.platform.power import PLUGGED_IN, Passage, passage
from tocsin.protocol.service.device_connection import ENDING, SERVING, TABLE, Effect, Event, Phase
from tocsin.protocol.toast_label import ToastMatch
from tocsin.service.devices.channel_answers import ChannelAnswers
from tocsin.service.devices.device_words import Unwelcome
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

_AT_ONCE = 256  # messages of a device that are handled before other connections have a turn
_SHOWN = 8  # characters of a device's identity that the log shows

logger = logging.getLogger(__name__)

Wait = Callable[[], Awaitable[None]]
"""What has to be waited for before the next message is handled."""


def device_of(key: str) -> str:
    """Return the identity of the device that has this key."""
    return hashlib.sha256(key.encode()).hexdigest()


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

    __slots__ = ("_address", "_around", "_has_joined", "_is_known", "_replay", "_socket", "device", "outbox", "power")

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
        around.unheard.watch(self)

    # What the dialect says

    @abstractmethod
    def encode(self, payload: Payload, app: str) -> bytes | None:
        """Make a frame of a payload of that app, as the device knows it; None where it is of no use to the device, and ends."""

    @abstractmethod
    def withdraw(self, channel: str, match: ToastMatch) -> None:
        """Tell the device that toasts of a channel were deleted, if it knows such a word."""

    @abstractmethod
    def tell_what_ended(self) -> None:
        """Tell the device which of its channels ended because their apps were removed, if there may be any."""

    @abstractmethod
    def take(self, message: bytes | str) -> None:
        """Handle a message of the socket, or begin to."""

    @abstractmethod
    def _handle(self, message: Any) -> Wait | None:
        """Handle one message of the dialect; return what to wait for before the next.

        :raises ProtocolViolation: a device does not say that.
        :raises Unwelcome: the device is sent away.
        """

    @abstractmethod
    def _welcome(self) -> None:
        """Answer the device's hello."""

    @abstractmethod
    def _send_frames(self) -> bool:
        """Send some of what the outbox has; tell whether there was anything."""

    # What the service does with it

    def holds_back(self, app: str, priority: int) -> bool:
        """Tell whether the device's power state holds back what comes for that app with that priority."""
        return self.power is not PLUGGED_IN and passage(self.power, app, priority) is not Passage.DELIVER

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

    def give_way(self) -> None:
        """End, or stay beside it where the dialect has several: the device has a newer connection."""
        self.close(REPLACED, "replaced by a newer connection")

    def close(self, code: int, reason: str) -> None:
        """End the connection with this close code and reason, unless it is ending already."""
        if self.outbox.phase not in ENDING:
            self._log(code, f"closed with {code}: {reason}")
            self.step(Event.LEFT)
            self._socket.close(code, reason)
            self._look_if_over()

    def write(self) -> None:
        """Send what the outbox has, for as long as the device reads."""
        self._has_joined = False
        try:
            while self._socket.is_writable and self._send_frames():
                pass
        except Exception as failure:  # noqa: BLE001  # one connection's fault, which is logged
            self._socket.fail(failure)

    # What the socket says

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

    def _take_all(self, messages: Iterator[Any]) -> None:
        """Handle messages in their order; nothing is read while one has to wait."""
        wait = self._handle_all(messages)
        if wait is not None:
            self._socket.pause()
            self.start_soon(partial(self._work, wait, messages))

    def _handle_all(self, messages: Iterator[Any]) -> Wait | None:
        """Handle messages until one has to wait, or others have their turn; return what to wait for before the next."""
        try:
            for number, message in enumerate(messages, 1):
                wait = self._handle(message)
                if wait is not None:
                    return wait
                if number == _AT_ONCE:  # there may be many thousands
                    return partial(asyncio.sleep, 0)
        except ProtocolViolation as violation:
            self.close(CloseCode.PROTOCOL_ERROR, str(violation))
        except Unwelcome as unwelcome:
            self.close(unwelcome.code, str(unwelcome))
        return None

    async def _work(self, wait: Wait | None, messages: Iterator[Any]) -> None:
        """Wait and go on with what came behind it, as often as it takes; then read again."""
        while wait is not None:
            await wait()
            wait = None if self.outbox.phase in ENDING else self._handle_all(messages)
        self._socket.resume()

    def _greeted(self, key: str) -> None:
        """Know which device this is, by its key."""
        self._around.unheard.forget(self)
        self.device = device_of(key)
        self.step(Event.GREETED)

    def miss_hello(self) -> bool:
        """End the connection, since it was silent for too long; tell that it is waited for no more."""
        self.close(CloseCode.PROTOCOL_ERROR, f"no Hello within {self._around.settings.hello_timeout:g} s")
        return False

    def _count(self) -> None:
        """Count a message that acknowledges no payload that is on its way: a device may send only so many."""
        if not self._around.limits.may_talk(self.device):
            raise Unwelcome(CloseCode.POLICY_VIOLATION, "too many messages that bring nothing new")

    def _acknowledged(self, ids: tuple[str, ...], outbox: Outbox) -> Wait | None:
        """Let payloads end that were sent from that outbox, or are stored; return what to wait for."""
        others = outbox.acknowledge(ids)
        if len(others) == len(ids):
            self._count()
        else:
            self._is_known = True
        if others and self._around.offline.has(self.device):
            return partial(self._around.offline.acknowledge, self.device, others)
        return None

    # The table

    def step(self, event: Event) -> None:
        """Go by the table."""
        self.outbox.phase, effects = step(TABLE, self.outbox.phase, event)
        for effect in effects:
            self._PERFORM[effect](self)

    def _begin(self) -> None:
        self.outbox.on_filled = self._join
        self._welcome()

    def _give_back(self) -> None:
        self.outbox.give_up()
        self._around.offline.take_back(self.device, self.outbox.take_back())

    def _pass_on(self) -> None:
        self.outbox.pass_on()
        if self._replay is not None:
            self._replay.look()

    def _stop(self) -> None:
        self._around.unheard.forget(self)
        self.cancel_tasks()

    # One for all: thousands of devices are connected.
    _PERFORM: ClassVar[dict[Effect, Callable[[DeviceConnection], None]]] = {
        Effect.ADMIT: lambda self: self._around.admit(self),
        Effect.WELCOME: _begin,
        Effect.LOOK: lambda self: self.look(),
        Effect.SEND: lambda self: self.outbox.release(),
        Effect.GIVE_BACK: _give_back,
        Effect.PASS_ON: _pass_on,
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
