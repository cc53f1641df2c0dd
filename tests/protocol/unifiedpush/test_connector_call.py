"""What is called of connectors, by what names, and what its result means."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.arguments import check_app_name
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.protocol.platform.activation import BUDGET
from tocsin.protocol.platform.power import is_unified_push
from tocsin.protocol.unifiedpush.connector_call import endpoint_call, message_call, unregistered_call
from tocsin.protocol.unifiedpush.delivery import (
    LONGEST_PAUSE,
    NOW,
    PATIENCE,
    Delivery,
    delivery_of_answer,
    delivery_of_error,
    end_of,
    is_missed,
    is_now_or_never,
    pause_after,
)
from tocsin.protocol.unifiedpush.distributor_call import Reason
from tocsin.protocol.unifiedpush.names import app_of, is_service_name
from tocsin.protocol.unifiedpush.no_endpoint import refusal_without_endpoint

ERROR = "org.freedesktop.DBus.Error."


def test_version_1_has_arguments_and_version_2_a_dictionary() -> None:
    """As the specification has them, each on an interface of its own."""
    first, second = message_call(1, "t", b"\x00\xff", "m1"), message_call(2, "t", b"\x00\xff", "m1")
    assert (first.interface, first.signature, first.body) == (
        "org.unifiedpush.Connector1",
        "says",
        ["t", b"\x00\xff", "m1"],
    )
    assert (second.interface, second.signature) == ("org.unifiedpush.Connector2", "a{sv}")
    assert second.body == [{"token": ("s", "t"), "message": ("ay", b"\x00\xff"), "id": ("s", "m1")}]
    assert endpoint_call(1, "t", "http://e").body == ["t", "http://e"]
    assert endpoint_call(2, "t", "http://e").body == [{"token": ("s", "t"), "endpoint": ("s", "http://e")}]


def test_only_version_2_is_told_which_registration_it_has_ended_itself() -> None:
    """In version 1 a token says that the distributor has ended it."""
    assert unregistered_call(1, "t", confirms=True).body == [""]
    assert unregistered_call(1, "t", confirms=False).body == ["t"]
    assert unregistered_call(2, "t", confirms=True) == unregistered_call(2, "t", confirms=False)


def test_no_secret_is_shown() -> None:
    """Neither the token nor the message."""
    assert "secret" not in repr(message_call(1, "secret", b"secret", "m1"))


@pytest.mark.parametrize(
    ("signature", "body", "expected"),
    [
        ("a{sv}", [{"id": ("s", "m1")}], Delivery.ACKNOWLEDGED),
        ("a{sv}", [{"id": ("s", "m1"), "more": ("u", 1)}], Delivery.ACKNOWLEDGED),
        ("a{sv}", [{}], Delivery.KEPT),
        ("a{sv}", [{"id": ("s", "m2")}], Delivery.KEPT),
        ("a{sv}", [{"id": ("u", 1)}], Delivery.KEPT),
        ("s", ["m1"], Delivery.KEPT),
        ("", [], Delivery.KEPT),
    ],
)
def test_only_the_returned_id_acknowledges(signature: str, body: list[Any], expected: Delivery) -> None:
    """Nothing, another one, or one of another type does not."""
    assert delivery_of_answer("m1", signature, body) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ServiceUnknown", Delivery.ABSENT),
        ("NameHasNoOwner", Delivery.ABSENT),
        ("NoReply", Delivery.KEPT),
        ("Spawn.ChildExited", Delivery.KEPT),
        ("UnknownMethod", Delivery.KEPT),
    ],
)
def test_an_error_keeps_the_push(name: str, expected: Delivery) -> None:
    """There is no app where the bus knows neither an owner nor a file; one that fails to start may do better next time."""
    assert delivery_of_error(ERROR + name) is expected


@given(st.integers(1, 10**6))
def test_tries_become_rarer_up_to_a_bound(failures: int) -> None:
    """An app that refuses a push for days is called every five minutes."""
    assert 0 < pause_after(failures) <= pause_after(failures + 1) <= LONGEST_PAUSE
    assert pause_after(failures) == min(LONGEST_PAUSE, 2.0 ** min(failures - 1, 99))


@pytest.mark.parametrize("delivery", [each for each in Delivery if each is not Delivery.DROPPED])
def test_what_is_for_now_or_never_has_one_try(delivery: Delivery) -> None:
    """It is taken or dropped; what has more time stays what it is."""
    taken = delivery is Delivery.ACKNOWLEDGED
    assert end_of(delivery, now_or_never=True) is (Delivery.ACKNOWLEDGED if taken else Delivery.DROPPED)
    assert end_of(delivery, now_or_never=False) is delivery
    assert is_now_or_never(None)
    assert not is_now_or_never(1e9)


def test_it_is_too_late_for_what_came_before_its_app() -> None:
    """Or waits for long behind others; not for what came since, also where a clock was set back meanwhile."""
    assert is_missed(age=NOW + 1, there_for=3_600.0)
    assert is_missed(age=10.0, there_for=1.0)
    assert not is_missed(age=1.0, there_for=10.0)
    assert not is_missed(age=-3_600.0, there_for=0.0)


def test_a_delivery_ends_before_the_budget_of_its_handler() -> None:
    """So that a slow app makes no dead letter of its push."""
    assert PATIENCE < BUDGET


@given(
    service=st.from_regex(r"[a-z]{1,60}(\.[a-z]{1,60}){1,3}", fullmatch=True),
    tokens=st.sets(st.text(min_size=1), min_size=2),
)
def test_each_registration_is_an_app_of_its_own(service: str, tokens: set[str]) -> None:
    """Under a name that the platform takes, that has its own table of power, and does not show the token."""
    assert is_service_name(service) == (len(service) <= 255)
    apps = {app_of(service, token) for token in tokens}
    assert len(apps) == len(tokens)
    for app in apps:
        check_app_name(app)
        assert is_unified_push(app)


@pytest.mark.parametrize(
    ("connected", "cause", "fault", "expected"),
    [
        (True, None, "", Reason.INTERNAL_ERROR),
        (True, None, "forbidden", Reason.ACTION_REQUIRED),
        (False, None, "", Reason.NETWORK),
        (False, ConnectionCause.UNREACHABLE, "forbidden", Reason.NETWORK),
        (False, ConnectionCause.GOING_AWAY, "", Reason.NETWORK),
        (False, ConnectionCause.NO_PUSH_SERVICE, "", Reason.ACTION_REQUIRED),
        (False, ConnectionCause.CLOUD_DISABLED, "", Reason.ACTION_REQUIRED),
    ],
)
def test_a_connector_reads_whether_to_try_again(
    connected: bool, cause: ConnectionCause | None, fault: str, expected: Reason
) -> None:
    """When the network is back, or when a person has seen to it."""
    found = refusal_without_endpoint(connected=connected, cause=cause, text="words", fault=fault)
    assert found.reason is expected
    assert found.words
