"""One request to a push resource, or to a message of one (RFC 8030): a POST sends, a DELETE takes back what still waits."""

from __future__ import annotations

import re
from functools import partial
from time import monotonic
from typing import Final, NamedTuple

from attrs import field, frozen

from tocsin.protocol.delivery.payload_events import Stage
from tocsin.protocol.service.refusal import Refusal
from tocsin.protocol.service.web_push import READ, PushRequest, WebPushRefusal, read_push
from tocsin.protocol.webpush.codings import AESGCM
from tocsin.protocol.webpush.vapid import VapidRefusal, VapidToken, read_vapid
from tocsin.service.devices.outbox import PushResult
from tocsin.service.registry.service_store import ChannelRow
from tocsin.service.senders.judged_heads import KnownHeads
from tocsin.service.senders.sender_exchange import ExchangeContext, SenderExchange
from tocsin.service.senders.vapid_tokens import VapidTokens
from tocsin.service.senders.web_push_answers import DROPPED, NO_ROOM, UNTOLD, refused, write_accepted, write_refusal
from tocsin.service.url_paths import PUSH_PATH
from tocsin.service.web.bodies import BodyFault
from tocsin.service.web.exchanges import Request
from tocsin.service.web.headers import RawHeaders

_TARGET: Final = re.compile(rb"%b([\w-]+)(?:/([0-9A-F]{1,32}))?" % PUSH_PATH.encode()).fullmatch
_READ: Final = frozenset(name.encode() for name in READ)

_NOT_HERE: Final = WebPushRefusal(404, f"Nothing is here: push resources look like {PUSH_PATH}...", reason="not_here")
_NOT_WAITING: Final = WebPushRefusal(
    404, "No such message waits: it has reached the device, was replaced, or has expired", reason="not_waiting"
)
_NOT_READ: Final = WebPushRefusal(
    415, "This device reads no aesgcm: send the body in aes128gcm (RFC 8291)", reason="aesgcm_not_read"
)
_BODY_FAULTS: Final = {
    BodyFault.LATE: WebPushRefusal(408, "The body did not arrive in time", reason="body_late"),
    BodyFault.STOPPING: WebPushRefusal(503, "The service is stopping", 1, reason="stopping"),
}


class PushHead(NamedTuple):
    """What stands in the headers of a message; what is wrong may be a refusal."""

    request: PushRequest | WebPushRefusal
    vapid: VapidToken | VapidRefusal | None
    expects: bool
    """Whether there is a header ``Expect``."""


@frozen
class WebPushContext(ExchangeContext):
    """What all requests to push resources share."""

    url: str = field(kw_only=True)
    """What their URLs begin with, without a slash at its end."""
    tokens: VapidTokens = field(kw_only=True)
    heads: KnownHeads[PushHead] = field(factory=KnownHeads, kw_only=True)


