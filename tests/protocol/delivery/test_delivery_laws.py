"""The channel window and the payloads that are handled in one go obey their tables."""

from __future__ import annotations

import pytest

from tests.protocol.tables import erase
from tocsin.protocol.delivery import channel_window, payload_life
from tocsin.protocol.delivery.channel_window import ChannelWindow
from tocsin.protocol.delivery.outstanding import Outstanding
from tocsin.protocol.messages import PayloadRow
from tocsin.protocol.values import NotificationType


def rewound() -> int:
    """Give a payload back from a window that has handed on two; return from where it fetches then."""
    window = ChannelWindow("c1")
    window.open()
    window.fetched([1, 2], 3)
    window.settle(2, given_back=True)
    return window.cursor


@pytest.mark.parametrize("effect", channel_window.Effect)
def test_the_window_does_nothing_that_its_table_does_not_name(
    monkeypatch: pytest.MonkeyPatch, effect: channel_window.Effect
) -> None:
    """It begins again with the first; without the effect it would pass over what was given back."""
    assert rewound() == 0
    erase(monkeypatch, channel_window.TABLE, effect)
    assert rewound() != 0


def handled_in_one_go() -> tuple[bool, int]:
    """Let two payloads be handled; return whether they are to be reported, and how many stay."""
    outstanding = Outstanding()
    rows = [PayloadRow(n, f"id{n}", NotificationType.RAW, b"ding", 1, None, "c1") for n in (1, 2)]
    outstanding.offer("mail", rows)
    outstanding.hand(rows, "s")
    return outstanding.end_handled("s", [1, 2], [1, 1]), len(outstanding)


def test_payloads_are_settled_in_one_go_only_as_the_table_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are to be reported and stay no longer; without the effect they stay, and nothing is to be reported."""
    assert handled_in_one_go() == (True, 0)
    erase(monkeypatch, payload_life.TABLE, payload_life.Effect.SETTLE)
    assert handled_in_one_go() == (False, 2)


def test_what_the_table_asks_for_beside_settling_is_not_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another effect on that row keeps them from being ended in one go: one at a time, each effect is performed."""
    pair = payload_life.Phase.OFFERED, payload_life.Event.HANDLED
    after, effects = payload_life.TABLE[pair]
    monkeypatch.setitem(payload_life.TABLE, pair, (after, (payload_life.Effect.TELL_ABORT, *effects)))
    assert handled_in_one_go() == (False, 2)
