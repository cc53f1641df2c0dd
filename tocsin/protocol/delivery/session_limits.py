"""How much of the agent's memory a session may take by what it says: no number of messages takes more."""

from __future__ import annotations

from attrs import Factory, define

from tocsin.protocol.errors import ProtocolViolation
from tocsin.protocol.messages import (
    Holding,
    Message,
    RemoveToasts,
    SetBadge,
    SetTile,
    ShowToast,
    Subscribe,
    Unsubscribe,
    UpdateToast,
)
from tocsin.protocol.values import MAX_SEQUENCE_NUMBER, MAX_TOAST_DATA, MAX_TOAST_LABEL, MAX_TOAST_SIZE

MAX_SUBSCRIPTIONS = 4_096
"""Channels whose payloads one session may take at a time."""

MAX_CHANNEL_NAME = 256
"""Characters that the name of a channel may have; a service gives it far fewer."""

MAX_HELD = 64
"""Payloads that one session may say it is at work on in the background; an honest one says so of two at most."""

_Shown = ShowToast | UpdateToast | RemoveToasts | SetBadge | SetTile


@define
class SessionLimits:
    """What one session has the agent keep."""

    _channels: set[str] = Factory(set)
    _held: int = 0

    def note(self, message: Message) -> None:
        """Note what a session says, before it is believed.

        :raises ProtocolViolation: it would have more kept than a session may.
        """
        if isinstance(message, Subscribe):
            if len(message.channel) > MAX_CHANNEL_NAME:
                raise ProtocolViolation(f"no channel has a name of more than {MAX_CHANNEL_NAME} characters")
            self._channels.add(message.channel)
            if len(self._channels) > MAX_SUBSCRIPTIONS:
                raise ProtocolViolation(
                    f"a session takes the payloads of {MAX_SUBSCRIPTIONS} channels at most: connect another for more"
                )
        elif isinstance(message, Unsubscribe):
            self._channels.discard(message.channel)
        elif isinstance(message, Holding):
            self._held += len(message.sequences)
            if self._held > MAX_HELD:
                raise ProtocolViolation(f"a session is at work on {MAX_HELD} payloads in the background at most")
        elif isinstance(message, _Shown):
            _check_shown(message)


def _check_shown(message: _Shown) -> None:
    """See that what an app has shown is no larger than it may be.

    :raises ProtocolViolation: it is.
    """
    if len(getattr(message, "content", b"")) > MAX_TOAST_SIZE:
        raise ProtocolViolation(f"the content of a toast, tile or badge has at most {MAX_TOAST_SIZE} bytes")
    if any(len(getattr(message, label, None) or "") > MAX_TOAST_LABEL for label in ("tag", "group", "tile")):
        raise ProtocolViolation(f"a tag, a group or a tile has a name of at most {MAX_TOAST_LABEL} characters")
    if len(getattr(message, "data", ())) > MAX_TOAST_DATA:
        raise ProtocolViolation(f"a toast has {MAX_TOAST_DATA} values at most")
    if sum(len(part) for pair in getattr(message, "data", ()) for part in pair) > MAX_TOAST_SIZE:
        raise ProtocolViolation(f"the values of a toast have at most {MAX_TOAST_SIZE} characters")
    if not 0 <= getattr(message, "sequence_number", 0) <= MAX_SEQUENCE_NUMBER:
        raise ProtocolViolation(f"a sequence number is one of 0 to {MAX_SEQUENCE_NUMBER}")
