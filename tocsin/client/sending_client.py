"""What the clients of push services share: each notification is driven through one table, in the time that the policy allows."""

from __future__ import annotations

import logging
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AsyncExitStack
from types import NoneType, TracebackType
from typing import Generic, Self, TypeVar

import anyio
from attrs import Factory, define, evolve

from tocsin.client.http import Http, Reply, Unreachable
from tocsin.client.http_opening import http_client
from tocsin.protocol.arguments import check_kind
from tocsin.protocol.errors import IllegalCall, ServiceUnavailable
from tocsin.protocol.kernel.async_block import AsyncBlock
from tocsin.protocol.kernel.machine import step
from tocsin.protocol.send_result import SendResult
from tocsin.protocol.sending.attempts import TABLE, Effect, Event, Phase, SendPolicy, classify, failure
from tocsin.protocol.sending.results import ACCEPTED, MAY_PASS

logger = logging.getLogger(__name__)


@define(kw_only=True)
class Sending:
    """Where one notification stands, and what it has come to."""

    began: float = Factory(anyio.current_time)
    phase: Phase = Phase.NEW
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


SendingT = TypeVar("SendingT", bound=Sending)


class SendingClient(AsyncBlock, ABC, Generic[SendingT]):
    """Opens and closes the connections, and makes the attempts that the table names; what one is, its heirs say.

    :param policy: how often and how long; None for the usual.
    :raises InvalidArgument: it is no policy.
    """

    _accepted: Collection[int | None] = ACCEPTED
    _may_pass: Collection[int | None] = MAY_PASS

    def __init__(self, policy: SendPolicy | None) -> None:
        check_kind(policy, "policy", SendPolicy, NoneType)
        self._policy = policy or SendPolicy()
        self._fraction: Callable[[], float] = random.random
        self._now: Callable[[], float] = time.time
        self._stack = AsyncExitStack()
        self._http: Http | None = None
        self._under_way: set[anyio.CancelScope] = set()
        self._perform: dict[Effect, Callable[[SendingT], Awaitable[Event | None]]] = {
            Effect.POST: self._post,
            Effect.RENEW_TOKEN: self._renew_token,
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

    @abstractmethod
    async def _attempt(self, sending: SendingT) -> SendResult:
        """Send it once, and read the answer."""

    @abstractmethod
    def _renew(self, sending: SendingT) -> None:
        """Use another token from now on, unless there is another already."""

    def _check_open(self) -> None:
        if self._http is None:
            raise IllegalCall(f"the client is not open: {self._entered_by}")

    async def _send(self, sending: SendingT) -> SendResult:
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

    async def _ask(
        self, sending: SendingT, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Reply | SendResult:
        """Ask once; where there is no answer, say why."""
        try:
            return await self._still_open().request(method, url, headers, body, sending.leave_line)
        except Unreachable as unreachable:
            why, lasting = str(unreachable), unreachable.lasting
            return SendResult(description=why, attempts=sending.attempts, sent=sending.sent, lasting=lasting)

    def _still_open(self) -> Http:
        if self._http is None:
            raise IllegalCall("the client was closed while it was sending this; whether it has arrived is not known")
        return self._http

    def _wait(self, sending: SendingT) -> float | None:
        """Return the seconds until another attempt; None where it is not worth it."""
        elapsed = anyio.current_time() - sending.began
        return self._policy.wait(sending.failures + 1, self._policy.told(sending.result), elapsed, self._fraction())

    # Effects: each may tell what has happened

    async def _post(self, sending: SendingT) -> Event:
        """Make one attempt, and judge its answer."""
        sending.attempts += 1
        sending.result = await self._attempt(sending)
        sending.wait = None if sending.result.http_status in self._accepted else self._wait(sending)
        event = classify(
            sending.result, sending.wait, renewed=sending.renewed, denied=sending.denied,
            accepted=self._accepted, may_pass=self._may_pass,
        )  # fmt: skip
        sending.failures += event is Event.TRY_LATER
        return event

    async def _renew_token(self, sending: SendingT) -> None:
        sending.renewed = True
        self._renew(sending)


async def _back_off(sending: Sending) -> Event:
    wait = sending.wait or 0.0
    logger.info("a notification is tried again in %.1f s, after %s", wait, sending.result.http_status or "no answer")
    await anyio.sleep(wait)
    return Event.DUE


async def _return_result(sending: Sending) -> None:
    sending.returned = sending.result


async def _raise_error(sending: Sending) -> None:
    raise failure(sending.result, denied=sending.denied)
