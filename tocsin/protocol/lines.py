"""The lines before the foreground handlers: of the payloads of one channel the first is with its handler."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import Factory, define

from tocsin.protocol.delivery import Phase, Tracked


@define
class Lines:
    """One line a channel; only the first in each has a budget.

    A line is a list: it is short, as a lane's window bounds it, and most hold one payload, for which a queue that is made
    for many would be ten times as large.
    """

    _lines: dict[str, list[Tracked]] = Factory(dict)
    _changed: dict[str, None] = Factory(dict)

    def join(self, channel: str, several: list[Tracked]) -> None:
        """Let payloads of a channel stand in line; the list is ours from now on."""
        line = self._lines.get(channel)
        if line is None:
            self._lines[channel] = several
            self._changed[channel] = None
        else:
            line.extend(several)

    def leave(self, tracked: Tracked) -> None:
        """Take a payload out of its line, if it stands there."""
        channel = tracked.channel
        line = self._lines.get(channel)
        if line is None:
            return
        if line[0] is tracked:
            del line[0]
            self._changed[channel] = None
            if not line:
                del self._lines[channel]
        elif tracked in line:
            line.remove(tracked)

    def new_firsts(self) -> Iterator[Tracked]:
        """Return those that have become the first of their line since the last time, and whose budget begins."""
        for channel in self._changed:
            line = self._lines.get(channel)
            if line is not None and line[0].phase is Phase.OFFERED:
                yield line[0]
        self._changed.clear()

    def clear(self) -> None:
        """Forget all of them."""
        self._lines.clear()
        self._changed.clear()

    def __bool__(self) -> bool:
        return bool(self._lines)
