"""The notifications that have reached the device."""

from __future__ import annotations

import threading
from collections.abc import Callable

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
    """Collects pushes in one thread, for others to read and to wait for."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._pushes: dict[str, Push] = {}

    def add(self, payload: Payload, channel_uri: str) -> None:
        """Take a payload in; one that came before is not taken again."""
        label = astuple(ToastLabel.read(payload.label))
        push = Push(payload.id, str(payload.type), payload.body, payload.expires, payload.priority, channel_uri, *label)
        with self._changed:
            self._pushes.setdefault(push.id, push)
            self._changed.notify_all()

    def all(self) -> list[Push]:
        """Return all so far, in the order in which they came."""
        with self._changed:
            return list(self._pushes.values())

    def wait_until(self, enough: Callable[[int], bool], timeout: float) -> bool:
        """Block this thread until there are enough; False where that takes longer than so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: enough(len(self._pushes)), timeout)
