"""When a message is to be sent, as clients write it."""

from __future__ import annotations

from tocsin.protocol.hub.hub_refused import HubReason, HubRefused
from tocsin.protocol.hub.w3c_time import read_time
from tocsin.protocol.text import quoted

_HEADER = "ServiceBusNotification-ScheduleTime"


def read_schedule_time(text: str) -> float:
    """Return the moment in a header ``ServiceBusNotification-ScheduleTime``, in seconds since the epoch.

    :param text: a date and time in UTC, such as ``2026-11-29T14:15:52``, also with a fraction of a second, a ``Z`` or an offset;
        one client quotes the T.
    :raises HubRefused: 400; it is no moment.
    """
    try:
        moment = read_time(text.strip().replace("'T'", "T"))
    except ValueError as wrong:
        raise HubRefused(HubReason.WRONG_SCHEDULE_TIME, f"{_HEADER} is {quoted(text)}: {wrong}.") from None
    if moment is None:
        raise HubRefused(
            HubReason.WRONG_SCHEDULE_TIME, f"{_HEADER} is the last day that there is: nothing is sent then."
        )
    return moment
