"""Activator registration: what may be registered by whom, the checks in their order, and what outlives its process."""

from __future__ import annotations

from copy import deepcopy
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import invariant

from tests.protocol.tables import AnyEvent, Law
from tocsin.protocol.errors import InvalidArgument, NotFound
from tocsin.protocol.hresult import HResult
from tocsin.protocol.platform.activation import Activators
from tocsin.protocol.platform.activator_registration import (
    EACH,
    TABLE,
    Effect,
    Event,
    Phase,
    Registered,
    check_register,
    check_unregister,
    is_supported,
)

PUSH, COM, PROTOCOL = Activators.PUSH_TRIGGER, Activators.COM_ACTIVATOR, Activators.PROTOCOL_ACTIVATOR
NULL, CLSID, OTHER = UUID(int=0), UUID(int=1), UUID(int=2)
NAMES = {PUSH: "PushTrigger", COM: "ComActivator", PROTOCOL: "ProtocolActivator"}
REMOVED = (Phase.ABSENT, (Effect.DROP, Effect.CANCEL_RUNNING))

Current = dict[Activators, Registered]


def having(phase: Phase, *activators: Activators, clsid: UUID = CLSID) -> Current:
    """Make what is registered already."""
    return {
        each: Registered(each, clsid, (1,), sessions={"s1": True} if phase is Phase.ACTIVE else {}, phase=phase)
        for each in activators
    }


def refusal(flags: Activators, clsid: UUID, current: Current, *, packaged: bool, session: str = "s1") -> str:
    """Return the sentence with which a registration is refused; nothing is changed by it."""
    before = deepcopy(current)
    with pytest.raises(InvalidArgument) as refused:
        check_register(flags, clsid, current, session, packaged=packaged)
    assert refused.value.hresult == HResult.E_INVALIDARG
    assert current == before
    return str(refused.value)


def after(event: Event) -> dict[Phase, tuple[Phase, tuple[Effect, ...]]]:
    """Collect what an event leads to, by the phase in which it comes."""
    return {phase: result for (phase, each), result in TABLE.items() if each is event}


class TestTable(Law):
    """An activator keeps the law."""

    table = TABLE
    start = Phase.ABSENT
    events = Event
    effects = Effect

    def test_anything_can_be_registered_and_is_kept(self) -> None:
        """What an earlier process left is taken over, and what another process has is shared."""
        assert after(Event.REGISTER) == dict.fromkeys(Phase, (Phase.ACTIVE, (Effect.KEEP,)))

    def test_one_activator_is_unregistered_by_the_process_that_has_it(self) -> None:
        """It is dropped, and the work that it began is cancelled."""
        assert after(Event.UNREGISTER) == {Phase.ACTIVE: REMOVED}

    def test_all_can_be_unregistered_at_any_time(self) -> None:
        """What is absent stays so without a word, what an earlier process left goes too."""
        assert after(Event.UNREGISTER_ALL) == {
            Phase.ABSENT: (Phase.ABSENT, ()),
            Phase.STORED: REMOVED,
            Phase.ACTIVE: REMOVED,
        }

    def test_whatever_is_there_is_forgotten_with_its_app(self) -> None:
        """It is dropped; that the work is cancelled, and why, is said by another word."""
        dropped = (Phase.ABSENT, (Effect.DROP,))
        absent = (Phase.ABSENT, ())
        assert after(Event.FORGET) == {Phase.ABSENT: absent, Phase.STORED: dropped, Phase.ACTIVE: dropped}

    def test_a_trigger_outlives_its_process_and_a_class_does_not(self) -> None:
        """Nothing is written then: what was kept stays kept, and a class was never."""
        assert after(Event.PROCESS_GONE) == {Phase.ACTIVE: (Phase.STORED, ())}
        assert after(Event.SERVER_GONE) == {Phase.ACTIVE: (Phase.ABSENT, ())}

    def test_what_was_kept_is_restored_once(self) -> None:
        """It is there before any process has registered it."""
        assert after(Event.RESTORED) == {Phase.ABSENT: (Phase.STORED, ())}


