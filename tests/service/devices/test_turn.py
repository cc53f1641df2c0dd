"""What is written in one turn of the event loop."""

from __future__ import annotations

import asyncio

from tocsin.service.devices.turn import WritingTurn


class WritesInTurn:
    """Counts its writes, and joins again while it writes if it is to."""

    def __init__(self, turn: WritingTurn, *, again: int = 0) -> None:
        self._turn = turn
        self.again = again
        self.writes = 0

    def write(self) -> None:
        """Count."""
        self.writes += 1
        if self.again:
            self.again -= 1
            self._turn.join(self)


async def test_all_write_in_one_turn() -> None:
    """One that has more to write then does so in the next, after the others."""
    turn = WritingTurn()
    writers = [WritesInTurn(turn, again=number) for number in range(3)]
    for writer in writers:
        turn.join(writer)
    assert [writer.writes for writer in writers] == [0, 0, 0]
    for expected in ([1, 1, 1], [1, 2, 2], [1, 2, 3], [1, 2, 3]):
        await asyncio.sleep(0)
        assert [writer.writes for writer in writers] == expected
