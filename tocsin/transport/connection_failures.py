"""What the errors of the WebSocket library mean, so that a device can say why it has no connection."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from attrs import frozen
from websockets.exceptions import InvalidHandshake, InvalidMessage, InvalidURI

from tocsin.network import cause_of
from tocsin.protocol.network.answer_head import AnswerHead, read_head
from tocsin.protocol.network.causes import ConnectionCause, cause_of_proxy_status, cause_of_status, explain
from tocsin.protocol.network.proxies import Proxy
from tocsin.protocol.network.retry_after import parse_retry_after
from tocsin.protocol.platform.service_connection import POLICIES, Effect
from tocsin.transport.opening import Attempt, TunnelRefused

_SWITCHING = 101  # says that a WebSocket begins


@frozen
class Failure:
    """Why an attempt has failed; ``may_be_tls`` if a port that speaks TLS would have answered so."""

    cause: ConnectionCause
    detail: str = ""
    retry_after: float | None = None
    may_be_tls: bool = False


def diagnose(error: Exception, proxy: Proxy | None, attempt: Attempt) -> Failure:
    """Say what an error of connecting means; one that is not known is a failure too.

    What has answered is judged by the head of its answer, in whatever way that went on, and what failed on the way to the
    service by the proxy, where there is one. The text of an error is shown only where it cannot hold a URL, which may bear
    credentials.
    """
    if isinstance(error, InvalidURI):
        return Failure(ConnectionCause.UNEXPECTED, f"its URL cannot be used: {error.msg}")
    if proxy is not None and not attempt.through:
        return _by_proxy(error, proxy.place)
    head = read_head(attempt.heard)
    if head is not None and head.status != _SWITCHING:
        return _by_head(head)
    if isinstance(error, InvalidHandshake):
        return _by_answer(error)
    cause, detail = cause_of(error)
    return Failure(cause, detail, may_be_tls=cause is ConnectionCause.LOST)


def _by_proxy(error: Exception, place: str) -> Failure:
    """Judge what has failed before a proxy has made the connection."""
    if isinstance(error, TunnelRefused):
        if error.status is None:
            return Failure(ConnectionCause.PROXY_FAILED, f"what {place} answered is not HTTP")
        cause, words = cause_of_proxy_status(error.status)
        return Failure(cause, f"{place} {words}")
    cause, detail = cause_of(error)
    return Failure(ConnectionCause.PROXY_UNREACHABLE, explain(cause, place, detail))


def _by_answer(error: InvalidHandshake) -> Failure:
    """Judge an answer that begins no WebSocket, and is no other answer of HTTP."""
    if not isinstance(error, InvalidMessage):
        return Failure(ConnectionCause.NO_PUSH_SERVICE, f"its answer begins no WebSocket ({type(error).__name__})")
    if isinstance(error.__cause__, EOFError):
        return Failure(ConnectionCause.LOST, "before it answered", may_be_tls=True)
    return Failure(ConnectionCause.NO_PUSH_SERVICE, "what answers there does not speak HTTP", may_be_tls=True)


def _by_head(head: AnswerHead) -> Failure:
    detail = f"it answered {head.status}"
    if 300 <= head.status < 400:
        detail += _leads_to(head.headers.get("location", ""))
    return Failure(cause_of_status(head.status), detail, _retry_after(head), may_be_tls=head.status == 400)


def _retry_after(head: AnswerHead) -> float | None:
    """Return the seconds that the service asks to wait; a wish that is not clear is one to be left alone for a while."""
    wish = head.headers.get("retry-after")
    if wish is None:
        return None
    seconds = parse_retry_after(wish, head.headers.get("date"), time.time())
    return POLICIES[Effect.BACK_OFF].longest if seconds is None else seconds


def _leads_to(location: str) -> str:
    """Say where a redirection leads, without what may be secret in it."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return ""
    return f", which leads to {parts.scheme}://{parts.hostname}" if parts.scheme and parts.hostname else ""
