"""Why there is no connection to the push service: each cause with its result code, and in a sentence.

A cause that may pass by itself has one of the result codes that a channel request is retried after; one that a person
has to mend has the code that Windows has for the like, and ends the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum, unique
from typing import Final

from tocsin.protocol.hresult import HResult
from tocsin.protocol.text import MAX_SENTENCE, harmless

REPLACED: Final = 4001
"""WebSocket close code: the same device has opened another connection."""

OTHER_VERSION: Final = 4002
"""WebSocket close code: the service does not speak the device's version of the protocol."""


@unique
class ConnectionCause(StrEnum):
    """Why there is no connection to the push service."""

    HOST_UNKNOWN = "host_unknown"
    """The name of the host leads to no address."""
    REFUSED = "refused"
    """No program listens there."""
    UNREACHABLE = "unreachable"
    """The network leads nowhere near it."""
    TIMED_OUT = "timed_out"
    TLS_MISSING = "tls_missing"
    """The device speaks TLS, and the port does not."""
    TLS_WANTED = "tls_wanted"
    """The port speaks TLS, and the device does not."""
    TLS_FAILED = "tls_failed"
    CERTIFICATE_UNTRUSTED = "certificate_untrusted"
    CERTIFICATE_OUTDATED = "certificate_outdated"
    """It has expired or is not valid yet, or the device's clock is wrong."""
    CERTIFICATE_OF_ANOTHER = "certificate_of_another"
    """It is for another host."""
    NO_PUSH_SERVICE = "no_push_service"
    """Something else answers there."""
    DENIED = "denied"
    """What answers there lets this device not in."""
    BUSY = "busy"
    """It cannot serve just now, and may have said when it can."""
    PROXY_UNUSABLE = "proxy_unusable"
    """What the environment says of a proxy cannot be followed."""
    PROXY_UNREACHABLE = "proxy_unreachable"
    PROXY_DENIED = "proxy_denied"
    """The proxy wants credentials, or others, or forbids the way."""
    PROXY_FAILED = "proxy_failed"
    """The proxy has made no connection to the push service."""
    OTHER_VERSION = "other_version"
    """Device and service do not speak the same version of the protocol."""
    PROTOCOL = "protocol"
    """One of both has sent what it must not."""
    REPLACED = "replaced"
    """Another process has connected with this device's identity."""
    GOING_AWAY = "going_away"
    """The service is stopping or restarting."""
    SILENT = "silent"
    """The service has not answered pings."""
    LOST = "lost"
    """The connection was cut off."""
    NO_AGENT = "no_agent"
    """The app reaches its push service through an agent, which has gone."""
    CLOUD_DISABLED = "cloud_disabled"
    """Group policy forbids notifications from the network, so that none is tried."""
    UNEXPECTED = "unexpected"


CAUSES: Final[Mapping[ConnectionCause, tuple[HResult, str]]] = {
    ConnectionCause.HOST_UNKNOWN: (
        HResult.WNP_E_NOT_CONNECTED,
        "the host of {place} is unknown: its name leads to no address",
    ),
    ConnectionCause.REFUSED: (
        HResult.RPC_S_SERVER_UNAVAILABLE,
        "no program listens at {place}: the connection was refused",
    ),
    ConnectionCause.UNREACHABLE: (HResult.WNP_E_NOT_CONNECTED, "the network does not lead to {place}"),
    ConnectionCause.TIMED_OUT: (HResult.ERROR_TIMEOUT, "{place} did not answer in time"),
    ConnectionCause.TLS_MISSING: (
        HResult.SEC_E_ILLEGAL_MESSAGE,
        "{place} does not speak TLS: name it with http://, or the port that speaks TLS",
    ),
    ConnectionCause.TLS_WANTED: (HResult.SEC_E_ILLEGAL_MESSAGE, "{place} speaks TLS: name it with https://"),
    ConnectionCause.TLS_FAILED: (HResult.WNP_E_NOT_CONNECTED, "there is no TLS to be had with {place}"),
    ConnectionCause.CERTIFICATE_UNTRUSTED: (
        HResult.CERT_E_UNTRUSTEDROOT,
        (
            "the certificate of {place} is not trusted on this machine: if it is the right one, let SSL_CERT_FILE name the file"
            " with the certificate of its authority"
        ),
    ),
    ConnectionCause.CERTIFICATE_OUTDATED: (
        HResult.WNP_E_NOT_CONNECTED,  # a machine may have to wait for its clock to be set
        "the certificate of {place} is out of its time, by the clock of this machine",
    ),
    ConnectionCause.CERTIFICATE_OF_ANOTHER: (
        HResult.CERT_E_CN_NO_MATCH,
        "the certificate of {place} is for another host: name it as its certificate does",
    ),
    ConnectionCause.NO_PUSH_SERVICE: (HResult.ERROR_NOT_FOUND, "there is no push service at {place}"),
    ConnectionCause.DENIED: (HResult.E_ACCESSDENIED, "{place} does not let this device in"),
    ConnectionCause.BUSY: (HResult.WNP_E_BIND_USER_BUSY, "{place} cannot serve just now"),
    ConnectionCause.PROXY_UNUSABLE: (HResult.E_INVALIDARG, "{place} cannot be reached by the proxy that is set"),
    ConnectionCause.PROXY_UNREACHABLE: (HResult.WNP_E_NOT_CONNECTED, "the proxy for {place} cannot be reached"),
    ConnectionCause.PROXY_DENIED: (
        HResult.E_ACCESSDENIED,
        "the proxy lets nothing through from here to {place}",
    ),
    ConnectionCause.PROXY_FAILED: (HResult.WNP_E_NOT_CONNECTED, "the proxy has made no connection to {place}"),
    ConnectionCause.OTHER_VERSION: (
        HResult.ERROR_NOT_SUPPORTED,
        "{place} and this device do not speak the same version of the protocol",
    ),
    ConnectionCause.PROTOCOL: (HResult.WNP_E_RECONNECTING, "the protocol was broken between {place} and this device"),
    ConnectionCause.REPLACED: (
        HResult.WPN_E_DUPLICATE_REGISTRATION,
        (
            "another process uses a copy of this device's state folder, and has connected to {place} in its place:"
            " delete the copy, and it becomes a device of its own"
        ),
    ),
    ConnectionCause.GOING_AWAY: (HResult.WNP_E_RECONNECTING, "{place} is stopping or restarting"),
    ConnectionCause.SILENT: (HResult.WNP_E_RECONNECTING, "{place} has not answered pings"),
    ConnectionCause.LOST: (HResult.WNP_E_RECONNECTING, "{place} has cut the connection off"),
    ConnectionCause.NO_AGENT: (HResult.WNP_E_NOT_CONNECTED, "the agent that leads to {place} has gone"),
    ConnectionCause.CLOUD_DISABLED: (
        HResult.WPN_E_CLOUD_DISABLED,
        "group policy forbids notifications from the network, and with them a connection to {place}",
    ),
    ConnectionCause.UNEXPECTED: (HResult.WNP_E_NOT_CONNECTED, "the connection to {place} has failed"),
}
"""By its cause: what it is for a channel request, and how it is said."""

