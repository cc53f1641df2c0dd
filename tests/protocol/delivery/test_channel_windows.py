"""All windows together: who is open, whose turn it is, and that no more is on its way than may be."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tests.persistence.payloads import payload
from tocsin.protocol.delivery import channel_windows as module
from tocsin.protocol.delivery.channel_window import WINDOW
from tocsin.protocol.delivery.channel_windows import ChannelWindows
from tocsin.protocol.delivery.plain_rows import sequence_of
from tocsin.protocol.platform.conditions import AppSettings, HostState
from tocsin.protocol.values import NotificationType


def fetch_all(windows: ChannelWindows, stored: dict[str, list[int]]) -> list[int]:
    """Fetch for every window whose turn it is, from what is stored for each, and return what was handed on."""
    handed: list[int] = []
    while (turn := windows.next_fetch()) is not None:
        window, wanted = turn
        page = [number for number in stored[window.channel] if number > window.cursor][:wanted]
        windows.fetched(window, page, wanted)
        handed += page
    return handed


def admitted(windows: ChannelWindows, channel: str, *sequences: int) -> list[int]:
    """Let payloads into their window, and return those that go on at once."""
    return list(map(sequence_of, windows.admit(payload(number, channel, attempt=1) for number in sequences)))


@pytest.fixture
def windows() -> ChannelWindows:
    """Return the windows of a device with a channel each of two apps, whose inbox has not been looked at."""
    windows = ChannelWindows()
    windows.note_stored(["c1", "c2"])
    windows.open_channel("c1", "mail")
    windows.open_channel("c2", "chat")
    return windows


def test_a_channel_that_nobody_takes_is_closed(windows: ChannelWindows) -> None:
    """Its payloads stay in the inbox."""
    assert not admitted(windows, "c1", 1)
    assert windows.next_fetch() is None


@pytest.mark.parametrize("subscriber", ["subscriber", "background"])
def test_either_subscriber_opens_a_window(windows: ChannelWindows, subscriber: str) -> None:
    """A subscriber opens its channel, background work all channels of its app; first the inbox is looked at."""
    if subscriber == "subscriber":
        windows.subscribe("mail", "c1")
    else:
        windows.set_ready("mail", ready=True)
    assert fetch_all(windows, {"c1": [1, 2]}) == [1, 2]
    assert windows.on_its_way(1)
    assert admitted(windows, "c1", 3)
    assert not admitted(windows, "c2", 4)


def test_a_subscriber_that_leaves_closes_it_unless_there_is_another(windows: ChannelWindows) -> None:
    """Subscriber and background work hold a window open each for itself."""
    windows.subscribe("mail", "c1")
    windows.set_ready("mail", ready=True)
    fetch_all(windows, {"c1": []})
    windows.unsubscribe("mail", "c1")
    assert admitted(windows, "c1", 1)
    windows.set_ready("mail", ready=False)
    assert not admitted(windows, "c1", 2)


def test_a_subscriber_may_come_before_its_channel() -> None:
    """A window opens when both are there, in either order."""
    windows = ChannelWindows()
    windows.note_stored(["c1"])
    windows.subscribe("mail", "c1")
    assert windows.next_fetch() is None
    windows.open_channel("c1", "mail")
    assert fetch_all(windows, {"c1": [7]}) == [7]


def test_a_lost_channel_has_no_window(windows: ChannelWindows) -> None:
    """Nothing is fetched for it, and what was on its way can still be settled."""
    windows.subscribe("mail", "c1")
    fetch_all(windows, {"c1": [1]})
    windows.lose_channel("c1")
    assert not admitted(windows, "c1", 2)
    assert windows.settle(1, given_back=True)
    assert not windows.settle(1, given_back=True)
    assert windows.next_fetch() is None


def test_what_came_back_is_handed_on_again(windows: ChannelWindows) -> None:
    """The window begins anew when nothing of it is on its way any more."""
    windows.subscribe("mail", "c1")
    fetch_all(windows, {"c1": [1, 2]})
    windows.settle(1, given_back=True)
    assert windows.next_fetch() is None
    windows.settle(2, given_back=False)
    assert fetch_all(windows, {"c1": [1]}) == [1]


def test_energy_saver_closes_what_is_not_exempt(windows: ChannelWindows) -> None:
    """When the gates change, windows open or close, and the inbox is looked at again."""
    windows.subscribe("mail", "c1")
    windows.subscribe("chat", "c2")
    fetch_all(windows, {"c1": [], "c2": []})
    windows.set_aside("c1")
    windows.set_aside("c2")
    windows.gates.set_host(evolve(HostState(), energy_saver=True))
    windows.gates.set_settings("chat", AppSettings(exempt_from_energy_saver=True))
    windows.reconsider_all()
    assert fetch_all(windows, {"c1": [1], "c2": [2]}) == [2]
    assert not admitted(windows, "c1", 3)
    windows.gates.set_host(HostState())
    windows.reconsider_all()
    windows.settle(2, given_back=False)
    assert fetch_all(windows, {"c1": [1, 3], "c2": []}) == [1, 3]


def test_no_more_is_on_its_way_than_may_be(windows: ChannelWindows, monkeypatch: pytest.MonkeyPatch) -> None:
    """All windows together have a bound, of which an app has no more than is left free, and go on when there is room."""
    monkeypatch.setattr(module, "MAX_IN_FLIGHT", 4)
    windows.subscribe("mail", "c1")
    windows.subscribe("chat", "c2")
    fetch_all(windows, {"c1": [], "c2": []})
    assert admitted(windows, "c1", 1, 2, 3, 4) == [1, 2]
    assert admitted(windows, "c2", 5, 6) == [5]
    assert windows.next_fetch() is None
    windows.settle(1, given_back=False)
    assert fetch_all(windows, {"c1": [3, 4], "c2": [6]}) == [3]


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 40), st.booleans()), max_size=30),
    st.integers(8, 64),
)
def test_apps_that_never_end_theirs_leave_room_for_the_next(steps: list[tuple[int, int, bool]], most: int) -> None:
    """Whatever others hold, an app that has nothing on its way gets what there is room for; the bound holds always."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_IN_FLIGHT", most)
        windows = ChannelWindows()
        for app in range(7):
            windows.open_channel(f"c{app}", f"app{app}")
            windows.subscribe(f"app{app}", f"c{app}")
        stored = {f"c{app}": list[int]() for app in range(7)}
        fetch_all(windows, stored)
        last, on_their_way = 0, set[int]()
        for app, count, ends in steps:  # the seventh app has none of these
            numbers = list(range(last + 1, last + count + 1))
            last += count
            stored[f"c{app}"] += numbers
            on_their_way |= {*admitted(windows, f"c{app}", *numbers), *fetch_all(windows, stored)}
            assert len(windows._in_flight) <= most
            if ends and on_their_way:
                windows.settle(on_their_way.pop(), given_back=False)
        assert sum(share.in_flight for share in windows._shares.values()) == len(windows._in_flight)
        if len(windows._in_flight) < most:  # as it is but where a dozen apps hold all between them
            assert admitted(windows, "c6", last + 1) or fetch_all(windows, {**stored, "c6": [last + 1]})


