"""A call that this process is in."""

from __future__ import annotations

from enum import IntEnum, unique
from typing import Protocol

import anyio
from attrs import frozen

from tocsin.calling.call_event import CallEvent
from tocsin.calling.handler_calls import HandlerCalls
from tocsin.calling.parties import RemoteParticipant
from tocsin.protocol.calling.call_effects import CallBegan
from tocsin.protocol.calling.call_state import CallState
from tocsin.protocol.calling.end_reason import CallEndReason


@unique
class CallDirection(IntEnum):
    """Who has called."""

    OUTGOING = 1
    INCOMING = 2


class CallCommands(Protocol):
    """What a call asks of its agent."""

    async def set_media(self, call: str, *, muted: bool | None = None, held: bool | None = None) -> None:
        """Mute or hold this side, or the reverse; None: as it is."""
        ...

    async def hang_up(self, call: Call) -> None:
        """End a call, and wait until it has ended."""
        ...


@frozen
class CallStateChangedEventArgs:
    """A call has got another state."""

    call: Call
    state: CallState
    """The state that this is about; ``call.state`` may be a later one."""


@frozen
class ParticipantsUpdatedEventArgs:
    """Who else is in a call, or how they are, has changed: one that has changed is in both."""

    call: Call
    added_participants: tuple[RemoteParticipant, ...]
    removed_participants: tuple[RemoteParticipant, ...]


class Call:
    """A call, outgoing or accepted; agents make these. Sound and pictures are not carried."""

    def __init__(self, commands: CallCommands, calls: HandlerCalls, began: CallBegan) -> None:
        self._commands = commands
        self._id = began.call
        self._direction = CallDirection.INCOMING if began.incoming else CallDirection.OUTGOING
        self._state = began.state
        self._video = began.video
        self._muted = began.muted
        self._participant = RemoteParticipant.of(began.participant)
        self._reason: CallEndReason | None = None
        self._ended = anyio.Event()
        name = f"call {began.call}"
        self.state_changed: CallEvent[CallStateChangedEventArgs] = CallEvent(f"the state of {name}", calls)
        """It has got another state; a handler hears of each, in order."""
        self.remote_participants_updated: CallEvent[ParticipantsUpdatedEventArgs] = CallEvent(
            f"the participants of {name}", calls
        )

    def __repr__(self) -> str:
        """Show which call it is, and where it stands."""
        return f"Call({self._id!r}, {self._direction.name}, {self._state.name})"

    @property
    def id(self) -> str:
        """The call's id, the same at both ends."""
        return self._id

    @property
    def direction(self) -> CallDirection:
        """Who has called."""
        return self._direction

    @property
    def state(self) -> CallState:
        """Where it stands."""
        return self._state

    @property
    def remote_participants(self) -> tuple[RemoteParticipant, ...]:
        """The other side; none any more when the call is over."""
        return () if self._ended.is_set() else (self._participant,)

    @property
    def is_video_enabled(self) -> bool:
        """Whether it was announced as a call with video."""
        return self._video

    @property
    def is_muted(self) -> bool:
        """Whether this side's microphone is off."""
        return self._muted

    @property
    def call_end_reason(self) -> CallEndReason | None:
        """Why it has ended; None while it has not."""
        return self._reason

    async def mute(self) -> None:
        """Turn this side's microphone off, and tell the other side.

        :raises CallEnded: the call is over; ``reason`` says why.
        :raises IllegalCall: the call is not in a state for it.
        :raises TimedOut: the service has not answered within 30 s.
        :raises PlatformUnavailable: there is no connection to the service, and nothing was done; or it was lost, and the
            service is told when there is one.
        """
        await self._commands.set_media(self._id, muted=True)

    async def unmute(self) -> None:
        """Turn this side's microphone on; errors as of :meth:`mute`."""
        await self._commands.set_media(self._id, muted=False)

    async def hold(self) -> None:
        """Put the other side on hold: ``LOCAL_HOLD`` here, ``REMOTE_HOLD`` there; errors as of :meth:`mute`."""
        await self._commands.set_media(self._id, held=True)

    async def resume(self) -> None:
        """Take the other side off hold; errors as of :meth:`mute`."""
        await self._commands.set_media(self._id, held=False)

    async def hang_up(self) -> None:
        """End the call for both sides, or withdraw it while it rings; return when it has ended, and at once where it had.

        Where the service cannot be reached, it ends here after 30 s, and the service ends it by itself.
        """
        await self._commands.hang_up(self)

    async def wait_until_ended(self) -> CallEndReason:
        """Wait until it has ended, and return why."""
        await self._ended.wait()
        assert self._reason is not None  # noqa: S101  # it is set before
        return self._reason

    # For the agent

    def _change_state(self, state: CallState) -> None:
        """Take another state."""
        self._state = state
        self.state_changed.emit(CallStateChangedEventArgs(self, state))

    def _change_muted(self, muted: bool) -> None:  # noqa: FBT001  # the only argument
        """Be muted, or not."""
        self._muted = muted

    def _change_participant(self, participant: RemoteParticipant) -> None:
        """Take the other side as it is now."""
        before, self._participant = self._participant, participant
        self.remote_participants_updated.emit(ParticipantsUpdatedEventArgs(self, (participant,), (before,)))

    def _end(self, reason: CallEndReason) -> None:
        """Be over."""
        self._reason = reason
        self._ended.set()
        self._change_state(CallState.DISCONNECTED)
        self.remote_participants_updated.emit(ParticipantsUpdatedEventArgs(self, (), (self._participant,)))
