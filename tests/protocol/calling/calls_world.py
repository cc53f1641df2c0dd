"""A calling service and the devices of its users, joined by a network that does as a test says: it loses, delays, doubles and breaks.

A device is one endpoint. Its process may end, and with it all that it knows; a push starts it anew. The service may be killed, and
goes on from what it has written.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import TypeAlias

from attrs import Factory, define, evolve, field

from tests.protocol.calling.board import hello
from tocsin.protocol.calling.agent_calls import AgentCalls
from tocsin.protocol.calling.call_at_service import Phase
from tocsin.protocol.calling.call_effects import (
    Ask,
    Asked,
    CallBegan,
    CallDisconnected,
    CallEffects,
    IncomingEnded,
    Ring,
    Silence,
)
from tocsin.protocol.calling.push_notification import PushEventType, PushNotificationDetails
from tocsin.protocol.calling.raw_id import read_raw_id
from tocsin.protocol.calling.switchboard import DISPLACED, Switchboard, refusal
from tocsin.protocol.calling.switchboard_rows import (
    CallRow,
    Endpoint,
    Part,
    Push,
    Pushed,
    PushRegistration,
    RingByPush,
    Tell,
    Turn,
)
from tocsin.protocol.errors import PushError
from tocsin.protocol.messages.base import Message
from tocsin.protocol.messages.calling import (
    AttendCall,
    CallHello,
    CallRefused,
    CallReport,
    CallWelcome,
    RegisterForCallPush,
    StartCall,
)

Question: TypeAlias = Asked | PushNotificationDetails
ELSEWHERE = (487, 10003)
BY_ITSELF = {(487, 10004), (603, 0), (0, 0), (408, 10057), (487, 0), (496, 7), (404, 0), (503, 0)}
"""Why a device gives up what the service tells nothing of, or refuses."""


@define(eq=False)
class Connection:
    """A connection of a device; what is on its way when it breaks is lost."""

    endpoint: Endpoint
    up: deque[Message] = field(factory=deque)
    down: deque[Message] = field(factory=deque)
    is_broken: bool = False


@define(eq=False)
class Device:
    """A device: its process, if one runs, and what may be held against it afterwards."""

    endpoint: Endpoint
    quiet: bool = False
    agent: AgentCalls | None = None
    connection: Connection | None = None
    is_welcome: bool = False
    asked: dict[int, Question] = field(factory=dict)
    """What has no answer yet."""
    kept: list[PushNotificationDetails] = field(factory=list)
    """Pushes that came while there was no connection."""
    bells: set[str] = field(factory=set)
    """The calls that ring here."""
    over: set[str] = field(factory=set)
    """The calls that have ended here."""
    accepted: set[str] = field(factory=set)
    requests: int = 0


@define(eq=False)
class CallsWorld:
    """All of it; each method is something that happens."""

    devices: dict[Endpoint, Device]
    now: float = 1_000_000.0
    calls: dict[str, CallRow] = field(factory=dict)
    registrations: dict[Endpoint, PushRegistration] = field(factory=dict)
    pushes: list[Push] = field(factory=list)
    """Those that the service has to make."""
    on_their_way: list[tuple[Endpoint, PushNotificationDetails]] = field(factory=list)
    lines: dict[Endpoint, Connection] = field(factory=dict)
    dies_before_telling: bool = False
    seen: Counter[str] = field(factory=Counter)
    """What has happened, so that a test can tell whether it happens at all."""
    board: Switchboard = field(init=False, default=Factory(lambda self: Switchboard(now=self.now), takes_self=True))

    # The service

    def turn(self, decide: Callable[[], Turn], line: Connection | None = None, request: int = 0) -> None:
        """Decide, write down, install, and tell; or be killed after it was written down."""
        try:
            turn = decide()
        except PushError as error:
            if line is not None:
                line.down.append(refusal(request, error))
            return
        self._write(turn)
        if self.dies_before_telling and turn.rows:
            self.seen["killed before telling"] += 1
            self.kill_service()
            return
        self.board.install(turn)
        if turn.answer is not None and line is not None:
            line.down.append(turn.answer)
        for row in turn.rows.calls:
            if row.silent_since:
                self.pushes = [each for each in self.pushes if each.row.call != row.call]
        for effect in turn.effects:
            if isinstance(effect, Tell):
                self.lines[effect.endpoint].down.append(effect.message)
            else:
                assert not isinstance(effect, Part)
                self.pushes.append(effect)

    def _write(self, turn: Turn) -> None:
        for row in turn.rows.calls:
            before = self.calls.get(row.call)
            if before is not None and before.phase is Phase.ENDED:
                assert row == before, "a call has one end"
            if before is not None and before.answered:
                assert row.callee.endpoint == before.callee.endpoint, "a call is answered once"
            if row.phase is Phase.ENDED:
                self.seen[f"ended {row.code}/{row.subcode}"] += 1
            self.calls[row.call] = row
        for endpoint in turn.rows.forgotten_registrations:
            del self.registrations[endpoint]
        self.registrations |= {each.endpoint: each for each in turn.rows.registrations}
        for call in turn.rows.forgotten_calls:
            del self.calls[call]

    def kill_service(self) -> None:
        """Kill the service, and start it anew from what it has written."""
        self.dies_before_telling = False
        self.pushes.clear()
        for connection in self.lines.values():
            connection.is_broken = True
        self.lines.clear()
        self.board = Switchboard(self.calls.values(), self.registrations.values(), now=self.now)
        self.turn(lambda: self.board.resume(self.now))
        self.pass_time(0.0)

    def arrive(self, connection: Connection) -> None:
        """Let the service take the next message of a device."""
        message, endpoint = connection.up.popleft(), connection.endpoint
        if isinstance(message, CallHello):
            former = self.lines.get(endpoint)
            if former is not None:
                former.down.append(DISPLACED)
                former.is_broken = True
            self.lines[endpoint] = connection
            connection.down.append(CallWelcome(1, endpoint.user, 3600.0))
            self.turn(lambda: self.board.hello(endpoint, message, self.now))
        elif self.lines.get(endpoint) is connection:
            request: int = getattr(message, "request", 0)
            self.turn(lambda: self._answer(endpoint, message), connection, request)

    def _answer(self, endpoint: Endpoint, message: Message) -> Turn:
        if isinstance(message, StartCall):
            return self.board.start(endpoint, message, f"context of {message.call}", self.now)
        return self.board.ask(endpoint, message, self.now)

    def notice(self, connection: Connection) -> None:
        """Let the service notice that a connection is broken."""
        if self.lines.get(connection.endpoint) is connection:
            del self.lines[connection.endpoint]
            self.turn(lambda: self.board.left(connection.endpoint, self.now))

    def make_push(self, index: int, outcome: Pushed) -> None:
        """Let a push come to something; one that has failed is made again."""
        push = self.pushes.pop(index)
        registered = self.registrations.get(push.registration.endpoint)
        if outcome is Pushed.FAILED:
            self.pushes.append(push)
        elif outcome is Pushed.ACCEPTED and registered == push.registration:
            self.on_their_way.append((push.registration.endpoint, _details(push)))
        self.turn(lambda: self.board.pushed(push, outcome, self.now))

    def pass_time(self, seconds: float) -> None:
        """Let time pass, for the service and the devices, moment by moment."""
        end = self.now + seconds
        while True:
            moments = [self.board.next_due(), *(d.agent.next_due() for d in self.devices.values() if d.agent)]
            due = min((each for each in moments if each is not None), default=None)
            if due is None or due > end:
                break
            self.now = max(due, self.now)
            self.turn(lambda: self.board.due(self.now))
            for device in self.devices.values():
                if device.agent is not None:
                    self._obey(device, device.agent.due(self.now), by_itself=True)
        self.now = end

    # Devices

    def start_process(self, device: Device) -> None:
        """Start the process of a device."""
        if device.agent is None:
            device.agent = AgentCalls(device.endpoint.user)

    def end_process(self, device: Device) -> None:
        """Kill the process of a device; its toasts go with it."""
        if device.connection is not None:
            device.connection.is_broken = True
        device.agent = device.connection = None
        device.is_welcome = False
        device.asked.clear()
        device.kept.clear()
        device.bells.clear()

    def connect(self, device: Device) -> None:
        """Let a device connect."""
        assert device.agent is not None
        connection = device.connection = Connection(device.endpoint)
        connection.up.append(hello(*device.agent.open_calls(), name=device.endpoint.device, quiet=device.quiet))
        device.is_welcome = False

    def lose_connection(self, device: Device) -> None:
        """Let a device notice that its connection is broken: what had no answer is asked on the next one, where it matters."""
        if device.connection is not None:
            device.connection.is_broken = True
        device.connection, device.is_welcome = None, False
        device.kept += [each for each in device.asked.values() if isinstance(each, PushNotificationDetails)]
        device.asked.clear()

    def hear(self, device: Device) -> None:
        """Let a device take the next message of the service."""
        assert device.connection is not None
        message = device.connection.down.popleft()
        agent = device.agent
        assert agent is not None
        if isinstance(message, CallWelcome):
            device.is_welcome = True
            self._obey(device, agent.reconnected())
            kept, device.kept = device.kept, []
            for details in kept:
                self.take_push(device, details)
        elif isinstance(message, CallReport) and message.request == 0:
            self._obey(device, agent.heard(message, self.now))
        elif isinstance(message, CallReport | CallRefused) and message.request:
            asked = device.asked.pop(message.request)
            if not isinstance(asked, PushNotificationDetails):
                self._obey(device, agent.answered(asked, message, self.now))
            elif isinstance(message, CallReport):
                outcome, effects = agent.pushed(asked, message, self.now)
                self.seen[f"push {outcome.name}"] += 1
                self._obey(device, effects)
        elif isinstance(message, CallRefused):
            self.lose_connection(device)

    def take_push(self, device: Device, details: PushNotificationDetails) -> None:
        """Let a device take a push, which starts its process."""
        self.start_process(device)
        assert device.agent is not None
        outcome = device.agent.before_asking(details)
        if outcome is not None:
            self.seen[f"push {outcome.name}"] += 1
        elif device.is_welcome:
            self._ask(device, device.agent.question(details), details)
        else:
            device.kept.append(details)

    def register(self, device: Device, uri: str) -> None:
        """Let a device register a channel."""
        if device.is_welcome and device.connection is not None:
            device.connection.up.append(RegisterForCallPush(0, uri, 86_400.0))

    def do(self, device: Device, act: Callable[[AgentCalls], CallEffects]) -> None:
        """Let the user of a device do something, which may be refused."""
        assert device.agent is not None
        try:
            effects = act(device.agent)
        except PushError:
            return
        self._obey(device, effects)

    def _ask(self, device: Device, question: Asked | AttendCall, asked: Question) -> None:
        if device.connection is not None and device.is_welcome:
            device.requests += 1
            device.asked[device.requests] = asked
            device.connection.up.append(evolve(question, request=device.requests))

    def _obey(self, device: Device, effects: CallEffects, *, by_itself: bool = False) -> None:
        for effect in effects:
            if isinstance(effect, Ask):
                self._ask(device, effect.message, effect.message)
            elif isinstance(effect, Ring):
                self.seen["rings"] += 1
                assert effect.call not in device.over, "a call rings after it has ended there"
                device.bells.add(effect.call)
            elif isinstance(effect, Silence):
                device.bells.remove(effect.call)
            elif isinstance(effect, CallBegan) and effect.incoming:
                self._accepted(device, effect.call)
            elif isinstance(effect, IncomingEnded | CallDisconnected):
                self._ended(device, effect, by_itself=by_itself)

    def _accepted(self, device: Device, call: str) -> None:
        device.accepted.add(call)
        others = [each.endpoint for each in self.devices.values() if call in each.accepted and each is not device]
        assert others == [], "two devices have accepted one call"
        assert self.calls[call].callee.endpoint == device.endpoint

    def _ended(self, device: Device, effect: IncomingEnded | CallDisconnected, *, by_itself: bool) -> None:
        assert effect.call not in device.bells, "a bell rings on"
        assert effect.call not in device.over or isinstance(effect, CallDisconnected), "a ring ends once"
        device.over.add(effect.call)
        told, row = (effect.code, effect.subcode), self.calls.get(effect.call)
        if by_itself or row is None:
            assert told in BY_ITSELF, told
            assert not (by_itself and self._is_idle(device)), ("the service has not told an end", effect)
            return
        elsewhere = row.answered and row.callee.endpoint != device.endpoint and isinstance(effect, IncomingEnded)
        assert told == (ELSEWHERE if elsewhere else (row.code, row.subcode)), (told, row)

    def _is_idle(self, device: Device) -> bool:
        """Tell whether a device is connected, and nothing is on its way."""
        line = device.connection
        is_there = line is not None and device.is_welcome and self.lines.get(device.endpoint) is line
        return is_there and line is not None and not line.up and not line.down


def _details(push: Push) -> PushNotificationDetails:
    kind = PushEventType.INCOMING_CALL if isinstance(push, RingByPush) else PushEventType.STOP_RINGING
    row = push.row
    return PushNotificationDetails(
        kind, int(kind), row.call, read_raw_id(row.caller.user), read_raw_id(row.callee.user), context=row.context
    )
