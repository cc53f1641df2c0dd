"""An app that does not run is launched: its process claims the payload, or the click on a toast, that it was started for.

``sequence`` is the number of that click where ``purpose`` is a toast. What is said of a launch goes to who has ordered it.
"""

from __future__ import annotations

from attrs import field, frozen

from tocsin.protocol.messages.base import Message, tagged
from tocsin.protocol.platform.launches import LaunchPurpose


@tagged(90)
@frozen
class Launch(Message):
    """Start a process of the app for a payload; ``command`` is packed, as in ``tocsin.protocol.platform.command``."""

    app: str
    sequence: int
    attempt: int
    command: bytes
    purpose: LaunchPurpose = LaunchPurpose.PUSH


@tagged(91)
@frozen
class LaunchEnded(Message):
    """The process could not be started, or ended before it claimed the payload; ``detail`` says why.

    ``was_killed`` tells that a signal has ended it: that is not its own doing, and another process may do better.
    """

    app: str
    sequence: int
    attempt: int
    detail: str
    was_killed: bool = False


@tagged(92)
@frozen
class StopLaunch(Message):
    """End the process that was launched for a payload, and void its claim; nothing is said of that launch any more."""

    app: str
    sequence: int
    attempt: int
    purpose: LaunchPurpose = LaunchPurpose.PUSH


@tagged(97)
@frozen
class CallOffLaunch(Message):
    """Start no process for a payload that a handler has taken, unless it has been started: it may be the one whose handler that is."""

    app: str
    sequence: int
    attempt: int


@tagged(95)
@frozen
class EndProcess(Message):
    """End the process whose session this is, with all that it has started, if it was launched; others are left alone."""

    session: str


@tagged(96)
@frozen
class AppReturned(Message):
    """No process of an app, of those that had sessions with the agent before, is to come back any more: what waits for it may be begun."""

    app: str


@tagged(93)
@frozen
class ClaimPayload(Message):
    """A launched process asks for its payload; ``claim`` is the secret that it was started with."""

    request: int
    claim: str = field(repr=False)


@tagged(94)
@frozen
class Claimed(Message):
    """A session of a launched process has claimed the payload; ``request`` numbers its question."""

    session: str
    app: str
    request: int
    sequence: int
    attempt: int
