"""One request to a channel of WNS, checked in the order in which WNS reports what is wrong."""

from __future__ import annotations

import re
from functools import partial
from time import monotonic
from typing import Final

from attrs import field, frozen

from tocsin.protocol.delivery.payload_events import Stage
from tocsin.protocol.service import wns
from tocsin.protocol.service.refusal import Refusal, RefusalKind
from tocsin.protocol.service.wns import NotificationRequest, WnsRefusal
from tocsin.protocol.values import NotificationStatus
from tocsin.service.devices.outbox import PushResult
from tocsin.service.registry.service_store import ChannelRow
from tocsin.service.senders.judged_heads import JudgedHeads
from tocsin.service.senders.sender_exchange import ExchangeContext, SenderExchange
from tocsin.service.senders.wns_answers import Accepted, write_refusal
from tocsin.service.senders.wns_refusals import NOT_WITHDRAWN, refused, status_and_words
from tocsin.service.url_paths import CHANNEL_PATH, token_of
from tocsin.service.web.bodies import BodyFault
from tocsin.service.web.exchanges import Request

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


@frozen
class WnsContext(ExchangeContext):
    """What all requests to channels share."""

    heads: JudgedHeads = field(kw_only=True)


class WnsExchange(SenderExchange):
    """One request; made at its head, which may be answered at once."""

    __slots__ = ("_head", "_identity", "_wanted")

    def __init__(self, around: WnsContext, request: Request) -> None:
        self._head, vector = around.heads.judge(request.headers)
        id, self._identity = around.request_ids.next(vector)  # noqa: A001 - the field's name
        self._wanted: NotificationRequest | None = None  # as the notification
        super().__init__(around, request, id)
        refusal = self._judge()
        if refusal is not None:
            self._answer(refusal)

    # The head

    def _judge(self) -> WnsRefusal | None:
        """Go on as far as nothing is wrong with the request that is known at once; return what is."""
        request = self._request
        if request.method != "POST" and (refusal := wns.check_method(request.method)) is not None:
            return refusal
        throttled = self._may_come()
        if throttled is not None:
            return refused(throttled)
        access_token = self._head.bearer
        if not isinstance(access_token, str):
            return access_token
        client_id = self._around.dispatcher.identify(access_token)
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
        self._look_up(client_id, token)
        return None

    def _admit(self, channel: ChannelRow | Refusal) -> None:
        if not isinstance(channel, ChannelRow):
            self._answer(refused(channel))
            return
        self._channel = channel
        wanted = self._head.request
        if self._request.method == "DELETE":
            self._start(partial(self._withdraw, channel))
        elif not isinstance(wanted, NotificationRequest):
            self._answer(wanted)
        else:
            self._wanted = wanted
            self._want(wanted.notification)

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

    # The answer

    def _refuse_body(self, fault: BodyFault) -> None:
        self._answer(_BODY_FAULTS[fault])

    def _received(self) -> None:
        if self._wanted is not None and self._wanted.wants_status:
            self._tell(_ACKNOWLEDGED)
        else:
            self._answer(_TAKEN)

    def _tell(self, result: PushResult | Refusal) -> None:
        channel, wanted = self._channel, self._wanted
        assert channel is not None and wanted is not None  # noqa: S101, PT018  # else nothing has become of it
        if isinstance(result, Refusal):
            self._answer(refused(result))
        else:
            connected = self._around.devices.connected(channel.device) if wanted.wants_status else None
            self._answer(Accepted(*status_and_words(result, cache=wanted.notification.cache), connected))

    def _answer(self, answer: Accepted | WnsRefusal) -> None:
        """Answer and count it, once."""
        around, request = self._around, self._request
        if isinstance(answer, Accepted):
            if not self._end(200, Stage(answer.status.value), answer.description):
                return
            if answer.status is _RECEIVED:
                around.counters.accepted(monotonic() - self._began)
            else:
                around.counters.drop(answer.description)
            request.answer(200, self._identity + answer.headers)
            return
        if not self._end(answer.status, Stage.REFUSED, answer.description):
            return
        access_token = self._head.bearer
        client_id = around.dispatcher.sender_of(access_token) if isinstance(access_token, str) else ""
        self._count_refused(answer.status, answer.reason, client_id)
        # A sender that was told to wait before its body (RFC 9110 section 10.1.1) may never send it, nor one that was late the rest.
        request.keep_alive = request.keep_alive and not self._head.expects and answer.status != 408
        headers, body = write_refusal(answer)
        request.answer(answer.status, self._identity + headers, body)
