"""The life of one toast with the shell: when it is shown, how long, and what makes it go.

It lives on while its content changes: another toast with its tag and group, or new values of its bindings, take its place on
the screen. A desktop says of a popup what it likes, and says nothing when it dies; the shell goes by its own clock.

Its driver is ``tocsin.actors.toast_board``.
"""

from __future__ import annotations

from enum import auto

from tocsin.protocol.kernel.machine import Label

ON_SCREEN_AT_ONCE = 20
"""Popups of all apps that are on the screen at a time, urgent ones aside: two of the daemons take 21, and then no more."""

IN_FLIGHT = 8
"""Popups that the desktop has been asked for at a time and has not answered for."""

SHOWN_A_SECOND = 10
"""New popups that are asked for a second, once as many as fit have come at once, and changes of each: more is seen by no user, and
what shows them has other work."""

MAX_WAITING = 256
"""Toasts that wait for their turn at most; one more is not shown at all."""

AWAY = 5.0
"""Seconds within which a desktop that has gone may come back; what is to be shown waits for it."""

KEPT_OF_APP = 100
"""Toasts of one app that are kept off the screen: that have gone from it, or are held back; the oldest go first."""


class Phase(Label):
    """Where a toast stands."""

    WAITING = auto()
    """For its turn."""
    HELD = auto()
    """The user's quiet hours hold it back."""
    SENDING = auto()
    """The desktop was asked for it."""
    CHANGED = auto()
    """It was changed after the desktop was asked: it is to be sent once more."""
    RECALLED = auto()
    """It was removed after the desktop was asked: it is to be closed as soon as it is there."""
    CLICKED = auto()
    """It was clicked after the desktop was asked to change it: what comes is to be closed."""
    ON_SCREEN = auto()
    KEPT = auto()
    """It has left the screen, or never was there, and can still be listed."""
    GONE = auto()


class Event(Label):
    """What happens to it."""

    SHOW = auto()
    """It is new, or its content has changed."""
    TURN = auto()
    HOLD = auto()
    FILE = auto()
    """It is to be kept without being shown."""
    SENT = auto()
    """The desktop has it."""
    FULL = auto()
    """The desktop has no room, for the first time: another is taken down for it."""
    FAILED = auto()
    """The desktop would not show it, or is not there."""
    UNSEEN = auto()
    """No desktop is there, and all that asked for it have their answer: it was shown before."""
    PRESSED = auto()
    DISMISSED = auto()
    """The user has closed it, as far as the desktop knows."""
    TIME_OVER = auto()
    """It has been on the screen for as long as it should, or makes room for another."""
    LEFT_SCREEN = auto()
    """The desktop has taken it down by itself."""
    REMOVED = auto()
    PRUNED = auto()
    """Its time is up, or more are kept of its app than may be."""
    DAEMON_CHANGED = auto()
    """What showed it is another now, or none."""


class Effect(Label):
    """What its driver has to do."""

    SEND = auto()
    """Ask the desktop for it, in the place of what it shows of it."""
    CLOSE = auto()
    """Have the desktop take it down."""
    MAKE_ROOM = auto()
    """Take down the oldest popup that is not urgent."""
    START_CLOCK = auto()
    FORGET_HANDLE = auto()
    ANSWER_SHOWN = auto()
    """Tell those who have asked for it that the user can see it."""
    ANSWER_KEPT = auto()
    """Tell them that it is kept, and why it is not shown."""
    ANSWER_FAILED = auto()
    TELL_DISMISSED = auto()
    """Tell the app that it has gone without a click."""
    ACTIVATE = auto()
    """Store the click, and see to it that the app gets it."""
    KEEP = auto()
    """Store how it stands."""
    DROP = auto()
    """Keep it no more."""


