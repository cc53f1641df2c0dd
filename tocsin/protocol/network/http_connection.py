"""The server's side of an HTTP/1.1 connection (RFC 9112 §9): whose turn it is to speak, and when it ends.

Requests come one after the other, also ahead of the answers to those before them (pipelining, §9.3.2); answers go out in the same
order. A request may be answered while its body still comes: then the rest is read past. A peer that closes its own direction listens
still, and gets the answers to what it has asked for whole. How many requests wait and what is said last are data of the driver,
which says by the event what came of it: ``tocsin.service.web.http_connection``.
"""

from __future__ import annotations

from enum import auto
from typing import Final

from tocsin.protocol.kernel.machine import Label


class Phase(Label):
    """Where the connection stands."""

    AWAITED = auto()
    """The head of a request has to come in time: the connection is new, or a head has begun."""
    QUIET = auto()
    """Everything is answered; the connection may be quiet for a while."""
    TAKING = auto()
    """A request is being answered, and its body comes."""
    ANSWERING = auto()
    """A request that came whole is being answered; others may have come whole behind it."""
    BEHIND = auto()
    """A request that came whole is being answered, and the body of a later one comes."""
    PASSING = auto()
    """Everything is answered; the rest of a body is read past."""
    REFUSED = auto()
    """As :attr:`LAST`, where the peer may still send: what came behind cannot be read, or is too much."""
    LAST = auto()
    """Nothing more is read; what came whole is answered, then the connection ends."""
    LINGERING = auto()
    """The last has been said; what the peer still sends is read past, since a reset would overtake what it was told."""
    PARTING = auto()
    """The last bytes are on their way, or the end is; nothing is read and nothing answered."""
    WEBSOCKET = auto()
    """It is no HTTP connection any more."""
    CLOSED = auto()


class Event(Label):
    """What happens to it."""

    BEGUN = auto()
    """A part of a head came, and not its end."""
    HEAD = auto()
    """A head is complete."""
    WHOLE = auto()
    """A request is there to its end."""
    ANSWERED = auto()
    """The request whose turn it was is answered, and none waits."""
    TURN_OF_WHOLE = auto()
    """The request whose turn it was is answered, and the next one came whole."""
    TURN_OF_COMING = auto()
    """The request whose turn it was is answered, and the body of the next one comes still."""
    ANSWERED_LAST = auto()
    """A request is answered by what says that the connection ends, or its answer is broken off."""
    WRONG = auto()
    """What came cannot be read, or is too much; its driver knows in what words to say so."""
    FLOOD = auto()
    """Much has come behind a head and not the request's end, or behind the last that is read."""
    HALF_CLOSED = auto()
    """The peer sends nothing more."""
    EXPIRED = auto()
    """It was quiet for long enough."""
    LEAVING = auto()
    """The server is about to leave."""
    UPGRADED = auto()
    """The peer's offer to speak WebSocket is taken."""
    LOST = auto()
    """The connection has ended, by the peer, by the network or by us."""


class Effect(Label):
    """What its driver has to do."""

    WATCH = auto()
    """See that the head comes in time."""
    HEARD = auto()
    """See to that no longer."""
    BEGIN = auto()
    """Begin to answer the request whose head has come."""
    QUEUE = auto()
    """Let it wait, and read no more meanwhile."""
    PAUSE = auto()
    """Read no more until there is an answer, or what answers asks for more."""
    COMPLETE = auto()
    """Tell the one that is answered that it is there to its end."""
    NEXT = auto()
    """Begin to answer the request that has waited for longest."""
    REST = auto()
    """See that it is not quiet for too long."""
    MARK_LAST = auto()
    """Let the answer to the last request say that the connection ends."""
    TEAR = auto()
    """Let the last words be that a body was torn."""
    HUSH = auto()
    """Forget the last words: an answer has been the last, or they would stand in one that is broken off."""
    DROP_TORN = auto()
    """Forget the request whose body comes: it will not be whole."""
    DISMISS = auto()
    """Tell the one that is answered that its answer reaches no peer, and forget those that wait."""
    LINGER = auto()
    """Say the last words, if there are any, and that nothing follows; read past what comes."""
    PART = auto()
    """Say the last words, if there are any, and close."""
    ABORT = auto()
    """End at once."""
    HAND_OVER = auto()
    """Give the connection to the WebSocket."""


QUIET: Final = (Phase.QUIET, Phase.PASSING)
"""The phases that may last for the idle timeout."""

READING: Final = frozenset({Phase.AWAITED, Phase.QUIET, Phase.TAKING, Phase.ANSWERING, Phase.BEHIND, Phase.PASSING})
"""The phases in which what comes is read."""

PASSED_OVER: Final = frozenset({Phase.REFUSED, Phase.LINGERING})
"""The phases in which what comes is counted, and not looked at."""

COMING: Final = frozenset({Phase.TAKING, Phase.BEHIND, Phase.PASSING, Phase.LINGERING})
"""The phases in which the end of a request may come."""

_ANSWERED: Final = (Phase.AWAITED, *QUIET)
_BUSY: Final = (Phase.TAKING, Phase.ANSWERING, Phase.BEHIND)
_LINGER: Final = (Phase.LINGERING, (Effect.DISMISS, Effect.LINGER))
_PART: Final = (Phase.PARTING, (Effect.PART,))

