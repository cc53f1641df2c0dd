"""What the errors of the WebSocket library mean, so that a device can say why it has no connection."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from attrs import frozen
from websockets.datastructures import Headers
from websockets.exceptions import (
    InvalidHandshake,
    InvalidMessage,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidURI,
    ProxyError,
)

from tocsin.network import cause_of
from tocsin.protocol.causes import ConnectionCause, cause_of_proxy_status, cause_of_status, explain
from tocsin.protocol.connection import POLICIES, Effect
from tocsin.protocol.proxies import Proxy
from tocsin.protocol.retry_after import parse_retry_after

_ON_THE_WAY = frozenset({ConnectionCause.HOST_UNKNOWN, ConnectionCause.REFUSED, ConnectionCause.UNREACHABLE})
"""What fails on the way to the first host, which is the proxy where there is one."""


@frozen
class Failure:
    """Why an attempt has failed; ``may_be_tls`` if a port that speaks TLS would have answered so."""

    cause: ConnectionCause
    detail: str = ""
    retry_after: float | None = None
    may_be_tls: bool = False


def diagnose(error: Exception, proxy: Proxy | None) -> Failure:
    """Say what an error of connecting means; one that is not known is a failure too.

    The text of an error is shown only where it cannot hold a URL, which may bear credentials.
    """
    if isinstance(error, ProxyError):
        return _by_proxy(error, "the proxy" if proxy is None else proxy.place)
    if isinstance(error, InvalidHandshake):
        return _by_answer(error)
    if isinstance(error, InvalidURI):
        return Failure(ConnectionCause.UNEXPECTED, f"its URL cannot be used: {error.msg}")
    cause, detail = cause_of(error)
    if proxy is not None and cause in _ON_THE_WAY:
        return Failure(ConnectionCause.PROXY_UNREACHABLE, explain(cause, proxy.place, detail))
    return Failure(cause, detail, may_be_tls=cause is ConnectionCause.LOST)


def _by_proxy(error: ProxyError, place: str) -> Failure:
    """Judge what a proxy has answered."""
    if not isinstance(error, InvalidProxyStatus):
        return Failure(ConnectionCause.PROXY_FAILED, f"what {place} answered is not HTTP")
    cause, words = cause_of_proxy_status(error.response.status_code)
    return Failure(cause, f"{place} {words}")


def _by_answer(error: InvalidHandshake) -> Failure:
    """Judge an answer that begins no WebSocket."""
    if isinstance(error, InvalidStatus):
        return _by_status(error.response.status_code, error.response.headers)
    if not isinstance(error, InvalidMessage):
        return Failure(ConnectionCause.NO_PUSH_SERVICE, f"its answer begins no WebSocket ({type(error).__name__})")
    if isinstance(error.__cause__, EOFError):
        return Failure(ConnectionCause.LOST, "before it answered", may_be_tls=True)
    return Failure(ConnectionCause.NO_PUSH_SERVICE, "what answers there does not speak HTTP", may_be_tls=True)


def _by_status(status: int, headers: Headers) -> Failure:
    detail = f"it answered {status}"
    if 300 <= status < 400:
        detail += _leads_to(_first(headers, "Location") or "")
    return Failure(cause_of_status(status), detail, _retry_after(headers), may_be_tls=status == 400)


def _retry_after(headers: Headers) -> float | None:
    """Return the seconds that the service asks to wait; a wish that is not clear is one to be left alone for a while."""
    wish = _first(headers, "Retry-After")
    if wish is None:
        return None
    seconds = parse_retry_after(wish, _first(headers, "Date"), time.time())
    return POLICIES[Effect.BACK_OFF].longest if seconds is None else seconds


def _first(headers: Headers, name: str) -> str | None:
    """Return a header, of which there may be several."""
    return next(iter(headers.get_all(name)), None)


def _leads_to(location: str) -> str:
    """Say where a redirection leads, without what may be secret in it."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return ""
    return f", which leads to {parts.scheme}://{parts.hostname}" if parts.scheme and parts.hostname else ""
