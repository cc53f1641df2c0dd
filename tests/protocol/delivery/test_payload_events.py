"""What those who follow payloads are told, and what of it they want to hear."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.delivery.payload_events import PayloadEvent, Stage, Wanted
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.values import NotificationType

FEW = st.sampled_from(["a", "b"])
EVENTS = st.builds(
    PayloadEvent,
    st.just(1.0),
    st.sampled_from(Stage),
    app=FEW | st.just(""),
    channel=FEW,
    type=st.sampled_from(NotificationType).map(str),
)


@given(
    EVENTS,
    st.lists(FEW),
    st.lists(FEW),
    st.lists(st.sampled_from(NotificationType).map(str)),
    st.lists(st.sampled_from(Stage).map(str)),
)
def test_each_kind_that_is_named_has_to_fit(
    event: PayloadEvent, apps: list[str], channels: list[str], types: list[str], stages: list[str]
) -> None:
    """And a kind of which nothing is named fits everything."""
    pairs = ((event.app, apps), (event.channel, channels), (event.type, types), (str(event.stage), stages))
    wanted = Wanted.read({"apps": apps, "channels": channels, "types": types, "stages": stages})
    assert wanted.has(event) == all(not named or value in named for value, named in pairs)


@pytest.mark.parametrize(
    ("types", "stages", "words"),
    [
        (["voice"], [], "a type of notification is one of raw, toast, tile, badge, push, not 'voice'"),
        ([], ["lost"], "a stage of a payload is one of received, dropped,"),
    ],
)
def test_what_there_is_not_is_refused(types: list[str], stages: list[str], words: str) -> None:
    """The sentence lists what there is."""
    with pytest.raises(InvalidArgument, match=words):
        Wanted.read({"types": types, "stages": stages})


@pytest.mark.parametrize("request_", [{"apps": "mail"}, {"channels": [5]}, {"types": None}])
def test_what_is_wanted_is_listed(request_: dict[str, Any]) -> None:
    """A text is no list of texts."""
    with pytest.raises(InvalidArgument, match="are lists of texts"):
        Wanted.read(request_)


def test_what_is_not_known_is_left_out() -> None:
    """An empty body has its size all the same."""
    assert PayloadEvent(1.0, Stage.DEAD, app="mail", sequence=5, reason="expired").fields() == {
        "at": 1.0,
        "stage": "dead",
        "app": "mail",
        "sequence": 5,
        "size": 0,
        "reason": "expired",
    }
