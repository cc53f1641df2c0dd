"""The channel route, where senders post their notifications: the hot path, hence ASGI without a framework.

A refusal leaves the rest of the request's body to the HTTP
server, which reads past it: the connection stays in step.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from starlette.types import Receive, Scope, Send

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages import Payload
from tocsin.protocol.service import wns
from tocsin.protocol.service.notification import Notification
from tocsin.protocol.service.wns import NotificationRequest, WnsRefusal
from tocsin.protocol.values import MAX_PAYLOAD, OFFLINE_NO_CACHE, NotificationStatus
from tocsin.service.devices.devices import Devices
from tocsin.service.devices.outbox import PushResult
from tocsin.service.operations.limits import Limits
from tocsin.service.operations.logs import message_id, trace
from tocsin.service.operations.metrics import Counters
from tocsin.service.registry.access_tokens import AccessTokens, TokenFault
from tocsin.service.registry.channels import ChannelFault, Channels
from tocsin.service.registry.service_store import ChannelRow
from tocsin.service.senders.judged_heads import JudgedHead, judge
from tocsin.service.senders.request_ids import RequestId, RequestIds
from tocsin.service.senders.wns_answers import Accepted, received, send_accepted, send_refusal
from tocsin.service.url_paths import CHANNEL_PATH, token_of
from tocsin.service.web.bodies import Bodies, BodyFault
from tocsin.service.web.express import Post

_TOKEN_FAULTS: Final = {
    TokenFault.FORGED: WnsRefusal(401, "The access token was not issued by this service"),
    TokenFault.EXPIRED: WnsRefusal(401, "The access token has expired: get a new one"),
    TokenFault.UNKNOWN_APP: WnsRefusal(401, "The access token is of an app that is no longer registered"),
}
_CHANNEL_FAULTS: Final = {
    ChannelFault.UNKNOWN: WnsRefusal(404, "The channel URI is not known to this service"),
    ChannelFault.EXPIRED: WnsRefusal(410, "Expired channel URL"),
    ChannelFault.REVOKED: WnsRefusal(410, wns.REVOKED),
}
_NOT_HERE: Final = WnsRefusal(404, "Nothing is here: channel URIs look like /w/?token=...")
_OTHER_APP: Final = WnsRefusal(403, "The access token is of another app than the channel")
_NOT_WITHDRAWN: Final = WnsRefusal(503, "The service cannot write its store just now: send the DELETE again")
_NO_STORE: Final = WnsRefusal(503, "The service cannot read its store just now: send the request again")
_BODY_FAULTS: Final = {
    BodyFault.TOO_LONG: WnsRefusal(413, f"The payload has more than {MAX_PAYLOAD} bytes", NotificationStatus.DROPPED),
    BodyFault.TORN: WnsRefusal(400, "The body is not as long as Content-Length says", NotificationStatus.DROPPED),
    BodyFault.LATE: WnsRefusal(408, "The body did not arrive in time"),
    BodyFault.STOPPING: WnsRefusal(503, "The service is stopping"),
}
_YET: Final = ": it may yet come, and once more if it is sent again"
_UNDELIVERED: Final = {
    PushResult.TIMED_OUT: WnsRefusal(
        503, f"The device is connected, but did not acknowledge the notification in time{_YET}"
    ),
    PushResult.SUSPENDED: WnsRefusal(503, f"The device is connected, but cannot store notifications just now{_YET}"),
    PushResult.NOT_STORED: WnsRefusal(
        503, "The notification is for the service's store, which cannot be written just now"
    ),
    PushResult.BUSY: WnsRefusal(503, "Too many notifications wait for the device: send more slowly"),
}
_DROPPED: Final = {
    PushResult.OFFLINE: OFFLINE_NO_CACHE,
    PushResult.LOST: "The connection to the device was lost before it acknowledged the notification",
    PushResult.NO_ROOM: "The device cannot be sent it now, and the service keeps no more notifications for later",
    PushResult.HELD_BACK: "The device saves power, and X-WNS-TTL does not let the notification wait",
}
_OFFLINE_NO_TTL: Final = "Device is offline and X-WNS-TTL is 0"

_PATHS: Final = frozenset({CHANNEL_PATH, CHANNEL_PATH.rstrip("/"), "/"})

# A member that every post meets: up to Python 3.11 looking it up in its class costs as much as a table step.
_ACKNOWLEDGED: Final = PushResult.ACKNOWLEDGED

logger = logging.getLogger(__name__)


class _PushOrder(NamedTuple):
    """What a request wants, and who gets it."""

    request: RequestId
    channel: ChannelRow
    wanted: NotificationRequest
    payload: Payload


class Notifications:
    """The route, as an ASGI application for HTTP and as what the express lane offers posts to."""

    def __init__(  # noqa: PLR0913, PLR0917  # the service's parts
        self,
        channels: Channels,
        tokens: AccessTokens,
        devices: Devices,
        bodies: Bodies,
        now: Callable[[], float],
        limits: Limits,
        counters: Counters,
    ) -> None:
        self._recurring = devices.offline.recurring
        self._limits = limits
        self._counters = counters
        self._clock = asyncio.get_running_loop().time
        self._channels = channels
        self._tokens = tokens
        self._devices = devices
        self._bodies = bodies
        self._now = now
        self._request_ids = RequestIds(self._clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = wns.collect(scope["headers"])
        request = self._request_ids.next(headers.get("ms-cv"))
        message_id.set(request.id)
        trace.set(request.trace)
        answer = await self._answer(request.id, scope, headers, receive)
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
        channel = self._channels.known(post.token)
        if channel is None or self._tokens.verify(head.bearer) != channel.client_id:
            return False
        if self._bodies.stopping or logger.isEnabledFor(logging.DEBUG):  # what is logged needs a task of its own
            return False
        wanted = head.request
        way = self._devices.way_to(channel, wanted.notification.priority)
        if way is None or (
            self._limits.limited and not self._limits.admit(post.scope, channel.client_id, channel.name)
        ):
            return False
        request = self._request_ids.next(head.vector)
        payload = self._payload(request.id, channel, wanted.notification, post.body)

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
            final = await self._devices.conclude(order.channel, order.payload, order.wanted.notification, result)
            answer = self._outcome(final, order.channel, order.wanted)
            await self._send(send, order.request, answer, waited_for=False)
        finally:
            done()

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

    async def _answer(self, id: str, scope: Scope, headers: dict[str, str], receive: Receive) -> Accepted | WnsRefusal:  # noqa: A002 - the field's name
        """Check the request in the order in which WNS reports what is wrong, then push it."""
        refusal = wns.check_method(scope["method"]) or self._limits.address(scope)
        if refusal is not None:
            return refusal
        channel = await self._channel(scope, headers)
        if isinstance(channel, WnsRefusal):
            return channel
        if scope["method"] == "DELETE":
            return await self._withdraw(channel, headers)
        wanted = wns.read_notification(headers)
        if isinstance(wanted, WnsRefusal):
            return wanted
        body = await self._bodies.read(receive, MAX_PAYLOAD, wanted.length)
        if isinstance(body, BodyFault):
            return _BODY_FAULTS[body]
        return await self._push(id, channel, wanted, body)

    async def _channel(self, scope: Scope, headers: dict[str, str]) -> ChannelRow | WnsRefusal:
        """Find the channel, and see that the sender may use it, and use it now."""
        client_id = self._authorize(headers)
        if isinstance(client_id, WnsRefusal):
            return client_id
        throttled = self._limits.app(client_id)
        if throttled is not None:
            return throttled
        channel = await self._find(scope)
        if isinstance(channel, WnsRefusal):
            return channel
        if channel.client_id != client_id:
            return _OTHER_APP
        return self._limits.channel(channel.name) or channel

    def _authorize(self, headers: dict[str, str]) -> str | WnsRefusal:
        token = wns.bearer_token(headers)
        if isinstance(token, WnsRefusal):
            return token
        client_id = self._tokens.verify(token)
        return _TOKEN_FAULTS[client_id] if isinstance(client_id, TokenFault) else client_id

    async def _find(self, scope: Scope) -> ChannelRow | WnsRefusal:
        if scope["path"] not in _PATHS:
            return _NOT_HERE
        token = token_of(scope["query_string"])
        if token is None:
            return _CHANNEL_FAULTS[ChannelFault.UNKNOWN]
        try:
            channel = await self._channels.find(token)
        except StateUnavailable as failure:
            self._recurring.log(logger, logging.WARNING, "find", "a channel could not be looked up: %s", failure)
            return _NO_STORE
        return _CHANNEL_FAULTS[channel] if isinstance(channel, ChannelFault) else channel

    async def _push(
        self,
        id: str,  # noqa: A002 - the field's name
        channel: ChannelRow,
        wanted: NotificationRequest,
        body: bytes,
    ) -> Accepted | WnsRefusal:
        payload = self._payload(id, channel, wanted.notification, body)
        result = await self._devices.push(channel, payload, wanted.notification)
        return self._outcome(result, channel, wanted)

    def _payload(self, id: str, channel: ChannelRow, notification: Notification, body: bytes) -> Payload:  # noqa: A002 - the field's name
        # A TTL of 0 means "now or never": it forbids storing, and must not expire on the way to the device.
        if not notification.ttl:
            return Payload(id, channel.name, notification.type, body, None, notification.priority)
        now = self._now()
        return Payload(id, channel.name, notification.type, body, now + notification.ttl, notification.priority, now)

    def _outcome(self, result: PushResult, channel: ChannelRow, wanted: NotificationRequest) -> Accepted | WnsRefusal:
        """Say what has become of a notification."""
        if result is PushResult.ACKNOWLEDGED or result is PushResult.STORED:
            return self._accepted(NotificationStatus.RECEIVED, "", channel, wanted)
        if result in _DROPPED:
            no_ttl = result is PushResult.OFFLINE and wanted.notification.cache
            words = _OFFLINE_NO_TTL if no_ttl else _DROPPED[result]
            return self._accepted(NotificationStatus.DROPPED, words, channel, wanted)
        return _UNDELIVERED[result]

    def _accepted(
        self, status: NotificationStatus, words: str, channel: ChannelRow, wanted: NotificationRequest
    ) -> Accepted:
        connected = self._devices.connected(channel.device) if wanted.wants_status else None
        return Accepted(status, words, connected)

    async def _withdraw(self, channel: ChannelRow, headers: dict[str, str]) -> Accepted | WnsRefusal:
        """Delete stored toasts; what the device has, it keeps."""
        match = wns.read_match(headers)
        if isinstance(match, WnsRefusal):
            return match
        try:
            await self._devices.offline.withdraw(channel, match)
        except StateUnavailable as failure:
            self._recurring.log(logger, logging.WARNING, "withdraw", "toasts could not be deleted: %s", failure)
            return _NOT_WITHDRAWN
        return Accepted(NotificationStatus.RECEIVED, "", None)
