"""What wakes an app: the values that Windows gave them, conditions that can hold together, and what is to be registered."""

from __future__ import annotations

from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from attrs.exceptions import FrozenAttributeError
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.hresult import HResult
from tocsin.protocol.platform.activation import (
    BUDGET,
    GRACE,
    KILL_AFTER,
    LAST_WORD,
    Activators,
    CancellationReason,
    PushNotificationActivationInfo,
    SystemConditionType,
    check_conditions,
    parse_activators,
)
from tocsin.protocol.values import DropReason

C = SystemConditionType
CLSID = UUID("d0c0ffee-0000-4000-8000-00000000c1a5")
NULL = UUID(int=0)
REAL = [condition for condition in C if condition is not C.INVALID]
NEVER_TOGETHER = {
    frozenset({C.USER_PRESENT, C.USER_NOT_PRESENT}),
    frozenset({C.INTERNET_AVAILABLE, C.INTERNET_NOT_AVAILABLE}),
    frozenset({C.SESSION_CONNECTED, C.SESSION_DISCONNECTED}),
    frozenset({C.FREE_NETWORK_AVAILABLE, C.INTERNET_NOT_AVAILABLE}),
}
"""A free network is one of the ways to the internet."""


def contradictory(conditions: list[SystemConditionType]) -> bool:
    """Tell whether two of them never hold together."""
    return any(pair <= set(conditions) for pair in NEVER_TOGETHER)


class TestValues:
    """Numbers that programs on Windows know."""

    def test_an_activation_has_thirty_seconds_and_five_of_grace(self) -> None:
        """The time rules of Windows' background work."""
        assert (BUDGET, GRACE) == (30.0, 5.0)
        assert LAST_WORD + KILL_AFTER < 2.0

    def test_activators_have_the_flags_of_windows(self) -> None:
        """They are stored and sent as numbers."""
        flags = {"UNDEFINED": 0, "PUSH_TRIGGER": 1, "COM_ACTIVATOR": 2, "PROTOCOL_ACTIVATOR": 4}
        assert {name: member.value for name, member in Activators.__members__.items()} == flags

    def test_conditions_are_numbered_as_in_windows(self) -> None:
        """They are stored as numbers, in this order from zero."""
        names = (
            "INVALID USER_PRESENT USER_NOT_PRESENT INTERNET_AVAILABLE INTERNET_NOT_AVAILABLE SESSION_CONNECTED"
            " SESSION_DISCONNECTED FREE_NETWORK_AVAILABLE BACKGROUND_WORK_COST_NOT_HIGH"
        )
        assert [(member.value, member.name) for member in C] == list(enumerate(names.split()))

    def test_reasons_are_numbered_as_in_windows(self) -> None:
        """All twelve, in this order from zero."""
        names = (
            "ABORT TERMINATING LOGGING_OFF SERVICING_UPDATE IDLE_TASK UNINSTALL CONDITION_LOSS SYSTEM_POLICY"
            " QUIET_HOURS_ENTERED EXECUTION_TIME_EXCEEDED RESOURCE_REVOCATION ENERGY_SAVER"
        )
        assert [(member.value, member.name) for member in CancellationReason] == list(enumerate(names.split()))

    def test_work_that_was_cancelled_is_counted_by_its_reason(self) -> None:
        """Each reason for cancelling is a reason for which a payload may end, under the same name."""
        for reason in CancellationReason:
            assert DropReason[reason.name].value == reason.name.lower()


class TestParseActivators:
    """Flags, as they come from outside."""

    @pytest.mark.parametrize("number", range(8))
    def test_every_combination_is_read(self, number: int) -> None:
        """Also from its number, and none at all is the undefined one."""
        parsed = parse_activators(number)
        assert (type(parsed), parsed) == (Activators, number)

    @pytest.mark.parametrize("wrong", ["push", "1", None, 1.0, [], -1, 8, 9, 2**64], ids=repr)
    def test_anything_else_is_refused(self, wrong: Any) -> None:
        """A bit without a name is garbage too; it is the caller's error, with the code that Windows would give."""
        with pytest.raises(InvalidArgument, match="combination of the flags of Activators, not") as refused:
            parse_activators(wrong)
        assert refused.value.hresult == HResult.E_INVALIDARG


