"""The channel route, where senders post their notifications: the hot path, hence ASGI without a framework.

A refusal leaves the rest of the request's body to the HTTP
server, which reads past it: the connection stays in step.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from time import time
from typing import Final, NamedTuple

from attrs import asdict, define, evolve
from starlette.types import Receive, Scope, Send

from tocsin.followers import Followers
from tocsin.protocol.delivery.payload_events import PayloadEvent, Stage
from tocsin.protocol.messages import Payload
from tocsin.protocol.service import wns
from tocsin.protocol.service.refusal import Refusal, RefusalKind
from tocsin.protocol.service.wns import NotificationRequest, WnsRefusal
from tocsin.protocol.values import MAX_PAYLOAD, NotificationStatus
from tocsin.service.devices.devices import Devices
from tocsin.service.devices.outbox import PushResult
from tocsin.service.operations.limits import Limits
from tocsin.service.operations.logs import message_id, trace
from tocsin.service.operations.metrics import Counters
from tocsin.service.registry.service_store import ChannelRow
from tocsin.service.senders.dispatch import Dispatcher
from tocsin.service.senders.judged_heads import JudgedHead, judge
from tocsin.service.senders.request_ids import RequestId, RequestIds
from tocsin.service.senders.wns_answers import Accepted, received, send_accepted, send_refusal
from tocsin.service.senders.wns_refusals import NOT_WITHDRAWN, refused, status_and_words
from tocsin.service.url_paths import CHANNEL_PATH, token_of
from tocsin.service.web.bodies import Bodies, BodyFault
from tocsin.service.web.express import Post

_NOT_HERE: Final = WnsRefusal(404, "Nothing is here: channel URIs look like /w/?token=...")
_BODY_FAULTS: Final = {
    BodyFault.TOO_LONG: refused(Refusal(RefusalKind.TOO_LARGE)),
    BodyFault.TORN: WnsRefusal(400, "The body is not as long as Content-Length says", NotificationStatus.DROPPED),
    BodyFault.LATE: WnsRefusal(408, "The body did not arrive in time"),
    BodyFault.STOPPING: WnsRefusal(503, "The service is stopping"),
}

_PATHS: Final = frozenset({CHANNEL_PATH, CHANNEL_PATH.rstrip("/"), "/"})

# A member that every post meets: up to Python 3.11 looking it up in its class costs as much as a table step.
_ACKNOWLEDGED: Final = PushResult.ACKNOWLEDGED

logger = logging.getLogger(__name__)


@define
class _Read:
    """What a request was found to be, as far as it was read."""

    app: str = ""
    channel: str = ""
    type: str = ""
    size: int = 0


class _PushOrder(NamedTuple):
    """What a request wants, and who gets it."""

    request: RequestId
    channel: ChannelRow
    wanted: NotificationRequest
    payload: Payload


class WnsRoute:
    """The route, as an ASGI application for HTTP and as what the express lane offers posts to."""

    def __init__(  # noqa: PLR0913, PLR0917  # the service's parts
        self,
        dispatcher: Dispatcher,
        devices: Devices,
        bodies: Bodies,
        limits: Limits,
        counters: Counters,
        followers: Followers,
    ) -> None:
        self._dispatcher = dispatcher
        self._limits = limits
        self._counters = counters
        self._followers = followers
        self._clock = asyncio.get_running_loop().time
        self._devices = devices
        self._bodies = bodies
        self._request_ids = RequestIds(self._clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = wns.collect(scope["headers"])
        request = self._request_ids.next(headers.get("ms-cv"))
        message_id.set(request.id)
        trace.set(request.trace)
        read = _Read()
        answer = await self._answer(request.id, scope, headers, receive, read)
        self._tell_followers(request, answer, read)
        await self._send(send, request, answer, waited_for="expect" in headers)

    def answer_express(self, post: Post, done: Callable[[], None]) -> bool:
        """Push what came in a post that nothing speaks against, and call ``done`` when it is answered.

        :return: whether it was taken; where not, nothing was done: the whole way finds out why.
        """
        head = post.head if isinstance(post.head, JudgedHead) else judge(post.headers)
        if head is None:
            return False
        post.head = head
        if len(post.body) != head.length:
            return False
        channel = self._dispatcher.recall(head.bearer, post.token)
        if channel is None:
            return False
        if self._bodies.stopping or self._followers or logger.isEnabledFor(logging.DEBUG):  # what is told needs a task
            return False
        wanted = head.request
        way = self._devices.way_to(channel, wanted.notification.type, wanted.notification.priority)
        if way is None or (
            self._limits.limited and not self._limits.admit(post.scope, channel.client_id, channel.name)
        ):
            return False
        request = self._request_ids.next(head.vector)
        payload = self._dispatcher.payload(request.id, channel, wanted.notification, post.body)

        def settled(result: PushResult) -> None:
            if result is _ACKNOWLEDGED:
                self._counters.acknowledged += 1
                self._counters.accepted(self._clock() - request.began)
                connected = self._devices.connected(channel.device) if wanted.wants_status else None
                post.answer(received(request.id, request.trace, request.vector, connected=connected))
                done()
            else:
                order = _PushOrder(request, channel, wanted, payload)
                post.hand_over(partial(self._conclude, order, result, done))

        self._devices.push_now(way, payload, settled)
        return True

    async def _conclude(  # the last three are those of an ASGI application
        self, order: _PushOrder, result: PushResult, done: Callable[[], None], _: Scope, __: Receive, send: Send
    ) -> None:
        """Answer a post of the express lane that its device has not acknowledged."""
        message_id.set(order.request.id)
        trace.set(order.request.trace)
        try:
            final = await self._dispatcher.conclude(order.channel, order.payload, order.wanted.notification, result)
            answer = self._outcome(final, order.channel, order.wanted)
            row, notification = order.channel, order.wanted.notification
            read = _Read(row.app, row.name, str(notification.type), len(order.payload.body))
            self._tell_followers(order.request, answer, read)
            await self._send(send, order.request, answer, waited_for=False)
        finally:
            done()

    def _tell_followers(self, request: RequestId, answer: Accepted | WnsRefusal, read: _Read) -> None:
        """Tell those who follow what was answered to a sender; they hear of the express lane's posts by taking it away."""
        if self._followers:
            stage, detail = (
                (Stage.REFUSED, f"HTTP {answer.status}")
                if isinstance(answer, WnsRefusal)
                else (Stage(answer.status.value), "")
            )
            told = PayloadEvent(time(), stage, id=request.id, reason=answer.description, detail=detail)
            self._followers.tell(evolve(told, **asdict(read)))

    async def _send(self, send: Send, request: RequestId, answer: Accepted | WnsRefusal, *, waited_for: bool) -> None:
        self._count(answer, request.began)
        if isinstance(answer, Accepted):
            await send_accepted(send, answer, request.common)
        else:
            await send_refusal(send, answer, request.common, waited_for=waited_for)

    def _count(self, answer: Accepted | WnsRefusal, began: float) -> None:
        """Count an answer, and log it where everything is logged."""
        if isinstance(answer, WnsRefusal):
            self._counters.refused[answer.status] += 1
        elif answer.status is NotificationStatus.RECEIVED:
            self._counters.accepted(self._clock() - began)
        else:
            self._counters.drop(answer.description)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("answered with %s %s", answer.status, answer.description)

    async def _answer(
        self,
        id: str,  # noqa: A002 - the field's name
        scope: Scope,
        headers: dict[str, str],
        receive: Receive,
        read: _Read,
    ) -> Accepted | WnsRefusal:
        """Check the request in the order in which WNS reports what is wrong, then push it."""
        refusal = wns.check_method(scope["method"])
        if refusal is not None:
            return refusal
        channel = await self._channel(scope, headers)
        if isinstance(channel, WnsRefusal):
            return channel
        read.app, read.channel = channel.app, channel.name
        if scope["method"] == "DELETE":
            return await self._withdraw(channel, headers)
        wanted = wns.read_notification(headers)
        if isinstance(wanted, WnsRefusal):
            return wanted
        read.type = str(wanted.notification.type)
        body = await self._bodies.read(receive, MAX_PAYLOAD, wanted.length)
        if isinstance(body, BodyFault):
            return _BODY_FAULTS[body]
        read.size = len(body)
        result = await self._dispatcher.deliver(id, channel, wanted.notification, body)
        return self._outcome(result, channel, wanted)

    async def _channel(self, scope: Scope, headers: dict[str, str]) -> ChannelRow | WnsRefusal:
        """Find the channel, and see that the sender may use it, and use it now."""
        throttled = self._limits.address(scope)
        if throttled is not None:
            return refused(throttled)
        access_token = wns.bearer_token(headers)
        if isinstance(access_token, WnsRefusal):
            return access_token
        client_id = self._dispatcher.identify(access_token)
        if isinstance(client_id, Refusal):
            return refused(client_id)
        if scope["path"] not in _PATHS:
            return _NOT_HERE
        channel = await self._dispatcher.admit(client_id, token_of(scope["query_string"]))
        return refused(channel) if isinstance(channel, Refusal) else channel

    def _outcome(
        self, result: PushResult | Refusal, channel: ChannelRow, wanted: NotificationRequest
    ) -> Accepted | WnsRefusal:
        """Say what has become of a notification."""
        if isinstance(result, Refusal):
            return refused(result)
        connected = self._devices.connected(channel.device) if wanted.wants_status else None
        return Accepted(*status_and_words(result, cache=wanted.notification.cache), connected)

    async def _withdraw(self, channel: ChannelRow, headers: dict[str, str]) -> Accepted | WnsRefusal:
        """Delete toasts."""
        match = wns.read_match(headers)
        if isinstance(match, WnsRefusal):
            return match
        if await self._dispatcher.withdraw(channel, match) is not None:
            return NOT_WITHDRAWN
        return Accepted(NotificationStatus.RECEIVED, "", None)
