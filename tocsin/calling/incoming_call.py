"""A call that rings, until it is accepted or rings no more, as its app holds it; ``tocsin.protocol.calling.incoming_call`` is its table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import anyio
from attrs import frozen

from tocsin.calling.call import Call
from tocsin.calling.call_event import CallEvent
from tocsin.calling.handler_calls import HandlerCalls
from tocsin.calling.options import AcceptCallOptions
from tocsin.calling.parties import CallerInfo, CallInfo
from tocsin.protocol.arguments import check_kind
from tocsin.protocol.calling.call_effects import Ring
from tocsin.protocol.calling.end_reason import CallEndReason


class IncomingCommands(Protocol):
    """What an incoming call asks of its agent."""

    async def accept(self, incoming: IncomingCall, options: AcceptCallOptions) -> Call:
        """Accept it, and return the call when the service has agreed."""
        ...

    async def reject(self, incoming: IncomingCall) -> None:
        """Decline it, and wait until it has ended."""
        ...


@frozen
class RingingStoppedEventArgs:
    """The bell of a call stops: it was accepted or declined here, or has ended."""

    incoming_call: IncomingCall


@frozen
class CallEndedEventArgs:
    """An incoming call rings no more: it has ended, or goes on where it was accepted."""

    incoming_call: IncomingCall
    reason: CallEndReason


@frozen
class CallerInfoChangedEventArgs:
    """More became known of who calls."""

    incoming_call: IncomingCall
    caller_info: CallerInfo


class IncomingCall:
    """A call that rings for the user of an agent; agents make these."""

    def __init__(
        self,
        commands: IncomingCommands,
        calls: HandlerCalls,
        ring: Ring,
        info: CallInfo,
        now: Callable[[], float],
    ) -> None:
        self._commands = commands
        self._info = info
        self._caller = CallerInfo.of(ring.caller)
        self._video = ring.video
        self._until = ring.until
        self._now = now
        self._is_ringing = True
        self._call: Call | None = None
        self._reason: CallEndReason | None = None
        self._decided = anyio.Event()
        name = f"incoming call {ring.call}"
        self.ringing_stopped: CallEvent[RingingStoppedEventArgs] = CallEvent(f"the bell of {name}", calls)
        """Its bell stops, as it was accepted or declined here, or has ended: the first that is told of these."""
        self.call_ended: CallEvent[CallEndedEventArgs] = CallEvent(f"the end of {name}", calls)
        """It rings no more, and was not accepted here."""
        self.caller_info_changed: CallEvent[CallerInfoChangedEventArgs] = CallEvent(f"the caller of {name}", calls)
        """More became known of who calls."""

    def __repr__(self) -> str:
        """Show which call it is, and how it stands."""
        return f"IncomingCall({self.id!r}, {'rings' if self._is_ringing else 'rings no more'})"

    @property
    def id(self) -> str:
        """The call's id, the same at every endpoint and in every push."""
        return self._info.id

    @property
    def caller_info(self) -> CallerInfo:
        """Who calls."""
        return self._caller

    @property
    def is_video_enabled(self) -> bool:
        """Whether it is announced as a call with video."""
        return self._video

    @property
    def info(self) -> CallInfo:
        """What else is known of it."""
        return self._info

    @property
    def is_ringing(self) -> bool:
        """Whether its bell rings: it was neither accepted nor declined here, and has not ended."""
        return self._is_ringing

    @property
    def rings_for(self) -> float:
        """Seconds from now that it rings on at most; 0 where it does not ring."""
        return max(self._until - self._now(), 0.0) if self._is_ringing else 0.0

    @property
    def call_end_reason(self) -> CallEndReason | None:
        """Why it rings no more; None while it rings, and where it was accepted here."""
        return self._reason

    @property
    def call(self) -> Call | None:
        """What it goes on as, once it was accepted here; None before, and where it was not."""
        return self._call

    async def accept(self, options: AcceptCallOptions | None = None) -> Call:
        """Accept it, and return the call as soon as the service has agreed; it then is ``CONNECTING``, and is ``CONNECTED`` next.

        A cancellation while the service is asked hangs the call up.

        :raises CallEnded: it rings no more; the text says why, and ``reason`` has the code and the subcode.
        :raises IllegalCall: it was accepted or declined in this process before, or is just being.
        :raises Busy: the agent is in as many calls as it may be.
        :raises TimedOut: the service has not answered within 30 s; the call is then hung up.
        :raises PlatformUnavailable: there is no connection to the service; it may be accepted again when there is one.
        """
        check_kind(options, "options", AcceptCallOptions, type(None))
        return await self._commands.accept(self, options or AcceptCallOptions())

    async def reject(self) -> None:
        """Decline it, for all endpoints of the user; errors as of :meth:`accept`, and one that ends meanwhile is none."""
        await self._commands.reject(self)

    async def wait_until_ended(self) -> CallEndReason | None:
        """Wait until it rings no more, and return why; None where it was accepted here."""
        await self._decided.wait()
        return self._reason

    # For the agent

    def _stop_ringing(self) -> None:
        """Have the bell stop."""
        self._is_ringing = False
        self.ringing_stopped.emit(RingingStoppedEventArgs(self))

    def _change_caller(self, caller: CallerInfo) -> None:
        """Take what is known of the caller now."""
        self._caller = caller
        self.caller_info_changed.emit(CallerInfoChangedEventArgs(self, caller))

    def _go_on(self, call: Call) -> None:
        """Go on as a call."""
        self._call = call
        self._decided.set()

    def _end(self, reason: CallEndReason) -> None:
        """Be over."""
        self._reason = reason
        self._decided.set()
        self.call_ended.emit(CallEndedEventArgs(self, reason))