class TestCheckConditions:
    """Which conditions may be waited for."""

    @pytest.mark.parametrize("pair", list(permutations(REAL, 2)), ids=lambda pair: f"{pair[0].name}-{pair[1].name}")
    def test_four_pairs_are_refused_in_either_order_and_no_other(
        self, pair: tuple[SystemConditionType, SystemConditionType]
    ) -> None:
        """Work that waits for both of a pair that never holds together would wait for ever."""
        if frozenset(pair) in NEVER_TOGETHER:
            with pytest.raises(InvalidArgument) as refused:
                check_conditions(pair)
            assert " and ".join(sorted(one.name for one in pair)) in str(refused.value)
        else:
            assert check_conditions(pair) == pair

    @given(st.lists(st.sampled_from(REAL), max_size=12))
    def test_repetitions_are_folded_and_the_order_is_kept(self, conditions: list[SystemConditionType]) -> None:
        """Whatever is given, it comes back once each, in the order of first mention, or holds a contradiction."""
        if contradictory(conditions):
            with pytest.raises(InvalidArgument, match="never hold together"):
                check_conditions(conditions)
        else:
            assert check_conditions(conditions) == tuple(dict.fromkeys(conditions))

    @given(st.lists(st.sampled_from(REAL), max_size=4), st.integers(0, 4))
    def test_invalid_is_refused_anywhere(self, others: list[SystemConditionType], place: int) -> None:
        """INVALID is the name of no condition, whatever stands beside it."""
        with pytest.raises(InvalidArgument, match="INVALID cannot be met"):
            check_conditions([*others[:place], C.INVALID, *others[place:]])

    def test_numbers_and_any_iterable_will_do(self) -> None:
        """What comes from a store or a generator ends as a tuple of members."""
        numbers: Any = (number for number in (3, 1, 3))
        checked = check_conditions(numbers)
        assert checked == (C.INTERNET_AVAILABLE, C.USER_PRESENT)
        assert all(type(condition) is C for condition in checked)

    @pytest.mark.parametrize("wrong", [None, 3, "USER_PRESENT", [99], [-1], ["3"], [None], [[]]], ids=repr)
    def test_what_is_no_condition_is_refused(self, wrong: Any) -> None:
        """Garbage is the caller's error, with the code that Windows would give."""
        with pytest.raises(InvalidArgument, match="members of SystemConditionType") as refused:
            check_conditions(wrong)
        assert refused.value.hresult == HResult.E_INVALIDARG


class TestActivationInfo:
    """What an app says it wants registered."""

    def test_it_needs_no_more_than_its_activators(self) -> None:
        """No class, no conditions, and running work goes on when a condition is lost."""
        info = PushNotificationActivationInfo(Activators.PROTOCOL_ACTIVATOR)
        assert (info.activators, info.task_clsid) == (Activators.PROTOCOL_ACTIVATOR, NULL)
        assert (info.conditions, info.cancel_on_condition_loss) == ((), False)

    @pytest.mark.parametrize(
        ("given", "clsid"),
        [(CLSID, CLSID), (str(CLSID), CLSID), (f"{{{CLSID}}}", CLSID), (None, NULL), (NULL, NULL), (str(NULL), NULL)],
        ids=str,
    )
    def test_a_clsid_is_a_uuid_its_text_or_nothing(self, given: UUID | str | None, clsid: UUID) -> None:
        """Windows' spelling in braces too; None is the null GUID."""
        assert PushNotificationActivationInfo(Activators.PUSH_TRIGGER, given).task_clsid == clsid

    @pytest.mark.parametrize("wrong", ["", "push", str(CLSID)[:-1], CLSID.bytes, 7, 1.5, []], ids=repr)
    def test_a_clsid_that_is_no_guid_is_refused(self, wrong: Any) -> None:
        """It is the caller's error, and named as such."""
        with pytest.raises(InvalidArgument, match="a CLSID is a GUID, not"):
            PushNotificationActivationInfo(Activators.PUSH_TRIGGER, wrong)

    @pytest.mark.parametrize(
        ("name", "value"), [("activators", Activators.COM_ACTIVATOR), ("task_clsid", CLSID), ("task_clsid", None)]
    )
    def test_activators_and_clsid_stay_as_they_are(self, name: str, value: Any) -> None:
        """They say what it is, and are settled when it is made."""
        info = PushNotificationActivationInfo(Activators.PUSH_TRIGGER, UUID(int=1))
        with pytest.raises(FrozenAttributeError):
            setattr(info, name, value)
        assert info == PushNotificationActivationInfo(Activators.PUSH_TRIGGER, UUID(int=1))

    def test_conditions_are_replaced_as_a_whole(self) -> None:
        """The new ones are the only ones, once each, and a later change of the caller's list has no effect."""
        info = PushNotificationActivationInfo(Activators.PUSH_TRIGGER, CLSID, (C.USER_PRESENT,))
        replacement = [C.USER_NOT_PRESENT, C.SESSION_CONNECTED, C.USER_NOT_PRESENT]
        untyped: Any = info
        untyped.conditions = replacement
        replacement.clear()
        assert info.conditions == (C.USER_NOT_PRESENT, C.SESSION_CONNECTED)

    @pytest.mark.parametrize("wrong", [(C.INVALID,), (C.USER_NOT_PRESENT, C.USER_PRESENT), (99,), None], ids=str)
    def test_conditions_that_cannot_be_are_refused_when_made_and_when_replaced(self, wrong: Any) -> None:
        """The ones before stay."""
        with pytest.raises(InvalidArgument):
            PushNotificationActivationInfo(Activators.PUSH_TRIGGER, CLSID, wrong)
        info = PushNotificationActivationInfo(Activators.PUSH_TRIGGER, CLSID, (C.USER_PRESENT,))
        with pytest.raises(InvalidArgument):
            info.conditions = wrong
        assert info.conditions == (C.USER_PRESENT,)

    def test_it_can_ask_for_cancelling_later(self) -> None:
        """Whether a lost condition cancels the work may be changed."""
        info = PushNotificationActivationInfo(Activators.PUSH_TRIGGER, CLSID)
        info.cancel_on_condition_loss = True
        assert info.cancel_on_condition_loss

    def test_activators_are_parsed(self) -> None:
        """A number is read as the flags that it stands for, and garbage is refused."""
        untyped: Any = 3
        assert PushNotificationActivationInfo(untyped).activators is Activators.PUSH_TRIGGER | Activators.COM_ACTIVATOR
        untyped = 8
        with pytest.raises(InvalidArgument, match="activators are"):
            PushNotificationActivationInfo(untyped)
