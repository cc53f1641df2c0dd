"""What the power state of a device does to notifications, row by row."""

from __future__ import annotations

import pytest

from tocsin.protocol.platform.power import PLUGGED_IN, UNIFIED_PUSH, Passage, Power, passage

D, B, C = Passage.DELIVER, Passage.BATCH, Passage.CACHE
ON = {"screen_on_or_plugged": True}
BATTERY = {"screen_on_or_plugged": False}
SAVER = {"battery_saver": True}

ROWS = [
    # state of the device, exempt; high, medium, low, very low
    pytest.param(ON, False, (D, D, D, D), id="1.6 screen on or plugged in"),
    pytest.param(ON, True, (D, D, D, D), id="1.6 screen on or plugged in, exempt"),
    pytest.param(BATTERY, False, (D, B, C, C), id="1.6 on battery"),
    pytest.param(BATTERY, True, (D, D, D, C), id="1.6 on battery, exempt"),
    pytest.param(SAVER, False, (C, C, C, C), id="1.6 battery saver"),
    pytest.param(SAVER, True, (D, D, D, C), id="1.6 battery saver, exempt"),
    pytest.param({**SAVER, **BATTERY}, False, (C, C, C, C), id="1.6 battery saver, screen off"),
    pytest.param({**SAVER, **BATTERY}, True, (D, D, D, C), id="1.6 battery saver, screen off, exempt"),
]


@pytest.mark.parametrize(("state", "exempt", "expected"), ROWS)
def test_priority_decides_with_the_device_s_state(
    state: dict[str, bool], exempt: bool, expected: tuple[Passage, ...]
) -> None:
    """Every row of the table that WNS documents, for its four priorities."""
    power = Power(**state, exempt=("app",) if exempt else ("other",))
    assert tuple(passage(power, "app", priority) for priority in (1, 2, 3, 4)) == expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param(ON, (D, D, D, D), id="screen on or plugged in"),
        pytest.param(BATTERY, (D, D, C, C), id="on battery"),
        pytest.param(SAVER, (D, C, C, C), id="battery saver"),
        pytest.param({**SAVER, **BATTERY}, (D, C, C, C), id="battery saver, screen off"),
    ],
)
@pytest.mark.parametrize("exempt", [False, True])
def test_urgency_decides_for_registrations_of_unified_push(
    state: dict[str, bool], exempt: bool, expected: tuple[Passage, ...]
) -> None:
    """High, normal, low and very-low, whatever the user has exempted."""
    app = f"{UNIFIED_PUSH}org.example.App:0"
    power = Power(**state, exempt=(app,) if exempt else ())
    assert tuple(passage(power, app, priority) for priority in (1, 2, 3, 4)) == expected


def test_a_device_that_reports_nothing_is_delivered_to() -> None:
    """Nothing is held back from who has no power state."""
    assert {passage(PLUGGED_IN, "app", priority) for priority in (1, 2, 3, 4)} == {D}
