"""A switchboard whose turns are taken over at once, and what endpoints are told by it."""

from __future__ import annotations

from typing import TypeVar

from tocsin.protocol.calling.switchboard import Switchboard
from tocsin.protocol.calling.switchboard_rows import (
    CallRow,
    Effect,
    Endpoint,
    Part,
    Push,
    Pushed,
    PushRegistration,
    RingByPush,
    StopByPush,
    Tell,
    Turn,
)
from tocsin.protocol.messages.base import Message
from tocsin.protocol.messages.calling import (
    CALLING_VERSION,
    AcceptCall,
    CallHello,
    CallPhase,
    CallReady,
    CallReport,
    HangUpCall,
    RegisterForCallPush,
    RejectCall,
    StartCall,
)

ANN = Endpoint("8:acs:tocsin_ann", "desk")
ANN_PHONE = Endpoint("8:acs:tocsin_ann", "phone")
BEN = Endpoint("8:acs:tocsin_ben", "desk")
BEN_PHONE = Endpoint("8:acs:tocsin_ben", "phone")
BEN_WATCH = Endpoint("8:acs:tocsin_ben", "watch")
CARA = Endpoint("8:acs:tocsin_cara", "desk")
DAY = 86_400.0

E = TypeVar("E", bound=Effect)


def hello(*open_calls: str, name: str = "", quiet: bool = False) -> CallHello:
    """Make the first frame of an agent; its token and its device are not looked at here."""
    return CallHello(CALLING_VERSION, "", "", name, quiet, open_calls)


class Board:
    """Takes each turn over, keeps its rows as a store does, and remembers its effects."""

    def __init__(self, *, ring_time: float = 120.0) -> None:
        self.now = 1_000_000.0
        self.calls: dict[str, CallRow] = {}
        self.registrations: dict[Endpoint, PushRegistration] = {}
        self.effects: list[Effect] = []
        """Since they were last looked at."""
        self._ring_time = ring_time
        self.switchboard = Switchboard(now=self.now, ring_time=ring_time)

    def take(self, turn: Turn) -> Message | None:
        """Write a turn down, take it over, and return its answer."""
        for call in turn.rows.forgotten_calls:
            del self.calls[call]
        for endpoint in turn.rows.forgotten_registrations:
            del self.registrations[endpoint]
        self.calls |= {row.call: row for row in turn.rows.calls}
        self.registrations |= {each.endpoint: each for each in turn.rows.registrations}
        self.switchboard.install(turn)
        self.effects.extend(turn.effects)
        return turn.answer

    def restart(self) -> None:
        """Begin anew with what was written down."""
        self.switchboard = Switchboard(
            self.calls.values(), self.registrations.values(), now=self.now, ring_time=self._ring_time
        )
        self.take(self.switchboard.resume(self.now))

    def wait(self, seconds: float) -> None:
        """Let time pass, moment by moment."""
        end = self.now + seconds
        while (due := self.switchboard.next_due()) is not None and due <= end:
            self.now = max(due, self.now)
            self.take(self.switchboard.due(self.now))
        self.now = end

    # What endpoints do

    def connect(self, *endpoints: Endpoint, quiet: bool = False) -> None:
        """Connect endpoints, each named like its device, which are in no calls."""
        for endpoint in endpoints:
            self.hello(
                endpoint, hello(name=f"{endpoint.user.rpartition('_')[2]} at the {endpoint.device}", quiet=quiet)
            )

    def hello(self, endpoint: Endpoint, frame: CallHello) -> None:
        """Connect an endpoint with a first frame."""
        self.take(self.switchboard.hello(endpoint, frame, self.now))

    def leave(self, endpoint: Endpoint) -> None:
        """Break a connection."""
        self.take(self.switchboard.left(endpoint, self.now))

    def ask(self, endpoint: Endpoint, question: Message) -> Message | None:
        """Ask, and return the answer."""
        return self.take(self.switchboard.ask(endpoint, question, self.now))

    def reported(self, endpoint: Endpoint, question: Message) -> CallReport:
        """Ask, and return the report that is the answer."""
        answer = self.ask(endpoint, question)
        assert isinstance(answer, CallReport)
        return answer

    def register(self, endpoint: Endpoint, uri: str = "", ttl: float = DAY) -> Message | None:
        """Register a channel of an endpoint."""
        uri = uri or f"https://push.test/{endpoint.user}/{endpoint.device}"
        return self.ask(endpoint, RegisterForCallPush(3, uri, ttl))

    def start(
        self, caller: Endpoint = ANN, callee: str = BEN.user, call: str = "c1", *, video: bool = False
    ) -> CallReport:
        """Call a user; the context is made of the call's id."""
        asked = StartCall(7, call, callee, video)
        answer = self.take(self.switchboard.start(caller, asked, f"context of {call}", self.now))
        assert isinstance(answer, CallReport)
        return answer

    def accept(self, endpoint: Endpoint = BEN, call: str = "c1", *, muted: bool = False) -> CallReport:
        """Accept a call."""
        return self.reported(endpoint, AcceptCall(8, call, muted, video=False))

    def ready(self, endpoint: Endpoint = BEN, call: str = "c1") -> CallReport:
        """Get ready."""
        return self.reported(endpoint, CallReady(9, call))

    def reject(self, endpoint: Endpoint = BEN, call: str = "c1") -> CallReport:
        """Decline a call."""
        return self.reported(endpoint, RejectCall(10, call))

    def hang_up(self, endpoint: Endpoint, call: str = "c1") -> CallReport:
        """Hang up."""
        return self.reported(endpoint, HangUpCall(11, call))

    def pushed(self, push: Push, outcome: Pushed) -> None:
        """Let a push come to something."""
        self.take(self.switchboard.pushed(push, outcome, self.now))

    # What comes of it

    def taken(self, kind: type[E]) -> list[E]:
        """Return the effects of a kind, and forget them."""
        found: list[E] = [each for each in self.effects if isinstance(each, kind)]
        self.effects = [each for each in self.effects if not isinstance(each, kind)]
        return found

    def told(self) -> list[tuple[Endpoint, CallReport]]:
        """Return what endpoints were told since the last time."""
        return [(each.endpoint, each.message) for each in self.taken(Tell) if isinstance(each.message, CallReport)]

    def stood(self) -> dict[Endpoint, tuple[CallPhase, int, int]]:
        """Return how the only call stands for the endpoints that were told since the last time, each told once."""
        told = self.told()
        assert len({endpoint for endpoint, _ in told}) == len(told)
        return {endpoint: standing(report) for endpoint, report in told}

    def rung(self) -> list[Endpoint]:
        """Return the endpoints that were rung by pushes since the last time."""
        return [each.registration.endpoint for each in self.taken(RingByPush)]

    def stopped(self) -> list[Endpoint]:
        """Return the endpoints that were told by pushes that a call rings no more."""
        return [each.registration.endpoint for each in self.taken(StopByPush)]

    def parted(self) -> list[Endpoint]:
        """Return the endpoints whose connections were ended."""
        return [each.endpoint for each in self.taken(Part)]


def standing(report: CallReport) -> tuple[CallPhase, int, int]:
    """Return where a call stands and why it has ended."""
    return report.phase, report.code, report.subcode
