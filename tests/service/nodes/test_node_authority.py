"""The authority of a service's nodes, and what it signs."""

from __future__ import annotations

import time

import pytest

from tocsin.protocol.errors import InvalidArgument, PlatformUnavailable
from tocsin.service.nodes.node_authority import (
    LIFETIME,
    authority_of,
    host_of,
    issue_node,
    make_node_authority,
    node_of,
)
from tocsin.service.web.dev_authority import make_authority

WALL = time.time()


class KeptAuthority:
    """A store in memory."""

    def __init__(self, kept: bytes | None = None) -> None:
        self.kept = kept

    async def keep_authority(self, made: bytes) -> bytes:
        """Keep the first."""
        if self.kept is None:
            self.kept = made
        return self.kept


async def test_all_nodes_find_the_authority_of_the_first() -> None:
    """Also where two come at the same time, since the store decides."""
    store = KeptAuthority()
    first, second = await authority_of(store, WALL), await authority_of(store, WALL)
    assert first.certificate == second.certificate
    issue_node(second, "b", WALL).certificate.verify_directly_issued_by(first.certificate)


@pytest.mark.parametrize("kept", [b"", b"junk", make_authority(WALL).pem], ids=["empty", "damaged", "for development"])
async def test_an_authority_that_cannot_be_used_is_told_in_words(kept: bytes) -> None:
    """It is not replaced: other nodes may trust it, and what is wrong is for a person to see."""
    with pytest.raises(
        PlatformUnavailable, match="the authority of the nodes that the store keeps cannot be used: it is "
    ):
        await authority_of(KeptAuthority(kept), WALL)


def test_a_certificate_is_good_for_a_day_and_a_day_before() -> None:
    """Clocks of machines differ; the authority itself has no end."""
    authority = make_node_authority(WALL)
    issued = issue_node(authority, "b", WALL).certificate
    assert issued.not_valid_after_utc.timestamp() == int(WALL + LIFETIME)
    assert issued.not_valid_before_utc.timestamp() == int(WALL) - 86_400
    assert authority.certificate.not_valid_after_utc.year == 9999


@pytest.mark.parametrize("node", ["a", "7", "node-1", "0" * 63])
def test_a_name_comes_back_from_its_certificate(node: str) -> None:
    """As TLS gives it."""
    assert node_of((("DNS", host_of(node)),)) == node


@pytest.mark.parametrize("node", ["", "A", "-a", "a-", "a.b", "ä", "a" * 64, "a\n", "*"])
def test_what_is_no_name_is_refused(node: str) -> None:
    """It would not stand in a certificate, or not be the same for each reader of it."""
    with pytest.raises(InvalidArgument, match="a node's name is 1 to 63 lower-case letters"):
        host_of(node)


@pytest.mark.parametrize("names", [None, (), (("DNS", "localhost"),), (("DNS", host_of("a")), ("DNS", host_of("b")))])
def test_a_certificate_of_no_node_has_no_name(names: object) -> None:
    """Nor one that is of two."""
    assert node_of(names) == ""
