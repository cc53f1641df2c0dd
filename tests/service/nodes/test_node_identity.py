"""What a node proves itself with."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.service.nodes.link_world import AUTHORITY
from tests.service.nodes.test_node_authority import WALL
from tocsin.service.nodes.node_authority import LIFETIME, host_of, make_node_authority
from tocsin.service.nodes.node_identity import NodeIdentity
from tocsin.service.web.tls import _shake_hands


def serial(taking: NodeIdentity, dialling: NodeIdentity) -> Any:
    """Let one node dial another, and return the number of the other's certificate."""
    server, client = taking.for_taking(), dialling.for_dialling()
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(back, there, server_hostname=host_of(taking.node)),
        server.wrap_bio(there, back, server_side=True),
    ]
    for side in sides * 3:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert {side.version() for side in sides} == {"TLSv1.3"}
    return (sides[0].getpeercert() or {})["serialNumber"]


def test_a_certificate_is_renewed_where_half_of_its_time_is_over() -> None:
    """Or the clock was set back; a connection that comes in between has the same."""
    now = [WALL]
    taking = NodeIdentity("b", AUTHORITY, lambda: now[0])
    other = NodeIdentity("a", AUTHORITY)
    first = serial(taking, other)
    now[0] += LIFETIME / 2 - 1
    assert serial(taking, other) == first
    now[0] += 2
    second = serial(taking, other)
    now[0] -= 10
    third = serial(taking, other)
    assert len({first, second, third}) == 3


def test_no_key_is_on_a_disk_in_clear(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not even for the moment in which OpenSSL reads it; and nothing is left."""
    seen: list[bytes] = []

    load = ssl.SSLContext.load_cert_chain

    def watched(context: ssl.SSLContext, certfile: str, **given: Any) -> None:
        seen.append(Path(certfile).read_bytes())
        load(context, certfile, **given)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", watched)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    NodeIdentity("b", AUTHORITY).for_taking()
    assert [b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in each for each in seen] == [True, True]
    assert not any(b"-----BEGIN PRIVATE KEY-----" in each for each in seen)
    assert list(tmp_path.iterdir()) == []


def test_the_authority_is_good_for_nodes_only() -> None:
    """What has its key can be no server of another name, to those that trust it."""
    authority = make_node_authority(WALL)
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        _shake_hands(*_contexts_of_a_stranger(authority))


def _contexts_of_a_stranger(authority: Any) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tocsin.service.nodes.node_authority._DOMAIN", "example.com")
        server = NodeIdentity("www", authority).for_taking()
    server.verify_mode = ssl.CERT_NONE
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(cadata=authority.certificate_pem.decode())
    return server, client
