"""Requests to a notification hub: signed, tried again where that may help, and refused by errors that say why."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Collection, Mapping
from typing import Final
from urllib.parse import quote, urlsplit

import anyio
from attrs import evolve, frozen

from tocsin.client.http import AnyHttp, Reply, Unreachable
from tocsin.protocol.errors import (
    InvalidArgument,
    NotFound,
    PushError,
    SenderNotAllowed,
    SendFailed,
    ServiceUnavailable,
    Throttled,
    UnreadableContent,
)
from tocsin.protocol.hub.connection_string import ConnectionString
from tocsin.protocol.hub.signature import make_signature
from tocsin.protocol.send_result import SendResult
from tocsin.protocol.sending.attempts import SendPolicy
from tocsin.protocol.sending.results import read_answer
from tocsin.protocol.text import MAX_SENTENCE, harmless
from tocsin.protocol.xml_tree import parse_xml

logger = logging.getLogger(__name__)

API_VERSION: Final = "2020-06"
LIFETIME: Final = 600
"""Seconds that a signature is good for, which is more than the clocks of two machines are apart."""

_MAY_PASS: Final = frozenset({None, 408, 409, 429, 500, 502, 503, 504})
"""The statuses that another attempt may change: 409 is a change that came too soon after another."""


@frozen
class HubRequests:
    """Asks one hub; ``fraction`` is random, from 0 to 1, and ``now`` are seconds since the epoch."""

    http: AnyHttp
    hub: str
    connection: ConnectionString
    policy: SendPolicy
    fraction: Callable[[], float] = random.random
    now: Callable[[], float] = time.time

    async def ask(  # noqa: PLR0913  # one for each part of a request
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        expected: Collection[int] = (),
    ) -> Reply:
        """Ask for something of the hub and return the answer.

        :param path: below the hub, begun by a slash, with what is special in it escaped.
        :param expected: statuses that are no errors, beside 200 and 201.
        :raises InvalidArgument: the hub says that what was asked cannot be right.
        :raises NotFound: there is no such hub.
        :raises SenderNotAllowed: the key is not good for that.
        :raises Throttled: too much was asked; every attempt was made.
        :raises ServiceUnavailable: it cannot be reached, or does not work; every attempt was made.
        """
        whole = {"api-version": API_VERSION, **(query or {})}
        words = "&".join(f"{name}={quote(value, safe='')}" for name, value in whole.items())
        url = f"{self.connection.url}{self.hub}{path}?{words}"
        result = SendResult(description="no attempt was made")
        with anyio.move_on_after(self.policy.total):
            began = anyio.current_time()
            attempts = 0
            while True:
                attempts += 1
                reply, result = await self._attempt(method, url, headers or {}, body, attempts)
                if reply is not None and reply.status in {200, 201, *expected}:
                    return reply
                wait = self._wait(result, attempts, anyio.current_time() - began)
                if wait is None:
                    raise failure(result)
                logger.info("a hub is asked again in %.1f s, after %s", wait, result.http_status or "no answer")
                await anyio.sleep(wait)
        raise ServiceUnavailable(
            f"the hub has not taken it within {self.policy.total:g} s: {result.explanation}", result=result
        )

    async def _attempt(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, attempts: int
    ) -> tuple[Reply | None, SendResult]:
        key = self.connection
        signature = make_signature(f"{key.url}{self.hub}", key.key_name, key.key, int(self.now()) + LIFETIME)
        try:
            reply = await self.http.request(method, url, {**headers, "Authorization": signature}, body)
        except Unreachable as unreachable:
            return None, SendResult(description=str(unreachable), attempts=attempts, lasting=unreachable.lasting)
        result = read_answer(reply.status, reply.headers, attempts, self.now())
        return reply, evolve(result, description=_detail(reply.body))

    def _wait(self, result: SendResult, failures: int, elapsed: float) -> float | None:
        """Return the seconds until the next attempt; None where it is not worth it."""
        if result.lasting or (result.http_status not in _MAY_PASS and not _is_throttled(result)):
            return None
        return self.policy.wait(failures, self.policy.told(result), elapsed, self.fraction())


def failure(result: SendResult) -> PushError:
    """Make the error of an answer that a hub gives for good."""
    status = result.http_status
    tried = f" ({result.attempts} attempts)" if result.attempts > 1 else ""
    if status is None:
        return ServiceUnavailable(f"{result.explanation}{tried}", result=result)
    text = f"the hub has answered {status}: {result.description or 'without a reason'}{tried}"
    if status == 404:
        return NotFound(text)
    kind: type[SendFailed] = ServiceUnavailable
    if _is_throttled(result) or status == 429:
        kind = Throttled
    elif status in {401, 403}:
        kind = SenderNotAllowed
    elif 400 <= status < 500 and status not in _MAY_PASS:
        return InvalidArgument(text)
    return kind(text, result=result)


def _is_throttled(result: SendResult) -> bool:
    """Tell a 403 for too much from that for a key that is not good: it says when to come again."""
    return result.http_status == 403 and (result.retry_after is not None or result.retry_unclear is not None)


def _detail(body: bytes) -> str | None:
    """Return the reason that a hub gives in the XML of its errors; None where it gives none."""
    try:
        error = parse_xml(body)
    except UnreadableContent:
        return None
    detail = next(error.find("Detail"), None)
    return harmless(detail.text.strip(), MAX_SENTENCE) if detail is not None and detail.text.strip() else None


def id_in(location: str) -> str | None:
    """Return the id at the end of what a ``Location`` names; None where there is none."""
    return urlsplit(location).path.rstrip("/").rpartition("/")[2] or None
