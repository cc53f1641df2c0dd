"""What the links of a node to others share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from attrs import Factory, define

from tocsin.repeat_log import RepeatLog
from tocsin.service.devices.turn import WritingTurn
from tocsin.service.nodes.forwards_out import LinkCounts
from tocsin.service.nodes.link_stream import LinkStream
from tocsin.service.nodes.link_terms import LinkTerms
from tocsin.service.nodes.node_identity import NodeIdentity


@define(eq=False)
class LinkContext:
    """What the links of a node share.

    :param lease: gives the number of the node's lease.
    """

    identity: NodeIdentity
    lease: Callable[[], int]
    program: str
    terms: LinkTerms
    recurring: RepeatLog
    turn: WritingTurn = Factory(WritingTurn)
    counts: LinkCounts = Factory(LinkCounts)
    tasks: set[asyncio.Task[None]] = Factory(set)
    """Those that dial."""
    streams: set[LinkStream] = Factory(set)
    """All connections of which something is left."""
