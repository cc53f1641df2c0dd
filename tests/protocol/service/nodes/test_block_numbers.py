"""Sequence numbers from blocks: used once, and rising in each device's queue."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tocsin.protocol.service.nodes.block_numbers import KEPT, BlockNumbers

SIZE = 3


class Numbering(RuleBasedStateMachine):
    """Several nodes store for several devices, each with its own blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes = [BlockNumbers(SIZE) for _ in range(3)]
        self.drawn = 1
        self.last = [0, 0, 0]
        self.used: set[int] = set()

    @rule(node=st.integers(0, 2), device=st.integers(0, 2), ahead=st.booleans())
    def stores(self, node: int, device: int, ahead: bool) -> None:
        """A node stores for a device; a block is drawn where none is high enough, or ahead of the need."""
        numbers = self.nodes[node]
        if ahead:
            self._draw(numbers)
        number = numbers.take(self.last[device])
        if number is None:
            self._draw(numbers)
            number = numbers.take(self.last[device])
        assert number is not None, "a block that was drawn after the queue was read is above all of it"
        assert number > self.last[device]
        assert number not in self.used
        self.used.add(number)
        self.last[device] = number

    def _draw(self, numbers: BlockNumbers) -> None:
        numbers.drew(self.drawn)
        self.drawn += SIZE


TestNumbering = Numbering.TestCase


def test_a_block_that_is_too_low_for_one_is_good_for_others() -> None:
    """Few are kept, and the lowest give way."""
    numbers = BlockNumbers(SIZE)
    for first in range(1, 1 + SIZE * (KEPT + 1), SIZE):
        numbers.drew(first)
    assert numbers.take(100) is None
    assert numbers.take(8) == 10
    assert [numbers.take(0) for _ in range(4)] == [4, 5, 6, 7]
