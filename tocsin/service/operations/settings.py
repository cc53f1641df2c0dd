"""What an operator may choose about the push service: each choice with its default, its limits and what it means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Self

import attrs
from attrs import Attribute, field, frozen

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.network.addresses import read_network
from tocsin.protocol.sending.sign_in import split_service_url
from tocsin.protocol.text import quoted

MIN_PAGE_TOKEN: Final = 16
"""Characters of the page's token at least."""

_PORTS: Final = 65_535


def kind_of(value: Any, default: Any) -> str | None:
    """Return the words for what a setting with that default is; None where the value is that."""
    if isinstance(default, tuple):
        right = isinstance(value, tuple) and all(isinstance(each, str) for each in value)
        return None if right else "a list of texts"
    if isinstance(default, float):
        return None if type(value) in {int, float} else "a number"
    if type(value) is type(default):
        return None
    return {bool: "true or false", int: "a whole number", str: "a text"}[type(default)]


def setting(  # noqa: PLR0913  # what may be said of one
    default: Any,
    meaning: str,
    within: tuple[float, float] | None = None,
    *,
    check: Callable[[str, Any], None] | None = None,
    secret: bool = False,
    option: bool = True,
) -> Any:
    """Declare a setting; ``within`` are the least and the greatest value of a number, ``check`` knows what else is wrong.

    :param secret: it is shown nowhere.
    :param option: it may be given on the command line, which other users of the machine can read.
    """

    def validate(_: Any, attribute: Attribute[Any], value: Any) -> None:
        kind = kind_of(value, default)
        if within is not None and (kind is not None or not within[0] <= value <= within[1]):
            kind = "a whole number" if isinstance(default, int) else "a number"
            limits = f"{kind} from {within[0]:.12g} to {within[1]:.12g}"
            raise InvalidArgument(f"{attribute.name} is {limits}, not {quoted(value)}")
        if kind is not None:
            raise InvalidArgument(
                f"{attribute.name} is {kind}, not {type(value).__name__ if secret else quoted(value)}"
            )
        if check is not None:
            check(attribute.name, value)

    return field(default=default, validator=validate, repr=not secret, metadata={"meaning": meaning, "option": option})


def rate(default: float, meaning: str) -> Any:
    """Declare how often something may happen a second; ``meaning`` says what."""
    return setting(default, f"{meaning} a second, on average; 0: no limit", (0, 1_000_000))


def seconds(default: float, meaning: str) -> Any:
    """Declare a span of time; ``meaning`` goes on behind "seconds"."""
    return setting(default, f"seconds {meaning}", (0.001, 3_600))


def _check_networks(name: str, value: tuple[str, ...]) -> None:
    for each in value:
        try:
            read_network(each)
        except ValueError:
            raise InvalidArgument(f"{name} are addresses or networks, not {quoted(each)}") from None


def check_host(name: str, value: str) -> None:
    """Refuse what is no address and no name of a host."""
    if not value or not value.isprintable() or " " in value:
        raise InvalidArgument(f"{name} is an address or a name, not {quoted(value)}; 0.0.0.0 and :: are all addresses")


def check_public_url(name: str, value: str) -> None:
    """Refuse what is no URL of a service; an empty one is none yet."""
    if value:
        split_service_url(value, name)


def check_file(name: str, value: str) -> None:
    """Refuse what cannot be the name of a file."""
    if "\0" in value:
        raise InvalidArgument(f"{name} is the name of a file, and {quoted(value)} cannot be one")


def check_engine(name: str, value: str) -> None:
    """Refuse what is no URL of PostgreSQL, without showing it; an empty one is none."""
    if value and not (value.startswith(("postgresql://", "postgres://")) and value.isprintable() and " " not in value):
        raise InvalidArgument(
            f"{name} is postgresql://USER@HOST:PORT/DATABASE; without one the state folder has it all"
        )


def check_link(name: str, value: str) -> None:
    """Refuse what is no host with a port; an empty one is none."""
    host, _, port = value.rpartition(":")
    if value and not (host and port.isdecimal() and port.isascii() and int(port) <= _PORTS and _is_place(host)):
        raise InvalidArgument(
            f"{name} is HOST:PORT, such as 10.0.0.7:7443, or [fd00::7]:7443 for IPv6, not {quoted(value)}"
        )


def _is_place(host: str) -> bool:
    bare = host.removeprefix("[").removesuffix("]")
    return bare.isprintable() and " " not in host and (":" in bare) == (host == f"[{bare}]")


def _check_token(name: str, value: str) -> None:
    if not value.isprintable() or value != value.strip():
        raise InvalidArgument(f"{name} goes into a header: printable, and without blanks around it")


def _check_page_token(name: str, value: str) -> None:
    _check_token(name, value)
    if value and not (len(value) >= MIN_PAGE_TOKEN and value.isascii()):
        raise InvalidArgument(f"{name} has {MIN_PAGE_TOKEN} ASCII characters or more, so that it cannot be guessed")


