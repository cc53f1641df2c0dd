"""Whose address it is: one reading for all spellings of an IP address, and the client behind a chain of proxies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_MAX_TEXT = 64  # characters of an address with zone and port
_MAPPED = IPv6Network("::ffff:0:0/96")
_CLIENT_BITS = 64  # of an IPv6 address that tell one client from another
_ADDRESSED = ("ip", "ipv4", "ipv6", "addr", "address")  # how words end that speak of an address
_PASSED_ON = frozenset({"forwarded", "via", "proxy", "proxied", "remote", "originating", "connecting", "loop"})
_PROXIES = frozenset(  # the names of their makers, as words in the names of what they add
    {"akamai", "amz", "amzn", "appengine", "appgw", "arr", "azure", "cdn", "cf", "cloudfront", "envoy", "fastly", "fly"}
    | {"haproxy", "heroku", "incap", "kong", "netlify", "nf", "ngrok", "nginx", "squid", "sucuri", "tailscale"}
    | {"traefik", "varnish", "vercel"}
)


@lru_cache(4_096)
def read_address(text: str) -> Address | None:
    """Read an address in any spelling: with brackets, port or zone, and IPv4 within IPv6 as what it is; None for anything else."""
    text = text.strip().strip('"')
    if len(text) > _MAX_TEXT:
        return None
    if text.startswith("["):
        text, bracket, port = text[1:].partition("]")
        if not bracket or (port and not _is_port(port.removeprefix(":"))):
            return None
    elif text.count(":") == 1:  # IPv4 and a port
        text, _, port = text.partition(":")
        if not _is_port(port):
            return None
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5


def read_network(text: str) -> Network:
    """Read a network, or an address as the network that holds nothing else; IPv4 within IPv6 is IPv4.

    :raises ValueError: it is neither.
    """
    address = read_address(text)
    network = ip_network(text if address is None else address)
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        mapped = network.network_address.ipv4_mapped
        return ip_network((str(mapped), network.prefixlen - 96))
    return network


def is_loopback(host: str) -> bool:
    """Tell whether that is an address of this machine that no other can reach."""
    address = read_address(host)
    return host == "localhost" if address is None else address.is_loopback


@lru_cache(4_096)
def client_key(host: str) -> str:
    """Return what one client has: an IPv4 address, or the network of 64 bits of an IPv6 address; empty for anything else."""
    address = read_address(host)
    if address is None:
        return ""
    return str(ip_network((address, _CLIENT_BITS), strict=False)) if isinstance(address, IPv6Address) else str(address)


def client_behind(peer: Address, forwarded: Iterable[bytes], is_proxy: Callable[[Address], bool]) -> Address:
    """Return whom a request is from: the first address, from the nearest on, that is not one of our proxies.

    What a proxy says of the one before it is believed, and nothing else; where it says nothing that is an address, it is
    the last that is known.

    :param forwarded: the values of all ``X-Forwarded-For`` lines, in their order.
    """
    client = peer
    for text in _from_the_nearest(forwarded):
        if not is_proxy(client):
            break
        address = read_address(text)
        if address is None:
            break
        client = address
    return client


def _from_the_nearest(values: Iterable[bytes]) -> Iterator[str]:
    """Give the elements of a list that comes in several lines, the last first; empty ones are none (RFC 9110 §5.6.1)."""
    for value in reversed(list(values)):
        rest, comma = value, b","
        while comma:
            rest, comma, element = rest.rpartition(b",")
            text = element.strip().decode("latin-1")
            if text:
                yield text


def is_of_a_proxy(header: str) -> bool:
    """Tell whether a request's header is one that only proxies add, by the words of its name, whatever its case.

    Those speak of being passed on (``Via``, ``X-Forwarded-For``), of the client's address (``X-Real-IP``,
    ``True-Client-IP``, ``X-Envoy-External-Address``), or name a maker of proxies (``CF-Ray``, ``Fly-Region``).
    """
    words = header.lower().split("-")
    return any(word in _PASSED_ON or word in _PROXIES or word.endswith(_ADDRESSED) for word in words)
