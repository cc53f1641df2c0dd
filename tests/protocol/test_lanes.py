"""All lanes together: who is open, whose turn it is, and that no more is on its way than may be."""

from __future__ import annotations

import pytest
from attrs import evolve

from tocsin.protocol import lanes as module
from tocsin.protocol.conditions import AppSettings, HostState
from tocsin.protocol.lane import WINDOW
from tocsin.protocol.lanes import Lanes


def fetch_all(lanes: Lanes, stored: dict[str, list[int]]) -> list[int]:
    """Fetch for every lane whose turn it is, from what is stored for each, and return what was handed on."""
    handed: list[int] = []
    while (turn := lanes.next_fetch()) is not None:
        lane, wanted = turn
        page = [number for number in stored[lane.channel] if number > lane.cursor][:wanted]
        lanes.fetched(lane, page, wanted)
        handed += page
    return handed


def admitted(lanes: Lanes, channel: str, *sequences: int) -> list[int]:
    """Let payloads into their lane, and return those that go on at once."""
    return [row[0] for row in lanes.admit((number, "id", "raw", b"", 1, None, channel) for number in sequences)]


@pytest.fixture
def lanes() -> Lanes:
    """Return the lanes of a device with a channel each of two apps, whose inbox has not been looked at."""
    lanes = Lanes()
    lanes.note_stored(["c1", "c2"])
    lanes.open_channel("c1", "mail")
    lanes.open_channel("c2", "chat")
    return lanes


def test_a_channel_that_nobody_takes_is_closed(lanes: Lanes) -> None:
    """Its payloads stay in the inbox."""
    assert not admitted(lanes, "c1", 1)
    assert lanes.next_fetch() is None


@pytest.mark.parametrize("taker", ["sink", "background"])
def test_either_taker_opens_a_lane(lanes: Lanes, taker: str) -> None:
    """A sink opens its channel, background work all channels of its app; first the inbox is looked at."""
    if taker == "sink":
        lanes.open_sink("c1")
    else:
        lanes.set_ready("mail", ready=True)
    assert fetch_all(lanes, {"c1": [1, 2]}) == [1, 2]
    assert lanes.on_its_way(1)
    assert admitted(lanes, "c1", 3)
    assert not admitted(lanes, "c2", 4)


def test_a_taker_that_leaves_closes_it_unless_there_is_another(lanes: Lanes) -> None:
    """Sink and background work hold a lane open each for itself."""
    lanes.open_sink("c1")
    lanes.set_ready("mail", ready=True)
    fetch_all(lanes, {"c1": []})
    lanes.close_sink("c1")
    assert admitted(lanes, "c1", 1)
    lanes.set_ready("mail", ready=False)
    assert not admitted(lanes, "c1", 2)


def test_a_taker_may_come_before_its_channel() -> None:
    """A lane opens when both are there, in either order."""
    lanes = Lanes()
    lanes.note_stored(["c1"])
    lanes.open_sink("c1")
    assert lanes.next_fetch() is None
    lanes.open_channel("c1", "mail")
    assert fetch_all(lanes, {"c1": [7]}) == [7]


def test_a_lost_channel_has_no_lane(lanes: Lanes) -> None:
    """Nothing is fetched for it, and what was on its way can still be settled."""
    lanes.open_sink("c1")
    fetch_all(lanes, {"c1": [1]})
    lanes.lose_channel("c1")
    assert not admitted(lanes, "c1", 2)
    assert lanes.settle(1, came_back=True)
    assert not lanes.settle(1, came_back=True)
    assert lanes.next_fetch() is None


def test_what_came_back_is_handed_on_again(lanes: Lanes) -> None:
    """The lane begins anew when nothing of it is on its way any more."""
    lanes.open_sink("c1")
    fetch_all(lanes, {"c1": [1, 2]})
    lanes.settle(1, came_back=True)
    assert lanes.next_fetch() is None
    lanes.settle(2, came_back=False)
    assert fetch_all(lanes, {"c1": [1]}) == [1]