def test_a_window_is_fetched_for_once_a_turn(windows: ChannelWindows) -> None:
    """A full page leaves room for the others."""
    windows.subscribe("mail", "c1")
    windows.subscribe("chat", "c2")
    second = 2 * WINDOW
    stored = {"c1": list(range(1, second)), "c2": list(range(second, 4 * WINDOW))}
    handed = fetch_all(windows, stored)
    assert handed == [*range(1, WINDOW + 1), *range(second, second + WINDOW)]


def test_a_lost_supervisor_returns_everything(windows: ChannelWindows) -> None:
    """All that was on its way is handed on again; the channels of it that are gone are named once."""
    windows.subscribe("mail", "c1")
    windows.subscribe("chat", "c2")
    fetch_all(windows, {"c1": [1, 2], "c2": [3]})
    windows.lose_channel("c1")
    assert windows.take_all_back() == ["c1"]
    assert not windows.on_its_way(1)
    assert fetch_all(windows, {"c2": [3]}) == [3]


def test_subscribers_that_are_forgotten_say_so_again(windows: ChannelWindows) -> None:
    """A registry that begins anew closes every window until then."""
    windows.subscribe("mail", "c1")
    windows.set_ready("chat", ready=True)
    fetch_all(windows, {"c1": [], "c2": []})
    windows.forget_subscribers()
    assert not admitted(windows, "c1", 1)
    assert not admitted(windows, "c2", 2)
    windows.subscribe("mail", "c1")
    assert fetch_all(windows, {"c1": [1]}) == [1]


