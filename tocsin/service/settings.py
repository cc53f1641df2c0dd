"""What an operator may choose about the push service: each choice with its default, its limits and what it means."""

from __future__ import annotations

from typing import Any, Self

import attrs
from attrs import Attribute, field, frozen

from tocsin.protocol.addresses import read_network
from tocsin.protocol.errors import InvalidArgument


def _setting(default: Any, meaning: str, within: tuple[float, float] | None = None) -> Any:
    """Declare a setting; ``within`` are the least and the greatest value of a number."""

    def check(_: Any, attribute: Attribute[Any], value: float) -> None:
        assert within is not None  # noqa: S101  # else there is no such validator
        if not within[0] <= value <= within[1]:
            raise InvalidArgument(f"{attribute.name} must be from {within[0]:g} to {within[1]:g}, not {value!r}")

    return field(default=default, validator=None if within is None else check, metadata={"meaning": meaning})


def _rate(default: float, meaning: str) -> Any:
    return _setting(default, f"{meaning} a second, on average; 0: no limit", (0, 1_000_000))


def _seconds(default: float, meaning: str) -> Any:
    return _setting(default, f"seconds {meaning}", (0.001, 3_600))


def _check_networks(_: Any, attribute: Attribute[Any], value: tuple[str, ...]) -> None:
    for each in value:
        try:
            read_network(each)
        except ValueError:
            raise InvalidArgument(f"{attribute.name} are addresses or networks, not {each!r}") from None


@frozen
class ServiceSettings:
    """The choices.

    :raises InvalidArgument: a value is outside its limits.
    """

    host: str = _setting("127.0.0.1", "the address or name to listen on; the default is reached from this machine only")
    port: int = _setting(0, "the TCP port; 0 takes the one of the last time, or a free one", (0, 65_535))
    public_url: str = _setting("", "the URL by which senders and devices reach the service; empty: host and port")
    tls_cert: str = _setting("", "the file with the certificate and its chain (PEM); with it the service speaks TLS")
    tls_key: str = _setting("", "the file with the certificate's private key (PEM); empty: it is in the other file")
    insecure: bool = _setting(default=False, meaning="allow a host that others reach without TLS")
    trusted_proxies: tuple[str, ...] = field(
        default=(),
        validator=_check_networks,
        metadata={"meaning": "proxies, by address or network, whose X-Forwarded-For is believed"},
    )
    metrics_token: str = field(
        default="",
        repr=False,
        metadata={"meaning": "the bearer token for /metrics; empty: it is for this machine only"},
    )
    strict_wns: bool = _setting(default=False, meaning="keep no more for a device that is away than WNS does")

    max_connections: int = _setting(10_000, "connections at a time", (1, 1_000_000))
    max_connections_per_address: int = _setting(2_000, "connections from one address at a time", (1, 1_000_000))
    max_channels: int = _setting(1_000_000, "channels that are kept, ended ones included for 30 days", (1, 10**9))
    max_stored: int = _setting(1_000_000, "notifications that are kept for devices that are away", (1, 10**9))
    max_head_bytes: int = _setting(32_768, "bytes of a request's line and headers", (1_024, 1_048_576))
    max_headers: int = _setting(100, "headers of a request", (16, 10_000))

    head_timeout: float = _seconds(10.0, "in which a request's headers have to arrive, a TLS handshake included")
    body_timeout: float = _seconds(10.0, "in which a request's body has to arrive")
    idle_timeout: float = _seconds(30.0, "that a sender's connection may stay open between requests")
    write_timeout: float = _seconds(10.0, "in which a peer has to read what fills its buffer")
    hello_timeout: float = _seconds(10.0, "in which a new device connection has to say hello")
    ping_interval: float = _seconds(20.0, "between pings of a device, and in which it has to answer one")
    acknowledge_timeout: float = _seconds(10.0, "in which a device has to acknowledge a payload, waiting included")
    drain_timeout: float = _seconds(5.0, "that requests under way are waited for when the service stops")

    device_window: int = _setting(1_024, "payloads on their way to one device, sent and not acknowledged", (1, 65_536))
    device_backlog: int = _setting(
        4_096, "payloads that may wait for a place in one device's window; above it senders get 503", (1, 1_048_576)
    )

    channel_rate: float = _rate(100.0, "notifications to one channel")
    channel_burst: int = _setting(1_000, "notifications to one channel at once", (1, 1_000_000))
    app_rate: float = _rate(2_000.0, "notifications of one app")
    app_burst: int = _setting(20_000, "notifications of one app at once", (1, 1_000_000))
    address_rate: float = _rate(2_000.0, "requests from one address")
    address_burst: int = _setting(20_000, "requests from one address at once", (1, 1_000_000))
    secret_rate: float = _rate(0.2, "wrong secrets for one client id from one address")
    secret_burst: int = _setting(20, "wrong secrets for one client id from one address at once", (1, 1_000_000))
    grant_rate: float = _rate(20.0, "requests for a channel from one address")
    grant_burst: int = _setting(1_000, "requests for a channel from one address at once", (1, 1_000_000))

    @classmethod
    def private(cls, **choices: Any) -> Self:
        """Return the settings of a service that only its own program and machine use: no rates are limited."""
        rates: dict[str, Any] = {each.name: 0.0 for each in attrs.fields(cls) if each.name.endswith("_rate")}
        return cls(**(rates | choices))