class WebPushExchange(SenderExchange):
    """One request; made at its head, which may be answered at once."""

    __slots__ = ("_context", "_head", "_is_known", "_message", "_said", "_token")

    def __init__(self, around: WebPushContext, request: Request) -> None:
        id, _ = around.request_ids.next(None)  # noqa: A001 - the field's name
        super().__init__(around, request, id)
        self._context = around
        self._said = tuple([header for header in request.headers if header[0] in _READ])
        known = around.heads.get(self._said)
        self._is_known = known is not None
        self._head = known or _read(self._said)
        self._token = self._message = ""
        self._judge()

    # The head

    def _judge(self) -> None:
        """Go on as far as nothing is wrong with the request that is known at once."""
        request = self._request
        throttled = self._may_come()
        if throttled is not None:
            self._refuse(refused(throttled))
            return
        # Mostly as it was written by us; else it may be written otherwise, such as with a query.
        found = _TARGET(request.target) or _TARGET(request.location()[0].encode())
        if found is None:
            self._refuse(_NOT_HERE)
            return
        self._token, self._message = found[1].decode(), (found[2] or b"").decode()
        if request.method != self._allowed:
            words = f"The method must be {self._allowed} here, not {ascii(request.method)[:32]}"
            self._refuse(WebPushRefusal(405, words, reason="wrong_method"))
        else:
            self._look_up(None, self._token)

    @property
    def _allowed(self) -> str:
        return "DELETE" if self._message else "POST"

    def _admit(self, channel: ChannelRow | Refusal) -> None:
        if not isinstance(channel, ChannelRow):
            self._refuse(refused(channel))
            return
        self._channel = channel
        if self._message:
            self._start(partial(self._withdraw, channel))
            return
        wanted = self._head.request
        refusal = self._context.tokens.refusal(channel.client_id, self._head.vapid)
        if refusal is not None:
            self._refuse(refusal)
        elif not isinstance(wanted, PushRequest):
            self._refuse(wanted)
        elif wanted.coding == AESGCM and not self._around.devices.reads_aesgcm(channel.device):
            self._refuse(_NOT_READ)
        else:
            if not self._is_known:
                self._context.heads.keep(self._said, self._head)
            self._want(wanted.notification)

    async def _withdraw(self, channel: ChannelRow) -> None:
        """Delete a message that waits; the URL, which only its sender knows, is all that it takes."""
        found = await self._around.dispatcher.withdraw_message(channel, self._message)
        if isinstance(found, Refusal):
            self._refuse(refused(found))
        elif not found:
            self._refuse(_NOT_WAITING)
        elif self._end(204, Stage.RECEIVED, ""):
            self._request.answer(204, b"")

    # The way to the device

    def _packed(self) -> bytes | None:
        wanted = self._head.request
        assert isinstance(wanted, PushRequest)  # noqa: S101  # else nothing is pushed
        packed = wanted.envelope(self._body)
        if isinstance(packed, WebPushRefusal):
            self._refuse(packed)
            return None
        return packed

    # The answer

    def _refuse_body(self, fault: BodyFault) -> None:
        self._refuse(_BODY_FAULTS[fault])

    def _received(self) -> None:
        self._accept("")

    def _tell(self, result: PushResult | Refusal) -> None:
        if isinstance(result, Refusal):
            never = self._notification is not None and not self._notification.ttl
            if never and result.kind in UNTOLD:
                self._accept(UNTOLD[result.kind])
            else:
                self._refuse(refused(result))
        elif result is PushResult.NO_ROOM:
            self._refuse(NO_ROOM)
        else:
            self._accept(DROPPED.get(result, ""))

    def _accept(self, dropped: str) -> None:
        """Answer 201, whatever became of a message that its sender wanted no other attempt for."""
        if not self._end(201, Stage.DROPPED if dropped else Stage.RECEIVED, dropped):
            return
        counters, notification = self._around.counters, self._notification
        assert notification is not None  # noqa: S101  # it was pushed
        if dropped:
            counters.drop(dropped)
        else:
            counters.accepted(monotonic() - self._began)
        location = f"{self._context.url}{PUSH_PATH}{self._token}/{self._id}"
        headers, body = write_accepted(location, notification.ttl or 0, dropped)
        self._request.answer(201, headers, body)

    def _refuse(self, refusal: WebPushRefusal) -> None:
        if not self._end(refusal.status, Stage.REFUSED, refusal.description):
            return
        self._count_refused(refusal.status, refusal.reason, "")
        request = self._request
        # A sender that was told to wait before its body (RFC 9110 section 10.1.1) may never send it, nor one that was late the rest.
        request.keep_alive = request.keep_alive and not self._head.expects and refusal.status != 408
        headers, body = write_refusal(refusal, self._allowed if refusal.status == 405 else "")
        request.answer(refusal.status, headers, body)


def _read(said: RawHeaders | tuple[tuple[bytes, bytes], ...]) -> PushHead:
    """Read the headers; one that came twice is joined with a comma (RFC 9110 section 5.3), which those that may come once do not have."""
    headers: dict[str, str] = {}
    for raw, value in said:
        name, text = raw.decode(), value.decode("latin-1")
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    authorization = headers.get("authorization")
    vapid = None if authorization is None else read_vapid(authorization, headers.get("crypto-key"))
    return PushHead(read_push(headers), vapid, "expect" in headers)
