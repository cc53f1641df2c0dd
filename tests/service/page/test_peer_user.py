"""Programs of other users on this machine."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tocsin.service.page import peer_user
from tocsin.service.page.peer_user import is_of_another_user

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not list the users of sockets")


@contextmanager
def connection(family: socket.AddressFamily, host: str) -> Iterator[tuple[socket.socket, dict[str, tuple[str, int]]]]:
    """Connect to this machine, and give the client's socket with what the service knows of it."""
    with socket.create_server((host, 0), family=family) as listener:
        client = socket.create_connection(listener.getsockname()[:2])
        served, _ = listener.accept()
        with client, served:
            yield client, {"client": served.getpeername()[:2], "server": served.getsockname()[:2]}


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_our_own_programs_are_known(monkeypatch: pytest.MonkeyPatch, family: socket.AddressFamily, host: str) -> None:
    """And those of another user are not ours; root's are."""
    with connection(family, host) as (_, scope):
        assert not is_of_another_user(scope)
        ours = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: ours + 1)
        assert is_of_another_user(scope) is (ours != 0)


def test_a_program_that_has_closed_its_socket_is_none_of_ours() -> None:
    """The system lists what is left of it as root's."""
    with connection(socket.AF_INET, "127.0.0.1") as (client, scope):
        client.close()
        assert is_of_another_user(scope)


def test_ipv4_within_ipv6_is_the_same_connection() -> None:
    """A service that listens on all addresses sees it so."""
    with connection(socket.AF_INET, "127.0.0.1") as (_, scope):
        host, port = scope["client"]
        there, here = scope["server"]
        assert not is_of_another_user({"client": (f"::ffff:{host}", port), "server": (f"::ffff:{there}", here)})


def test_where_the_list_is_hidden_no_program_is_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a system that keeps none, each program of this machine is."""
    monkeypatch.setattr(peer_user, "_LISTS", (tmp_path / "tcp", tmp_path / "tcp6"))
    scope = {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2)}
    assert is_of_another_user(scope)
    monkeypatch.setattr(sys, "platform", "another")
    assert not is_of_another_user(scope)


def test_of_a_list_the_line_with_both_ends_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As Linux writes it on a machine whose numbers begin with their low byte."""
    assert sys.byteorder == "little"
    (tmp_path / "tcp").write_text(
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:1F90 0100007F:C001 01 00000000:00000000 00:00000000 00000000  1000        0 1 1\n"
        "   1: 0100007F:C001 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1001        0 2 1\n",
        encoding="ascii",
    )
    monkeypatch.setattr(peer_user, "_LISTS", (tmp_path / "tcp", tmp_path / "tcp6"))
    scope = {"client": ("127.0.0.1", 0xC001), "server": ("127.0.0.1", 8080)}
    for user, is_other in ((1000, True), (1001, False)):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        assert is_of_another_user(scope) is is_other
