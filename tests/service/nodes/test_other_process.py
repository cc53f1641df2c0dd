"""A node that is another process: killed, and stopped, while it is forwarded to."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.processes import Process, started
from tests.helpers import PATIENCE
from tests.service.nodes.link_world import AUTHORITY, forwarding, hasty, post, until
from tocsin.service.devices.outbox import PushResult
from tocsin.service.nodes.forwarding import ForwardResult, NotPushed
from tocsin.service.nodes.node_links import NodeLinks, NodePlace


@contextmanager
def other_process() -> Iterator[tuple[Process, NodePlace]]:
    """Run a node that acknowledges what comes."""
    with started("bench.node_end", "node", "asyncio") as process:
        process.tell((AUTHORITY.key_pem + AUTHORITY.certificate_pem).decode())
        yield process, NodePlace("b", f"127.0.0.1:{process.number()}")


class Load:
    """Forwards, so many at a time, until it is told to stop or cannot go on; remembers what became of each."""

    def __init__(self, links: NodeLinks, place: NodePlace) -> None:
        self.results: list[list[ForwardResult]] = []
        self.stopped = False
        self._links, self._place = links, place
        for _ in range(64):
            self._forward()

    def _forward(self) -> None:
        told: list[ForwardResult] = []
        self.results.append(told)

        def settled(result: ForwardResult) -> None:
            told.append(result)
            if not self.stopped and result is PushResult.ACKNOWLEDGED:
                self._forward()

        at_once = self._links.push_now(self._place, post(str(len(self.results))), settled)
        if at_once is not None:
            told.append(at_once)

    def so_far(self) -> Counter[ForwardResult]:
        """Count what was told."""
        return Counter(result for told in self.results for result in told)

    async def over(self) -> Counter[ForwardResult]:
        """Wait until all are told, and count what."""
        async with asyncio.timeout(PATIENCE):
            await until(lambda: all(self.results))
        assert {len(told) for told in self.results} == {1}
        return self.so_far()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["kill -9", "stopped"])
async def test_each_caller_is_told_once_whatever_becomes_of_the_node(how: signal.Signals) -> None:
    """And soon, also where the node stands still and its kernel goes on; it is reached again when it goes on."""
    loop = asyncio.get_running_loop()
    async with forwarding(hasty(dial_timeout=2.0)) as links:
        with other_process() as (process, place):
            load = Load(links, place)
            await until(lambda: load.so_far()[PushResult.ACKNOWLEDGED] > 1_000)
            began = loop.time()
            os.kill(process.pid, how)
            told = await load.over()
            assert loop.time() - began < 1.0
            assert told[NotPushed.UNANSWERED] >= 1
            assert {*told} <= {PushResult.ACKNOWLEDGED, NotPushed.UNANSWERED, NotPushed.UNREACHABLE}
            if how is signal.SIGSTOP:
                os.kill(process.pid, signal.SIGCONT)
                while await links.push(place, post()) is not PushResult.ACKNOWLEDGED:  # noqa: ASYNC110  # told by no event
                    await asyncio.sleep(0.01)