class Life(AnyEvent):
    """Anything happens to an activator at any time."""

    law = TestTable

    def __init__(self) -> None:
        super().__init__()
        self.kept = False
        """Whether the store has it, or had it at the start."""

    def happened(self, event: Any, effects: tuple[Any, ...]) -> None:
        """Only what was registered is dropped, and whatever is unregistered has its work cancelled."""
        assert (Effect.DROP in effects and event is not Event.FORGET) == (Effect.CANCEL_RUNNING in effects)
        if Effect.DROP in effects:
            assert self.kept
        if event is Event.RESTORED or Effect.KEEP in effects:
            self.kept = True
        elif Effect.DROP in effects or event is Event.SERVER_GONE:
            self.kept = False

    @invariant()
    def the_store_has_exactly_what_is_registered(self) -> None:
        """After a crash the same activators wake the app."""
        assert self.kept == (self.phase is not Phase.ABSENT)


TestAnyEvent = Life.TestCase


class TestIsSupported:
    """Which flags an app may register: all eight combinations, packaged and not."""

    @pytest.mark.parametrize(
        ("flags", "packaged", "unpackaged"),
        [(PUSH, True, False), (COM, True, False), (PUSH | COM, True, False), (PROTOCOL, False, True)],
    )
    def test_a_packaged_app_has_trigger_and_class_and_an_unpackaged_one_the_protocol(
        self, flags: Activators, *, packaged: bool, unpackaged: bool
    ) -> None:
        """Each kind of app has its own."""
        assert is_supported(flags, packaged=True) is packaged
        assert is_supported(flags, packaged=False) is unpackaged

    @pytest.mark.parametrize("packaged", [True, False])
    @pytest.mark.parametrize("flags", [PROTOCOL | PUSH, PROTOCOL | COM, PROTOCOL | PUSH | COM])
    def test_the_protocol_cannot_be_combined(self, flags: Activators, *, packaged: bool) -> None:
        """No app is of both kinds."""
        with pytest.raises(InvalidArgument, match="PROTOCOL_ACTIVATOR cannot be combined") as refused:
            is_supported(flags, packaged=packaged)
        assert refused.value.hresult == HResult.E_INVALIDARG

    @pytest.mark.parametrize("packaged", [True, False])
    def test_no_flag_is_no_question(self, *, packaged: bool) -> None:
        """Undefined is refused, not answered."""
        with pytest.raises(InvalidArgument, match="none of the flags is set") as refused:
            is_supported(Activators.UNDEFINED, packaged=packaged)
        assert refused.value.hresult == HResult.E_INVALIDARG

    @pytest.mark.parametrize("packaged", [True, False])
    @pytest.mark.parametrize("bits", [8, 9, 12])
    def test_an_unknown_flag_is_refused(self, bits: int, *, packaged: bool) -> None:
        """Nothing is supported that has no name; else its registration succeeds and does nothing."""
        with pytest.raises(InvalidArgument):
            is_supported(Activators(bits), packaged=packaged)


