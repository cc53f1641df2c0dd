"""The offline queue obeys its table: what it erases, what it counts, and what it keeps."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.protocol.service.test_offline_queue import entry
from tests.protocol.tables import erase
from tocsin.protocol.service.offline_queue import TABLE, Depths, Effect, Entry, OfflineQueue, Phase
from tocsin.protocol.toast_label import ToastMatch
from tocsin.protocol.values import NotificationType

ENDS: dict[Phase, Callable[[OfflineQueue, Entry], object]] = {
    Phase.DELIVERED: lambda queue, kept: queue.acknowledge([kept]),
    Phase.OVERFLOWED: lambda queue, kept: add(queue, kept.sequence + 1),
    Phase.EXPIRED: lambda queue, kept: queue.expire(kept.good_until),
    Phase.WITHDRAWN: lambda queue, kept: queue.withdraw(kept.channel, ToastMatch()),
    Phase.CHANNEL_ENDED: lambda queue, kept: queue.end([kept]),
}


def add(queue: OfflineQueue, sequence: int) -> Entry:
    """Let another toast be stored, with a tag of its own."""
    added = entry(sequence, NotificationType.TOAST, tag=f"t{sequence}", expires=100.0)
    queue.admit(added)
    queue.committed(added)
    return added


def story(end: Phase) -> tuple[list[int], dict[Phase, int], bool]:
    """Let one come to an end; return the rows to be erased, what was counted, and whether it is kept."""
    queue = OfflineQueue(Depths(tagged=1))
    kept = add(queue, 1)
    ENDS[end](queue, kept)
    return queue.erase, dict(queue.ended), bool(queue.held([kept.id]))


@pytest.mark.parametrize("end", ENDS)
def test_what_ends_is_erased_counted_and_kept_no_more(end: Phase) -> None:
    """However it ends."""
    assert story(end) == ([1], {end: 1}, False)


@pytest.mark.parametrize("effect", Effect)
@pytest.mark.parametrize("end", ENDS)
def test_the_queue_does_nothing_that_its_table_does_not_name(
    monkeypatch: pytest.MonkeyPatch, end: Phase, effect: Effect
) -> None:
    """Without either of its effects the table makes another queue."""
    right = story(end)
    erase(monkeypatch, TABLE, effect)
    assert story(end) != right
