"""The socket and its port."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tocsin.protocol.errors import PlatformUnavailable
from tocsin.service.web.listener import PortInUse, listen, url_of


@pytest.fixture
def taken() -> Iterator[int]:
    """Listen on a port that is then taken."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


async def test_an_explicit_port_that_is_taken_is_an_error(taken: int) -> None:
    """The sentence names port and host."""
    with pytest.raises(PortInUse, match=f"port {taken} on 127.0.0.1 is in use by another program"):
        await listen("127.0.0.1", taken, None)


async def test_the_remembered_port_is_taken_again() -> None:
    """Who has no port of its own gets the one of the last time, as soon as it is free."""
    with await listen("127.0.0.1", 0, None) as first:
        port = first.getsockname()[1]
    with await listen("127.0.0.1", 0, port) as again:
        assert again.getsockname()[1] == port


async def test_a_remembered_port_that_is_taken_is_replaced(taken: int) -> None:
    """Another free port serves as well; the caller sees that it is another."""
    with await listen("127.0.0.1", 0, taken) as other:
        assert other.getsockname()[1] not in {0, taken}


async def test_an_explicit_port_goes_before_the_remembered_one(taken: int) -> None:
    """What the operator says counts."""
    with await listen("127.0.0.1", 0, None) as free:
        port = free.getsockname()[1]
    with await listen("127.0.0.1", port, taken) as chosen:
        assert chosen.getsockname()[1] == port


@pytest.mark.parametrize("host", ["203.0.113.1", "no such host", "\udcff", "a" * 64])
async def test_a_host_that_is_not_ours_is_an_error(host: str) -> None:
    """Neither a foreign address nor a name without one can be listened on; the error says so in a sentence."""
    with pytest.raises(
        PlatformUnavailable, match=r"is not an address or name of this machine|cannot listen on port 0 of"
    ):
        await listen(host, 0, None)


async def test_ipv6_is_spoken() -> None:
    """The loopback of IPv6 is an address like others."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with await listen("::1", 0, None) as listener:
        assert listener.family is socket.AF_INET6


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8"),
        ("localhost", "http://localhost:8"),
        ("::1", "http://[::1]:8"),
        ("0.0.0.0", "http://127.0.0.1:8"),  # noqa: S104 - a case
        ("::", "http://[::1]:8"),
    ],
)
def test_a_url_can_be_connected_to(host: str, url: str) -> None:
    """Brackets stand where IPv6 wants them, and an address that means all of them is not one to connect to."""
    assert url_of(host, 8) == url
