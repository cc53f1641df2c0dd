"""On whose account the bytes of payloads go, and those of the acknowledgements that they will have.

A payload counts as the frame that it came in, headers and all. Of a batch for several apps each payload has its own body,
and an equal share of what surrounds the bodies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import repeat
from typing import Final

from attrs import fields

from tocsin.protocol.messages import Arrivals
from tocsin.protocol.platform.usage import PLATFORM

_COLUMNS: Final = len(fields(Arrivals))
_FEW: Final = 16
"""As many members an array has at least whose head takes three bytes instead of one."""
_HEAD_OF_ROW: Final = 2
"""Bytes of the head and the tag of a frame; and what an id takes in an acknowledgement beside its own length, at most."""


def attribute(arrivals: Arrivals, size: int, app_of: Mapping[str, str]) -> list[tuple[str, int, int]]:
    """Return each app of a batch with the bytes that are sent for it and those that came.

    :param size: the length of the frame that holds the batch in columns.
    :param app_of: whose each channel is; one that is not in it is the platform's.
    """
    channels = arrivals.channels
    count = len(channels)
    if not count:
        return []
    came = size + _HEAD_OF_ROW * (count - 1) - _COLUMNS * (1 if count < _FEW else 3)
    acknowledged = len("".join(arrivals.ids)) + _HEAD_OF_ROW * count
    apps = set(map(app_of.get, set(channels), repeat(PLATFORM)))  # one channel most often, and one app nearly always
    if len(apps) == 1:
        return [(apps.pop(), acknowledged, came)]
    return _shared(arrivals, acknowledged, came, app_of)


def _shared(arrivals: Arrivals, acknowledged: int, came: int, app_of: Mapping[str, str]) -> list[tuple[str, int, int]]:
    apps = [app_of.get(channel, PLATFORM) for channel in arrivals.channels]
    count, numbers, bodies = len(apps), Counter(apps), dict.fromkeys(apps, 0)
    for app, body in zip(apps, arrivals.bodies, strict=True):
        bodies[app] += len(body)
    around, each = (came - sum(bodies.values())) / count, acknowledged / count
    return [(app, round(number * each), round(bodies[app] + number * around)) for app, number in numbers.items()]
