"""When the work of a launched process is cancelled because of the process."""

from __future__ import annotations

import pytest

from tocsin.protocol.platform.activation import CancellationReason
from tocsin.protocol.platform.launched_work import FileStamp, reason_to_stop

OLD, NEW = FileStamp(1, 2, 3), FileStamp(4, 2, 3)
UPDATE, REVOKED = CancellationReason.SERVICING_UPDATE, CancellationReason.RESOURCE_REVOCATION


@pytest.mark.parametrize("other", [FileStamp(9, 2, 3), FileStamp(1, 9, 3), FileStamp(1, 2, 9)])
def test_another_file_is_an_update(other: FileStamp) -> None:
    """By its inode, its time or its size, and whichever file of the command it is."""
    assert reason_to_stop([OLD, NEW], [OLD, NEW], 0, 0) is None
    assert reason_to_stop([OLD, OLD], [OLD, other], 0, 0) is UPDATE
    assert reason_to_stop([OLD, OLD], [other, OLD], 0, 0) is UPDATE


def test_a_file_that_is_gone_is_waited_for() -> None:
    """Another may be about to take its place."""
    assert reason_to_stop([OLD], [None], 0, 0) is None


@pytest.mark.parametrize(("memory", "limit", "reason"), [(10, 0, None), (10, 10, None), (11, 10, REVOKED)])
def test_memory_above_its_limit_is_revoked(memory: int, limit: int, reason: CancellationReason | None) -> None:
    """Where there is one; an update is the first reason, as it can be had only once."""
    assert reason_to_stop([OLD], [OLD], memory, limit) is reason
    assert reason_to_stop([OLD], [NEW], memory, limit) is UPDATE
