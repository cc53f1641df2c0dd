"""How long nodes wait for one another, and how much they have out at a time."""

from __future__ import annotations

from attrs import field, frozen, validators


@frozen
class LinkTerms:
    """Times in seconds."""

    dial_timeout: float = field(default=2.0, validator=validators.gt(0))
    """In which a connection has to be made and both have greeted each other."""
    answer_timeout: float = field(default=25.0, validator=validators.gt(0))
    """In which a forward has to be answered, waiting included. It is longer than the other node may take for the device and its store."""
    silence: float = field(default=2.0, validator=validators.gt(0))
    """After which another node is taken for dead of which nothing is heard, though it has something to answer: shorter than a lease."""
    first_rest: float = field(default=0.1, validator=validators.gt(0))
    longest_rest: float = field(default=2.0, validator=validators.gt(0))
    """Between two tries to reach a node."""
    drain: float = field(default=5.0, validator=validators.gt(0))
    """For what is under way when a node leaves."""
    window: int = field(default=16_384, validator=validators.gt(0))
    """Forwards that are sent to one node and not answered: many, since devices that do not answer hold up no others."""
    backlog: int = field(default=4_096, validator=validators.gt(0))
    """Forwards that wait for the window; above it senders hear that too many wait."""
    newcomers: int = field(default=64, validator=validators.gt(0))
    """Connections at a time of which it is not known yet whose they are."""
    per_node: int = field(default=4, validator=validators.gt(0))
    """Connections of one node; the oldest gives way."""
