"""Between a call agent and its calling service, over a WebSocket.

The agent begins with :class:`CallHello`; the service answers with :class:`CallWelcome`, or with :class:`CallRefused` and the end of the
connection. Each question has a ``request`` above 0, which its answer repeats: :class:`CallReport`, :class:`CallPushRegistered`,
:class:`CallDone` or :class:`CallRefused`. A :class:`CallReport` with the request 0 is told without having been asked for.

Users are named by raw ids, such as ``8:acs:contoso_ann``; calls by UUIDs, which the agent of the caller makes, so that what is asked twice is one call.

Only who speaks of calls imports this: the other apps, which a push may start, do not wait for it. The command is ``tocsin.cli.calling``.
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import Final

from attrs import field, frozen

from tocsin.protocol.messages.base import Message, tagged

CALLING_VERSION: Final = 1
"""The version of the protocol."""

CALLING_PATH: Final = f"/calling/v{CALLING_VERSION}"
"""Where a calling service takes agents, below its URL."""

MAX_CALL_NAME: Final = 256
"""Characters of a display name at most."""

MAX_RINGING_CALLS: Final = 32
"""Calls that ring for a user at a time, and so at an agent."""

MAX_OPEN_CALLS: Final = 64
"""Calls that an agent is in at a time, those included that it begins or is accepting."""

MAX_LISTED_CALLS: Final = MAX_RINGING_CALLS + MAX_OPEN_CALLS
"""Calls that a hello lists at most."""


@unique
class CallPhase(IntEnum):
    """Where a call stands, as the endpoint that is told sees it."""

    UNKNOWN = 0
    """The service knows no such call of this user."""
    RINGING = 1
    CONNECTING = 2
    """It was accepted, and the endpoint that accepted it gets ready."""
    CONNECTED = 3
    ENDED = 4
    """For this endpoint, for the reason that the report gives: where another endpoint has accepted it, the call itself goes on."""


# From the agent


@tagged(140)
@frozen
class CallHello(Message):
    """The first frame of an agent.

    ``device`` is the same at each start of the app on a device, and no other's. ``open_calls`` are those that this process is in, or
    begins, or rings for: of others that the service takes for open here, it then knows that their process has ended. ``quiet``: the
    agent learns of calls that ring by pushes only.
    """

    version: int
    token: str = field(repr=False)
    device: str
    name: str
    quiet: bool
    open_calls: tuple[str, ...]


@tagged(141)
@frozen
class RenewCallToken(Message):
    """Another token of the same user, in place of one that is about to expire. Answered by ``CallDone``."""

    request: int
    token: str = field(repr=False)


@tagged(142)
@frozen
class RegisterForCallPush(Message):
    """Ring this device by pushes to a channel, for ``ttl`` seconds. Answered by ``CallPushRegistered``."""

    request: int
    uri: str = field(repr=False)
    ttl: float


@tagged(143)
@frozen
class UnregisterFromCallPush(Message):
    """Ring this device, or every device of the user, by pushes no more. Answered by ``CallDone``."""

    request: int
    every_device: bool


@tagged(144)
@frozen
class StartCall(Message):
    """Ring a user. Answered by ``CallReport``, also where it is over at once."""

    request: int
    call: str
    callee: str
    video: bool


@tagged(145)
@frozen
class AttendCall(Message):
    """Ask how a call stands that a push was about; ``context`` is what the push has as ``cp``. Each may be empty. Answered by ``CallReport``."""

    request: int
    call: str
    context: str = field(repr=False)


@tagged(146)
@frozen
class AcceptCall(Message):
    """Accept a call that rings. Answered by ``CallReport``: ``CONNECTING`` here, or how it has ended meanwhile."""

    request: int
    call: str
    muted: bool
    video: bool


@tagged(147)
@frozen
class CallReady(Message):
    """The agent that has accepted is ready. Answered by ``CallReport``."""

    request: int
    call: str


@tagged(148)
@frozen
class RejectCall(Message):
    """Decline a call that rings. Answered by ``CallReport``."""

    request: int
    call: str


@tagged(149)
@frozen
class HangUpCall(Message):
    """End a call that this endpoint is in, or rings with. Answered by ``CallReport``."""

    request: int
    call: str


@tagged(150)
@frozen
class SetCallMedia(Message):
    """Whether this side's microphone is off, and whether it has put the call on hold. Answered by ``CallReport``."""

    request: int
    call: str
    muted: bool
    held: bool


@tagged(156)
@frozen
class CallGoodbye(Message):
    """The agent ends, in order: it has heard all that it was told so far. Answered by ``CallDone``, and by nothing after that."""

    request: int


# From the service


@tagged(151)
@frozen
class CallWelcome(Message):
    """The service lets the agent in: whose token it is, and for how many seconds it is good."""

    version: int
    user: str
    token_left: float


@tagged(152)
@frozen
class CallRefused(Message):
    """What was asked cannot be done; with the request 0 it is the last frame. ``error`` is a class of ``tocsin.protocol.errors``."""

    request: int
    error: str
    text: str
    hresult: int


@tagged(153)
@frozen
class CallDone(Message):
    """What was asked is done."""

    request: int


@tagged(154)
@frozen
class CallPushRegistered(Message):
    """The device is rung by pushes for so many seconds from now."""

    request: int
    ttl: float


@tagged(155)
@frozen
class CallReport(Message):
    """How a call stands for the endpoint that is told.

    ``peer`` is the other side, ``incoming`` whether it calls; ``rings_for`` are the seconds that it rings on at most; ``here`` says that
    this endpoint is in the call, or has started it. ``code`` and ``subcode`` are the reason of an end, else 0. ``peer_muted`` and
    ``peer_held`` are what the other side has set.
    """

    request: int
    call: str
    phase: CallPhase
    incoming: bool
    peer: str
    peer_name: str
    video: bool
    rings_for: float
    here: bool
    code: int
    subcode: int
    peer_muted: bool
    peer_held: bool
