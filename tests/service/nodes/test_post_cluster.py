"""Several nodes in trouble keep what is promised, with their real connections, queues and ways of posts."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.service.nodes.post_cluster import run
from tocsin.service.devices.outbox import PushResult


@pytest.mark.parametrize("first", range(0, 12, 4))
def test_what_is_promised_is_kept(first: int) -> None:
    """Nothing received is lost, nothing dropped comes, order holds, and behind all trouble all is well again."""
    ends = Counter[PushResult | None]()
    for seed in range(first, first + 4):
        ends.update(post.result for post in run(seed).posts)
    assert ends[PushResult.ACKNOWLEDGED]
    assert ends[PushResult.STORED]
