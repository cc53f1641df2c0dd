"""What the kernel tells actors."""

from __future__ import annotations

from attrs import frozen

from tocsin.protocol.messages.base import Message, tagged


@tagged(22)
@frozen
class ActorRestarted(Message):
    """An actor failed and began anew: what it held in memory only is gone."""

    actor: str


@tagged(23)
@frozen
class AlarmRang(Message):
    """A moment that an actor had set its alarm for has come."""


@tagged(26)
@frozen
class Fence(Message):
    """All payloads handed on before this are void: their holders drop them, for they come again.

    It goes the way of the payloads, and not as an answer, so that it stands between those of before and those that follow.
    """


@tagged(24)
@frozen
class Quiesce(Message):
    """The platform is about to stop: begin nothing new."""


@tagged(100)
@frozen
class Stamped(Message):
    """A frame of an app, with the session and the app that it came from: the door has written both, and actors believe nothing else."""

    session: str
    app: str
    frame: bytes


@tagged(107)
@frozen
class SessionEnded(Message):
    """A session is gone, whether it has left or its process has died: what it still has comes back."""

    session: str
