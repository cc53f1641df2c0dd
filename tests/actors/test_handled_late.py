"""What an app says it has handled, while no session of it has it: the router looks whose it is."""

from __future__ import annotations

from pathlib import Path

from tests.helpers import payload
from tests.world import dead_rows, open_rows, world
from tocsin.actors.sessions import Stamp
from tocsin.mailbox import Mailbox
from tocsin.protocol import messages as m
from tocsin.protocol.messages.codec import encode


async def test_handled_late_counts_for_the_payloads_of_that_app(tmp_path: Path) -> None:
    """Another app that says it of a payload in the inbox changes nothing."""
    async with world(tmp_path) as w:
        await w.channel()
        await w.service.send(payload("A"), payload("B"))
        await w.service.expect_acknowledged("A", "B")
        both, second = m.Handled((1, 2), (1, 1)), m.Handled((2,), (1,))
        with Mailbox("x") as other:
            w.platform.sessions.add("contoso.chat", other)
            await w.platform.send(Stamp("x", "contoso.chat"), both, encode(both))
        await w.platform.send(Stamp("s", "contoso.mail"), second, encode(second))
    assert await open_rows(tmp_path) == [1]
    assert await dead_rows(tmp_path) == []
