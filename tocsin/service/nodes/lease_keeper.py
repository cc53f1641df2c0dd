"""A node's lease, kept: joined, renewed, lost and had again, as the table of ``tocsin.protocol.service.nodes.lease`` has it."""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import ClassVar, Final

import anyio
from anyio.abc import TaskGroup
from attrs import evolve

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.service.nodes.lease import Effect, Event, Lease, LeaseTerms, Others, Phase
from tocsin.protocol.service.nodes.lease_row import Joining, LeaseRow, NotGranted
from tocsin.repeat_log import RepeatLog
from tocsin.service.nodes.held import Held, Peers
from tocsin.service.nodes.node_links import NodePlace
from tocsin.service.registry.node_store import NodeStore, Renewed, Wake
from tocsin.steady import steady
from tocsin.tasks import Signal, task_group

_LOOK: Final = 0.1  # seconds between two looks at what no event tells of, while devices are sent away or held
_IDLE: Final = 1.0  # the same while it serves, where an alarm tells of all
_RELEASE: Final = 1.0  # seconds in which a lease is given back, or it ends by itself
_QUIET: Final = (Phase.JOINING, Phase.SERVING)
_CAUSES: Final = {
    Phase.JOINING: "the node has no lease yet",
    Phase.LAPSED: "the node has lost its lease, and asks for another",
    Phase.DRAINING: "the node sends its devices to others, and leaves",
}
_LEAVING: Final = "the node is leaving"

logger = logging.getLogger(__name__)


