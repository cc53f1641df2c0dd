"""The client of Web Push: sends messages to browsers, and to all that take them as browsers do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Final
from urllib.parse import SplitResult, urljoin

from attrs import define, field, frozen

from tocsin.client.posted_message import PostedMessage, build_message
from tocsin.client.sending_client import Sending, SendingClient
from tocsin.client.vapid_key_file import read_key
from tocsin.protocol.errors import ChannelGone
from tocsin.protocol.send_result import SendResult
from tocsin.protocol.sending.attempts import SendPolicy
from tocsin.protocol.sending.destinations import PUSH_HOSTS, check_endpoint, read_hosts
from tocsin.protocol.sending.push_answer import MAY_PASS_LATER, TAKEN, read_push_answer
from tocsin.protocol.webpush.codings import AES128GCM
from tocsin.protocol.webpush.message_headers import DAY
from tocsin.protocol.webpush.subscription import HasPushKeys, PushSubscription
from tocsin.protocol.webpush.vapid import check_subject, claims
from tocsin.webpush.vapid_keys import VapidKey

LIFETIME: Final = 12 * 3600
"""Seconds that a VAPID token is good for, half of what push services take."""

_RENEWED: Final = 11 * 3600  # seconds after which another is signed: clocks differ, and attempts take a while
_PORTS: Final = {"http": ":80", "https": ":443"}
_TOKENS: Final = 256  # origins whose tokens are kept


@frozen
class WebPushResult:
    """What a push service has answered to a message that it took on; a field that it did not send is None.

    ``location`` is the URL of the message, by which :meth:`WebPushClient.withdraw` takes it back; keep it as you keep a password. ``ttl``
    are the seconds that it is kept at most, which may be fewer than were asked for. ``description`` is what the service has to say, such
    as that the message reaches no app, and why; whether it was shown, no sender can know.
    """

    http_status: int
    location: str | None = field(repr=False)
    ttl: int | None
    description: str | None
    attempts: int


@frozen
class _VapidHeader:
    """A token as it is sent, and when it was signed, in seconds since the epoch."""

    value: str = field(repr=False)
    signed: float


@define(kw_only=True)
class _ToSubscription(Sending):
    """A message, and what was answered to it."""

    message: PostedMessage
    audience: str
    headers: Mapping[str, str] = field(factory=dict)
    authorization: _VapidHeader | None = None


class WebPushClient(SendingClient[_ToSubscription]):
    """Sends messages of Web Push; one client may send many at a time, and is best kept for as long as its program runs.

    It encrypts each message for its subscription, signs who sends (a token is used for hours), and tries again what may pass
    (``policy``), as :class:`WnsClient` does: within bounds of number and time, up to 400 on their way to one host and port at a time, and
    a message whose answer was lost may arrive twice. Keys, tokens, and endpoints are never logged.

    Example::

        async with tocsin.WebPushClient("vapid.pem", "mailto:ops@app.example") as client:
            result = await client.send(subscription, "you have mail", ttl=3600, urgency="high")

    :param key: the key whose public half the subscribers were given as ``applicationServerKey``; PEM, or the path of a file that has it;
        None to send without one, which few services take.
    :param subject: how the operator of a push service reaches you: ``mailto:`` or ``https:``; needed with a key.
    :param hosts: the hosts that subscriptions may have, ``.example`` for all that end so, in place of the push services of Chrome, Firefox,
        Safari and Edge and of this machine. Subscriptions come from outside, and must not lead a server to hosts of its own
        network. To other machines their endpoints begin with https://.
    :raises InvalidArgument: an argument cannot be right.
    """

    _entered_by = "'async with tocsin.WebPushClient(...) as client:'"
    _accepted = TAKEN
    _may_pass = MAY_PASS_LATER

    def __init__(
        self,
        key: VapidKey | str | PathLike[str] | None,
        subject: str | None = None,
        *,
        hosts: Sequence[str] | None = None,
        policy: SendPolicy | None = None,
    ) -> None:
        super().__init__(policy)
        self._key = None if key is None else read_key(key)
        self._subject = ""
        if key is not None or subject is not None:
            check_subject(subject)
            self._subject = str(subject)
        self._hosts = PUSH_HOSTS if hosts is None else read_hosts(hosts)
        self._tokens: dict[str, _VapidHeader] = {}

    async def send(  # noqa: PLR0913  # one for each header of Web Push
        self,
        subscription: HasPushKeys | Mapping[str, Any] | str | bytes,
        body: bytes | bytearray | memoryview | str | None = None,
        *,
        ttl: int = DAY,
        urgency: str = "normal",
        topic: str | None = None,
        coding: str = AES128GCM,
    ) -> WebPushResult:
        """Send a message, and return what the push service said when it had taken it on.

        :param subscription: what the app has sent: its JSON, as text, as bytes or as it was read, or an object such as :class:`PushSubscription`.
        :param body: up to 3,993 bytes; text is sent as UTF-8. None, or an empty one, wakes the app without a message.
        :param ttl: seconds that it may wait for a device that is away, up to four weeks; 0: now or never.
        :param urgency: ``very-low``, ``low``, ``normal`` or ``high``: what a device on battery is to be woken for.
        :param topic: up to 32 letters, digits, ``-`` and ``_``: it replaces one that waits with the same topic.
        :param coding: ``aesgcm`` for apps that know only the drafts before RFC 8291.
        :raises InvalidArgument: an argument cannot be right, or the endpoint's host is not trusted; nothing was sent.
        :raises SendFailed: the service did not take it; which of its cases says what to do. After :class:`ChannelGone` forget the
            subscription. Where ``result.sent`` is False it has not arrived.
        :raises IllegalCall: the client is not open, or was closed before an answer had come: it may have arrived.
        """
        self._check_open()
        to = PushSubscription.of(subscription)
        place = check_endpoint(to.endpoint, self._hosts)
        message = build_message(to, body, ttl=ttl, urgency=urgency, topic=topic, coding=coding)
        # Without a key another token can be no better.
        sending = _ToSubscription(message=message, audience=_origin(place), renewed=self._key is None)
        result = await self._send(sending)
        location, granted = sending.headers.get("location"), sending.headers.get("ttl", "")
        return WebPushResult(
            http_status=result.http_status or 0,
            location=urljoin(to.endpoint, location) if location else None,
            ttl=int(granted) if granted.isdecimal() and granted.isascii() and len(granted) < 20 else None,
            description=result.description,
            attempts=result.attempts,
        )

    async def withdraw(self, location: str) -> bool:
        """Take back a message that waits still; return whether it did.

        :param location: its URL, as of :class:`WebPushResult`.
        :raises InvalidArgument: its host is not trusted.
        :raises SendFailed: the service has not done it; many do not know how.
        :raises IllegalCall: the client is not open, or was closed before an answer had come.
        """
        self._check_open()
        place = check_endpoint(location, self._hosts)
        message = PostedMessage("DELETE", location, {}, b"")
        try:
            await self._send(_ToSubscription(message=message, audience=_origin(place)))
        except ChannelGone:
            return False
        return True

    async def _attempt(self, sending: _ToSubscription) -> SendResult:
        message = sending.message
        sending.authorization = self._authorization(sending.audience)
        signed = {} if sending.authorization is None else {"Authorization": sending.authorization.value}
        reply = await self._ask(sending, message.method, message.url, message.headers | signed, message.body)
        if isinstance(reply, SendResult):
            return reply
        sending.headers = reply.headers
        return read_push_answer(
            reply.status, reply.headers, reply.body,
            endpoint=message.url, signed=bool(signed), attempts=sending.attempts, now=self._now(),
        )  # fmt: skip

    def _renew(self, sending: _ToSubscription) -> None:
        """Sign another token, unless another sending has already: this machine's clock may have been set."""
        if self._tokens.get(sending.audience) is sending.authorization:
            self._tokens.pop(sending.audience, None)

    def _authorization(self, audience: str) -> _VapidHeader | None:
        """Return the token for a push service, as it is sent; None where there is no key."""
        if self._key is None:
            return None
        now = self._now()
        known = self._tokens.pop(audience, None)
        if known is None or not 0 <= now - known.signed < _RENEWED:
            known = _VapidHeader(self._key.sign(claims(audience, now + LIFETIME, self._subject)), now)
        if len(self._tokens) >= _TOKENS:
            del self._tokens[next(iter(self._tokens))]
        self._tokens[audience] = known  # the latest used is the last
        return known


def _origin(place: SplitResult) -> str:
    """Write an origin as tokens name it: in lower case, and without the port that goes without saying."""
    return f"{place.scheme}://{place.netloc.lower().removesuffix(_PORTS[place.scheme])}"