@frozen
class ServiceSettings:
    """The settings of a push service, each within its limits.

    :raises InvalidArgument: a value is outside its limits.
    """

    host: str = setting(
        "127.0.0.1",
        "the address or name to listen on; the default is reached from this machine only",
        check=check_host,
    )
    port: int = setting(0, "the TCP port; 0 takes the one of the last time, or a free one", (0, _PORTS))
    public_url: str = setting(
        "", "the URL by which senders and devices reach the service; empty: host and port", check=check_public_url
    )
    engine: str = setting(
        "",
        "the database that keeps the state, as postgresql://USER@HOST:PORT/DATABASE; empty: the state folder",
        check=check_engine,
        secret=True,
    )
    link: str = setting(
        "", "host and port where other nodes over the database reach this one; empty: 127.0.0.1:0", check=check_link
    )
    link_address: str = setting(
        "",
        "host and port that other nodes are told instead, such as behind a NAT; empty: as it listens",
        check=check_link,
    )
    tls_cert: str = setting(
        "", "the file with the certificate and its chain (PEM); with it the service speaks TLS", check=check_file
    )
    tls_key: str = setting(
        "", "the file with the certificate's private key (PEM); empty: it is in the other file", check=check_file
    )
    dev_tls: bool = setting(
        default=False, meaning="speak TLS with a certificate made for it, which clients on this machine are to trust"
    )
    insecure: bool = setting(default=False, meaning="allow a host that others reach without TLS")
    trusted_proxies: tuple[str, ...] = setting(
        (), "proxies, by address or network, whose X-Forwarded-For is believed", check=_check_networks
    )
    metrics_token: str = setting(
        "", "the bearer token for /metrics; empty: it is for this machine only", check=_check_token, secret=True
    )
    page: bool = setting(default=True, meaning="show at / what the service is doing, to who may see it")
    page_token: str = setting(
        "",
        "what opens the page, 16 characters or more; empty: it is for this machine only",
        check=_check_page_token,
        secret=True,
        option=False,
    )
    web_push: bool = setting(
        default=True, meaning="give devices push subscriptions, for apps that need not be registered"
    )
    browsers: bool = setting(
        default=False, meaning="let Firefox, and KDE's distributor, have this service as their push server"
    )
    strict_wns: bool = setting(default=False, meaning="keep no more for a device that is away than WNS does")

    max_connections: int = setting(10_000, "connections at a time", (1, 1_000_000))
    max_connections_per_address: int = setting(2_000, "connections from one address at a time", (1, 1_000_000))
    max_channels: int = setting(1_000_000, "channels that are kept, ended ones included for 30 days", (1, 10**9))
    max_stored: int = setting(1_000_000, "notifications that are kept for devices that are away", (1, 10**9))
    max_hub_registrations: int = setting(1_000_000, "registrations of one notification hub", (1, 10**9))
    max_head_bytes: int = setting(32_768, "bytes of a request's line and headers", (1_024, 1_048_576))
    max_headers: int = setting(100, "headers of a request", (16, 10_000))

    head_timeout: float = seconds(10.0, "in which a request's headers have to arrive, a TLS handshake included")
    body_timeout: float = seconds(10.0, "in which a request's body has to arrive")
    idle_timeout: float = seconds(30.0, "that a sender's connection may stay open between requests")
    write_timeout: float = seconds(
        10.0, "in which a peer has to read what fills its buffer, or the last that it is sent"
    )
    hello_timeout: float = seconds(10.0, "in which a new device connection has to say hello")
    ping_interval: float = seconds(20.0, "between pings of a device, and in which it has to answer one")
    acknowledge_timeout: float = seconds(
        10.0, "in which a device has to acknowledge a payload, waiting included, and the store to be read or written"
    )
    drain_delay: float = setting(
        0.0,
        "seconds that the service goes on when it is told to stop, while /readyz says so to load balancers",
        (0, 3_600),
    )
    drain_timeout: float = seconds(5.0, "that requests under way are waited for when the service stops")

    device_window: int = setting(1_024, "payloads on their way to one device, sent and not acknowledged", (1, 65_536))
    device_backlog: int = setting(
        4_096, "payloads that may wait for a place in one device's window; above it senders get 503", (1, 1_048_576)
    )

    channel_rate: float = rate(100.0, "notifications to one channel")
    channel_burst: int = setting(1_000, "notifications to one channel at once", (1, 1_000_000))
    app_rate: float = rate(2_000.0, "notifications of one app")
    app_burst: int = setting(20_000, "notifications of one app at once", (1, 1_000_000))
    address_rate: float = rate(2_000.0, "requests from one address")
    address_burst: int = setting(20_000, "requests from one address at once", (1, 1_000_000))
    secret_rate: float = rate(0.2, "wrong secrets for one client id from one address")
    secret_burst: int = setting(20, "wrong secrets for one client id from one address at once", (1, 1_000_000))
    grant_rate: float = rate(20.0, "requests for a channel from one address")
    grant_burst: int = setting(1_000, "requests for a channel from one address at once", (1, 1_000_000))

    @classmethod
    def private(cls, **choices: Any) -> Self:
        """Return the settings of a service that only its own program and machine use: no rates are limited."""
        rates: dict[str, Any] = {each.name: 0.0 for each in attrs.fields(cls) if each.name.endswith("_rate")}
        return cls(**(rates | choices))
