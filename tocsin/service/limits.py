"""Who may ask how often: token buckets for channels, apps and addresses."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from starlette.types import Scope

from tocsin.protocol.throttle import Throttle
from tocsin.protocol.wns import Refusal, throttled
from tocsin.service.settings import ServiceSettings

_CHANNEL = "Too many notifications to this channel: send more slowly"
_APP = "Too many notifications of this app: send more slowly"
_ADDRESS = "Too many requests from this address: send more slowly"


class Limits:
    """All buckets of a service.

    :param now: seconds on a clock that never goes back.
    """

    def __init__(self, settings: ServiceSettings, now: Callable[[], float]) -> None:
        self._now = now
        self._trusted = tuple(ip_network(each) for each in settings.trusted_proxies)
        self._channels = Throttle(settings.channel_rate, settings.channel_burst)
        self._apps = Throttle(settings.app_rate, settings.app_burst)
        self._addresses = Throttle(settings.address_rate, settings.address_burst)
        self.limited = bool(settings.channel_rate or settings.app_rate or settings.address_rate)
        """Whether there is a limit for notifications at all."""
        self._secrets = Throttle(settings.secret_rate, settings.secret_burst)
        self._grants = Throttle(settings.grant_rate, settings.grant_burst)

    def address_of(self, scope: Scope) -> str:
        """Return whom a request is from, as the limits count: an IPv4 address, an IPv6 network of 64 bits, or ``""``.

        Behind a trusted proxy it is the last address of ``X-Forwarded-For``; without one there is nobody to limit.
        """
        client = scope.get("client")
        host: str = client[0] if client else ""
        if self.is_trusted(host):
            host = _forwarded(scope["headers"])
        return network_of(host) if ":" in host else host

    def is_trusted(self, host: str) -> bool:
        """Tell whether that is one of our proxies."""
        if not self._trusted or not host:
            return False
        address = ip_address(host)
        return any(address in network for network in self._trusted)

    def address(self, scope: Scope) -> Refusal | None:
        """Count a request for the address that it is from."""
        address = self.address_of(scope)
        return _refuse(_ADDRESS, self._addresses.take(address, self._now()) if address else 0.0)

    def app(self, client_id: str) -> Refusal | None:
        """Count a notification for the app that sends it."""
        return _refuse(_APP, self._apps.take(client_id, self._now()))

    def channel(self, name: str) -> Refusal | None:
        """Count a notification for the channel that it is for."""
        return _refuse(_CHANNEL, self._channels.take(name, self._now()))

    def admit(self, scope: Scope, client_id: str, channel: str) -> bool:
        """Count a notification as :meth:`address`, :meth:`app` and :meth:`channel` do, if all three let it come now."""
        now, address = self._now(), self.address_of(scope)
        if (
            (address and self._addresses.peek(address, now))
            or self._apps.peek(client_id, now)
            or self._channels.peek(channel, now)
        ):
            return False
        if address:
            self._addresses.take(address, now)
        self._apps.take(client_id, now)
        self._channels.take(channel, now)
        return True

    def secret(self, scope: Scope, client_id: str) -> float:
        """Return the seconds until that address may try a secret for that client id; 0 if it may now."""
        return self._secrets.peek(self._secret_key(scope, client_id), self._now())

    def wrong_secret(self, scope: Scope, client_id: str) -> None:
        """Count a wrong secret."""
        self._secrets.take(self._secret_key(scope, client_id), self._now())

    def grant(self, address: str) -> float:
        """Count a request for a channel; return 0, or the seconds until there may be another from that address."""
        return self._grants.take(address, self._now()) if address else 0.0

    def _secret_key(self, scope: Scope, client_id: str) -> str:
        return f"{self.address_of(scope)} {client_id[:64]}"


def _refuse(words: str, wait: float) -> Refusal | None:
    """Refuse a request that came too soon; WNS knows one word for that, whosever the limit is."""
    return throttled(words, math.ceil(wait)) if wait else None


@lru_cache(4_096)
def network_of(host: str) -> str:
    """Return the network of 64 bits that an IPv6 address is in: whoever has one such address has all of them."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((address, 64), strict=False))


def _forwarded(headers: list[tuple[bytes, bytes]]) -> str:
    """Return the address that our proxy has written behind all others."""
    values = [value for name, value in headers if name == b"x-forwarded-for"]
    last = values[-1].rpartition(b",")[2].strip().decode("latin-1") if values else ""
    try:
        return str(ip_address(last))
    except ValueError:
        return ""
