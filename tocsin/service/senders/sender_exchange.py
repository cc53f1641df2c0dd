"""One request of a sender, from its head to its answer, as every way in has it: WNS and Web Push say what is right, and in which words.

It is the hot path, hence directly on the connection, without ASGI. Nothing here waits but for what has to be looked up or stored, and for
a DELETE: then there is a task. A refusal leaves the rest of the body to the connection, which reads past it.
"""

from __future__ import annotations

import logging
import traceback
from abc import abstractmethod
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from functools import partial
from time import monotonic, time
from typing import Any, Final, cast

from attrs import field, frozen

from tocsin.followers import Followers
from tocsin.protocol.delivery.payload_events import PayloadEvent, Stage
from tocsin.protocol.messages import Payload
from tocsin.protocol.service.notification import Notification
from tocsin.protocol.service.refusal import Refusal
from tocsin.protocol.service.tally import Asked
from tocsin.protocol.values import MAX_PAYLOAD
from tocsin.service.devices.devices import Devices
from tocsin.service.devices.outbox import PushResult
from tocsin.service.operations.limits import Limits
from tocsin.service.operations.logs import message_id, trace
from tocsin.service.operations.metrics import Counters
from tocsin.service.registry.service_store import ChannelRow
from tocsin.service.senders.channel_lookups import ChannelLookup, ChannelLookups
from tocsin.service.senders.dispatch import Dispatcher, outcome
from tocsin.service.senders.request_ids import RequestIds
from tocsin.service.web.bodies import AwaitedBody, Bodies, BodyFault
from tocsin.service.web.exchanges import Request, answer_failure

# A member that every post meets: up to Python 3.11 looking one up in its class costs as much as a table step.
_ACKNOWLEDGED: Final = PushResult.ACKNOWLEDGED

logger = logging.getLogger(__name__)


@frozen
class ExchangeContext:
    """What the requests of all senders share."""

    dispatcher: Dispatcher
    devices: Devices
    bodies: Bodies
    limits: Limits
    counters: Counters
    followers: Followers
    lookups: ChannelLookups
    request_ids: RequestIds = field(factory=RequestIds)


