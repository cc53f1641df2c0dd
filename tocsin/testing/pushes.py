"""The notifications that have reached the device."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection

from attrs import astuple, field, frozen

from tocsin.protocol.messages import Payload
from tocsin.protocol.toast_label import ToastLabel


@frozen
class Push:
    """A notification that has reached the device.

    ``type`` is raw, toast, tile or badge; ``expires`` in seconds since the epoch on the service's clock, or None; ``priority`` from 1, high,
    to 4, very low; ``channel_uri`` is the channel that it was sent to. ``tag`` and ``group`` are empty where there is none.
    """

    id: str
    type: str
    body: bytes
    expires: float | None
    priority: int
    channel_uri: str = field(repr=False)
    tag: str = ""
    group: str = ""
    suppress_popup: bool = False

    @property
    def text(self) -> str:
        """The body as UTF-8 text.

        :raises UnicodeDecodeError: it is none.
        """
        return self.body.decode()


class Pushes:
    """Collects pushes in the thread of one event loop, for others to read and to wait for.

    :param most: how many are kept, the newest; None for all.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._changed = threading.Condition()
        self._came = asyncio.Event()
        self._pushes: dict[str, Push] = {}
        self._count = 0
        self._unwanted = frozenset[str]()

    def add(self, payload: Payload, channel_uri: str) -> None:
        """Take a payload in; one that came before is not taken again."""
        label = astuple(ToastLabel.read(payload.label))
        push = Push(payload.id, str(payload.type), payload.body, payload.expires, payload.priority, channel_uri, *label)
        with self._changed:
            if push.id in self._pushes or push.id in self._unwanted:
                return
            self._pushes[push.id] = push
            self._count += 1
            if self._most is not None and len(self._pushes) > self._most:
                del self._pushes[next(iter(self._pushes))]
            self._changed.notify_all()
        self._came.set()
        self._came = asyncio.Event()

    @property
    def count(self) -> int:
        """How many have come so far, those that are not kept any more included."""
        return self._count

    def all(self) -> list[Push]:
        """Return all so far, in the order in which they came."""
        with self._changed:
            return list(self._pushes.values())

    def clear(self, unwanted: Collection[str] = ()) -> None:
        """Forget all so far, and take none of those in that have these ids and may come yet."""
        with self._changed:
            self._unwanted = frozenset(unwanted)
            self._pushes.clear()
            self._count = 0

    async def come(self, count: int) -> None:
        """Wait in the event loop until there are that many."""
        while self._count < count:
            await self._came.wait()

    def wait_until(self, enough: Callable[[int], bool], timeout: float) -> bool:
        """Block this thread until there are enough; False where that takes longer than so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: enough(self._count), timeout)
