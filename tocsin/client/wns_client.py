"""The client: sends notifications to channels as a server that behaves well does."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from types import NoneType, TracebackType
from typing import Self
from urllib.parse import SplitResult, urlencode

import anyio
from attrs import Factory, define, evolve

from tocsin.client.http import Http, Unreachable
from tocsin.client.http_opening import http_client
from tocsin.client.posted_notification import PostedNotification, build_post, read_options
from tocsin.client.tokens import TokenCache
from tocsin.protocol.arguments import check_kind, check_text
from tocsin.protocol.errors import IllegalCall, InvalidArgument, ServiceUnavailable
from tocsin.protocol.kernel.async_block import AsyncBlock
from tocsin.protocol.kernel.machine import step
from tocsin.protocol.send_result import SendResult
from tocsin.protocol.sending.attempts import TABLE, Effect, Event, Phase, SendPolicy, classify, failure
from tocsin.protocol.sending.results import read_answer
from tocsin.protocol.sending.sign_in import (
    TENANT,
    Denied,
    Token,
    check_channel,
    read_hosts,
    read_token,
    split_url,
    token_form,
    token_url_of,
    trusted_hosts,
)
from tocsin.protocol.text import quoted
from tocsin.protocol.values import NotificationType

logger = logging.getLogger(__name__)


@define
class _Sending:
    """Where one notification stands, and what it has come to."""

    request: PostedNotification
    tokens: TokenCache
    began: float
    phase: Phase = Phase.NEW
    token: Token | None = None
    renewed: bool = False
    attempts: int = 0
    failures: int = 0
    wait: float | None = None
    result: SendResult = Factory(SendResult)
    denied: bool = False
    sent: bool = False
    """Whether an attempt has left the line, so that it may have arrived."""
    returned: SendResult | None = None
    """What the caller gets; None until it is over."""

    def leave_line(self) -> None:
        """Note that it is on its way."""
        self.sent = True


class WnsClient(AsyncBlock):
    """Sends notifications; one client may send many at a time, and is best kept for as long as its program runs.

    It gets and keeps access tokens, tries again what may pass (``policy``) within bounds of number and time, renews a
    refused token once, and refuses what the service would refuse. Secrets, tokens and channel URIs are never logged.
    A notification whose answer was lost, or was 503, is sent again, so it may arrive twice, under two ids; and it may arrive
    although the last answer was 503. A policy without retries leaves the choice to the caller.

    Up to 400 notifications are on their way to one host and port at a time, each on a connection of its own, or half as many as the
    process may open files if that is less. More wait in line and go in the order in which they came. The 30 seconds of an attempt
    begin behind the line; the ``total`` of the policy includes it.

    Example::

        async with tocsin.WnsClient(client_id, client_secret) as client:
            result = await client.send(channel.uri, "you have mail", ttl=3600)
            print(result.status, result.explanation)

    :param token_url: where tokens come from, in either form; by default Microsoft's for channels of WNS, and the
        channel's own host for a service on this machine.
    :param tenant: for the default token URL: the Entra tenant of the app; None for the Live form.
    :param hosts: the hosts that channels may have, ``.example`` for all that end so; by default what goes with the
        token URL. Channel URIs come from outside, and the host that they name gets the token. To other machines they must
        begin with https://, unless the token URL does not either.
    :raises InvalidArgument: an argument cannot be right.
    """

    _entered_by = "'async with tocsin.WnsClient(...) as client:'"

    def __init__(  # noqa: PLR0913  # all but the credentials is optional
        self,
        client_id: str,
        client_secret: str,
        *,
        token_url: str | None = None,
        tenant: str | None = None,
        hosts: Sequence[str] | None = None,
        policy: SendPolicy | None = None,
    ) -> None:
        check_text(client_id, "the client id")
        check_text(client_secret, "the client secret")
        check_kind(policy, "policy", SendPolicy, NoneType)
        check_kind(tenant, "tenant", str, NoneType)
        if tenant is not None and not TENANT.fullmatch(tenant):
            raise InvalidArgument(f"a tenant is a GUID or a domain, not {quoted(tenant)}")
        self._plain = token_url is not None and split_url(token_url, "a token URL").scheme == "http"
        self._client_id = client_id
        self._client_secret = client_secret
        self._token_url = token_url
        self._tenant = tenant
        self._hosts = trusted_hosts(token_url) if hosts is None else read_hosts(hosts)
        self._policy = policy or SendPolicy()
        self._fraction: Callable[[], float] = random.random
        self._now: Callable[[], float] = time.time
        self._tokens: dict[str, TokenCache] = {}
        self._stack = AsyncExitStack()
        self._http: Http | None = None
        self._under_way: set[anyio.CancelScope] = set()
        self._perform: dict[Effect, Callable[[_Sending], Awaitable[Event | None]]] = {
            Effect.POST: self._post,
            Effect.RENEW_TOKEN: _renew_token,
            Effect.BACK_OFF: _back_off,
            Effect.RETURN_RESULT: _return_result,
            Effect.RAISE_ERROR: _raise_error,
        }

    async def __aenter__(self) -> Self:
        """Open the client.

        :raises NotSupported: there is no HTTP client, and the text says what to install; or the event loop is trio's.
        :raises InvalidArgument: ``SSL_CERT_FILE`` names a pipe, which the HTTP client would wait for.
        :raises IllegalCall: it is open.
        """
        if self._http is not None:  # leaving the inner block would close it for the outer one
            raise IllegalCall("the client is open already: enter it once, and use it for as long as its block runs")
        self._http = await self._stack.enter_async_context(http_client())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close its connections; what is being sent ends with an error."""
        self._http = None
        for scope in self._under_way:
            scope.cancel()
        await self._stack.__aexit__(kind, error, traceback)

    def check_uri(self, uri: str) -> None:
        """Refuse a channel's URI that :meth:`send` would refuse, such as one that a stranger has named.

        :raises InvalidArgument: it is none, or its host is not trusted; the sentence does not show it.
        """
        check_channel(uri, self._hosts, plain=self._plain)

    async def send(  # noqa: PLR0913  # one for each header of WNS
        self,
        uri: str,
        body: bytes | bytearray | memoryview | str,
        *,
        type: NotificationType | str = NotificationType.RAW,  # noqa: A002  # the header's name
        ttl: int | None = None,
        cache: bool | None = None,
        tag: str | None = None,
        group: str | None = None,
        priority: int | None = None,
        request_status: bool = False,
        suppress_popup: bool = False,
    ) -> SendResult:
        """Send a notification and return what became of it, which may be that it was dropped.

        :param body: the payload; text is sent as UTF-8.
        :param ttl: seconds after which it is of no use.
        :param cache: whether to keep it for a device that is away; None leaves that to the type.
        :param priority: 1 high, 2 medium, 3 low, 4 very low.
        :param request_status: ask whether the device is connected.
        :param suppress_popup: have a toast kept in the list without a popup; Microsoft's service refuses that.
        :raises InvalidArgument: WNS would refuse it, or the channel's host is not trusted; nothing was sent.
        :raises SendFailed: the service did not take it; which of its cases says what to do. Where ``result.sent`` is False it
            has not arrived, such as one that was still in line when its time was over.
        :raises IllegalCall: the client is not open, or was closed before an answer had come: it may have arrived.
        """
        if self._http is None:
            raise IllegalCall(f"the client is not open: {self._entered_by}")
        options = read_options(
            type, ttl=ttl, cache=cache, tag=tag, group=group, priority=priority,
            request_status=request_status, suppress_popup=suppress_popup,
        )  # fmt: skip
        channel = check_channel(uri, self._hosts, plain=self._plain)
        request = build_post(uri, body, type, options)
        return await self._send(_Sending(request, self._cache(channel), anyio.current_time()))

    async def _send(self, sending: _Sending) -> SendResult:
        """Drive one notification through its machine, for as long as the policy allows and the client is open."""
        with anyio.CancelScope(deadline=sending.began + self._policy.total) as scope:
            self._under_way.add(scope)
            try:
                event = Event.BEGIN
                while sending.returned is None:
                    sending.phase, effects = step(TABLE, sending.phase, event)
                    for effect in effects:
                        event = await self._perform[effect](sending) or event
            finally:
                self._under_way.remove(scope)
            return sending.returned
        self._still_open()
        result = evolve(sending.result, sent=sending.sent)
        raise ServiceUnavailable(
            f"it was not taken within {self._policy.total:g} s: {result.explanation}", result=result
        )

    async def _post(self, sending: _Sending) -> Event:
        """Make one attempt, and judge its answer."""
        sending.attempts += 1
        sending.result = await self._attempt(sending)
        sending.wait = None if sending.result.http_status == 200 else self._wait(sending)
        event = classify(sending.result, sending.wait, renewed=sending.renewed, denied=sending.denied)
        sending.failures += event is Event.TRY_LATER
        return event

    def _wait(self, sending: _Sending) -> float | None:
        """Return the seconds until another attempt; None where it is not worth it."""
        elapsed = anyio.current_time() - sending.began
        return self._policy.wait(sending.failures + 1, self._policy.told(sending.result), elapsed, self._fraction())

    def _still_open(self) -> Http:
        if self._http is None:
            raise IllegalCall("the client was closed while it was sending this; whether it has arrived is not known")
        return self._http

    async def _attempt(self, sending: _Sending) -> SendResult:
        token = await sending.tokens.get()
        if isinstance(token, Denied):
            sending.denied = token.final
            return SendResult(
                description=f"no access token: {token.text}",
                retry_after=token.retry_after,
                retry_unclear=token.retry_unclear,
                lasting=token.lasting,
                attempts=sending.attempts,
                sent=sending.sent,
            )
        sending.token = token
        headers = sending.request.headers | {"Authorization": f"Bearer {token.value}"}
        try:
            post = self._still_open().post
            reply = await post(sending.request.uri, headers, sending.request.body, sending.leave_line)
        except Unreachable as unreachable:
            why, lasting = str(unreachable), unreachable.lasting
            return SendResult(description=why, attempts=sending.attempts, sent=sending.sent, lasting=lasting)
        return read_answer(reply.status, reply.headers, sending.attempts, self._now())

    def _cache(self, channel: SplitResult) -> TokenCache:
        """Return the tokens that are good for a channel."""
        url = self._token_url or token_url_of(channel, self._tenant)
        if url not in self._tokens:
            self._tokens[url] = TokenCache(partial(self._fetch, url))
        return self._tokens[url]

    async def _fetch(self, url: str) -> Token | Denied:
        form = urlencode(token_form(url, self._client_id, self._client_secret)).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        try:
            reply = await self._still_open().post(url, headers, form)
        except Unreachable as unreachable:
            return Denied(None, str(unreachable), lasting=unreachable.lasting)
        return read_token(reply.status, reply.headers, reply.body, self._now())


# Effects: each may tell what has happened


async def _renew_token(sending: _Sending) -> None:
    """Have another token fetched, unless another sending has already."""
    sending.renewed = True
    if sending.token is not None:
        sending.tokens.reject(sending.token)


async def _back_off(sending: _Sending) -> Event:
    wait = sending.wait or 0.0
    logger.info("a notification is tried again in %.1f s, after %s", wait, sending.result.http_status or "no answer")
    await anyio.sleep(wait)
    return Event.DUE


async def _return_result(sending: _Sending) -> None:
    sending.returned = sending.result


async def _raise_error(sending: _Sending) -> None:
    raise failure(sending.result, denied=sending.denied)
