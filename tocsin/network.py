"""What device and sender share of the network: the proxy that the environment names, and what an error of a socket means."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import socket
import ssl
import stat
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.protocol.network.proxies import Proxy, find_proxy, place
from tocsin.protocol.text import describe_error

PROBE_TIMEOUT: Final = 2.0
"""Seconds that finding out whether a port speaks TLS may take."""

_SECURE: Final = frozenset({"https", "wss"})
_ORIGIN: Final = re.compile("[^/?#]*//[^/?#]*")
_AUTHORITIES: Final = "SSL_CERT_FILE"
_NO_WAY: Final = frozenset(
    {
        errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EHOSTDOWN, errno.EAFNOSUPPORT,
        errno.EACCES, errno.EPERM,  # a firewall of this machine
    }
)  # fmt: skip
_NOT_TLS: Final = (
    "WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"
)  # fmt: skip
"""How OpenSSL's reasons begin where an answer is no TLS; which it is depends on its version and on the answer."""
_CERTIFICATES: Final = {
    9: ConnectionCause.CERTIFICATE_OUTDATED,  # X509_V_ERR_CERT_NOT_YET_VALID
    10: ConnectionCause.CERTIFICATE_OUTDATED,  # X509_V_ERR_CERT_HAS_EXPIRED
    62: ConnectionCause.CERTIFICATE_OF_ANOTHER,  # X509_V_ERR_HOSTNAME_MISMATCH
    64: ConnectionCause.CERTIFICATE_OF_ANOTHER,  # X509_V_ERR_IP_ADDRESS_MISMATCH
}
_MEANINGS: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], ConnectionCause, str], ...]] = (
    (socket.gaierror, ConnectionCause.HOST_UNKNOWN, ""),
    (UnicodeError, ConnectionCause.HOST_UNKNOWN, "it cannot be the name of a host"),
    (TimeoutError, ConnectionCause.TIMED_OUT, ""),
    (
        (ConnectionResetError, ConnectionAbortedError, BrokenPipeError, EOFError),
        ConnectionCause.LOST,
        "before it answered",
    ),
)


def host_and_port(url: str) -> tuple[str, int]:
    """Return where a URL leads.

    :raises ValueError: its port is none.
    """
    return _way(url)[:2]


def _way(url: str) -> tuple[str, int, bool]:
    origin = _ORIGIN.match(url)
    return _way_of_origin(url if origin is None else origin[0])


@lru_cache(1_024)  # a sender has many URLs of few hosts; what is secret in one stands behind
def _way_of_origin(origin: str) -> tuple[str, int, bool]:
    """Return host, port, and whether TLS is spoken there."""
    parts = urlsplit(origin)
    secure = parts.scheme in _SECURE
    return parts.hostname or "", parts.port or (443 if secure else 80), secure


def place_of(url: str) -> str:
    """Return host and port of a URL, for people: without what may be secret in it."""
    return place(*host_and_port(url))


def proxy_of(url: str) -> Proxy | None:
    """Return the proxy that the environment names for a URL; None where it is reached directly.

    :raises InvalidArgument: the environment names one that cannot be used.
    """
    host, port, secure = _way(url)
    return find_proxy(host, port, os.environ, secure=secure)


async def speaks_tls(host: str, port: int) -> bool:
    """Find out whether a port that has not understood us understands TLS; nothing is said to it besides the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # with no authorities: it need not trust the port
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except (OSError, EOFError):  # a timeout is an OSError too
        return False
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()
    return True


def tls_context() -> ssl.SSLContext:
    """Make what a peer is verified with, by the authorities that this machine trusts.

    :raises InvalidArgument: ``SSL_CERT_FILE`` names what would be waited for.
    """
    check_authorities()
    return ssl.create_default_context()


def check_authorities() -> None:
    """Look at what ``SSL_CERT_FILE`` names, which OpenSSL reads without asking what it is.

    :raises InvalidArgument: it is a pipe or a device, which may never come to its end.
    """
    path = os.environ.get(_AUTHORITIES, "")
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):  # what is not there is passed over, by OpenSSL too
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise InvalidArgument(f"{_AUTHORITIES} names {path!r}, which is no regular file: name one with certificates")


def _missing() -> str:
    """Say that ``SSL_CERT_FILE`` names a file that is not there, which OpenSSL passes over."""
    path = os.environ.get(_AUTHORITIES, "")
    is_there = not path or os.path.exists(path)  # noqa: PTH110  # of what cannot be looked at, a path raises errors
    return "" if is_there else f"; {_AUTHORITIES} names {path!r}, which is not there"


def cause_of(failure: BaseException) -> tuple[ConnectionCause, str]:
    """Say what an error means that came while a connection was made, and what is known besides."""
    if isinstance(failure, ssl.SSLError):
        return _tls_cause(failure)
    if isinstance(failure, InvalidArgument):
        return ConnectionCause.TLS_FAILED, str(failure)
    for kinds, cause, detail in _MEANINGS:
        if isinstance(failure, kinds):
            return cause, detail
    if isinstance(failure, OSError):
        return _system_cause(failure)
    return ConnectionCause.UNEXPECTED, describe_error(failure)


def _tls_cause(failure: ssl.SSLError) -> tuple[ConnectionCause, str]:
    if isinstance(failure, ssl.SSLCertVerificationError):
        cause = _CERTIFICATES.get(failure.verify_code, ConnectionCause.CERTIFICATE_UNTRUSTED)
        return cause, failure.verify_message + (_missing() if cause is ConnectionCause.CERTIFICATE_UNTRUSTED else "")
    if isinstance(failure, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return ConnectionCause.TLS_FAILED, "the connection was cut off during the handshake"
    reason = failure.reason or str(failure)
    if reason.startswith(_NOT_TLS):
        return ConnectionCause.TLS_MISSING, ""
    return ConnectionCause.TLS_FAILED, reason.replace("_", " ").lower()


def _system_cause(failure: OSError) -> tuple[ConnectionCause, str]:
    """Judge an error of the system; where a host has several addresses, asyncio may put theirs into one text."""
    numbers = (
        [failure.errno] if failure.errno else [int(number) for number in re.findall(r"\[Errno (\d+)]", str(failure))]
    )
    if errno.ECONNREFUSED in numbers:
        return ConnectionCause.REFUSED, ""
    if errno.ETIMEDOUT in numbers:
        return ConnectionCause.TIMED_OUT, ""
    if any(number in _NO_WAY for number in numbers):
        return ConnectionCause.UNREACHABLE, os.strerror(numbers[-1])
    return ConnectionCause.UNEXPECTED, failure.strerror or str(failure) or type(failure).__name__