def test_quiet_windows_begin_nothing(windows: ChannelWindows) -> None:
    """Before the end nothing is admitted and nothing is fetched, also for new subscribers."""
    windows.subscribe("mail", "c1")
    windows.quiesce()
    windows.subscribe("chat", "c2")
    windows.look_at_all_again()
    assert not admitted(windows, "c1", 1)
    assert windows.next_fetch() is None


def test_what_is_to_be_shown_goes_through_without_an_app() -> None:
    """Raw payloads stay in the store, and are fetched once a session takes them; then all go through, in order."""
    windows = ChannelWindows()
    windows.open_channel("c1", "mail")
    windows.open_shell()
    raw, toast = payload(1, "c1", attempt=1), payload(2, "c1", attempt=1)._replace(type=NotificationType.TOAST)
    assert windows.admit([raw, toast]) == [toast]
    assert windows.next_fetch() is None  # a raw payload costs no look at the store
    windows.subscribe("mail", "c1")
    assert windows.next_fetch() is None  # the toast is on its way: nothing overtakes it
    windows.settle(2, given_back=False)
    turn = windows.next_fetch()
    assert turn is not None
    window, wanted = turn
    assert (window.cursor, window.is_whole) == (0, True)
    windows.fetched(window, [1], wanted)
    windows.unsubscribe("mail", "c1")
    windows.settle(1, given_back=True)  # its session has gone
    assert fetch_all(windows, {"c1": []}) == []  # of the types that are taken there is none
    windows.subscribe("mail", "c1")
    assert fetch_all(windows, {"c1": [1]}) == [1]


def test_background_work_alone_opens_no_window_for_toasts(windows: ChannelWindows) -> None:
    """Without a shell they wait for a session: else they would be handed on and given back for ever."""
    windows.set_ready("mail", ready=True)
    fetch_all(windows, {"c1": []})
    toast = payload(2, "c1", attempt=1)._replace(type=NotificationType.TOAST)
    assert windows.admit([toast]) == []
    assert windows.next_fetch() is None
    windows.subscribe("mail", "c1")
    assert fetch_all(windows, {"c1": [2]}) == [2]


def test_a_lost_supervisor_leaves_the_shell() -> None:
    """It needs no session to say so again."""
    windows = ChannelWindows(has_shell=True)
    windows.open_channel("c1", "mail")
    windows.subscribe("mail", "c1")
    windows.forget_subscribers()
    toast = payload(2, "c1", attempt=1)._replace(type=NotificationType.TOAST)
    assert windows.admit([payload(1, "c1", attempt=1), toast]) == [toast]


def test_an_empty_channel_is_not_looked_at() -> None:
    """A window for which nothing is stored is caught up as soon as it opens."""
    windows = ChannelWindows()
    windows.open_channel("c1", "mail")
    windows.subscribe("mail", "c1")
    assert windows.next_fetch() is None
    assert admitted(windows, "c1", 1)


def test_what_was_stored_while_nobody_took_it_is_looked_at_once() -> None:
    """After a page that was the last, the window opens again without a look."""
    windows = ChannelWindows()
    windows.open_channel("c1", "mail")
    assert not admitted(windows, "c1", 1)
    windows.subscribe("mail", "c1")
    assert fetch_all(windows, {"c1": [1]}) == [1]
    windows.settle(1, given_back=False)
    windows.unsubscribe("mail", "c1")
    windows.subscribe("mail", "c1")
    assert windows.next_fetch() is None
    assert admitted(windows, "c1", 2)


def test_what_was_set_aside_is_looked_at_whenever_something_changes(windows: ChannelWindows) -> None:
    """A look that finds nothing to take does not make it forgotten: it was only not its time yet."""
    windows.subscribe("mail", "c1")
    fetch_all(windows, {"c1": []})
    windows.set_aside("c1")
    for found in ([], [1]):
        windows.reconsider_all()
        assert fetch_all(windows, {"c1": found}) == found
