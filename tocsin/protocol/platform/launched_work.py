"""When the work of a launched process is cancelled because of the process: its command was replaced, or it takes too much memory."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from tocsin.protocol.platform.activation import CancellationReason

LOOK_EVERY = 1.0
"""Seconds after which it is looked again, while such work runs."""


@frozen
class FileStamp:
    """What tells a file from one that has taken its place: the inode, the time of its last change in ns, and its size in bytes."""

    inode: int
    changed: int
    size: int


def reason_to_stop(
    before: Sequence[FileStamp], now: Sequence[FileStamp | None], memory: int, limit: int
) -> CancellationReason | None:
    """Decide why work is to be cancelled; None where it goes on.

    :param before: the files of the command as they were when it was started.
    :param now: the same files; one that is gone may be about to be replaced, and is waited for.
    :param memory: bytes that the process has, with all that it has started.
    :param limit: bytes that it may have; 0 where there is no limit.
    """
    if any(new is not None and old != new for old, new in zip(before, now, strict=True)):
        return CancellationReason.SERVICING_UPDATE
    return CancellationReason.RESOURCE_REVOCATION if 0 < limit < memory else None