LASTING: Final = frozenset(
    {
        ConnectionCause.TLS_MISSING, ConnectionCause.TLS_WANTED,
        ConnectionCause.CERTIFICATE_UNTRUSTED, ConnectionCause.CERTIFICATE_OF_ANOTHER,
        ConnectionCause.NO_PUSH_SERVICE, ConnectionCause.DENIED, ConnectionCause.OTHER_VERSION, ConnectionCause.REPLACED,
        ConnectionCause.PROXY_UNUSABLE, ConnectionCause.PROXY_DENIED, ConnectionCause.CLOUD_DISABLED,
    }
)  # fmt: skip
"""What no wait mends: an address, a certificate, credentials, a folder or a policy is wrong, and a person has to see to it."""

CLOSE_CODES: Final[Mapping[int, ConnectionCause]] = {
    1001: ConnectionCause.GOING_AWAY,
    1002: ConnectionCause.PROTOCOL,
    1003: ConnectionCause.PROTOCOL,
    1007: ConnectionCause.PROTOCOL,
    1008: ConnectionCause.PROTOCOL,
    1009: ConnectionCause.PROTOCOL,
    1010: ConnectionCause.PROTOCOL,
    1012: ConnectionCause.GOING_AWAY,
    1013: ConnectionCause.BUSY,
    REPLACED: ConnectionCause.REPLACED,
    OTHER_VERSION: ConnectionCause.OTHER_VERSION,
}
"""What a service means by closing with a code (RFC 6455 §7.4.1, the IANA registry, and two of our own); with another the connection is lost."""

_STATUSES: Final[Mapping[int, ConnectionCause]] = {
    **dict.fromkeys((401, 403), ConnectionCause.DENIED),
    **dict.fromkeys((408, 425, 429, 500, 502, 503, 504), ConnectionCause.BUSY),
}


def hresult_of(cause: ConnectionCause) -> HResult:
    """Return the result code of a cause."""
    return CAUSES[cause][0]


def cause_of_status(status: int) -> ConnectionCause:
    """Say what an HTTP status means where a WebSocket was asked for: most say that it is no push service that answers."""
    return _STATUSES.get(status, ConnectionCause.NO_PUSH_SERVICE)


def cause_of_proxy_status(status: int) -> tuple[ConnectionCause, str]:
    """Say what a proxy's answer means that is no connection, and what is known besides."""
    if status in {401, 407}:  # the former is said by some to credentials that are wrong
        return ConnectionCause.PROXY_DENIED, f"answered {status}: it wants other credentials than it was given"
    cause = ConnectionCause.PROXY_DENIED if status == 403 else ConnectionCause.PROXY_FAILED
    return cause, f"answered {status}"


def explain(cause: ConnectionCause, place: str, detail: str = "") -> str:
    """Say a cause in a sentence, for a log and for people.

    :param place: host and port of the push service.
    :param detail: what is known besides; it may be a peer's, so it is made fit to be shown.
    """
    sentence = CAUSES[cause][1].format(place=place)
    return harmless(f"{sentence} ({detail})" if detail else sentence, MAX_SENTENCE)
