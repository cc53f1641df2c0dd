"""What has reached the device, and how much of it is kept."""

from __future__ import annotations

import anyio

from tocsin.protocol.messages import Payload
from tocsin.protocol.values import NotificationType
from tocsin.testing.pushes import Pushes


def payload(number: int) -> Payload:
    """Make one."""
    return Payload(id=str(number), channel="c", type=NotificationType.RAW, body=b"x", priority=3, expires=None)


def test_the_newest_are_kept() -> None:
    """All are counted, and none twice."""
    pushes = Pushes(most=2)
    for number in (1, 2, 2, 3):
        pushes.add(payload(number), "uri")
    assert ([push.id for push in pushes.all()], pushes.count) == (["2", "3"], 3)


async def test_what_is_cleared_does_not_count() -> None:
    """Nor does what is not wanted any more; who waits hears of what comes then."""
    pushes = Pushes()
    pushes.add(payload(1), "uri")
    pushes.clear(unwanted={"2"})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pushes.come, 1)
        await anyio.wait_all_tasks_blocked()
        pushes.add(payload(2), "uri")
        pushes.add(payload(3), "uri")
    assert [push.id for push in pushes.all()] == ["3"]
