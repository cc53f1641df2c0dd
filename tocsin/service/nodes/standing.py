"""What a node's parts ask of its lease."""

from __future__ import annotations

from typing import Protocol

from tocsin.protocol.service.nodes.lease import LeaseTerms


class NodeStanding(Protocol):
    """Whether this node may act, and under which lease."""

    terms: LeaseTerms

    @property
    def lease(self) -> int:
        """The number of the lease that it has, or has had last."""
        ...

    def is_good(self) -> bool:
        """Tell whether it may act for devices and answer senders now."""
        ...
