"""The lines before the foreground handlers: of the payloads of one channel the first is with its handler."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import Factory, define


@define(eq=False)
class Line:
    """The payloads of one channel, by their sequence numbers in the order in which they are handled.

    It is a list: it is short, as a lane's window bounds it, and most hold one payload, for which a queue that is made for
    many would be ten times as large.
    """

    app: str
    sequences: list[int]


@define
class Lines:
    """One line a channel; only the first in each has a budget."""

    _lines: dict[str, Line] = Factory(dict)
    _changed: dict[str, None] = Factory(dict)

    def join(self, app: str, channel: str, sequences: list[int]) -> None:
        """Let payloads of a channel stand in line; the list is ours from now on."""
        line = self._lines.get(channel)
        if line is None:
            self._lines[channel] = Line(app, sequences)
            self._changed[channel] = None
        else:
            line.sequences += sequences

    def app_of(self, channel: str) -> str:
        """Return the app of a channel that has a line."""
        return self._lines[channel].app

    def leave(self, channel: str, sequences: Sequence[int]) -> None:
        """Take payloads out of their line, if they stand there."""
        line = self._lines.get(channel)
        if line is None:
            return
        first, count = line.sequences[0], len(sequences)
        if line.sequences[:count] == sequences:  # they were handled in order, as nearly all are
            del line.sequences[:count]
        else:
            gone = set(sequences)
            line.sequences = [sequence for sequence in line.sequences if sequence not in gone]
        if not line.sequences:
            del self._lines[channel]
        elif line.sequences[0] != first:
            self._changed[channel] = None

    def new_firsts(self) -> Iterator[int]:
        """Return those that have become the first of their line since the last time."""
        for channel in self._changed:
            line = self._lines.get(channel)
            if line is not None:
                yield line.sequences[0]
        self._changed.clear()

    def clear(self) -> None:
        """Forget all of them."""
        self._lines.clear()
        self._changed.clear()

    def __bool__(self) -> bool:
        return bool(self._lines)
