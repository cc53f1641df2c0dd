"""The sequence numbers of stored notifications: drawn from the database in blocks, and above all that the device's queue holds.

So that a device's queue is in the order of its numbers, whichever nodes have stored into it. A block that is drawn after a queue was read
is above all that the queue holds; if another block is in it when the number is written, the row's version has moved on.
"""

from __future__ import annotations

from attrs import Factory, define, field, validators

KEPT = 4
"""Blocks that are kept at most: one that is too low for one device's queue is good for others."""


@define(eq=False)
class BlockNumbers:
    """The numbers that a node has drawn and not used, each of which it uses once.

    :param size: the numbers of a block; all nodes and the database have the same.
    """

    size: int = field(default=1_024, validator=validators.gt(0))
    _blocks: list[range] = Factory(list)

    def take(self, above: int) -> int | None:
        """Return a number above this one, the last of a device's queue or 0; None: a block has to be drawn first."""
        for place, block in enumerate(self._blocks):
            if block.start > above:
                self._blocks[place : place + 1] = [block[1:]] if len(block) > 1 else []
                return block.start
        return None

    def drew(self, first: int) -> None:
        """Note that a block was drawn, by its first number; the lowest gives way where there are too many."""
        self._blocks = sorted((*self._blocks, range(first, first + self.size)), key=lambda block: block.start)[-KEPT:]