class TestCheckRegister:
    """The checks of a registration, in the order of the Windows App SDK."""

    @pytest.mark.parametrize("flags", [PUSH, COM, PUSH | COM])
    def test_a_packaged_app_may_register_what_is_absent(self, flags: Activators) -> None:
        """Nothing stands against it, be the activator unknown or known as absent."""
        check_register(flags, CLSID, {}, "s1", packaged=True)
        check_register(flags, CLSID, having(Phase.ABSENT, PUSH, COM, clsid=OTHER), "s1", packaged=True)

    def test_an_unpackaged_app_needs_no_clsid(self) -> None:
        """The protocol activator has no class, and may be named again by the next process."""
        check_register(PROTOCOL, NULL, {}, "s1", packaged=False)
        check_register(PROTOCOL, NULL, having(Phase.STORED, PROTOCOL, clsid=NULL), "s1", packaged=False)

    def test_a_trigger_of_an_earlier_process_is_taken_over(self) -> None:
        """With the CLSID that it has, it is reused."""
        check_register(PUSH | COM, CLSID, having(Phase.STORED, PUSH), "s1", packaged=True)

    @pytest.mark.parametrize("flags", [Activators.UNDEFINED, PROTOCOL | PUSH, PROTOCOL | COM])
    @pytest.mark.parametrize("packaged", [True, False])
    def test_flags_that_cannot_be_are_refused_first(self, flags: Activators, *, packaged: bool) -> None:
        """Before the null CLSID, and before what is registered already."""
        sentence = refusal(flags, NULL, having(Phase.ACTIVE, *EACH), packaged=packaged)
        assert "none of the flags" in sentence or "cannot be combined" in sentence

    @pytest.mark.parametrize(
        ("flags", "packaged", "kind"),
        [(PROTOCOL, True, "a packaged"), (PUSH, False, "an unpackaged"), (COM, False, "an unpackaged")],
    )
    def test_what_an_app_of_this_kind_has_not_is_refused_next(
        self, flags: Activators, kind: str, *, packaged: bool
    ) -> None:
        """The sentence says which kind of app it is, and where to ask."""
        sentence = refusal(flags, NULL, having(Phase.ACTIVE, *EACH), packaged=packaged)
        assert sentence == f"{kind} app cannot register {flags!r}: see is_activator_supported"

    @pytest.mark.parametrize("activator", [PUSH, COM])
    def test_then_a_null_clsid(self, activator: Activators) -> None:
        """Trigger and class need a CLSID, even where they are registered already."""
        expected = f"{NAMES[activator]} needs a CLSID that is not null"
        assert refusal(activator, NULL, {}, packaged=True) == expected
        assert refusal(activator, NULL, having(Phase.ACTIVE, activator), packaged=True) == expected
        assert refusal(activator, NULL, having(Phase.STORED, activator), packaged=True) == expected

    @pytest.mark.parametrize("clsid", [CLSID, OTHER])
    @pytest.mark.parametrize("activator", EACH, ids=NAMES.get)
    def test_then_what_this_process_has_registered(self, activator: Activators, clsid: UUID) -> None:
        """A second registration fails, whatever its CLSID, and the first one lives on."""
        current = having(Phase.ACTIVE, activator)
        expected = f"{NAMES[activator]} already registered."
        assert refusal(activator, clsid, current, packaged=activator is not PROTOCOL) == expected

    def test_then_a_trigger_of_another_clsid(self) -> None:
        """A trigger that an earlier process left under another CLSID is not taken over."""
        expected = "RegisterActivator has different clsid registered."
        assert refusal(PUSH, OTHER, having(Phase.STORED, PUSH), packaged=True) == expected

    def test_the_trigger_is_checked_before_the_class(self) -> None:
        """Of two faults the trigger's is told; a trigger without fault does not save the class."""
        both = having(Phase.ACTIVE, PUSH, COM)
        assert refusal(PUSH | COM, NULL, both, packaged=True).startswith("PushTrigger needs")
        assert refusal(PUSH | COM, CLSID, both, packaged=True) == "PushTrigger already registered."
        taken = having(Phase.STORED, PUSH) | having(Phase.ACTIVE, COM)
        assert refusal(PUSH | COM, OTHER, taken, packaged=True).startswith("RegisterActivator has different")
        assert refusal(PUSH | COM, CLSID, taken, packaged=True) == "ComActivator already registered."

    @given(
        flags=st.integers(0, 7).map(Activators),
        clsid=st.sampled_from([NULL, CLSID, OTHER]),
        packaged=st.booleans(),
        phases=st.tuples(*[st.sampled_from(Phase)] * 3),
    )
    def test_whatever_it_says_it_changes_nothing(
        self, flags: Activators, clsid: UUID, phases: tuple[Phase, ...], *, packaged: bool
    ) -> None:
        """All is checked before anything is done, and an activator that was not asked for is not looked at."""
        current: Current = {}
        for activator, phase in zip(EACH, phases, strict=True):
            current |= having(phase, activator)
        before, asked = deepcopy(current), {each: current[each] for each in EACH if each & flags}
        assert _verdict(flags, clsid, current, packaged=packaged) == _verdict(flags, clsid, asked, packaged=packaged)
        assert current == before


