"""The queues before the foreground handlers: of the payloads of one channel the head is with its handler."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from attrs import Factory, define

from tocsin.protocol.delivery.plain_rows import PlainRow


@define(eq=False)
class HandlerQueue:
    """The payloads of one channel, by their sequence numbers in the order in which they are handled.

    It is a list: it is short, as a window's window bounds it, and most hold one payload, for which a queue that is made for
    many would be ten times as large.
    """

    app: str
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
    """One queue a channel; only the head of each has a budget."""

    _queues: dict[str, HandlerQueue] = Factory(dict)
    _changed: dict[str, None] = Factory(dict)

    def enqueue(self, app: str, rows: Iterable[PlainRow]) -> None:
        """Let payloads of an app stand in the queues of their channels."""
        for sequence, _, _, _, _, _, channel in rows:
            queue = self._queues.get(channel)
            if queue is None:
                queue = self._queues[channel] = HandlerQueue(app)
                self._changed[channel] = None
            queue.sequences.append(sequence)

    def app_of(self, channel: str) -> str:
        """Return the app of a channel that has a queue."""
        return self._queues[channel].app

    def head_of(self, channel: str) -> int | None:
        """Return the payload of a channel that is with its handler; None where none is."""
        queue = self._queues.get(channel)
        return None if queue is None else queue.head

    def note_ended(self, channels: Iterable[str]) -> None:
        """Payloads of these channels have left for good: they stand no more, when it is asked for new firsts."""
        self._changed.update(dict.fromkeys(channels))

    def remove(self, channel: str, sequence: int) -> None:
        """Take a payload out, if it is in its queue: it may come again."""
        queue = self._queues.get(channel)
        if queue is not None and sequence in queue.sequences:
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
        self._changed.clear()
        return queues

    def clear(self) -> None:
        """Forget all of them, and their deadlines."""
        for queue in self._queues.values():
            queue.deadline = 0.0
        self._queues.clear()
        self._changed.clear()

    def __bool__(self) -> bool:
        return bool(self._queues)
