"""Calls between the devices of several users, whatever the network and the processes do: what never happens, and how all ends."""

from __future__ import annotations

from typing import Any, TypeVar

from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.protocol.calling.board import ANN, ANN_PHONE, BEN, BEN_PHONE, BEN_WATCH, CARA
from tests.protocol.calling.calls_world import CallsWorld, Device
from tocsin.protocol.calling.call_at_service import Phase
from tocsin.protocol.calling.switchboard_rows import Endpoint, Pushed

T = TypeVar("T")

ENDPOINTS = (ANN, ANN_PHONE, BEN, BEN_PHONE, BEN_WATCH, CARA)
QUIET = {BEN_WATCH}
ACTS = ("calls", "calls", "accepts", "accepts", "all accept", "declines", "hangs up", "mutes")
FATES = ("arrives", "arrives", "doubled", "late", "lost")
TIMES = (0.1, 0.1, 1.0, 1.0, 5.0, 5.0, 20.0, 31.0, 61.0, 121.0)

_some = st.integers(0, 1_000)
_outcomes = st.sampled_from((*Pushed, Pushed.ACCEPTED, Pushed.ACCEPTED))
_ends = st.sampled_from(("ends", "begins anew", "the service", "the service, before it tells"))


def _move(name: str, **what: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """Let something happen: the name of a method, and which of what there is it happens to."""
    return st.tuples(st.just(name), st.fixed_dictionaries(what))


_act = _move(
    "a_user_acts",
    act=st.sampled_from(ACTS),
    which=_some,
    callee=st.sampled_from(ENDPOINTS),
    is_lucky=st.booleans(),
)
_arrivals = _move("messages_arrive", turns=st.lists(_some, min_size=1, max_size=8))
_push = _move("something_becomes_of_pushes", which=_some, outcome=_outcomes, fate=st.sampled_from(FATES))
_others = (
    _move("all_messages_arrive"),
    _move("a_connection_breaks_or_begins", which=_some, is_noticed=st.booleans(), is_back=st.booleans()),
    _move("a_device_has_another_channel", which=_some),
    _move("a_process_ends", which=_some, what=_ends),
    _move("time_passes", seconds=st.sampled_from(TIMES)),
)
moves = st.lists(st.one_of(*(_act,) * 6, *(_arrivals, _arrivals, _push, _push), *_others), min_size=6, max_size=12)


class Calls(RuleBasedStateMachine):
    """Six devices of three users, one of which learns of calls by pushes only."""

    def __init__(self) -> None:
        super().__init__()
        self.world = CallsWorld({endpoint: Device(endpoint, quiet=endpoint in QUIET) for endpoint in ENDPOINTS})
        self.count = 0

    @initialize(connected=st.sets(st.sampled_from(ENDPOINTS), min_size=4))
    def devices_are_there(self, connected: set[Endpoint]) -> None:
        """All are registered for pushes, and some are connected."""
        for device in self.world.devices.values():
            self.world.start_process(device)
            self.world.connect(device)
            self._exchange_all()
            self.world.register(device, f"https://push.test/{device.endpoint.user}/{device.endpoint.device}")
            self._exchange_all()
            if device.endpoint not in connected:
                self.world.end_process(device)
                self._notice_all()

    @rule(moves=moves)
    def things_happen(self, moves: list[tuple[str, dict[str, Any]]]) -> None:
        """In one rule, since a machine leaves out some of its rules in each run, and little happens without one of these."""
        for name, what in moves:
            getattr(self, name)(**what)

    # What users do

    def a_user_acts(self, act: str, which: int, callee: Endpoint, *, is_lucky: bool) -> None:
        """Calls, or does something with a call that is there; with luck, all of them learn of it at once."""
        self.world.seen[act] += 1
        if act == "calls":
            self._call(which, callee.user)
        elif act in {"accepts", "all accept"}:
            self._accept(which, all_at_once=act == "all accept")
        else:
            chosen = self._one(self._ringing() if act == "declines" else self._in_calls(), which)
            if chosen is not None:
                self._act(act, *chosen, is_lucky=is_lucky)
        if is_lucky:
            self._exchange_all()

    def _act(self, act: str, device: Device, call: str, *, is_lucky: bool) -> None:
        if act == "declines":
            self.world.do(device, lambda agent: agent.reject(call))
        elif act == "hangs up":
            self.world.do(device, lambda agent: agent.hang_up(call, self.world.now))
        else:
            self.world.do(device, lambda agent: agent.set_media(call, muted=is_lucky, held=not is_lucky))

    def _call(self, which: int, callee: str) -> None:
        """Call from a device whose process runs."""
        device = self._one([each for each in self.world.devices.values() if each.agent], which)
        if device is not None:
            self.count += 1
            self.world.do(device, lambda agent: agent.start(f"c{self.count}", callee, self.world.now, video=which > 3))

    def _accept(self, which: int, *, all_at_once: bool) -> None:
        """Accept a call that rings; or all devices that ring with it do, in the same moment."""
        ringing = self._ringing()
        chosen = self._one(ringing, which)
        for device, call in ringing:
            if chosen is not None and (chosen == (device, call) or (all_at_once and chosen[1] == call)):
                self.world.do(device, lambda agent: agent.accept(chosen[1]))

    # What the network does

    def messages_arrive(self, turns: list[int]) -> None:
        """In either direction, each connection in its order."""
        for which in turns:
            self._let_one_arrive(which)

    def all_messages_arrive(self) -> None:
        """Nothing is on its way; what is broken is noticed at both ends."""
        self._exchange_all()
        self._notice_all()

    def something_becomes_of_pushes(self, which: int, outcome: Pushed, fate: str) -> None:
        """One is made, or fails, or is known to reach nothing; another arrives early or late, comes twice, or is lost."""
        world = self.world
        if world.pushes:
            world.make_push(which % len(world.pushes), outcome)
        if world.on_their_way and fate != "late":
            index = which % len(world.on_their_way)
            endpoint, details = world.on_their_way[index] if fate == "doubled" else world.on_their_way.pop(index)
            if fate != "lost":
                world.take_push(world.devices[endpoint], details)
                if world.devices[endpoint].connection is None and which % 2:
                    world.connect(world.devices[endpoint])

    def a_connection_breaks_or_begins(self, which: int, *, is_noticed: bool, is_back: bool) -> None:
        """The device notices a break; the service may notice it later, or when the device is back."""
        device = self._one([each for each in self.world.devices.values() if each.agent], which)
        if device is None:
            return
        connection = device.connection
        if connection is not None:
            self.world.lose_connection(device)
            if is_noticed:
                self.world.notice(connection)
        if connection is None or is_back:
            self.world.connect(device)

    def a_device_has_another_channel(self, which: int) -> None:
        """Pushes to the former are lost."""
        device = self._one([each for each in self.world.devices.values() if each.is_welcome], which)
        if device is not None:
            self.count += 1
            self.world.register(device, f"https://push.test/{self.count}")

    # What becomes of processes, and time

    def a_process_ends(self, which: int, what: str) -> None:
        """All that it knows is lost; the service's, before or after it has told what it has written down next."""
        device = self._one([each for each in self.world.devices.values() if each.agent], which)
        if what == "the service":
            self.world.kill_service()
        elif what == "the service, before it tells":
            self.world.dies_before_telling = True
        elif device is not None:
            self.world.end_process(device)
            if what == "begins anew":
                self.world.start_process(device)
                self.world.connect(device)

    def time_passes(self, seconds: float) -> None:
        """For all."""
        self.world.pass_time(seconds)

    # What holds

    @precondition(lambda self: self.world.calls)
    @invariant()
    def each_call_has_what_it_needs(self) -> None:
        """An open one no reason, an ended one when it ended, an answered one who has answered."""
        for row in self.world.calls.values():
            assert bool(row.ended) == (row.phase is Phase.ENDED)
            assert bool(row.callee.device) == bool(row.answered)
            assert row.phase is Phase.ENDED or not (row.code or row.subcode)
            assert row.phase is not Phase.RINGING or not row.answered

    @invariant()
    def what_is_written_is_what_is_known(self) -> None:
        """The record of the service is that of its store."""
        assert {row.call for row in self.world.board.open_calls} == {
            call for call, row in self.world.calls.items() if row.phase is not Phase.ENDED
        }

    def teardown(self) -> None:
        """When all is delivered and time has passed, no device rings, and what goes on goes on at both sides."""
        world = self.world
        for what in world.seen:
            event(what)  # told by --hypothesis-show-statistics
        world.dies_before_telling = False
        for _ in range(4):
            while world.on_their_way:
                endpoint, details = world.on_their_way.pop()
                world.take_push(world.devices[endpoint], details)
            self._connect_all()
            self._exchange_all()
            self._notice_all()
            self._exchange_all()
            world.pass_time(60.0)
        for device in world.devices.values():
            assert device.bells == set(), "a device rings on"
        in_calls = {(device.endpoint, call) for device, call in self._in_calls()}
        open_calls = [row for row in world.calls.values() if row.phase is not Phase.ENDED]
        sides = {(side.endpoint, row.call) for row in open_calls for side in (row.caller, row.callee)}
        assert in_calls == sides
        assert all(row.phase is Phase.CONNECTED for row in open_calls)

    # Parts of it

    def _ringing(self) -> list[tuple[Device, str]]:
        return [(device, call) for device in self.world.devices.values() for call in sorted(device.bells)]

    def _in_calls(self) -> list[tuple[Device, str]]:
        """Return who is in which call; what the record lists beyond those that ring."""
        devices = [device for device in self.world.devices.values() if device.agent is not None]
        return [
            (device, call)
            for device in devices
            if device.agent is not None
            for call in device.agent.open_calls()
            if call not in device.bells
        ]

    @staticmethod
    def _one(several: list[T], which: int) -> T | None:
        return several[which % len(several)] if several else None

    def _let_one_arrive(self, which: int) -> bool:
        """Let a message arrive, if one is on its way."""
        world = self.world
        connected = [each for each in world.devices.values() if each.connection is not None]
        ways = [(device, True) for device in connected if device.connection and device.connection.up]
        ways += [(device, False) for device in connected if device.connection and device.connection.down]
        way = self._one(ways, which)
        if way is None:
            return False
        device, is_up = way
        assert device.connection is not None
        if device.connection.is_broken:
            world.lose_connection(device)
        elif is_up:
            world.arrive(device.connection)
        else:
            world.hear(device)
        return True

    def _exchange_all(self) -> None:
        """Let all arrive, and those connect anew whose connections are broken."""
        world = self.world
        while True:
            while self._let_one_arrive(0):
                pass
            broken = [each for each in world.devices.values() if each.connection and each.connection.is_broken]
            for device in broken:
                world.lose_connection(device)
                world.connect(device)
            if not broken:
                return

    def _connect_all(self) -> None:
        for device in self.world.devices.values():
            if device.connection is not None and device.connection.is_broken:
                self.world.lose_connection(device)
            if device.agent is not None and device.connection is None:
                self.world.connect(device)

    def _notice_all(self) -> None:
        world = self.world
        for connection in list(world.lines.values()):
            if world.devices[connection.endpoint].connection is not connection:
                world.notice(connection)


TestCalls = Calls.TestCase
TestCalls.settings = settings(max_examples=max(settings().max_examples, 100), stateful_step_count=8)
