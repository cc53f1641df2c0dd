"""What a session may have the agent keep."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.delivery.session_limits import MAX_CHANNEL_NAME, MAX_HELD, MAX_SUBSCRIPTIONS, SessionLimits
from tocsin.protocol.errors import ProtocolViolation
from tocsin.protocol.messages import (
    Holding,
    RemoveToasts,
    SetBadge,
    SetTile,
    ShowToast,
    Subscribe,
    TextPair,
    Unsubscribe,
    UpdateToast,
)
from tocsin.protocol.values import MAX_TOAST_DATA, MAX_TOAST_LABEL, MAX_TOAST_SIZE


def test_one_channel_more_than_may_be_is_too_many() -> None:
    """One that it takes already, or again after it has let one go, is none more."""
    limits = SessionLimits()
    for number in range(MAX_SUBSCRIPTIONS):
        limits.note(Subscribe(str(number)))
    limits.note(Subscribe("0"))
    limits.note(Unsubscribe("0"))
    limits.note(Subscribe("another"))
    with pytest.raises(ProtocolViolation, match="4096 channels at most"):
        limits.note(Subscribe("0"))


def test_a_name_is_bounded_too() -> None:
    """Or few channels would take as much."""
    limits = SessionLimits()
    limits.note(Subscribe("x" * MAX_CHANNEL_NAME))
    with pytest.raises(ProtocolViolation, match="256 characters"):
        limits.note(Subscribe("x" * (MAX_CHANNEL_NAME + 1)))


@given(st.lists(st.integers(0, MAX_HELD)))
def test_payloads_that_it_holds_are_counted_over_all_that_it_says(numbers: list[int]) -> None:
    """In whatever parts."""
    limits, held = SessionLimits(), 0
    for number in numbers:
        held += number
        holding = Holding(tuple(range(number)))
        if held > MAX_HELD:
            with pytest.raises(ProtocolViolation, match="64 payloads"):
                limits.note(holding)
            return
        limits.note(holding)


LABEL, CONTENT, DATA = "x" * MAX_TOAST_LABEL, b"x" * MAX_TOAST_SIZE, (TextPair("a", "b"),) * MAX_TOAST_DATA
SHOW = ShowToast(1, CONTENT, LABEL, LABEL, None, False, False, 0, DATA)  # noqa: FBT003  # as its class has them


@pytest.mark.parametrize(
    ("message", "field"),
    [(SHOW, field) for field in ("content", "tag", "group", "data")]
    + [(UpdateToast(1, LABEL, LABEL, 0, DATA), field) for field in ("tag", "group", "data")]
    + [(RemoveToasts(1, None, LABEL, LABEL), field) for field in ("tag", "group")]
    + [(SetBadge(1, CONTENT), "content")]
    + [(SetTile(1, LABEL, LABEL, CONTENT), field) for field in ("tile", "tag", "content")],
)
def test_what_is_shown_is_bounded(message: Any, field: str) -> None:
    """As much as may be passes; one more, of any part, does not."""
    limits = SessionLimits()
    limits.note(message)
    value = getattr(message, field)
    with pytest.raises(ProtocolViolation, match="at most"):
        limits.note(evolve(message, **{field: value + value[:1]}))


@pytest.mark.parametrize("number", [-1, 2**32, 2**63])
@pytest.mark.parametrize("message", [SHOW, UpdateToast(1, "t", "g", 0, ())])
def test_a_sequence_number_is_one_of_notification_data(message: Any, number: int) -> None:
    """The highest one passes; one that no store could keep ends the session instead of the shell."""
    limits = SessionLimits()
    limits.note(evolve(message, sequence_number=2**32 - 1))
    with pytest.raises(ProtocolViolation, match="sequence number"):
        limits.note(evolve(message, sequence_number=number))


@pytest.mark.parametrize("part", ["name", "value"])
def test_values_are_bounded(part: str) -> None:
    """Names and values together are no longer than a toast may be."""
    limits, pair = SessionLimits(), TextPair("a", "b")
    limits.note(evolve(SHOW, data=(pair,)))
    with pytest.raises(ProtocolViolation, match="the values"):
        limits.note(evolve(SHOW, data=(pair._replace(**{part: "x" * (MAX_TOAST_SIZE + 1)}),)))
