"""How many notifications are kept: messages of Web Push have half of the places, and all else may have all."""

from __future__ import annotations

import pytest

from tocsin.protocol.service.kept_count import KeptCount
from tocsin.protocol.values import NotificationType

PUSH, RAW = NotificationType.PUSH, NotificationType.RAW


@pytest.mark.parametrize(
    ("count", "limit", "room"),
    [
        (KeptCount(0, 0), 4, {PUSH, RAW}),
        (KeptCount(1, 1), 4, {PUSH, RAW}),
        (KeptCount(2, 2), 4, {RAW}),
        (KeptCount(3, 0), 4, {PUSH, RAW}),
        (KeptCount(3, 2), 4, {RAW}),
        (KeptCount(4, 1), 4, set()),
        (KeptCount(0, 0), 1, {PUSH, RAW}),
        (KeptCount(1, 1), 1, set()),
        (KeptCount(-1, -1), 1, {PUSH, RAW}),
    ],
)
def test_messages_have_half_of_the_places(count: KeptCount, limit: int, room: set[NotificationType]) -> None:
    """One, where there is one in all; and none where all are taken."""
    assert {kind for kind in (PUSH, RAW) if count.has_room(kind, limit)} == room


def test_each_is_counted_by_its_kind() -> None:
    """A message is one of all, and one of its own."""
    count = KeptCount()
    for kind in NotificationType:
        count.add(kind)
    assert count == KeptCount(len(NotificationType), 1)
