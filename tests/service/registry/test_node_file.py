"""The names of nodes: no two are alike, and each is one that a certificate may have."""

from __future__ import annotations

from pathlib import Path

import pytest

from tocsin.service.nodes.node_authority import host_of
from tocsin.service.registry.node_file import NodeFile, name_node, read_node, write_node


@pytest.mark.parametrize("host", ["web-1.example.org", "", "Größe_7", "-", "x" * 200, "a--b."])
def test_a_node_is_named_after_its_machine(host: str) -> None:
    """As far as such a name may have what the machine's has."""
    one, other = name_node(host), name_node(host)
    assert one != other
    assert host_of(one)
    assert one.startswith({"web-1.example.org": "web-1-", "Größe_7": "gr-e-7-", "": "node-"}.get(host, one[:1]))


def test_a_name_is_kept(tmp_path: Path) -> None:
    """Also that of a folder that has none yet."""
    for name in ("", "web-1-00000000"):
        node = NodeFile("service", "PostgreSQL at h", 7, node=name)
        write_node(tmp_path, node)
        assert read_node(tmp_path) == node
