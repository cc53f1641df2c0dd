"""The connection of a browser, or of KDE's distributor: Mozilla's device protocol.

The conversation: ``hello`` from the browser, answered with its key, ``uaid``; then it may send ``register``, ``unregister``, ``ack``,
``nack`` and ``{}``, the service their answers and ``notification``. A browser that says that it has subscriptions, of which none is
known here, is answered with another key: Firefox has its sites subscribe anew then. A WebSocket message is one JSON text. KDE's
distributor, which says no ``use_webpush``, has several connections at a time: the newest gets what comes, and what is acknowledged on any
of them counts.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from attrs import frozen
from websockets.frames import CloseCode

from tocsin.protocol.browsers import browser_answers as answers
from tocsin.protocol.browsers.browser_app import channel_id_of
from tocsin.protocol.browsers.browser_messages import (
    Acked,
    BrowserHello,
    BrowserMessage,
    BrowserPing,
    BrowserRegister,
    BrowserUnregister,
    Misasked,
    PassedOver,
    read_browser_message,
)
from tocsin.protocol.errors import ProtocolViolation
from tocsin.protocol.messages import Payload
from tocsin.protocol.service.device_connection import SERVING, Event, Phase
from tocsin.protocol.text import quoted
from tocsin.protocol.toast_label import ToastMatch
from tocsin.protocol.values import NotificationType
from tocsin.protocol.webpush.codings import AESGCM
from tocsin.protocol.webpush.envelope import Envelope
from tocsin.service.devices.browser_subscriptions import NO_STORE, BrowserSubscriptions
from tocsin.service.devices.device_connection import ConnectionContext, DeviceConnection, Wait, device_of
from tocsin.service.operations.metrics import Counters
from tocsin.service.web.websocket import WebSocket

SETTLING: Final = 1.0
"""Seconds within which several hellos of a device are one return: what waits goes to the last of them, once."""

_ENDED: Final = 1_000  # subscriptions that ended lately, of which nothing more is sent

logger = logging.getLogger(__name__)


@frozen
class BrowserContext:
    """What the connections of all browsers share besides.

    ``newest`` returns the connection here that gets what comes for a device, and ``acknowledge_elsewhere`` lets payloads of a device end
    that has none here.
    """

    subscriptions: BrowserSubscriptions
    counters: Counters
    newest: Callable[[str], DeviceConnection | None]
    acknowledge_elsewhere: Callable[[str, Sequence[str]], Awaitable[None]]


class BrowserConnection(DeviceConnection):
    """The connection of a browser."""

    __slots__ = ("_browsers", "_ended", "_is_settling", "_uaid", "reads_aesgcm")

    def __init__(self, around: ConnectionContext, browsers: BrowserContext, address: str, socket: WebSocket) -> None:
        super().__init__(around, address, socket)
        self._browsers = browsers
        self._uaid = ""
        self._ended: dict[str, None] = {}  # by what the browser calls them, the oldest first
        self._is_settling = False
        self.reads_aesgcm = True
        """Whether it reads messages in the coding of the drafts before RFC 8291."""

    # What the service does with it

    def encode(self, payload: Payload, app: str) -> bytes | None:
        """Make a notification of a message; None where the browser could do nothing with it, which is counted."""
        channel_id = channel_id_of(app)
        if channel_id is None or payload.type is not NotificationType.PUSH:
            why = "no_push"
        elif channel_id in self._ended:
            why = "unregistered"
        else:
            envelope = Envelope.unpack(payload.body)
            if self.reads_aesgcm or envelope.coding != AESGCM:
                return answers.notification(channel_id, payload.id, envelope)
            why = "aesgcm"
        self._browsers.counters.browser_dropped[why] += 1
        return None

    def withdraw(self, channel: str, match: ToastMatch) -> None:
        """Do nothing: a browser is sent no toasts."""

    def tell_what_ended(self) -> None:
        """Do nothing: its subscriptions are of no app that could be removed."""

    def look(self) -> None:
        """Note that what is stored has changed; nothing goes out while another connection may come."""
        if not self._is_settling:
            super().look()
        elif self.outbox.phase in SERVING:
            self.step(Event.BEHIND)

    def give_way(self) -> None:
        """Let a newer connection get what comes, and stay: where one is closed, KDE's distributor loses both."""
        if self.outbox.phase in SERVING:
            self.step(Event.OVERTAKEN)

    def end(self, channel_id: str) -> None:
        """Send nothing more of a subscription: what is stored is looked through again, and so is what waits, once it is stored."""
        self._ended[channel_id] = None
        if len(self._ended) > _ENDED:
            del self._ended[next(iter(self._ended))]
        if self.outbox.phase in SERVING:
            self.outbox.drop_waiting(answers.notification_head(channel_id))
            self.hold_back()

    def _send_frames(self) -> bool:
        """Send some, each in a message of its own."""
        frames = self.outbox.take_frames()
        for frame in frames:
            self._socket.send_text(frame)
        return bool(frames)

    # The conversation

    def take(self, message: bytes | str) -> None:
        """Handle a message, or begin to."""
        if isinstance(message, bytes):
            self.close(CloseCode.UNSUPPORTED_DATA, "a browser's messages are texts, not binary")
        else:
            self._take_all(map(read_browser_message, (message,)))

    def _handle(self, message: BrowserMessage) -> Wait | None:
        if self.outbox.phase is Phase.GREETING:
            return self._greet(message)
        match message:
            case Acked():
                return self._acknowledge(message)
            case BrowserHello():
                raise ProtocolViolation("a browser says hello once")
        self._count()
        match message:
            case BrowserRegister():
                return partial(self._register, message)
            case BrowserUnregister():
                return partial(self._unregister, message)
            case Misasked(kind=kind, channel_id=channel_id, words=words):
                self.outbox.send_answer(answers.refusal(kind, channel_id, answers.WRONG, words))
            case BrowserPing():
                self.outbox.send_answer(answers.PONG)
            case PassedOver(kind=kind):
                text = "browsers say %s, which is passed over"
                self._around.offline.recurring.log(logger, logging.INFO, "passed over", text, quoted(kind))
        return None

    def _greet(self, message: BrowserMessage) -> Wait | None:
        """Take the first message; return what to wait for before it is known which device this is."""
        if not isinstance(message, BrowserHello):
            raise ProtocolViolation("a browser begins with hello")
        self._around.unheard.forget(self)
        self._is_settling = not message.uses_web_push
        self.reads_aesgcm = message.uses_web_push
        # While it has another connection it may be about to subscribe on that.
        if message.uaid and message.has_subscriptions and self._browsers.newest(device_of(message.uaid)) is None:
            return partial(self._recognise, message.uaid)
        self._let_in(message.uaid)
        return None

    async def _recognise(self, uaid: str) -> None:
        """Let a browser in that has subscriptions: under another key where none of them is known here."""
        are_known = await self._browsers.subscriptions.are_known(device_of(uaid))
        if are_known is None:
            self.close(CloseCode.TRY_AGAIN_LATER, NO_STORE)
        elif self.outbox.phase is Phase.GREETING:
            if not are_known:
                text = "browsers come with subscriptions of which none is known here, and are asked to subscribe anew"
                self._around.offline.recurring.log(logger, logging.WARNING, "unknown", text)
            self._let_in(uaid if are_known else None)

    def _let_in(self, uaid: str | None) -> None:
        """Know which device this is; one that has no key is given one."""
        self._uaid = uaid or secrets.token_urlsafe(32)
        self._greeted(self._uaid)

    def _welcome(self) -> None:
        self.outbox.send_answer(answers.hello_answer(self._uaid, uses_web_push=self.reads_aesgcm))
        self.start_soon(partial(self._browsers.subscriptions.prolong, self.device))
        if self._is_settling:
            asyncio.get_running_loop().call_later(SETTLING, self._settle)

    def _settle(self) -> None:
        self._is_settling = False
        self.look()

    def _acknowledge(self, message: Acked) -> Wait | None:
        """Let messages end, on whichever connection they were sent."""
        self._browsers.counters.browser_acks.update(code for _, code in message.updates)
        ids = tuple(version for version, _ in message.updates)
        newest = self._browsers.newest(self.device)
        if newest is not None:
            return self._acknowledged(ids, newest.outbox)
        self._count()
        return partial(self._browsers.acknowledge_elsewhere, self.device, ids)

    async def _register(self, asked: BrowserRegister) -> None:
        await self.outbox.room()
        subscriptions = self._browsers.subscriptions
        is_granted, answer = await subscriptions.register(self.device, self._address, self._uaid, asked)
        if is_granted:
            self._is_known = True
            self._ended.pop(asked.channel_id, None)
        self.outbox.send_answer(answer)

    async def _unregister(self, asked: BrowserUnregister) -> None:
        await self.outbox.room()
        newest = self._browsers.newest(self.device)
        if isinstance(newest, BrowserConnection):
            newest.end(asked.channel_id)
        self.outbox.send_answer(await self._browsers.subscriptions.unregister(self.device, asked))
