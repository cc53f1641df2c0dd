"""What has become of a push about a call."""

from __future__ import annotations

from enum import auto

from tocsin.protocol.kernel.machine import Label


class PushOutcome(Label):
    """What has become of a push about a call, given how the call stands at the service."""

    RINGS = auto()
    """The call rings here from now on."""
    DUPLICATE = auto()
    """It rings here already."""
    ALREADY_HANDLED = auto()
    """This process has accepted or declined it, or has ended or started it."""
    ALREADY_ENDED = auto()
    """It had ended before the push was looked at."""
    ANSWERED_ELSEWHERE = auto()
    """Another endpoint of the user has accepted it."""
    STOPPED_RINGING = auto()
    """It rang here, and the push has stopped that."""
    UNKNOWN_CALL = auto()
    """The service knows no such call of this user, or its context is another's."""
    UNKNOWN_KIND = auto()
    """Its kind is not one that is known here; so nothing is done."""
    NOT_OURS = auto()
    """It is for another user."""
    MALFORMED = auto()
    """It is no push about a call, or names none."""
    TOO_MANY = auto()
    """As many calls ring here as may at a time: this one does not."""
    KEPT = auto()
    """There is no agent yet, or no connection: it is looked at when there is."""
