"""Reading request bodies."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from tocsin.service.web.bodies import Bodies, BodyFault


class Wire:
    """What a web server has received: events, then silence."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self._events = list(events)
        self.silent = anyio.Event()

    async def receive(self) -> dict[str, Any]:
        """Return the next event, or wait for ever."""
        if not self._events:
            self.silent.set()
            await anyio.sleep_forever()
        await checkpoint()
        return self._events.pop(0)


def part(body: bytes, *, more: bool = True) -> dict[str, Any]:
    """Make the event of a part of a body."""
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_is_put_together() -> None:
    """Parts are joined until the last."""
    wire = Wire(part(b"ab"), part(b"", more=True), part(b"cd", more=False))
    assert await Bodies(10).read(wire.receive, 4, None) == b"abcd"


async def test_keys_may_be_missing() -> None:
    """As ASGI says, a body is empty and the last unless the event says otherwise."""
    assert await Bodies(10).read(Wire({"type": "http.request"}).receive, 4, None) == b""


async def test_a_body_that_grows_too_long_is_left() -> None:
    """Reading stops with the part that breaks the limit."""
    assert await Bodies(10).read(Wire(part(b"abc"), part(b"de")).receive, 4, None) is BodyFault.TOO_LONG


@pytest.mark.parametrize("events", [[part(b"ab")], [part(b"ab"), {"type": "http.disconnect"}]])
async def test_a_body_that_does_not_come_is_late(events: list[dict[str, Any]]) -> None:
    """Silence ends with the timeout, and a sender that leaves ends it at once."""
    assert await Bodies(0.01).read(Wire(*events).receive, 4, None) is BodyFault.LATE


async def test_stopping_gives_up_what_is_being_read() -> None:
    """Who waits is told, and who comes later too."""
    bodies = Bodies(60)
    wire = Wire(part(b"ab"))
    results = []

    async def read() -> None:
        results.append(await bodies.read(wire.receive, 4, None))

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await wire.silent.wait()
        bodies.stop()
    results.append(await bodies.read(Wire(part(b"", more=False)).receive, 4, None))
    assert results == [BodyFault.STOPPING, BodyFault.STOPPING]
