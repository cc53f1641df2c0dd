"""The posts at this node whose devices are not here and not known to be elsewhere: looked for and stored many at a time.

Each goes by its own ``PostRoute``; what is done for many together is to read their devices, and to write what is stored for them.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, Protocol

from attrs import Factory, define

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.service.nodes.post_route import Effect, Event
from tocsin.service.devices.outbox import PushResult
from tocsin.service.nodes.device_turn import DeviceTurn
from tocsin.service.nodes.post_way import Effects, PostWay, WayContext, leave
from tocsin.service.registry.service_store import PATIENCE

AT_A_TIME: Final = 2
"""Batches that are on their way: while one is read, another is written."""

MOST: Final = 256
"""Posts of one batch."""

MOST_WAITING: Final = 20_000
"""Posts that are gathered; more are refused."""

_FULL: Final = StateUnavailable("too many posts wait for that")
_LATE: Final = StateUnavailable(f"what came before took more than {PATIENCE:g} s")
_STORE: Final = (Effect.STORE,)
_LOOK: Final = (Effect.LOOK,)
_FORWARD: Final = (Effect.FORWARD,)

logger = logging.getLogger(__name__)


@define(eq=False)
class GatheredPost:
    """A post that waits; ``settled`` is called with what its sender is to hear.

    :ivar until: seconds of the event loop's clock after which it waits for no turn any more.
    """

    way: PostWay
    settled: Callable[[PushResult], None]
    until: float
    is_gathered: bool = True
    """Whether it is among those that are gathered, and has not gone on."""
    is_looking: bool = True
    """Whether it counts among those that wait to hear where their device is."""
    is_alone: bool = False
    """Whether it goes on by itself."""

    @property
    def device(self) -> str:
        """Its channel's device."""
        return self.way.channel.device


class WaysOn(Protocol):
    """What becomes of posts that are not stored together with others."""

    def forward(self, post: GatheredPost) -> None:
        """Forward a post to the node that its way has found, in the order of the calls."""
        ...

    def finish(
        self, work: Coroutine[Any, Any, PushResult], settled: Callable[[PushResult], None], failed: PushResult
    ) -> None:
        """Go on with a post by itself, in a task; ``failed`` is what its sender hears where that is not done."""
        ...


@define(eq=False)
class _Gathered:
    """The posts to one device in one batch, in the order in which they came."""

    turn: DeviceTurn
    posts: list[GatheredPost] = Factory(list)
    storing: list[GatheredPost] = Factory(list)
    again: list[GatheredPost] = Factory(list)
    is_read: bool = False  # for these posts

    def has_to_be_read(self) -> bool:
        """Tell whether what is known is not good enough."""
        return not self.turn.is_current or any(post.way.wants_fresh for post in self.posts)


