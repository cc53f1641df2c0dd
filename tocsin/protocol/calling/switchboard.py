"""The record of a calling service: which endpoints are connected, which are rung by pushes, and how all calls stand.

Each operation returns a :class:`Turn` and changes nothing: the turn is written down first, then installed here, and then told.
So what could not be written has not happened.
"""

from __future__ import annotations

from collections.abc import Iterable

from tocsin.protocol.calling.switchboard_rows import CallRow, Endpoint, Push, Pushed, PushRegistration, Turn
from tocsin.protocol.messages.calling import (
    AcceptCall,
    AttendCall,
    CallHello,
    CallReady,
    HangUpCall,
    RejectCall,
    SetCallMedia,
    StartCall,
)


class Switchboard:
    """Decides what each event comes to.

    ``now`` is everywhere in seconds on the service's clock, the one that the rows have.

    :param calls: those that were kept; the endpoints that are in them count as away from now on.
    :param registrations: those that were kept.
    :param ring_time: seconds for which a call rings at most.
    """

    def __init__(
        self,
        calls: Iterable[CallRow] = (),
        registrations: Iterable[PushRegistration] = (),
        *,
        now: float,
        ring_time: float = 120.0,
    ) -> None:
        raise NotImplementedError

    def install(self, turn: Turn) -> None:
        """Take over what was written."""
        raise NotImplementedError

    # Time

    def next_due(self) -> float | None:
        """Return the moment at which :meth:`due` has something to do; None: there is none."""
        raise NotImplementedError

    def due(self, now: float) -> Turn:
        """Time has passed: calls are not answered, endpoints are lost, registrations expire, and ended calls are forgotten."""
        raise NotImplementedError

    def resume(self, now: float) -> Turn:
        """The service was started anew: ring once more by pushes for what rings, and stop what has been stopped a short while ago."""
        raise NotImplementedError

    # Endpoints

    def hello(self, endpoint: Endpoint, hello: CallHello, now: float) -> Turn:
        """An endpoint is connected; a ``CallRefused`` as the answer ends its connection."""
        raise NotImplementedError

    def left(self, endpoint: Endpoint, now: float) -> Turn:
        """An endpoint is connected no more."""
        raise NotImplementedError

    def remove_user(self, user: str, now: float) -> Turn:
        """End all of a user: calls, registrations and connections."""
        raise NotImplementedError

    # Pushes

    def register(self, endpoint: Endpoint, request: int, uri: str, ttl: float, now: float) -> Turn:
        """Ring an endpoint by pushes, for ``ttl`` seconds or as long as is granted."""
        raise NotImplementedError

    def unregister(self, endpoint: Endpoint, request: int, *, every_device: bool) -> Turn:
        """Ring an endpoint, or all of its user, by pushes no more."""
        raise NotImplementedError

    def pushed(self, push: Push, outcome: Pushed, now: float) -> Turn:
        """A push has come to something."""
        raise NotImplementedError

    # Calls

    def start(self, endpoint: Endpoint, asked: StartCall, context: str, now: float) -> Turn:
        """Ring a user.

        :param context: unguessable, made anew for each call.
        """
        raise NotImplementedError

    def attend(self, endpoint: Endpoint, asked: AttendCall, now: float) -> Turn:
        """Tell how a call stands."""
        raise NotImplementedError

    def accept(self, endpoint: Endpoint, asked: AcceptCall, now: float) -> Turn:
        """Accept a call that rings."""
        raise NotImplementedError

    def ready(self, endpoint: Endpoint, asked: CallReady, now: float) -> Turn:
        """The endpoint that has accepted is ready."""
        raise NotImplementedError

    def reject(self, endpoint: Endpoint, asked: RejectCall, now: float) -> Turn:
        """Decline a call that rings."""
        raise NotImplementedError

    def hang_up(self, endpoint: Endpoint, asked: HangUpCall, now: float) -> Turn:
        """End a call."""
        raise NotImplementedError

    def set_media(self, endpoint: Endpoint, asked: SetCallMedia, now: float) -> Turn:
        """Set what this side has switched off."""
        raise NotImplementedError