def _verdict(flags: Activators, clsid: UUID, current: Current, *, packaged: bool) -> str:
    try:
        check_register(flags, clsid, current, "s1", packaged=packaged)
    except InvalidArgument as refused:
        return str(refused)
    return "registered"


class TestCheckUnregister:
    """What can be unregistered by name."""

    @pytest.mark.parametrize("activator", EACH, ids=NAMES.get)
    def test_what_this_process_has_registered(self, activator: Activators) -> None:
        """And nothing is said."""
        check_unregister(activator, having(Phase.ACTIVE, activator), "s1")

    @pytest.mark.parametrize("activator", EACH, ids=NAMES.get)
    @pytest.mark.parametrize("phase", [None, Phase.ABSENT, Phase.STORED])
    def test_what_it_has_not_is_not_found(self, phase: Phase | None, activator: Activators) -> None:
        """Neither what is absent nor what an earlier process left; the code is ERROR_NOT_FOUND."""
        current = having(Phase.ACTIVE, *EACH)
        del current[activator]
        current |= having(phase, activator) if phase else {}
        before = deepcopy(current)
        with pytest.raises(NotFound) as refused:
            check_unregister(activator, current, "s1")
        assert (str(refused.value), refused.value.hresult) == (f"{NAMES[activator]} not registered.", 0x80070490)
        assert current == before


class TestRegistered:
    """What is known of one activator."""

    def test_only_a_class_goes_with_its_process(self) -> None:
        """A trigger and the protocol activator still wake the app."""
        assert {each: Registered(each).outlives_process() for each in EACH} == {PUSH: True, COM: False, PROTOCOL: True}

    def test_they_are_handled_in_the_order_of_windows(self) -> None:
        """Trigger, class, protocol."""
        assert EACH == (PUSH, COM, PROTOCOL)

    def test_a_new_one_is_absent_and_nobodys(self) -> None:
        """No class, no conditions, no session, no handler."""
        new = Registered(PUSH)
        assert (new.clsid, new.conditions, new.sessions, new.phase) == (NULL, (), {}, Phase.ABSENT)
        assert (new.server(), new.command, new.cancel_on_condition_loss) == ("", b"", False)

    def test_the_newest_session_with_a_handler_does_the_work(self) -> None:
        """One that has none is passed over; when the newest leaves, the one before does it again."""
        registered = Registered(COM, sessions={"s1": True, "s2": True, "s3": False})
        assert registered.server() == "s2"
        del registered.sessions["s2"]
        assert registered.server() == "s1"

    @pytest.mark.parametrize("activator", EACH)
    @pytest.mark.parametrize("left", [0, 1])
    def test_what_a_departure_means(self, activator: Activators, left: int) -> None:
        """While another session has it, it is only released; the last one leaves a trigger, and takes a class along."""
        registered = Registered(activator, sessions=dict.fromkeys(["s2"][:left], True), phase=Phase.ACTIVE)
        last = Event.SERVER_GONE if activator is COM else Event.PROCESS_GONE
        assert registered.event_of_departure() is (Event.RELEASED if left else last)
        shared_class = left and activator is COM
        assert registered.event_of_unregistration() is (Event.RELEASED if shared_class else Event.UNREGISTER)

    def test_a_second_process_may_register_the_same_but_no_other_class_for_the_trigger(self) -> None:
        """And each unregisters only what it has registered itself."""
        current = having(Phase.ACTIVE, PUSH, COM)
        check_register(PUSH | COM, CLSID, current, "s2", packaged=True)
        assert "different clsid" in refusal(PUSH, OTHER, having(Phase.ACTIVE, PUSH), packaged=True, session="s2")
        with pytest.raises(NotFound):
            check_unregister(COM, current, "s2")