class GatheredPosts:
    """All of them, until :meth:`close`.

    :param start: runs this in a task, which is cancelled when the node stops.
    """

    def __init__(
        self, around: WayContext, ways_on: WaysOn, start: Callable[[Coroutine[Any, Any, None]], object]
    ) -> None:
        self._around = around
        self._ways_on = ways_on
        self._start = start
        self._waiting: deque[GatheredPost] = deque()
        self._behind: dict[str, list[GatheredPost]] = {}
        """By device: the posts behind those of a batch that is under way."""
        self._alone: Counter[str] = Counter()
        """By device: the posts that go on by themselves, and have not begun to."""
        self._count = 0
        self._running = 0

    def add(self, way: PostWay, settled: Callable[[PushResult], None]) -> None:
        """Take a post, behind those of its device that have come before."""
        if self._count >= MOST_WAITING:
            settled(way.answer(way.not_looked(_FULL)))
            return
        self._around.looking[way.channel.device] += 1
        self._count += 1
        now = asyncio.get_running_loop().time()
        way.take_time(now)
        self._waiting.append(GatheredPost(way, settled, now + PATIENCE))
        if self._running < AT_A_TIME:
            self._running += 1
            self._start(self.run())

    def close(self) -> None:
        """Let those that still wait be sent again."""
        for post in (*self._waiting, *(post for behind in self._behind.values() for post in behind)):
            self._settle(post, PushResult.NOT_STORED)
        self._waiting.clear()
        self._behind.clear()

    async def run(self) -> None:
        """Take batches until nothing waits."""
        try:
            while self._waiting:
                await self._serve(self._take())
        except asyncio.CancelledError:
            self.close()  # with what has been put back
            raise
        finally:
            self._running -= 1

    def _take(self) -> dict[str, _Gathered]:
        """Return the posts of the next batch, by device, each of which has its turn."""
        taken: dict[str, _Gathered] = {}
        now, count = asyncio.get_running_loop().time(), 0
        while self._waiting and count < MOST:
            post = self._waiting.popleft()
            device = post.device
            if post.until < now:
                self._settle(post, post.way.answer(post.way.not_looked(_LATE)))
            elif device in taken:
                taken[device].posts.append(post)
                count += 1
            elif device in self._behind:
                self._behind[device].append(post)
            elif device not in self._alone and (turn := self._around.queues.take_turn(device)) is not None:
                self._behind[device] = []
                taken[device] = _Gathered(turn, [post])
                count += 1
            else:  # its connection is being written down, or it is withdrawn from: it waits for that by itself
                self._go_alone(post, _LOOK)
        return taken

    async def _serve(self, taken: dict[str, _Gathered]) -> None:
        try:
            await self._look(taken)
            storing = [gathered for gathered in taken.values() if gathered.storing]
            failed: StateUnavailable | None = None
            for gathered in storing:
                ways = [post.way for post in gathered.storing]
                denied = frozenset().union(*(way.route.denied for way in ways))
                stored = [(way.channel, way.payload) for way in ways]
                failed = await gathered.turn.begin_store(stored, denied, failed)  # each would wait as long for numbers
            for gathered in storing:
                for post, kept in zip(gathered.storing, await gathered.turn.stored(), strict=True):
                    self._go_on(gathered, post, post.way.kept(kept))
        except Exception:  # noqa: BLE001  # a fault of ours, which is logged
            self._log_fault()
        finally:
            for device, gathered in taken.items():
                self._end(device, gathered)

    async def _look(self, taken: dict[str, _Gathered]) -> None:
        """Read what is not known, and go by it."""
        if self._around.standing.is_good():  # else each says that it is not
            for gathered in taken.values():
                if gathered.has_to_be_read():
                    gathered.is_read = True
                    gathered.turn.begin_look()
        for gathered in taken.values():
            if gathered.is_read:
                try:
                    seen = await gathered.turn.looked()
                except StateUnavailable as failure:
                    for post in gathered.posts:
                        self._go_on(gathered, post, post.way.not_looked(failure))
                    continue
                gathered.posts[0].way.note(seen)
            row, at = gathered.turn.row, gathered.turn.at
            for post in gathered.posts:
                if post.device in self._alone:  # it does not come before what has just gone on
                    self._go_alone(post, _LOOK)
                else:
                    self._go_on(gathered, post, post.way.looked(row, at, kept=not gathered.is_read))

    def _go_on(self, gathered: _Gathered, post: GatheredPost, effects: Effects) -> None:
        """Go on with a post as its route says."""
        if effects == _STORE and not post.way.is_of_this_lease:
            effects = post.way.route.happened(Event.LAPSED)
        if effects == _STORE:
            gathered.storing.append(post)
        elif effects == _LOOK:
            gathered.again.append(post)
        elif Effect.ANSWER in effects:
            self._settle(post, post.way.answer(effects))
        elif effects == _FORWARD:
            self._leave(post)
            self._ways_on.forward(post)
        else:
            self._go_alone(post, effects)

    def _go_alone(self, post: GatheredPost, effects: Effects) -> None:
        async def go_on() -> PushResult:
            self._leave(post)
            return await post.way.go_on(effects)

        post.is_gathered, post.is_alone = False, True
        self._alone[post.device] += 1
        self._ways_on.finish(go_on(), partial(self._settle, post), PushResult.NOT_STORED)

    def _leave(self, post: GatheredPost) -> None:
        """Count a post out, which has gone on or is at its end; once."""
        post.is_gathered = False
        if post.is_looking:
            post.is_looking = False
            self._count -= 1
            leave(self._around.looking, post.device)
            if post.is_alone:
                leave(self._alone, post.device)

    def _settle(self, post: GatheredPost, result: PushResult) -> None:
        self._leave(post)
        try:
            post.settled(result)
        except Exception:  # noqa: BLE001  # a fault of ours, which is not that of the other posts
            self._log_fault()

    def _log_fault(self) -> None:
        found = traceback.format_exc()
        recurring = self._around.devices.offline.recurring
        recurring.log(logger, logging.ERROR, found, "the way of a post has failed: %s", found)

    def _end(self, device: str, gathered: _Gathered) -> None:
        """End a device's turn; what is to be looked for once more comes before what is behind."""
        gathered.turn.end()
        for post in gathered.posts:
            if post.is_gathered and post not in gathered.again:  # it was broken off
                self._settle(post, PushResult.NOT_STORED)
        behind = gathered.again + self._behind.pop(device, [])
        self._waiting.extendleft(reversed(behind))
