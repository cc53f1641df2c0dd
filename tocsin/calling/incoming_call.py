"""A call that rings, until it is accepted or rings no more."""

from __future__ import annotations

from tocsin.calling.call import Call
from tocsin.calling.call_event import CallEvent
from tocsin.calling.event_arguments import CallEndedEventArgs, CallerInfo, CallerInfoChangedEventArgs, CallInfo
from tocsin.calling.options import AcceptCallOptions
from tocsin.protocol.calling.end_reason import CallEndReason


class IncomingCall:
    """A call that rings for the user of an agent; agents make these."""

    call_ended: CallEvent[CallEndedEventArgs]
    """It rings no more, and was not accepted here."""
    caller_info_changed: CallEvent[CallerInfoChangedEventArgs]

    @property
    def id(self) -> str:
        """The call's id, the same at every endpoint and in every push."""
        raise NotImplementedError

    @property
    def caller_info(self) -> CallerInfo:
        """Who calls."""
        raise NotImplementedError

    @property
    def is_video_enabled(self) -> bool:
        """Whether it is announced as a call with video."""
        raise NotImplementedError

    @property
    def info(self) -> CallInfo:
        """What else is known of it."""
        raise NotImplementedError

    @property
    def is_ringing(self) -> bool:
        """Whether it can be accepted or rejected still."""
        raise NotImplementedError

    @property
    def rings_for(self) -> float:
        """Seconds from now that it rings on at most; 0 where it does not ring."""
        raise NotImplementedError

    @property
    def call_end_reason(self) -> CallEndReason | None:
        """Why it rings no more; None while it rings, and where it was accepted here."""
        raise NotImplementedError

    async def accept(self, options: AcceptCallOptions | None = None) -> Call:
        """Accept it, and return the call as soon as the service has agreed; it then is ``CONNECTING``, and is ``CONNECTED`` next.

        A cancellation while the service is asked hangs the call up.

        :raises CallEnded: it rings no more; ``reason`` says why.
        :raises IllegalCall: it was accepted or rejected in this process before, or is just being.
        :raises TimedOut: the service has not answered within 30 s; the call is then hung up.
        :raises PlatformUnavailable: there is no connection to the service.
        """
        raise NotImplementedError

    async def reject(self) -> None:
        """Decline it, for all endpoints of the user; errors as of :meth:`accept`."""
        raise NotImplementedError

    async def wait_until_ended(self) -> CallEndReason | None:
        """Wait until it rings no more, and return why; None where it was accepted here."""
        raise NotImplementedError
