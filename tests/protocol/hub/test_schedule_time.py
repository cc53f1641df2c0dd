"""When a message is to be sent: the forms in which clients write it, and what is no moment."""

from __future__ import annotations

import pytest

from tocsin.protocol.hub.hub_refused import HubRefused
from tocsin.protocol.hub.schedule_time import read_schedule_time

MOMENT = 1_795_961_752.0

WRITTEN = {
    "2026-11-29T14:15:52": MOMENT,  # .NET, Java, and azure-notification-hub-unofficial
    "2026-11-29T14:15:52.997Z": MOMENT + 0.997,  # @azure/notification-hubs
    "2026-11-29'T'14:15:52": MOMENT,  # notificationhubs-rest-python
    "2026-11-29T14:15:52.123456+00:00": MOMENT
    + 0.123456,  # azure-notification-hub-unofficial, as its documents show it
    "2026-11-29T15:15:52.123456+01:00": MOMENT + 0.123456,
    "2026-11-29T14:15:52.123456": MOMENT + 0.123456,
    " 2026-11-29t14:15:52z ": MOMENT,
}


@pytest.mark.parametrize("text", WRITTEN)
def test_a_time_is_read_as_clients_write_it(text: str) -> None:
    """In UTC where it names no zone."""
    assert read_schedule_time(text) == pytest.approx(WRITTEN[text], abs=1e-6)


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-11-29", "2026-02-30T00:00:00", "2026-11-29T24:00:00", "1795961752", "2026-11-29''T14:15:52"],
)
def test_what_is_no_moment_is_refused_in_words(text: str) -> None:
    """With 400, the header and what would be right."""
    with pytest.raises(
        HubRefused, match=r"ServiceBusNotification-ScheduleTime is .*: it is no date and time such as"
    ) as no:
        read_schedule_time(text)
    assert no.value.status == 400


def test_never_is_no_moment() -> None:
    """Though registrations know it."""
    with pytest.raises(HubRefused, match="nothing is sent then") as refused:
        read_schedule_time("9999-12-31T23:59:59.999Z")
    assert refused.value.status == 400


def test_a_long_text_is_refused_in_a_short_sentence() -> None:
    """However long it is."""
    with pytest.raises(HubRefused) as refused:
        read_schedule_time("2026-11-29T14:15:52." + "9" * 1_000_000)
    assert len(refused.value.detail) < 300
