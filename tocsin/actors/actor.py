"""The actor and its loop.

An actor takes its mailbox in batches. While it receives, it only changes its state and notes what is to be done; when
the batch is through, ``flush`` does it. So a batch is a transaction: if a message makes the actor fail, nothing of the
batch has been done, the actor begins anew, and the batch is taken again one message at a time; the one that fails once
more goes to the dead letters, with its traceback. A store that cannot be written makes no actor fail: ``flush`` waits for it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, ClassVar, TypeVar

from tocsin.protocol.errors import FrameError
from tocsin.protocol.messages import Message, Stamped
from tocsin.protocol.messages.codec import decode_own

logger = logging.getLogger(__name__)
Handler = TypeVar("Handler", bound=Callable[..., None])
FromApp = TypeVar("FromApp", bound=Callable[..., None])

Wait = Callable[[], Awaitable[object]]
"""Begins what an actor has to wait for on the way, such as a commit."""


def receives(*kinds: type[Message]) -> Callable[[Handler], Handler]:
    """Mark the method of an actor that takes messages of these classes."""

    def mark(method: Handler) -> Handler:
        method.__dict__["receives"] = kinds
        return method

    return mark


def receives_from_apps(*kinds: type[Message]) -> Callable[[FromApp], FromApp]:
    """Mark the method of an actor that takes messages of these classes, which apps send; it gets their :class:`Stamped`."""

    def mark(method: FromApp) -> FromApp:
        method.__dict__["receives_from_apps"] = kinds
        return method

    return mark


class Actor:
    """State behind a mailbox; a subclass marks its methods with :func:`receives` and :func:`receives_from_apps`."""

    name: ClassVar[str]
    _methods: ClassVar[dict[type[Message], str]] = {}
    _methods_for_apps: ClassVar[dict[type[Message], str]] = {}

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        cls._methods = _marked(cls, "receives")
        cls._methods_for_apps = _marked(cls, "receives_from_apps")

    def __init__(self) -> None:
        self._receivers: dict[type[Message], Callable[[Any, bytes], None]] = {
            kind: getattr(self, name) for kind, name in self._methods.items()
        }
        self._receivers_from_apps: dict[type[Message], Callable[[Any, Stamped], None]] = {
            kind: getattr(self, name) for kind, name in self._methods_for_apps.items()
        }

    async def start(self) -> None:
        """Build the state from what outlives the actor."""

    def receive(self, message: Message, frame: bytes) -> None:
        """Take one message: change the state, note the effects.

        :raises FrameError: the message is not meant for this actor.
        """
        if isinstance(message, Stamped):
            self._receive_from_app(decode_own(message.frame), message)
            return
        receiver = self._receivers.get(type(message))
        if receiver is None:
            raise FrameError(f"{self.name} does not take {type(message).__name__}")
        receiver(message, frame)

    def _receive_from_app(self, message: Message, stamped: Stamped) -> None:
        receiver = self._receivers_from_apps.get(type(message))
        if receiver is None:
            raise FrameError(f"{self.name} does not take {type(message).__name__} from apps")
        receiver(message, stamped)

    def flush(self) -> Iterable[Wait]:
        """Perform the effects that this batch has noted; what has to be waited for on the way is yielded, and awaited before it goes on."""
        return ()


def _marked(cls: type, mark: str) -> dict[type[Message], str]:
    return {kind: name for name, method in vars(cls).items() for kind in getattr(method, mark, ())}


async def perform(effects: Iterable[Wait]) -> None:
    """Perform what :meth:`Actor.flush` returns to its end, outside of any turn."""
    for wait in effects:
        await wait()
