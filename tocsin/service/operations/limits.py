"""Who may ask how often: token buckets for channels, apps and addresses."""

from __future__ import annotations

import math
from collections.abc import Callable

from starlette.types import Scope

from tocsin.protocol.kernel.throttle import Throttle
from tocsin.protocol.network.addresses import Address, client_behind, client_key, read_address, read_network
from tocsin.protocol.service.refusal import Refusal, RefusalKind
from tocsin.service.operations.settings import ServiceSettings

_TALK = 50.0, 2_000  # frames of a device a second, and at once, that bring nothing new


class Limits:
    """The token buckets of a service, for its channels, apps, addresses and client ids.

    :param now: seconds on a clock that never goes back.
    :param nodes: returns how many nodes serve: what comes to one of them for an app or a channel counts as often.
    """

    def __init__(
        self, settings: ServiceSettings, now: Callable[[], float], nodes: Callable[[], int] | None = None
    ) -> None:
        self._now = now
        self._nodes = nodes
        self._trusted = tuple(read_network(each) for each in settings.trusted_proxies)
        self._channels = Throttle(settings.channel_rate, settings.channel_burst)
        self._apps = Throttle(settings.app_rate, settings.app_burst)
        self._addresses = Throttle(settings.address_rate, settings.address_burst)
        self.limited = bool(settings.channel_rate or settings.app_rate or settings.address_rate)
        """Whether there is a limit for notifications at all."""
        self._secrets = Throttle(settings.secret_rate, settings.secret_burst)
        self._grants = Throttle(settings.grant_rate, settings.grant_burst)
        self._talk = Throttle(*_TALK)

    def address_of(self, scope: Scope) -> str:
        """Return whom a request is from, as the limits count: an IPv4 address, an IPv6 network of 64 bits, or ``""``.

        Behind trusted proxies it is the nearest address that ``X-Forwarded-For`` names and that is none of them.
        """
        client = scope.get("client")
        host: str = client[0] if client else ""
        if self._trusted and self.is_proxy(host):
            peer = read_address(host)
            assert peer is not None  # noqa: S101  # else it were no proxy
            values = (value for name, value in scope["headers"] if name == b"x-forwarded-for")
            host = str(client_behind(peer, values, self._is_trusted))
        return client_key(host) if ":" in host else host

    def is_proxy(self, host: str) -> bool:
        """Tell whether that is the address of one of our proxies."""
        address = read_address(host) if self._trusted else None
        return address is not None and self._is_trusted(address)

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)

    def address(self, scope: Scope) -> Refusal | None:
        """Count a request for the address that it is from."""
        address = self.address_of(scope)
        return _refuse(RefusalKind.ADDRESS_THROTTLED, self._addresses.spend(address, self._now()) if address else 0.0)

    def app(self, client_id: str, *, of_hub: bool = False) -> Refusal | None:
        """Count a notification for the app that sends it.

        :param of_hub: whether it is of a hub, whose notifications all come from one node, and count once.
        """
        return _refuse(RefusalKind.APP_THROTTLED, self._apps.spend(client_id, self._now(), self._weight(of_hub=of_hub)))

    def channel(self, name: str, *, of_hub: bool = False) -> Refusal | None:
        """Count a notification for the channel that it is for, as by :meth:`app`."""
        weight = self._weight(of_hub=of_hub)
        return _refuse(RefusalKind.CHANNEL_THROTTLED, self._channels.spend(name, self._now(), weight))

    def _weight(self, *, of_hub: bool) -> int:
        return 1 if self._nodes is None or of_hub else max(self._nodes(), 1)

    def secret(self, scope: Scope, client_id: str) -> float:
        """Return the seconds until that address may try a secret for that client id; 0 if it may now."""
        return self._secrets.peek(self._secret_key(scope, client_id), self._now())

    def wrong_secret(self, scope: Scope, client_id: str) -> None:
        """Count a wrong secret."""
        self._secrets.spend(self._secret_key(scope, client_id), self._now())

    def grant(self, address: str) -> float:
        """Count a request for a channel; return 0, or the seconds until there may be another from that address."""
        return self._grants.spend(address, self._now()) if address else 0.0

    def may_talk(self, device: str) -> bool:
        """Count a frame of a device that acknowledges nothing that is awaited; tell whether it may send another."""
        return not self._talk.spend(device, self._now())

    def _secret_key(self, scope: Scope, client_id: str) -> str:
        return f"{self.address_of(scope)} {client_id[:64]}"


def _refuse(kind: RefusalKind, wait: float) -> Refusal | None:
    """Refuse what came too soon, until as many whole seconds have passed."""
    return Refusal(kind, math.ceil(wait)) if wait else None