class SenderExchange:
    """One request; a subclass, of one way in, reads its head when it is made, and may answer at once."""

    __slots__ = (
        "_around", "_awaited", "_began", "_body", "_channel", "_id", "_is_answered", "_is_whole", "_notification",
        "_payload", "_request"
    )  # fmt: skip

    def __init__(self, around: ExchangeContext, request: Request, id: str) -> None:  # noqa: A002 - the field's name
        self._around = around
        self._request = request
        self._id = id
        self._began = monotonic()
        self._channel: ChannelRow | None = None  # until it is found, and may be used
        self._notification: Notification | None = None  # once nothing speaks against a post but its body
        self._payload: Payload | None = None  # once it is on its way
        self._body = b""
        self._is_whole = False
        self._is_answered = False
        self._awaited: AwaitedBody | None = None

    # What a way in says

    @abstractmethod
    def _admit(self, channel: ChannelRow | Refusal) -> None:
        """Go on with the channel that was looked up, unless it was refused; :meth:`_want` is where a post goes on."""

    @abstractmethod
    def _received(self) -> None:
        """Answer that the device has committed the notification."""

    @abstractmethod
    def _tell(self, result: PushResult | Refusal) -> None:
        """Answer with what has become of the notification."""

    @abstractmethod
    def _refuse_body(self, fault: BodyFault) -> None:
        """Answer that the body did not come, or that no more are taken."""

    def _packed(self) -> bytes | None:
        """Return what goes to the device of the body; None where that was refused."""
        return self._body

    # From the connection

    def take(self, part: bytes) -> None:
        """Take a part of the body, which has no more bytes than its head has said; of one that is too long the rest is not kept."""
        if not self._body:
            self._body = part
        elif len(self._body) <= MAX_PAYLOAD:
            self._body += part

    def complete(self) -> None:
        """Note that the body is there."""
        self._is_whole = True
        if self._awaited is not None:
            self._awaited.arrived()
            self._awaited = None
        if self._notification is not None:
            self._push(self._notification)

    def await_body(self) -> None:
        """Wait for the body, for so long."""
        if self._awaited is None and not self._is_answered:
            self._awaited = self._around.bodies.wait(self._give_up)

    def flowing(self) -> None:
        """Do nothing: an answer is short."""

    def dismiss(self) -> None:
        """Do nothing more for a sender that left before it had sent all; what was sent goes on its way."""
        if not self._is_whole:
            self._give_up(BodyFault.LATE)

    def _give_up(self, fault: BodyFault) -> None:
        if not self._is_answered:
            self._refuse_body(fault)

    # The way to the device

    def _look_up(self, client_id: str | None, token: str | None) -> None:
        """Go on with the channel of a token, at once where it is known."""
        channel = self._around.dispatcher.admit_known(client_id, token)
        if channel is not None:
            self._admit(channel)
        else:
            lookup = ChannelLookup(client_id, token or "", self._found, self._fail)
            self._around.lookups.add(lookup, self._request.sender.start)

    def _found(self, channel: ChannelRow | Refusal) -> None:
        if self._is_answered:  # it was given up
            return
        try:
            self._admit(channel)
        except Exception:  # noqa: BLE001  # one request's fault, which is logged: others were looked up with it
            self._fail()

    def _want(self, notification: Notification) -> None:
        """Push a notification once its body is there."""
        if self._around.bodies.stopping:
            self._refuse_body(BodyFault.STOPPING)
            return
        if self._request.expects:
            self._request.welcome_body()
        self._notification = notification
        if self._is_whole:
            self._push(notification)

    def _push(self, notification: Notification) -> None:
        around, channel = self._around, self._channel
        assert channel is not None  # noqa: S101  # what is wanted is wanted of a channel
        packed = self._packed()
        if packed is None:
            return
        self._payload = payload = around.dispatcher.payload(self._id, channel, notification, packed)
        if not around.devices.push_now(channel, payload, notification, self._settle):
            self._start(partial(self._deliver, channel, payload, notification))

    async def _deliver(self, channel: ChannelRow, payload: Payload, notification: Notification) -> None:
        self._tell(outcome(await self._around.devices.push(channel, payload, notification)))

    def _settle(self, result: PushResult) -> None:
        """Answer what the device has acknowledged; see to what it has not."""
        if result is _ACKNOWLEDGED:
            self._around.counters.acknowledged += 1
            self._received()
            return
        channel, payload = cast(ChannelRow, self._channel), cast(Payload, self._payload)
        notification = cast(Notification, self._notification)
        final = self._around.devices.verdict(channel, payload, notification, result)
        if final is not None:
            self._tell(outcome(final))
        else:
            self._start(partial(self._conclude, channel, payload, notification, result))

    async def _conclude(
        self, channel: ChannelRow, payload: Payload, notification: Notification, result: PushResult
    ) -> None:
        self._tell(await self._around.dispatcher.conclude(channel, payload, notification, result))

    # The answer

    def _end(self, status: int, stage: Stage, description: str) -> bool:
        """Note that it is answered, and tell those who follow, once; False where it was before. Nothing was waited for then."""
        if self._is_answered:
            return False
        self._is_answered = True
        if self._around.followers.all:
            self._tell_followers(status, stage, description)
        if logger.isEnabledFor(logging.DEBUG):
            copy_context().run(self._log, status, description)
        return True

    def _count_refused(self, status: int, reason: str, client_id: str) -> None:
        around, request = self._around, self._request
        around.counters.refused[status] += 1
        address = around.limits.address_of({"client": request.sender.client, "headers": request.headers})
        around.counters.tally.refuse(Asked.NOTIFICATION, reason, client_id, address)

    def _may_come(self) -> Refusal | None:
        """Count the request for the address that it is from; refuse it where that has sent too many."""
        around, request = self._around, self._request
        if not around.limits.limited:
            return None
        return around.limits.address({"client": request.sender.client, "headers": request.headers})

    def _tell_followers(self, status: int, stage: Stage, description: str) -> None:
        channel, notification = self._channel, self._notification
        self._around.followers.tell(
            PayloadEvent(
                time(),
                stage,
                id=self._id,
                app=channel.app if channel else "",
                channel=channel.name if channel else "",
                type=str(notification.type) if notification else "",
                size=len(self._body) if notification else 0,
                reason=description,
                detail=f"HTTP {status}" if stage is Stage.REFUSED else "",
            )
        )

    def _log(self, status: int, description: str) -> None:
        self._mark()
        logger.debug("answered with %s %s", status, description)

    # Tasks

    def _start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._request.sender.start(self._run(work))

    async def _run(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do what has to wait; a fault of ours is answered for, and logged."""
        self._mark()
        try:
            await work()
        except Exception:  # noqa: BLE001  # one request's fault, which is logged
            self._fail()

    def _fail(self) -> None:
        """Answer for a fault of ours, which is being handled, and log it."""
        found = traceback.format_exc()
        recurring = self._request.sender.shared.recurring
        recurring.log(logger, logging.ERROR, found, "answering a request failed: %s", found)
        self._is_answered = True
        answer_failure(self._request)

    def _mark(self) -> None:
        """Let what is logged from here bear the id and the trace."""
        message_id.set(self._id)
        trace.set(self._around.request_ids.trace_of(self._id))
