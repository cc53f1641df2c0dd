"""What has to be done or told about an agent's calls, as values."""

from __future__ import annotations

from attrs import frozen

from tocsin.protocol.calling.call_state import CallState, ParticipantState
from tocsin.protocol.messages.calling import (
    AcceptCall,
    CallReady,
    HangUpCall,
    RejectCall,
    SetCallMedia,
    StartCall,
)

Asked = StartCall | AcceptCall | CallReady | RejectCall | HangUpCall | SetCallMedia
"""What the service is asked about a call; its ``request`` is 0 until the driver has numbered it."""


@frozen
class Caller:
    """The other side of a call: its raw id, and the name that it goes by, which may be empty."""

    raw_id: str
    display_name: str


@frozen
class Participant:
    """The other side of a call, and how it stands."""

    raw_id: str
    display_name: str
    state: ParticipantState
    is_muted: bool


# About a call that rings here


@frozen
class Ring:
    """A call rings here from now on, until ``until`` on the agent's clock at most; at most once a call."""

    call: str
    caller: Caller
    video: bool
    until: float


@frozen
class Silence:
    """The bell of a call that rang here stops: it was accepted, or declined, or has ended. Once a call that rang."""

    call: str


@frozen
class CallerInfoChanged:
    """The service knows more, or another thing, about who calls."""

    call: str
    caller: Caller


@frozen
class IncomingEnded:
    """A call that rang here has ended without a ``CallBegan``; the reason says why. Once a call, and after its ``Silence``."""

    call: str
    code: int
    subcode: int


@frozen
class UnrungEnded:
    """A call to this user has ended for which this process did not ring; an earlier one may have, and its toast may still be there."""

    call: str
    caller: Caller
    video: bool
    code: int
    subcode: int


@frozen
class NotRung:
    """A call rings at the service, but not here: as many do as may at a time."""

    call: str


# About a call that was started or accepted here


@frozen
class CallBegan:
    """There is another call: started here, or ``incoming`` and accepted here, and then no longer among those that ring."""

    call: str
    incoming: bool
    state: CallState
    participant: Participant
    video: bool
    muted: bool


@frozen
class CallStateChanged:
    """A call stands in another way, and goes on."""

    call: str
    state: CallState


@frozen
class ParticipantChanged:
    """The other side of a call stands in another way, or is known better."""

    call: str
    participant: Participant


@frozen
class MutedChanged:
    """Whether this side's microphone is off."""

    call: str
    muted: bool


@frozen
class CallDisconnected:
    """A call that had begun has ended, its state is ``DISCONNECTED``, and the reason says why. Once a call."""

    call: str
    code: int
    subcode: int


# To the service


@frozen
class Ask:
    """Ask the service; the answer goes to ``AgentCalls.answered`` with this message."""

    message: Asked


CallEffect = (
    Ring
    | Silence
    | CallerInfoChanged
    | IncomingEnded
    | UnrungEnded
    | NotRung
    | CallBegan
    | CallStateChanged
    | ParticipantChanged
    | MutedChanged
    | CallDisconnected
    | Ask
)
CallEffects = tuple[CallEffect, ...]