def test_energy_saver_closes_what_is_not_exempt(lanes: Lanes) -> None:
    """When the gates change, lanes open or close, and the inbox is looked at again."""
    lanes.open_sink("c1")
    lanes.open_sink("c2")
    fetch_all(lanes, {"c1": [], "c2": []})
    lanes.set_aside("c1")
    lanes.set_aside("c2")
    lanes.gates.set_host(evolve(HostState(), energy_saver=True))
    lanes.gates.set_settings("chat", AppSettings(exempt_from_energy_saver=True))
    lanes.reconsider_all()
    assert fetch_all(lanes, {"c1": [1], "c2": [2]}) == [2]
    assert not admitted(lanes, "c1", 3)
    lanes.gates.set_host(HostState())
    lanes.reconsider_all()
    lanes.settle(2, came_back=False)
    assert fetch_all(lanes, {"c1": [1, 3], "c2": []}) == [1, 3]


def test_no_more_is_on_its_way_than_may_be(lanes: Lanes, monkeypatch: pytest.MonkeyPatch) -> None:
    """All lanes together have a bound, and go on in turn when there is room again."""
    monkeypatch.setattr(module, "MAX_IN_FLIGHT", 3)
    lanes.open_sink("c1")
    lanes.open_sink("c2")
    fetch_all(lanes, {"c1": [], "c2": []})
    assert admitted(lanes, "c1", 1, 2, 3, 4) == [1, 2, 3]
    assert not admitted(lanes, "c2", 5)
    assert lanes.next_fetch() is None
    lanes.settle(1, came_back=False)
    assert fetch_all(lanes, {"c1": [4], "c2": []}) == [4]


def test_a_lane_is_fetched_for_once_a_turn(lanes: Lanes) -> None:
    """A full page leaves room for the others."""
    lanes.open_sink("c1")
    lanes.open_sink("c2")
    second = 2 * WINDOW
    stored = {"c1": list(range(1, second)), "c2": list(range(second, 4 * WINDOW))}
    handed = fetch_all(lanes, stored)
    assert handed == [*range(1, WINDOW + 1), *range(second, second + WINDOW)]


def test_a_lost_supervisor_returns_everything(lanes: Lanes) -> None:
    """All that was on its way is handed on again; the channels of it that are gone are named once."""
    lanes.open_sink("c1")
    lanes.open_sink("c2")
    fetch_all(lanes, {"c1": [1, 2], "c2": [3]})
    lanes.lose_channel("c1")
    assert lanes.all_came_back() == ["c1"]
    assert not lanes.on_its_way(1)
    assert fetch_all(lanes, {"c2": [3]}) == [3]


def test_takers_that_are_forgotten_say_so_again(lanes: Lanes) -> None:
    """A registry that begins anew closes every lane until then."""
    lanes.open_sink("c1")
    lanes.set_ready("chat", ready=True)
    fetch_all(lanes, {"c1": [], "c2": []})
    lanes.forget_takers()
    assert not admitted(lanes, "c1", 1)
    assert not admitted(lanes, "c2", 2)
    lanes.open_sink("c1")
    assert fetch_all(lanes, {"c1": [1]}) == [1]


def test_quiet_lanes_begin_nothing(lanes: Lanes) -> None:
    """Before the end nothing is admitted and nothing is fetched, whoever comes."""
    lanes.open_sink("c1")
    lanes.quiesce()
    lanes.open_sink("c2")
    lanes.look_at_all_again()
    assert not admitted(lanes, "c1", 1)
    assert lanes.next_fetch() is None


def test_an_empty_channel_is_not_looked_at() -> None:
    """A lane for which nothing is stored is caught up as soon as it opens."""
    lanes = Lanes()
    lanes.open_channel("c1", "mail")
    lanes.open_sink("c1")
    assert lanes.next_fetch() is None
    assert admitted(lanes, "c1", 1)


def test_what_was_stored_while_nobody_took_it_is_looked_at_once() -> None:
    """After a page that was the last, the lane opens again without a look."""
    lanes = Lanes()
    lanes.open_channel("c1", "mail")
    assert not admitted(lanes, "c1", 1)
    lanes.open_sink("c1")
    assert fetch_all(lanes, {"c1": [1]}) == [1]
    lanes.settle(1, came_back=False)
    lanes.close_sink("c1")
    lanes.open_sink("c1")
    assert lanes.next_fetch() is None
    assert admitted(lanes, "c1", 2)


def test_what_was_set_aside_is_looked_at_whenever_something_changes(lanes: Lanes) -> None:
    """A look that finds nothing to take does not make it forgotten: it was only not its time yet."""
    lanes.open_sink("c1")
    fetch_all(lanes, {"c1": []})
    lanes.set_aside("c1")
    for found in ([], [1]):
        lanes.reconsider_all()
        assert fetch_all(lanes, {"c1": found}) == found
