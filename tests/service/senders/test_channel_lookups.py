"""Channels that requests ask for together are read together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, cast

import pytest
from attrs import Factory, define

from tocsin.protocol.service.refusal import Refusal, RefusalKind
from tocsin.service.registry.service_store import ChannelRow
from tocsin.service.senders import channel_lookups
from tocsin.service.senders.channel_lookups import ChannelLookup, ChannelLookups
from tocsin.service.senders.dispatch import Dispatcher


@define(eq=False)
class PlayedDispatcher:
    """Says of each token that it is throttled for as many seconds as the token has characters, when it is let to."""

    asked: list[list[str]] = Factory(list)
    may_go: asyncio.Event = Factory(asyncio.Event)
    failures: list[Exception] = Factory(list)
    """What is raised instead, once each."""

    async def admit_all(self, asked: Sequence[tuple[str, str]]) -> list[ChannelRow | Refusal]:
        """Note what is asked for."""
        self.asked.append([token for _, token in asked])
        await self.may_go.wait()
        if self.failures:
            raise self.failures.pop()
        return [Refusal(RefusalKind.CHANNEL_THROTTLED, len(token)) for _, token in asked]


@define(eq=False)
class Asking:
    """Requests, and what they hear."""

    dispatcher: PlayedDispatcher = Factory(PlayedDispatcher)
    heard: dict[str, object] = Factory(dict)
    tasks: list[asyncio.Task[None]] = Factory(list)
    lookups: ChannelLookups = Factory(lambda self: ChannelLookups(cast(Dispatcher, self.dispatcher)), takes_self=True)

    def ask(self, *tokens: str) -> None:
        """Ask for channels."""
        for token in tokens:
            hear = partial(self.heard.__setitem__, token)
            self.lookups.add(ChannelLookup("app", token, hear, partial(hear, "failed")), self._start)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.ensure_future(work))


async def test_what_is_asked_for_while_it_is_read_goes_together() -> None:
    """Each request has what it asked for; the task ends, and another begins with what is asked for later."""
    asking = Asking()
    asking.ask("a", "bb")
    await asyncio.sleep(0)
    asking.ask("ccc", "a")
    asking.dispatcher.may_go.set()
    await asyncio.gather(*asking.tasks)
    assert asking.dispatcher.asked == [["a", "bb"], ["ccc", "a"]]
    assert asking.heard == {token: Refusal(RefusalKind.CHANNEL_THROTTLED, len(token)) for token in ("a", "bb", "ccc")}
    asking.ask("dddd")
    await asyncio.gather(*asking.tasks)
    assert len(asking.tasks) == 2
    assert asking.heard["dddd"] == Refusal(RefusalKind.CHANNEL_THROTTLED, 4)


async def test_a_fault_is_that_of_those_that_were_read_together() -> None:
    """What waits behind them is read all the same."""
    asking = Asking()
    asking.dispatcher.failures.append(RuntimeError("a defect"))
    asking.ask("a", "bb")
    await asyncio.sleep(0)
    asking.ask("ccc")
    asking.dispatcher.may_go.set()
    await asyncio.gather(*asking.tasks)
    assert asking.heard == {"a": "failed", "bb": "failed", "ccc": Refusal(RefusalKind.CHANNEL_THROTTLED, 3)}


async def test_so_many_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is asked for no more than it takes."""
    monkeypatch.setattr(channel_lookups, "MOST", 2)
    asking = Asking()
    asking.ask("a", "bb", "ccc")
    asking.dispatcher.may_go.set()
    await asyncio.gather(*asking.tasks)
    assert asking.dispatcher.asked == [["a", "bb"], ["ccc"]]