class LeaseKeeper:
    """Keeps a node's lease while :meth:`running`, and tells what it knows by it: it is the node's standing.

    :param asked: what the node says when it asks for a lease.
    :param clock: the steady clock by which the node judges its lease: it goes on while the machine sleeps.
    :param chance: random, from 0 to below 1.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # its parts
        self,
        store: NodeStore,
        asked: Joining,
        held: Held,
        recurring: RepeatLog,
        terms: LeaseTerms | None = None,
        clock: Callable[[], float] = steady,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.renewed = 0
        """How often it was given a lease, or more of it."""
        self.lapsed = 0
        """How often its lease ended before it was renewed."""
        self.wakes = 0
        """Devices of which others have told that they were changed."""
        self._store = store
        self._asked = asked
        self._held = held
        self._recurring = recurring
        self._clock = clock
        self._chance = chance
        self.terms = terms or LeaseTerms()
        """What a lease is worth."""
        self._lease = Lease(self.terms)
        self._row = LeaseRow(0, asked.node, asked.run, asked.address, asked.version, 0.0, 0.0)
        self._read = frozenset[Wake]()  # with the last answer
        self._others: tuple[LeaseRow, ...] = ()
        self._is_first = False
        self._fault = ""  # of the last question
        self._question = anyio.CancelScope()
        self._joined, self._stirred = anyio.Event(), Signal()
        self._is_leaving = self._is_replaced = False

    # What others ask

    @property
    def lease(self) -> int:
        """The number of the node's lease, or of its last; 0 before the first."""
        return self._lease.number

    @property
    def phase(self) -> Phase:
        """Where the node stands."""
        return self._lease.phase

    @property
    def own(self) -> LeaseRow:
        """The node's own lease as it was last given."""
        return self._row

    @property
    def fault(self) -> str | None:
        """Why the lease was not renewed when that was asked last, as a sentence; None where it was."""
        return self._fault or None

    @property
    def age(self) -> float:
        """Seconds since it was asked for what was granted last."""
        return self._clock() - self._lease.until + self.terms.own

    def is_good(self) -> bool:
        """Tell whether the node may act for devices and answer senders; asked of each post when it comes."""
        return self._lease.is_good(self._clock())

    def others(self) -> tuple[LeaseRow, ...]:
        """Return the leases of other nodes that were good when this one was last given."""
        return self._others

    def leads(self) -> bool:
        """Tell whether this node does what one of all does for all."""
        return self._is_first and self.is_good()

    @property
    def cause(self) -> str | None:
        """Why no more clients are to be sent to this node, as a sentence; None: they may be."""
        phase = self._lease.phase
        if phase is Phase.SERVING and self.is_good():
            return None
        words = _CAUSES.get(Phase.LAPSED if phase is Phase.SERVING else phase, _LEAVING)
        return f"{words}: {self._fault}" if self._fault and phase is not Phase.DRAINING else words

    # Its life

    @asynccontextmanager
    async def running(self, peers: Peers, patience: float) -> AsyncIterator[None]:
        """Join, and keep the lease while the block runs; it is given back at the end.

        :param patience: seconds in which the first lease has to be had.
        :raises StateUnavailable: it was not; or, behind the block, another process has joined in the node's name.
        """
        async with task_group() as tasks:
            tasks.start_soon(self._live, tasks, peers, name="keeping the lease")
            try:
                with anyio.move_on_after(patience):
                    await self._joined.wait()
                if not self._joined.is_set():
                    raise StateUnavailable(f"the node has got no lease within {patience:g} s{self._why()}")
                yield
            finally:
                with anyio.CancelScope(shield=True), anyio.move_on_after(_RELEASE):
                    await self._leave()
                tasks.cancel_scope.cancel()

    async def drain(self) -> None:
        """Have the devices connect elsewhere, and return once they have left: the lease goes on until the block is left."""
        self._begin_to_leave()
        while self._held.connected() and self._lease.phase is Phase.DRAINING:  # noqa: ASYNC110  # looked at once
            await anyio.sleep(_LOOK / 2)

    async def _leave(self) -> None:
        """Give the lease back; what is still connected is closed."""
        self._begin_to_leave()
        self._is_leaving = True
        self._held.close_devices()
        self._stirred.set()
        while self._lease.phase is not Phase.LEFT:  # noqa: ASYNC110  # within a second, in a block of its own
            await anyio.sleep(_LOOK / 10)

    def _begin_to_leave(self) -> None:
        if self._lease.phase in {*_QUIET, Phase.LAPSED}:
            now = self._clock()
            self._perform(self._lease.happened(Event.DRAIN, now), now)
            self._stirred.set()

    async def _live(self, tasks: TaskGroup, peers: Peers) -> None:
        """Do what is due, until the node has left."""
        self._tasks, self._peers = tasks, peers
        lease = self._lease
        while lease.phase is not Phase.LEFT:
            now = self._clock()
            self._perform(lease.ring(now), now)
            connected = self._held.connected()
            if not connected and (self._is_leaving or lease.phase is Phase.LEAVING):
                self._perform(lease.empty(now), now)
            in_doubt = lease.is_in_doubt
            others = (
                peers.ask([NodePlace.of(each) for each in self._others if not each.draining])
                if in_doubt
                else Others.NONE
            )
            self._perform(lease.look_at_others(now, others, connected), now)
            most = _IDLE if lease.phase in _QUIET and not in_doubt else _LOOK
            wait = most if lease.alarm is None else min(max(lease.alarm - self._clock(), 0.0), most)
            await self._stirred.wait_until(anyio.current_time() + wait)
        if self._is_replaced and not self._is_leaving:
            raise StateUnavailable(
                f"another process has joined in the name of the node {self._asked.node}: no two may have the same state folder,"
                " nor a copy of it"
            )

    def _perform(self, effects: tuple[Effect, ...], now: float) -> None:
        for effect in effects:
            if effect in {Effect.JOIN, Effect.RENEW}:
                self._question.cancel()  # one at a time
                self._question = anyio.CancelScope()
                self._tasks.start_soon(self._ask, now, effect is Effect.JOIN, self._question)
            elif effect in self._PERFORM:
                self._PERFORM[effect](self)
        if effects:
            self._stirred.set()

    def _open(self) -> None:
        self._held.open()
        if self._joined.is_set():
            self._recurring.log(logger, logging.INFO, "again", "the node has a lease again, and acts for its devices")
        else:
            own, words = self._row, "node %s serves beside %d more, which reach it at %s"
            logger.info(words, own.node, len(self._others), own.address)
        self._joined.set()

    def _hold(self) -> None:
        self._held.hold()
        if self._lease.phase is Phase.LAPSED:
            self.lapsed += 1
            self._recurring.log(
                logger, logging.WARNING, "lapsed", "the node has lost its lease, and acts for no device%s", self._why()
            )

    # What the wakes of an answer say is done where they come, which is what LOOK asks for.
    _PERFORM: ClassVar[dict[Effect, Callable[[LeaseKeeper], object]]] = {
        Effect.OPEN: _open,
        Effect.HOLD: _hold,
        Effect.RECLAIM: lambda self: self._held.reclaim(),
        Effect.SEND_AWAY: lambda self: self._held.send_away(sum(not each.draining for each in self._others)),
        Effect.CLOSE_DEVICES: lambda self: self._held.close_devices(),
        Effect.RELEASE: lambda self: self._tasks.start_soon(self._release),
    }

    async def _release(self) -> None:
        try:
            with anyio.move_on_after(_RELEASE):
                await self._store.release(self._lease.number)
        except StateUnavailable as failure:
            logger.info("the lease was not given back, and ends by itself: %s", failure)
        if self._lease.phase is Phase.RELEASING:
            self._lease.happened(Event.RELEASED, self._clock())
        self._stirred.set()

    # Its questions

    async def _ask(self, asked: float, joins: bool, question: anyio.CancelScope) -> None:  # noqa: FBT001  # a task group passes no names
        answer: Renewed | NotGranted | None = None
        question.deadline = anyio.current_time() + self.terms.renewal
        with question:
            try:
                if joins:
                    answer = await self._store.join(evolve(self._asked, last=self._lease.number))
                else:
                    is_draining = self._lease.phase is Phase.DRAINING
                    answer = await self._store.renew(self._row, self._read, draining=is_draining)
                self._fault = ""
            except StateUnavailable as failure:
                self._fault = str(failure)
        if question.cancelled_caught and answer is None:
            self._fault = self._fault or "the database has not answered in time"
        now = self._clock()
        if answer is None:
            self._lease.failed(asked, now, self._chance())
        elif isinstance(answer, NotGranted):
            event = Event.REPLACED if answer is NotGranted.REPLACED else Event.REFUSED
            effects = self._lease.refused(asked, event, now, self._chance())
            self._is_replaced |= event is Event.REPLACED and bool(effects)
            self._perform(effects, now)
        else:
            self._granted(answer, asked, now, joined=joins)
        self._stirred.set()

    def _granted(self, answer: Renewed, asked: float, now: float, *, joined: bool) -> None:
        """Take an answer: its wakes before all else, also where it is passed over, since it may say what is not said again."""
        self._read = answer.wakes
        if answer.wakes:
            self.wakes += len(answer.wakes)
            self._held.stale(sorted({wake.device for wake in answer.wakes}))
        effects = self._lease.granted(asked, answer.lease.number, now, joined=joined)
        if answer.lease.number == self._lease.number and self._lease.until > now:
            self.renewed += 1
            self._row, self._is_first = answer.lease, answer.is_first
            self._learn(answer.others)
        self._perform(effects, now)

    def _learn(self, others: tuple[LeaseRow, ...]) -> None:
        """Know the other nodes, and wait for nothing of those that are gone."""
        gone = {each.node for each in self._others} - {each.node for each in others}
        self._others = others
        for node in sorted(gone):
            logger.info("node %s has no lease any more", node)
            self._peers.drop(node)

    def _why(self) -> str:
        return f": {self._fault}" if self._fault else ""