TABLE: Final[dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]]] = {
    (Phase.AWAITED, Event.BEGUN): (Phase.AWAITED, ()),
    (Phase.QUIET, Event.BEGUN): (Phase.AWAITED, (Effect.WATCH,)),
    (Phase.ANSWERING, Event.BEGUN): (Phase.ANSWERING, ()),
    (Phase.AWAITED, Event.HEAD): (Phase.TAKING, (Effect.HEARD, Effect.BEGIN)),
    (Phase.QUIET, Event.HEAD): (Phase.TAKING, (Effect.BEGIN,)),
    (Phase.ANSWERING, Event.HEAD): (Phase.BEHIND, (Effect.QUEUE,)),
    (Phase.TAKING, Event.WHOLE): (Phase.ANSWERING, (Effect.COMPLETE,)),
    (Phase.BEHIND, Event.WHOLE): (Phase.ANSWERING, ()),
    (Phase.PASSING, Event.WHOLE): (Phase.QUIET, (Effect.REST,)),
    (Phase.LINGERING, Event.WHOLE): _PART,
    (Phase.TAKING, Event.ANSWERED): (Phase.PASSING, (Effect.REST,)),
    (Phase.ANSWERING, Event.ANSWERED): (Phase.QUIET, (Effect.REST,)),
    (Phase.LAST, Event.ANSWERED): _PART,
    (Phase.REFUSED, Event.ANSWERED): (Phase.LINGERING, (Effect.LINGER,)),
    (Phase.ANSWERING, Event.TURN_OF_WHOLE): (Phase.ANSWERING, (Effect.NEXT,)),
    (Phase.BEHIND, Event.TURN_OF_WHOLE): (Phase.BEHIND, (Effect.NEXT,)),
    **{(phase, Event.TURN_OF_WHOLE): (phase, (Effect.NEXT,)) for phase in (Phase.LAST, Phase.REFUSED)},
    (Phase.BEHIND, Event.TURN_OF_COMING): (Phase.TAKING, (Effect.NEXT,)),
    (Phase.ANSWERING, Event.ANSWERED_LAST): (Phase.PARTING, (Effect.DISMISS, Effect.PART)),
    (Phase.LAST, Event.ANSWERED_LAST): (Phase.PARTING, (Effect.DISMISS, Effect.HUSH, Effect.PART)),
    (Phase.REFUSED, Event.ANSWERED_LAST): (Phase.LINGERING, (Effect.DISMISS, Effect.HUSH, Effect.LINGER)),
    **{(phase, Event.ANSWERED_LAST): _LINGER for phase in (Phase.TAKING, Phase.BEHIND)},
    **{(phase, Event.WRONG): (Phase.LINGERING, (Effect.LINGER,)) for phase in _ANSWERED},
    (Phase.TAKING, Event.WRONG): _LINGER,
    (Phase.ANSWERING, Event.WRONG): (Phase.REFUSED, ()),
    (Phase.BEHIND, Event.WRONG): (Phase.REFUSED, (Effect.DROP_TORN,)),
    **{(phase, Event.FLOOD): (phase, (Effect.PAUSE,)) for phase in (Phase.TAKING, Phase.REFUSED)},
    **{(phase, Event.FLOOD): (Phase.PARTING, (Effect.ABORT,)) for phase in (Phase.PASSING, Phase.LINGERING)},
    **{(phase, Event.HALF_CLOSED): _PART for phase in (*_ANSWERED, Phase.LINGERING)},
    (Phase.TAKING, Event.HALF_CLOSED): (Phase.PARTING, (Effect.TEAR, Effect.DISMISS, Effect.PART)),
    (Phase.ANSWERING, Event.HALF_CLOSED): (Phase.LAST, (Effect.MARK_LAST,)),
    (Phase.BEHIND, Event.HALF_CLOSED): (Phase.LAST, (Effect.TEAR, Effect.DROP_TORN)),
    **{(phase, Event.EXPIRED): _PART for phase in QUIET},
    **{(phase, Event.LEAVING): _PART for phase in (*_ANSWERED, Phase.LINGERING)},
    **{(phase, Event.LEAVING): (phase, (Effect.MARK_LAST,)) for phase in _BUSY},
    **{(phase, Event.UPGRADED): (Phase.WEBSOCKET, (Effect.HAND_OVER,)) for phase in (Phase.AWAITED, Phase.QUIET)},
    **{(phase, Event.LOST): (Phase.CLOSED, ()) for phase in (*_ANSWERED, Phase.LINGERING, Phase.PARTING)},
    **{(phase, Event.LOST): (Phase.CLOSED, (Effect.DISMISS,)) for phase in (*_BUSY, Phase.LAST, Phase.REFUSED)},
    (Phase.REFUSED, Event.HALF_CLOSED): (Phase.LAST, ()),
    # What is about to end has nothing more to do: the peer and the server may not know yet.
    **{(phase, Event.HALF_CLOSED): (phase, ()) for phase in (Phase.LAST, Phase.PARTING)},
    **{(phase, Event.LEAVING): (phase, ()) for phase in (Phase.LAST, Phase.REFUSED, Phase.PARTING)},
}
