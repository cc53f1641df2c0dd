"""Addresses: one reading for all spellings, and whose a request is."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.network.addresses import (
    Address,
    client_behind,
    client_key,
    is_loopback,
    is_of_a_proxy,
    read_address,
    read_network,
)

V4: st.SearchStrategy[Address] = st.ip_addresses(v=4)
V6: st.SearchStrategy[Address] = (
    st.integers(0, 2**128 - 1).map(IPv6Address).filter(lambda address: not address.ipv4_mapped)
)
PORTS = st.integers(0, 65_535)


@st.composite
def spelled(draw: st.DrawFn, address: Address) -> str:
    """Spell an address in one of the ways in which proxies and systems do."""
    if isinstance(address, IPv4Address):
        mapped = f"::ffff:{address}"
        hexadecimal = IPv6Address(0xFFFF_0000_0000 + int(address)).exploded
        ways = [
            str(address),
            f"{address}:{draw(PORTS)}",
            mapped,
            mapped.upper(),
            hexadecimal,
            f"[{mapped}]:{draw(PORTS)}",
        ]
    else:
        ways = [str(address), address.exploded, str(address).upper(), f"[{address}]", f"[{address}]:{draw(PORTS)}"]
        ways += [f"{address}%eth0", f"[{address}%2]:{draw(PORTS)}"]
    way = draw(st.sampled_from(ways))
    return draw(st.sampled_from([way, f" {way}\t", f'"{way}"']))


@given(st.data(), V4 | V6)
def test_every_spelling_is_the_same_address(data: st.DataObject, address: Address) -> None:
    """Ports, brackets, zones, capitals, and IPv4 within IPv6 change nothing."""
    assert read_address(data.draw(spelled(address))) == address


@pytest.mark.parametrize(
    "text",
    ["", "unknown", "unix:", "unix:/run/x", "_hidden", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.4:", "1.2.3.4:x", "[::1",
     "[::1]x", "[::1]:123456", "::1::", "1" * 100, "\u0661.2.3.4", "localhost", "1.2.3.4:\u0661"],
)  # fmt: skip
def test_anything_else_is_no_address(text: str) -> None:
    """It is not taken for one that it resembles."""
    assert read_address(text) is None
    assert client_key(text) == ""


@given(st.text())
def test_reading_never_fails(text: str) -> None:
    """A header may hold anything."""
    assert read_address(text) is None or client_key(text)


def test_networks_are_read_alike() -> None:
    """An address is a network too, and IPv4 within IPv6 is IPv4."""
    assert str(read_network("::ffff:10.0.0.0/104")) == "10.0.0.0/8"
    assert str(read_network("::ffff:10.0.0.1")) == "10.0.0.1/32"
    assert str(read_network("fd00::/8")) == "fd00::/8"
    assert str(read_network("::/0")) == "::/0"
    for wrong in ("10.0.0.1/8", "proxy", ""):
        with pytest.raises(ValueError, match=r"does not appear to be|has host bits set"):
            read_network(wrong)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("::ffff:127.0.0.1", True), ("localhost", True),
     ("0.0.0.1", False), ("::ffff:10.0.0.1", False), ("", False), ("::", False), ("localhost.example", False)],
)  # fmt: skip
def test_what_only_this_machine_can_reach(host: str, expected: bool) -> None:
    """Also as a socket for both families shows it."""
    assert is_loopback(host) is expected


def test_the_clients_of_a_network_are_one() -> None:
    """Who has one IPv6 address has all of its network; IPv4 within IPv6 is no network."""
    assert client_key("2001:db8::1") == client_key("2001:DB8:0:0:ffff::%3") == "2001:db8::/64"
    assert client_key("::ffff:192.0.2.1") == client_key("192.0.2.1") == "192.0.2.1"


PROXIES = [ip_address(f"10.0.0.{number}") for number in range(1, 6)]


@given(
    data=st.data(),
    chain=st.lists(st.sampled_from(PROXIES), min_size=1, max_size=4),
    client=V4.filter(lambda address: address not in PROXIES) | V6,
    forged=st.lists(st.text(st.characters(max_codepoint=0xFF, exclude_characters=",\r\n"), max_size=20), max_size=4),
    cuts=st.sets(st.integers(0, 9)),
)
def test_the_client_is_found_behind_any_chain(
    data: st.DataObject, chain: list[Address], client: Address, forged: list[str], cuts: set[int]
) -> None:
    """Whatever it wrote itself, however each proxy spells, in how many header lines the list comes: it is the client."""
    *further, nearest = chain
    elements = [*forged, *(data.draw(spelled(each)) for each in (client, *further))]
    lines: list[list[str]] = [[]]
    for number, element in enumerate(elements):
        if number in cuts:
            lines.append([])
        lines[-1].append(element)
    values = [", ".join(line).encode("latin-1") for line in lines]
    assert client_behind(nearest, values, PROXIES.__contains__) == client


def test_the_last_that_is_known_counts() -> None:
    """Where a proxy names no address, it is itself the client; who is no proxy is never asked."""
    proxy, other = PROXIES[:2]
    stranger = ip_address("192.0.2.1")
    assert client_behind(proxy, [], PROXIES.__contains__) == proxy
    assert client_behind(proxy, [b"192.0.2.1, unix:/x"], PROXIES.__contains__) == proxy
    assert client_behind(proxy, [b"unknown, 10.0.0.2"], PROXIES.__contains__) == other
    assert client_behind(proxy, [b"10.0.0.2, 10.0.0.1"], PROXIES.__contains__) == other
    assert client_behind(stranger, [b"10.0.0.2"], PROXIES.__contains__) == stranger


@pytest.mark.parametrize(
    "name",
    [
        "Forwarded",
        "Via",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Original-Forwarded-For",
        "X-Vercel-Forwarded-For",
        "X-Real-IP",
        "X-Client-IP",
        "Client-IP",
        "True-Client-IP",
        "X-Cluster-Client-IP",
        "WL-Proxy-Client-IP",
        "X-ProxyUser-Ip",
        "X-Originating-IP",
        "X-Remote-IP",
        "X-Remote-Addr",
        "X-Envoy-External-Address",
        "X-Azure-ClientIP",
        "X-AppEngine-User-IP",
        "CF-Connecting-IP",
        "CF-Connecting-IPv6",
        "CF-Pseudo-IPv4",
        "CF-Ray",
        "CF-Visitor",
        "Fly-Client-IP",
        "Fly-Region",
        "Fastly-Client-IP",
        "X-Amzn-Trace-Id",
        "CDN-Loop",
        "X-ARR-LOG-ID",
        "X-NF-Client-Connection-IP",
        "Tailscale-User-Login",
        "Proxy-Connection",
        "Akamai-Origin-Hop",
    ],
)
def test_what_only_proxies_add_is_known_by_the_words_of_its_name(name: str) -> None:
    """Those that are well known are among them, in any case."""
    assert is_of_a_proxy(name)
    assert is_of_a_proxy(name.lower())


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "User-Agent",
        "Accept",
        "Accept-Encoding",
        "Accept-Language",
        "Authorization",
        "Cache-Control",
        "Connection",
        "Content-Type",
        "Cookie",
        "If-None-Match",
        "Origin",
        "Pragma",
        "Range",
        "Referer",
        "Sec-Fetch-Site",
        "Traceparent",
        "X-Request-Id",
        "Upgrade-Insecure-Requests",
        "X-Prometheus-Scrape-Timeout-Seconds",
    ],
)
def test_what_asks_from_this_machine_is_taken_for_no_proxy(name: str) -> None:
    """The headers of Prometheus, curl, browsers and our own command pass."""
    assert not is_of_a_proxy(name)
