"""What a device does not want to be sent, and how much of it the service is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.messages import UnwantedChanged
from tocsin.protocol.messages.codec import decode, encode
from tocsin.protocol.platform.conditions import AppSettings, HostState
from tocsin.protocol.platform.unwanted import MAX_NAMES, MAX_NAMES_BYTES, NOTHING, Unwanted, unwanted_of
from tocsin.protocol.values import DropReason, NotificationType

RAW, TOAST, TILE, BADGE = (
    NotificationType.RAW,
    NotificationType.TOAST,
    NotificationType.TILE,
    NotificationType.BADGE,
)
ALL = HostState()
HOSTS = st.builds(
    HostState,
    **{
        name: st.booleans()
        for name in ("cloud_notifications", "notifications", "toasts", "tiles", "badges", "energy_saver")
    },
)
SETTINGS = st.builds(
    AppSettings, **{name: st.booleans() for name in ("notifications", "background", "toasts", "tiles", "badges")}
)


@pytest.mark.parametrize(
    ("host", "settings", "unwanted"),
    [
        (ALL, AppSettings(), {}),
        (ALL, AppSettings(background=False, within_budget=False), {}),
        (HostState(energy_saver=True, quiet_hours=True), AppSettings(), {}),
        (HostState(cloud_notifications=False), AppSettings(), dict.fromkeys(NotificationType, "cloud_disabled")),
        (HostState(notifications=False), AppSettings(), dict.fromkeys((TOAST, TILE, BADGE), "type_disabled")),
        (HostState(toasts=False), AppSettings(), {TOAST: "type_disabled"}),
        (HostState(tiles=False), AppSettings(), {TILE: "type_disabled"}),
        (HostState(badges=False), AppSettings(), {BADGE: "type_disabled"}),
        (ALL, AppSettings(notifications=False), dict.fromkeys(NotificationType, "notifications_disabled")),
        (ALL, AppSettings(toasts=False), {TOAST: "type_disabled"}),
        (ALL, AppSettings(tiles=False), {TILE: "type_disabled"}),
        (ALL, AppSettings(badges=False), {BADGE: "type_disabled"}),
        (
            HostState(cloud_notifications=False),
            AppSettings(notifications=False),
            dict.fromkeys(NotificationType, "cloud_disabled"),
        ),
    ],
)
def test_what_is_off_is_unwanted_for_its_reason(
    host: HostState, settings: AppSettings, unwanted: dict[NotificationType, str]
) -> None:
    """What only waits is wanted; another app has the machine's settings, and none of its own."""
    said = unwanted_of(host, [("mail", settings)])
    assert {kind: said.reason("mail", kind) for kind in NotificationType} == {
        kind: DropReason(unwanted[kind]) if kind in unwanted else None for kind in NotificationType
    }
    assert [said.reason("chat", kind) for kind in NotificationType] == [
        unwanted_of(host, []).reason("chat", kind) for kind in NotificationType
    ]


def test_a_machine_that_wants_all_says_nothing() -> None:
    """Most do."""
    assert unwanted_of(ALL, [("mail", AppSettings())]) == NOTHING


@given(HOSTS, st.lists(st.tuples(st.text(max_size=300), SETTINGS), max_size=400, unique_by=lambda pair: pair[0]))
def test_what_is_told_is_within_its_bounds_and_true(host: HostState, apps: list[tuple[str, AppSettings]]) -> None:
    """However many apps a policy names: what finds no room is left out, and nothing is made up."""
    said = unwanted_of(host, apps)
    assert not said.fault
    for app, settings in apps:
        alone = unwanted_of(host, [(app, settings)])
        for kind in NotificationType:
            assert said.reason(app, kind) in {alone.reason(app, kind), unwanted_of(host, []).reason(app, kind)}


def test_as_many_apps_are_named_as_there_is_room_for() -> None:
    """In number and in bytes."""
    off = AppSettings(notifications=False)
    many = unwanted_of(ALL, [(f"app{number}", off) for number in range(MAX_NAMES + 5)])
    assert len(many.apps) == MAX_NAMES
    long = unwanted_of(ALL, [(f"{number:03}{'ü' * 125}", off) for number in range(MAX_NAMES)])
    size = len(f"000{'ü' * 125}".encode())
    assert len(long.apps) == MAX_NAMES_BYTES // size


@pytest.mark.parametrize(
    "wrong",
    [
        Unwanted(apps=tuple(map(str, range(200))), toasts=tuple(map(str, range(57)))),
        Unwanted(badges=("x" * (MAX_NAMES_BYTES + 1),)),
        Unwanted(types=(TOAST,) * 5),
    ],
    ids=["names", "bytes", "types"],
)
def test_what_is_too_long_says_so(wrong: Unwanted) -> None:
    """A service takes none of it."""
    assert wrong.fault.endswith(f"at most {MAX_NAMES} names may be, with {MAX_NAMES_BYTES} bytes, and each type once")


def test_it_comes_over_a_wire_as_it_was() -> None:
    """With all of its fields."""
    message = UnwantedChanged(Unwanted(True, (TOAST, TILE), ("a",), ("b", "c"), (), ("d",)))  # noqa: FBT003
    assert decode(encode(message)) == message
