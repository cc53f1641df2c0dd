"""The queues before the foreground handlers: of the payloads of one channel the head is with its handler.

Where another session has taken a channel over, the one before it still has the payloads that it was given: each has a queue.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import chain

from attrs import Factory, define

from tocsin.protocol.delivery.plain_rows import PlainRow


@define(eq=False)
class HandlerQueue:
    """The payloads of one channel that one session has, by their sequence numbers in the order in which they are handled.

    It is a list: it is short, as a window's window bounds it, and most hold one payload, for which a queue that is made for
    many would be ten times as large.
    """

    app: str
    session: str = ""
    sequences: list[int] = Factory(list)
    head: int | None = None
    """The one whose budget has begun, or began last."""
    deadline: float = 0.0
    """When its budget is used up, on the loop's clock; 0 while none runs."""

    def advance(self, standing: Collection[int]) -> bool:
        """Look who is first of those that have not left for good, and tell whether it is another than the last time."""
        sequences, place = self.sequences, 0
        while place < len(sequences) and sequences[place] not in standing:
            place += 1
        if place:
            del sequences[:place]
        first = sequences[0] if sequences else None
        if first == self.head and first is not None:
            return False
        self.head, self.deadline = first, 0.0
        return True


@define
class HandlerQueues:
    """One queue a channel and session; only the head of each has a budget."""

    _queues: dict[str, HandlerQueue] = Factory(dict)
    """Of each channel that of the session which has got the last payloads."""
    _earlier: dict[str, list[HandlerQueue]] = Factory(dict)
    """Those of other sessions, as long as they have payloads of the channel."""
    _changed: dict[str, None] = Factory(dict)

    def enqueue(self, app: str, rows: Iterable[PlainRow], session: str = "") -> None:
        """Let payloads of an app that a session gets stand in the queues of their channels."""
        for sequence, _, _, _, _, _, channel, _, _ in rows:
            queue = self._queues.get(channel)
            if queue is None or queue.session != session:
                queue = self._take_over(channel, app, session)
            queue.sequences.append(sequence)

    def _take_over(self, channel: str, app: str, session: str) -> HandlerQueue:
        """Let another session have the payloads of a channel from now on; return its queue."""
        self._changed[channel] = None
        if channel not in self._queues and channel not in self._earlier:  # as for a payload that comes alone
            queue = self._queues[channel] = HandlerQueue(app, session)
            return queue
        earlier = self._earlier.pop(channel, [])
        if channel in self._queues:
            earlier.append(self._queues[channel])
        mine = [queue for queue in earlier if queue.session == session]
        others = [queue for queue in earlier if queue.session != session]
        if others:
            self._earlier[channel] = others
        queue = self._queues[channel] = mine[0] if mine else HandlerQueue(app, session)
        return queue

    def _of(self, channel: str) -> list[HandlerQueue]:
        queue = self._queues.get(channel)
        return [*self._earlier.get(channel, ()), *([] if queue is None else [queue])]

    def app_of(self, channel: str) -> str:
        """Return the app of a channel that has a queue."""
        return self._of(channel)[0].app

    def is_head(self, channel: str, sequence: int) -> bool:
        """Tell whether a payload of a channel is with its handler."""
        return any(queue.head == sequence for queue in self._of(channel))

    def note_ended(self, channels: Iterable[str]) -> None:
        """Payloads of these channels have left for good: they stand no more, when it is asked for new firsts."""
        self._changed.update(dict.fromkeys(channels))

    def remove(self, channel: str, sequence: int) -> None:
        """Take a payload out, if it is in its queue: it may come again."""
        for queue in self._of(channel):
            if sequence in queue.sequences:
                queue.sequences.remove(sequence)
                if queue.head == sequence:
                    queue.head, queue.deadline = None, 0.0
                self._changed[channel] = None

    def new_heads(self, standing: Collection[int]) -> list[HandlerQueue]:
        """Return the queues that have another first than the last time; its budget does not run yet.

        :param standing: all that have not left for good.
        """
        queues = []
        for channel in self._changed:
            queue = self._queues.get(channel)
            if queue is not None and queue.advance(standing):
                if queue.head is None:
                    del self._queues[channel]
                else:
                    queues.append(queue)
            if channel in self._earlier:
                queues += self._new_heads_of_earlier(channel, standing)
        self._changed.clear()
        return queues

    def _new_heads_of_earlier(self, channel: str, standing: Collection[int]) -> list[HandlerQueue]:
        earlier = self._earlier.pop(channel)
        advanced = [queue for queue in earlier if queue.advance(standing)]
        left = [queue for queue in earlier if queue.head is not None]
        if left:
            self._earlier[channel] = left
        return [queue for queue in advanced if queue.head is not None]

    def clear(self) -> None:
        """Forget all of them, and their deadlines."""
        for queue in chain(self._queues.values(), *self._earlier.values()):
            queue.deadline = 0.0
        self._queues.clear()
        self._earlier.clear()
        self._changed.clear()

    def __bool__(self) -> bool:
        return bool(self._queues or self._earlier)
