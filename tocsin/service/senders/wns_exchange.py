"""One request to a channel, from its head to its answer, checked in the order in which WNS reports what is wrong.

It is the hot path, hence directly on the connection, without ASGI. Nothing here waits but for what has to be looked up or stored,
and for a DELETE: then there is a task. A refusal leaves the rest of the body to the connection, which reads past it.
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from functools import partial
from time import monotonic, time
from typing import Any, Final, cast

from attrs import field, frozen

from tocsin.followers import Followers
from tocsin.protocol.delivery.payload_events import PayloadEvent, Stage
from tocsin.protocol.messages import Payload
from tocsin.protocol.service import wns
from tocsin.protocol.service.notification import Notification
from tocsin.protocol.service.refusal import Refusal, RefusalKind
from tocsin.protocol.service.tally import Asked
from tocsin.protocol.service.wns import NotificationRequest, WnsRefusal
from tocsin.protocol.values import MAX_PAYLOAD, NotificationStatus
from tocsin.service.devices.devices import Devices
from tocsin.service.devices.outbox import PushResult
from tocsin.service.operations.limits import Limits
from tocsin.service.operations.logs import message_id, trace
from tocsin.service.operations.metrics import Counters
from tocsin.service.registry.service_store import ChannelRow
from tocsin.service.senders.channel_lookups import ChannelLookup, ChannelLookups
from tocsin.service.senders.dispatch import Dispatcher, outcome
from tocsin.service.senders.judged_heads import JudgedHeads
from tocsin.service.senders.request_ids import RequestIds
from tocsin.service.senders.wns_answers import Accepted, write_refusal
from tocsin.service.senders.wns_refusals import NOT_WITHDRAWN, refused, status_and_words
from tocsin.service.url_paths import CHANNEL_PATH, token_of
from tocsin.service.web.bodies import AwaitedBody, Bodies, BodyFault
from tocsin.service.web.exchanges import Request, answer_failure

_NOT_HERE: Final = WnsRefusal(404, "Nothing is here: channel URIs look like /w/?token=...", reason="not_here")
_BODY_FAULTS: Final = {
    BodyFault.LATE: WnsRefusal(408, "The body did not arrive in time", reason="body_late"),
    BodyFault.STOPPING: WnsRefusal(503, "The service is stopping", reason="stopping"),
}

_AS_WRITTEN: Final = re.compile(rb"%b\?token=([\w-]+)" % CHANNEL_PATH.encode()).fullmatch  # by us
_PATHS: Final = frozenset({CHANNEL_PATH, CHANNEL_PATH.rstrip("/"), "/"})

# Members that every post meets: up to Python 3.11 looking one up in its class costs as much as a table step.
_ACKNOWLEDGED: Final = PushResult.ACKNOWLEDGED
_RECEIVED: Final = NotificationStatus.RECEIVED
_TAKEN: Final = Accepted(_RECEIVED, "", None)

logger = logging.getLogger(__name__)


@frozen
class WnsContext:
    """What all requests to channels share."""

    dispatcher: Dispatcher
    devices: Devices
    bodies: Bodies
    limits: Limits
    counters: Counters
    followers: Followers
    heads: JudgedHeads
    lookups: ChannelLookups
    request_ids: RequestIds = field(factory=RequestIds)


class WnsExchange:
    """One request; made at its head, which may be answered at once."""

    __slots__ = (
        "_around", "_awaited", "_began", "_body", "_channel", "_head", "_id", "_identity", "_is_answered", "_is_whole",
        "_payload", "_request", "_wanted"
    )  # fmt: skip

    def __init__(self, around: WnsContext, request: Request) -> None:
        self._around = around
        self._request = request
        self._head, vector = around.heads.judge(request.headers)
        self._id, self._identity = around.request_ids.next(vector)
        self._began = monotonic()
        self._channel: ChannelRow | None = None  # until it is found, and may be used
        self._wanted: NotificationRequest | None = None  # once nothing speaks against a post but its body
        self._payload: Payload | None = None  # once it is on its way
        self._body = b""
        self._is_whole = False
        self._is_answered = False
        self._awaited: AwaitedBody | None = None
        refusal = self._judge()
        if refusal is not None:
            self._answer(refusal)

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
        if self._wanted is not None:
            self._push(self._wanted)

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
            self._answer(_BODY_FAULTS[fault])

    # The head

    def _judge(self) -> WnsRefusal | None:  # noqa: PLR0911  # one for each rule
        """Return what is wrong with the request, as far as that is known at once."""
        around, request = self._around, self._request
        if request.method != "POST" and (refusal := wns.check_method(request.method)) is not None:
            return refusal
        if around.limits.limited:
            throttled = around.limits.address({"client": request.sender.client, "headers": request.headers})
            if throttled is not None:
                return refused(throttled)
        access_token = self._head.bearer
        if not isinstance(access_token, str):
            return access_token
        client_id = around.dispatcher.identify(access_token)
        if not isinstance(client_id, str):
            return refused(client_id)
        written = _AS_WRITTEN(request.target)
        if written is not None:
            token: str | None = written[1].decode()
        else:
            path, _, query = request.location()
            if path not in _PATHS:
                return _NOT_HERE
            token = token_of(query)
        channel = around.dispatcher.admit_known(client_id, token)
        if channel is None:
            lookup = ChannelLookup(client_id, token or "", self._found, self._fail)
            around.lookups.add(lookup, request.sender.start)
            return None
        return self._admit(channel)

    def _found(self, channel: ChannelRow | Refusal) -> None:
        try:
            refusal = None if self._is_answered else self._admit(channel)  # it may have been given up
            if refusal is not None:
                self._answer(refusal)
        except Exception:  # noqa: BLE001  # one request's fault, which is logged: others were looked up with it
            self._fail()

    def _admit(self, channel: ChannelRow | Refusal) -> WnsRefusal | None:
        """Go on with the channel, once it is found."""
        if not isinstance(channel, ChannelRow):
            return refused(channel)
        self._channel = channel
        if self._request.method == "DELETE":
            self._start(partial(self._withdraw, channel))
            return None
        wanted = self._head.request
        if not isinstance(wanted, NotificationRequest):
            return wanted
        if self._around.bodies.stopping:
            return _BODY_FAULTS[BodyFault.STOPPING]
        if self._request.expects:
            self._request.welcome_body()
        self._wanted = wanted
        if self._is_whole:
            self._push(wanted)
        return None

    async def _withdraw(self, channel: ChannelRow) -> None:
        """Delete toasts; the body says nothing."""
        match = wns.read_match(wns.collect(self._request.headers))
        if isinstance(match, WnsRefusal):
            self._answer(match)
            return
        refusal = await self._around.dispatcher.withdraw(channel, match)
        if refusal is None:
            self._answer(_TAKEN)
        else:
            self._answer(NOT_WITHDRAWN if refusal.kind is RefusalKind.STORE_UNWRITABLE else refused(refusal))

    # The way to the device

    def _push(self, wanted: NotificationRequest) -> None:
        around, channel, notification = self._around, self._channel, wanted.notification
        assert channel is not None  # noqa: S101  # what is wanted is wanted of a channel
        self._payload = payload = around.dispatcher.payload(self._id, channel, notification, self._body)
        if not around.devices.push_now(channel, payload, notification, self._settle):
            self._start(partial(self._deliver, payload))

    async def _deliver(self, payload: Payload) -> None:
        around, channel, wanted = self._around, cast(ChannelRow, self._channel), cast(NotificationRequest, self._wanted)
        result = await around.devices.push(channel, payload, wanted.notification)
        self._tell(outcome(result))

    def _settle(self, result: PushResult) -> None:
        """Answer what the device has acknowledged; see to what it has not."""
        if result is _ACKNOWLEDGED:
            self._around.counters.acknowledged += 1
            if self._wanted is not None and self._wanted.wants_status:
                self._tell(result)
            else:
                self._answer(_TAKEN)
            return
        channel, payload = cast(ChannelRow, self._channel), cast(Payload, self._payload)
        notification = cast(NotificationRequest, self._wanted).notification
        final = self._around.devices.verdict(channel, payload, notification, result)
        if final is not None:
            self._tell(outcome(final))
        else:
            self._start(partial(self._conclude, channel, payload, notification, result))

    async def _conclude(
        self, channel: ChannelRow, payload: Payload, notification: Notification, result: PushResult
    ) -> None:
        self._tell(await self._around.dispatcher.conclude(channel, payload, notification, result))

    def _tell(self, result: PushResult | Refusal) -> None:
        """Say what has become of the notification."""
        channel, wanted = self._channel, self._wanted
        assert channel is not None and wanted is not None  # noqa: S101, PT018  # else nothing has become of it
        if isinstance(result, Refusal):
            self._answer(refused(result))
        else:
            connected = self._around.devices.connected(channel.device) if wanted.wants_status else None
            self._answer(Accepted(*status_and_words(result, cache=wanted.notification.cache), connected))

    # The answer

    def _answer(self, answer: Accepted | WnsRefusal) -> None:
        """Answer, count it, and tell those who follow, once; nothing was waited for that is answered already."""
        if self._is_answered:
            return
        self._is_answered = True
        around, request = self._around, self._request
        if around.followers.all:
            self._tell_followers(answer)
        if logger.isEnabledFor(logging.DEBUG):
            copy_context().run(self._log, answer)
        if isinstance(answer, Accepted):
            if answer.status is _RECEIVED:
                around.counters.accepted(monotonic() - self._began)
            else:
                around.counters.drop(answer.description)
            request.answer(200, self._identity + answer.headers)
            return
        self._count(answer)
        # A sender that was told to wait before its body (RFC 9110 section 10.1.1) may never send it, nor one that was late the rest.
        request.keep_alive = request.keep_alive and not self._head.expects and answer.status != 408
        headers, body = write_refusal(answer)
        request.answer(answer.status, self._identity + headers, body)

    def _count(self, refusal: WnsRefusal) -> None:
        around, request, access_token = self._around, self._request, self._head.bearer
        around.counters.refused[refusal.status] += 1
        client_id = around.dispatcher.sender_of(access_token) if isinstance(access_token, str) else ""
        address = around.limits.address_of({"client": request.sender.client, "headers": request.headers})
        around.counters.tally.refuse(Asked.NOTIFICATION, refusal.reason, client_id, address)

    def _tell_followers(self, answer: Accepted | WnsRefusal) -> None:
        stage, detail = (
            (Stage.REFUSED, f"HTTP {answer.status}")
            if isinstance(answer, WnsRefusal)
            else (Stage(answer.status.value), "")
        )
        channel, wanted = self._channel, self._wanted
        self._around.followers.tell(
            PayloadEvent(
                time(),
                stage,
                id=self._id,
                app=channel.app if channel else "",
                channel=channel.name if channel else "",
                type=str(wanted.notification.type) if wanted else "",
                size=len(self._body) if wanted else 0,
                reason=answer.description,
                detail=detail,
            )
        )

    def _log(self, answer: Accepted | WnsRefusal) -> None:
        self._mark()
        logger.debug("answered with %s %s", answer.status, answer.description)

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
