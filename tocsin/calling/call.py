"""A call that this process is in."""

from __future__ import annotations

from enum import IntEnum, unique

from tocsin.calling.call_event import CallEvent
from tocsin.calling.event_arguments import CallStateChangedEventArgs, ParticipantsUpdatedEventArgs, RemoteParticipant
from tocsin.protocol.calling.call_state import CallState
from tocsin.protocol.calling.end_reason import CallEndReason


@unique
class CallDirection(IntEnum):
    """Who has called."""

    OUTGOING = 1
    INCOMING = 2


class Call:
    """A call, outgoing or accepted; agents make these. Sound and pictures are not carried."""

    state_changed: CallEvent[CallStateChangedEventArgs]
    remote_participants_updated: CallEvent[ParticipantsUpdatedEventArgs]

    @property
    def id(self) -> str:
        """The call's id, the same at both ends."""
        raise NotImplementedError

    @property
    def direction(self) -> CallDirection:
        """Who has called."""
        raise NotImplementedError

    @property
    def state(self) -> CallState:
        """Where it stands."""
        raise NotImplementedError

    @property
    def remote_participants(self) -> tuple[RemoteParticipant, ...]:
        """The other side."""
        raise NotImplementedError

    @property
    def is_video_enabled(self) -> bool:
        """Whether it was announced as a call with video."""
        raise NotImplementedError

    @property
    def is_muted(self) -> bool:
        """Whether this side's microphone is off."""
        raise NotImplementedError

    @property
    def call_end_reason(self) -> CallEndReason | None:
        """Why it has ended; None while it has not."""
        raise NotImplementedError

    async def mute(self) -> None:
        """Turn this side's microphone off, and tell the other side.

        :raises CallEnded: the call is over; ``reason`` says why.
        :raises IllegalCall: the call is not in a state for it.
        :raises TimedOut: the service has not answered within 30 s.
        :raises PlatformUnavailable: there is no connection to the service.
        """
        raise NotImplementedError

    async def unmute(self) -> None:
        """Turn this side's microphone on; errors as of :meth:`mute`."""
        raise NotImplementedError

    async def hold(self) -> None:
        """Put the other side on hold: ``LOCAL_HOLD`` here, ``REMOTE_HOLD`` there; errors as of :meth:`mute`."""
        raise NotImplementedError

    async def resume(self) -> None:
        """Take the other side off hold; errors as of :meth:`mute`."""
        raise NotImplementedError

    async def hang_up(self) -> None:
        """End the call for both sides, or withdraw it while it rings; nothing where it is over.

        :raises TimedOut: the service has not answered within 30 s; it is then told again when there is a connection.
        :raises PlatformUnavailable: there is no connection; the call has ended here, and the service is told when there is one.
        """
        raise NotImplementedError

    async def wait_until_ended(self) -> CallEndReason:
        """Wait until it has ended, and return why."""
        raise NotImplementedError
