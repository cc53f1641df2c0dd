"""Which HTTP proxy the environment names for a host: ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``.

There is no standard; this follows what curl and Go do: lower-case names win, a proxy without a scheme is an HTTP proxy, and
entries of ``NO_PROXY`` are hosts (with all below them), addresses, networks, ``*``, each with a port if need be. Beyond
them, the own machine is never reached through a proxy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import quote, unquote, urlsplit

from attrs import field, frozen

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.network.addresses import is_loopback

_PORTS = {"http": 80, "https": 443}
_NO_PROXY = "names no proxy: that is http://HOST:PORT, with USER:PASSWORD@ before the host if need be"


@frozen
class Proxy:
    """An HTTP proxy, which is spoken to in plain words (``http``) or by TLS (``https``)."""

    scheme: str
    host: str
    port: int
    user: str | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)

    @property
    def place(self) -> str:
        """Host and port, for people."""
        return place(self.host, self.port)

    @property
    def url(self) -> str:
        """Its URL, without credentials."""
        return f"{self.scheme}://{self.place}"

    @property
    def full_url(self) -> str:
        """Its URL with its credentials, for a library that takes them in no other way; not to be shown."""
        if self.user is None:
            return self.url
        user, password = (quote(text, safe="", errors="surrogateescape") for text in (self.user, self.password))
        return f"{self.scheme}://{user}:{password}@{self.place}"


def place(host: str, port: int) -> str:
    """Write host and port as in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def find_proxy(host: str, port: int, environ: Mapping[str, str], *, secure: bool) -> Proxy | None:
    """Return the proxy for a host, or None where it is reached directly.

    :param secure: whether TLS is spoken with the host, which decides between ``HTTPS_PROXY`` and ``HTTP_PROXY``.
    :raises InvalidArgument: the environment names one that cannot be used; the sentence does not show its value, which
        may hold a password.
    """
    host = host.rstrip(".").lower()
    if is_loopback(host) or _is_exempt(host, port, _value("no_proxy", environ)[1]):
        return None
    for name in ("https_proxy" if secure else "http_proxy", "all_proxy"):
        spelled, value = _value(name, environ)
        if value:
            return _read(spelled, value)
    return None


def _value(name: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return a variable as it is spelled and its value: the lower-case spelling counts, even where that is empty."""
    if name not in environ and (
        name != "http_proxy" or "REQUEST_METHOD" not in environ
    ):  # under CGI the other is a client's header "Proxy" (httpoxy)
        name = name.upper()
    return name, environ.get(name, "")


def _read(name: str, value: str) -> Proxy:
    value = value.strip()
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:  # a port, or an address in brackets, that is none
        raise InvalidArgument(f"{name} {_NO_PROXY}") from None
    if parts.scheme.startswith("socks"):
        raise InvalidArgument(f"{name} names a SOCKS proxy: only HTTP proxies are used, so name one, or set NO_PROXY")
    if parts.scheme not in _PORTS or not parts.hostname or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise InvalidArgument(f"{name} {_NO_PROXY}")
    user = None if parts.username is None else unquote(parts.username)
    return Proxy(parts.scheme, parts.hostname, port, user, unquote(parts.password or ""))


def _is_exempt(host: str, port: int, no_proxy: str) -> bool:
    return any(_covers(entry, host, port) for entry in re.split(r"[,\s]+", no_proxy.lower()) if entry)


def _covers(entry: str, host: str, port: int) -> bool:
    """Tell whether an entry of ``NO_PROXY`` stands for a host and port."""
    if entry == "*":
        return True
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:
        pass  # a name on either side, or a port behind the address
    name, colon, number = entry.rpartition(":")
    if colon and number.isdecimal() and (":" not in name or name.endswith("]")):
        return int(number) == port and _covers(name, host, port)
    name = entry.strip("[]").removeprefix("*").removeprefix(".").rstrip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))