_AGAIN = (Effect.SEND,)
_REMOVED = (Effect.TELL_DISMISSED, Effect.DROP)
_NEVER_SHOWN = (Effect.CLOSE, Effect.ANSWER_KEPT, *_REMOVED)
"""An earlier content may be on the screen."""
_FAILED = (Effect.CLOSE, Effect.ANSWER_FAILED, Effect.DROP)
TABLE: dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]] = {
    (Phase.WAITING, Event.SHOW): (Phase.WAITING, ()),
    (Phase.WAITING, Event.TURN): (Phase.SENDING, (Effect.SEND,)),
    (Phase.WAITING, Event.HOLD): (Phase.HELD, (Effect.CLOSE, Effect.KEEP, Effect.ANSWER_KEPT)),
    (Phase.WAITING, Event.FILE): (Phase.KEPT, (Effect.CLOSE, Effect.KEEP, Effect.ANSWER_KEPT)),
    (Phase.WAITING, Event.FAILED): (Phase.GONE, _FAILED),
    (Phase.WAITING, Event.DISMISSED): (Phase.GONE, _NEVER_SHOWN),
    (Phase.WAITING, Event.REMOVED): (Phase.GONE, _NEVER_SHOWN),
    (Phase.WAITING, Event.PRESSED): (Phase.GONE, (Effect.CLOSE, Effect.ACTIVATE)),  # what is there of it
    (Phase.WAITING, Event.DAEMON_CHANGED): (Phase.WAITING, (Effect.FORGET_HANDLE,)),
    (Phase.HELD, Event.SHOW): (Phase.WAITING, ()),
    (Phase.HELD, Event.PRUNED): (Phase.GONE, (Effect.DROP,)),
    (Phase.HELD, Event.REMOVED): (Phase.GONE, _REMOVED),
    (Phase.HELD, Event.DAEMON_CHANGED): (Phase.HELD, ()),
    (Phase.SENDING, Event.SHOW): (Phase.CHANGED, ()),
    (Phase.SENDING, Event.SENT): (Phase.ON_SCREEN, (Effect.START_CLOCK, Effect.KEEP, Effect.ANSWER_SHOWN)),
    (Phase.SENDING, Event.FULL): (Phase.SENDING, (Effect.MAKE_ROOM, Effect.SEND)),
    (Phase.SENDING, Event.FAILED): (Phase.GONE, _FAILED),
    (Phase.SENDING, Event.UNSEEN): (Phase.KEPT, (Effect.FORGET_HANDLE, Effect.KEEP)),
    (Phase.SENDING, Event.DISMISSED): (Phase.RECALLED, ()),
    (Phase.SENDING, Event.REMOVED): (Phase.RECALLED, ()),
    (Phase.SENDING, Event.PRESSED): (Phase.CLICKED, (Effect.ACTIVATE,)),
    (Phase.SENDING, Event.DAEMON_CHANGED): (Phase.CHANGED, (Effect.FORGET_HANDLE,)),
    (Phase.CHANGED, Event.SHOW): (Phase.CHANGED, ()),
    (Phase.CHANGED, Event.SENT): (Phase.SENDING, _AGAIN),
    (Phase.CHANGED, Event.FULL): (Phase.SENDING, (Effect.MAKE_ROOM, Effect.SEND)),
    (Phase.CHANGED, Event.FAILED): (Phase.SENDING, _AGAIN),
    (Phase.CHANGED, Event.DISMISSED): (Phase.RECALLED, ()),
    (Phase.CHANGED, Event.REMOVED): (Phase.RECALLED, ()),
    (Phase.CHANGED, Event.PRESSED): (Phase.CLICKED, (Effect.ACTIVATE,)),
    (Phase.CHANGED, Event.DAEMON_CHANGED): (Phase.CHANGED, (Effect.FORGET_HANDLE,)),
    (Phase.RECALLED, Event.SHOW): (Phase.CHANGED, ()),
    (Phase.RECALLED, Event.SENT): (Phase.GONE, _NEVER_SHOWN),
    (Phase.RECALLED, Event.FULL): (Phase.GONE, _NEVER_SHOWN),
    (Phase.RECALLED, Event.FAILED): (Phase.GONE, _NEVER_SHOWN),
    (Phase.RECALLED, Event.REMOVED): (Phase.RECALLED, ()),
    (Phase.RECALLED, Event.DAEMON_CHANGED): (Phase.RECALLED, (Effect.FORGET_HANDLE,)),
    (Phase.CLICKED, Event.SENT): (Phase.GONE, (Effect.CLOSE,)),
    (Phase.CLICKED, Event.FULL): (Phase.GONE, (Effect.CLOSE,)),
    (Phase.CLICKED, Event.FAILED): (Phase.GONE, (Effect.CLOSE,)),
    (Phase.CLICKED, Event.DAEMON_CHANGED): (Phase.CLICKED, ()),
    (Phase.ON_SCREEN, Event.SHOW): (Phase.WAITING, ()),
    (Phase.ON_SCREEN, Event.PRESSED): (Phase.GONE, (Effect.CLOSE, Effect.ACTIVATE)),
    (Phase.ON_SCREEN, Event.DISMISSED): (Phase.GONE, _REMOVED),
    (Phase.ON_SCREEN, Event.TIME_OVER): (Phase.KEPT, (Effect.CLOSE, Effect.KEEP, Effect.TELL_DISMISSED)),
    (Phase.ON_SCREEN, Event.LEFT_SCREEN): (Phase.KEPT, (Effect.KEEP, Effect.TELL_DISMISSED)),
    (Phase.ON_SCREEN, Event.REMOVED): (Phase.GONE, (Effect.CLOSE, *_REMOVED)),
    (Phase.ON_SCREEN, Event.DAEMON_CHANGED): (Phase.WAITING, (Effect.FORGET_HANDLE,)),
    (Phase.KEPT, Event.SHOW): (Phase.WAITING, ()),
    (Phase.KEPT, Event.PRESSED): (Phase.GONE, (Effect.ACTIVATE,)),  # the click and the end of its time have crossed
    (Phase.KEPT, Event.PRUNED): (Phase.GONE, (Effect.DROP,)),
    (Phase.KEPT, Event.REMOVED): (Phase.GONE, _REMOVED),
    (Phase.KEPT, Event.DAEMON_CHANGED): (Phase.KEPT, (Effect.FORGET_HANDLE,)),
}

TERMINAL = frozenset({Phase.GONE})
"""The phase in which nothing more happens to it."""
