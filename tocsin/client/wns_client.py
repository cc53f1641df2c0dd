"""The client: sends notifications to channels as a server that behaves well does."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from types import NoneType
from urllib.parse import SplitResult, urlencode

from attrs import define

from tocsin.client.http import Unreachable
from tocsin.client.posted_notification import PostedNotification, build_post, read_options
from tocsin.client.sending_client import Sending, SendingClient
from tocsin.client.tokens import TokenCache
from tocsin.protocol.arguments import check_kind, check_text
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.send_result import SendResult
from tocsin.protocol.sending.attempts import SendPolicy
from tocsin.protocol.sending.destinations import check_channel, read_hosts
from tocsin.protocol.sending.results import read_answer
from tocsin.protocol.sending.sign_in import (
    TENANT,
    Denied,
    Token,
    read_token,
    split_url,
    token_form,
    token_url_of,
    trusted_hosts,
)
from tocsin.protocol.text import quoted
from tocsin.protocol.values import NotificationType


@define(kw_only=True)
class _ToChannel(Sending):
    """A notification of WNS, and the tokens that are good for its channel."""

    request: PostedNotification
    tokens: TokenCache
    token: Token | None = None


class WnsClient(SendingClient[_ToChannel]):
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
        super().__init__(policy)
        check_text(client_id, "the client id")
        check_text(client_secret, "the client secret")
        check_kind(tenant, "tenant", str, NoneType)
        if tenant is not None and not TENANT.fullmatch(tenant):
            raise InvalidArgument(f"a tenant is a GUID or a domain, not {quoted(tenant)}")
        self._plain = token_url is not None and split_url(token_url, "a token URL").scheme == "http"
        self._client_id = client_id
        self._client_secret = client_secret
        self._token_url = token_url
        self._tenant = tenant
        self._hosts = trusted_hosts(token_url) if hosts is None else read_hosts(hosts)
        self._tokens: dict[str, TokenCache] = {}

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
        self._check_open()
        options = read_options(
            type, ttl=ttl, cache=cache, tag=tag, group=group, priority=priority,
            request_status=request_status, suppress_popup=suppress_popup,
        )  # fmt: skip
        channel = check_channel(uri, self._hosts, plain=self._plain)
        request = build_post(uri, body, type, options)
        return await self._send(_ToChannel(request=request, tokens=self._cache(channel)))

    async def _attempt(self, sending: _ToChannel) -> SendResult:
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
        reply = await self._ask(sending, "POST", sending.request.uri, headers, sending.request.body)
        if isinstance(reply, SendResult):
            return reply
        return read_answer(reply.status, reply.headers, sending.attempts, self._now())

    def _renew(self, sending: _ToChannel) -> None:
        """Have another token fetched, unless another sending has already."""
        if sending.token is not None:
            sending.tokens.reject(sending.token)

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
            reply = await self._still_open().request("POST", url, headers, form)
        except Unreachable as unreachable:
            return Denied(None, str(unreachable), lasting=unreachable.lasting)
        return read_token(reply.status, reply.headers, reply.body, self._now())
