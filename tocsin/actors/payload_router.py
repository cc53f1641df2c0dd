"""The payload router: puts what the service sends into the inbox, acknowledges it, and hands it on in order.

A payload is acknowledged only after its row has committed; one commit serves a whole batch.
"""

from __future__ import annotations

from contextlib import suppress

from tocsin.actors.actor import Actor, receives
from tocsin.actors.clock import Clock
from tocsin.actors.mailbox import Mailbox
from tocsin.persistence.store import REMEMBERED, DeadPayload, Store, StoredPayload
from tocsin.protocol import messages as m
from tocsin.protocol.codec import encode
from tocsin.protocol.errors import PlatformUnavailable
from tocsin.protocol.lane import Lane
from tocsin.protocol.values import DROPS, DropReason, Outcome

MAX_IN_FLIGHT = 1024
"""How many payloads of all channels together may be between the router and their handlers."""

ACKNOWLEDGE_AT_ONCE = 512
"""How many ids one acknowledgement carries."""


class PayloadRouter(Actor):
    """Owns the inbox and the lanes."""

    name = "payload_router"

    def __init__(self, store: Store, clock: Clock, connection: Mailbox, supervisor: Mailbox) -> None:
        super().__init__()
        self._store = store
        self._clock = clock
        self._connection = connection
        self._supervisor = supervisor
        self._sequence = 0
        self._channels: set[str] = set()
        self._recent: dict[str, None] = {}
        self._lanes: dict[str, Lane] = {}
        self._in_flight: dict[int, Lane] = {}
        self._hungry: dict[str, Lane] = {}
        self._lost: list[str] = []
        self._quiet = False
        self._accepted: list[StoredPayload] = []
        self._acknowledged: list[str] = []
        self._handled: list[int] = []
        self._dead: list[DeadPayload] = []
        self._forward: list[bytes] = []

    async def start(self) -> None:
        """Find what was accepted and not ended; payloads of channels that are gone die now."""
        inbox = await self._store.inbox()
        self._sequence = inbox.last_sequence
        self._recent = dict.fromkeys(inbox.recent_ids)
        self._channels = {channel.channel for channel in await self._store.channels()}
        self._lost = [name for name in inbox.open_channels if name not in self._channels]
        await self._bury_lost()

    # From the service

    @receives(m.Payload)
    def accept(self, message: m.Payload, _: bytes) -> None:
        """Take a payload in; one that was sent again is only acknowledged again."""
        self._acknowledged.append(message.id)
        if message.id in self._recent:
            return
        self._remember(message.id)
        self._sequence += 1
        sequence = self._sequence
        reason = self._refusal(message)
        on_its_way = reason is None and self._admit(message.channel, sequence)
        self._accepted.append(
            StoredPayload(
                sequence, message.channel, message.id, message.type, message.body, int(on_its_way), message.expires
            )
        )
        if reason is not None:
            self._bury(sequence, reason, "")
        elif on_its_way:
            self._hand_on(self._accepted[-1])

    # From the requester, the registry and the supervisor

    @receives(m.ChannelOpened)
    def channel_opened(self, message: m.ChannelOpened, _: bytes) -> None:
        """Payloads may come for that channel."""
        self._channels.add(message.channel)

    @receives(m.ChannelLost)
    def channel_lost(self, message: m.ChannelLost, _: bytes) -> None:
        """Nobody can take the payloads of that channel any more."""
        self._channels.discard(message.channel)
        self._lost.append(message.channel)
        lane = self._lanes.pop(message.channel, None)
        if lane is not None:
            lane.close()

    @receives(m.SinkOpened)
    def sink_opened(self, message: m.SinkOpened, _: bytes) -> None:
        """Somebody takes the payloads of that channel."""
        if message.channel in self._channels and not self._quiet:
            lane = self._lanes.setdefault(message.channel, Lane(message.channel))
            lane.open()
            self._feed(lane)

    @receives(m.SinkClosed)
    def sink_closed(self, message: m.SinkClosed, _: bytes) -> None:
        """Nobody takes them any more; they wait."""
        lane = self._lanes.get(message.channel)
        if lane is not None:
            lane.close()

    @receives(m.Settled)
    def settled(self, message: m.Settled, _: bytes) -> None:
        """A payload is no longer on its way: it was handled, it died, or it came back."""
        lane = self._in_flight.pop(message.sequence, None)
        if message.outcome is Outcome.HANDLED:
            self._handled.append(message.sequence)
        elif message.outcome is not Outcome.RETURNED:
            self._bury(message.sequence, DROPS[message.outcome], message.detail)
        elif message.channel not in self._channels:
            self._bury(message.sequence, DropReason.UNKNOWN_CHANNEL, "")
        if lane is not None:
            lane.settle(came_back=message.outcome is Outcome.RETURNED)
            self._feed(lane)

    @receives(m.ActorRestarted)
    def peer_restarted(self, message: m.ActorRestarted, _: bytes) -> None:
        """What a supervisor had on its way came back; a registry has to learn its sinks anew."""
        if message.actor == "supervisor":
            for lane in self._in_flight.values():
                lane.settle(came_back=True)
                self._feed(lane)
            self._in_flight.clear()
        elif message.actor == "activator_registry":
            for lane in self._lanes.values():
                lane.close()

    @receives(m.Quiesce)
    def quiesce(self, _message: m.Quiesce, _: bytes) -> None:
        """Hand nothing on any more; what comes is still stored."""
        self._quiet = True
        for lane in self._lanes.values():
            lane.close()
        self._hungry.clear()

    async def flush(self) -> None:
        """Commit, then acknowledge, then hand on; then fetch for the lanes that have room."""
        await self._commit()
        await self._bury_lost()
        for start in range(0, len(self._acknowledged), ACKNOWLEDGE_AT_ONCE):
            ids = tuple(self._acknowledged[start : start + ACKNOWLEDGE_AT_ONCE])
            self._connection.answer(m.Acknowledge(ids))
        self._acknowledged.clear()
        await self._send_on()
        while self._hungry and len(self._in_flight) < MAX_IN_FLIGHT:
            await self._fetch(self._hungry.pop(next(iter(self._hungry))))
            await self._commit()
            await self._send_on()

    async def _commit(self) -> None:
        if self._accepted or self._handled or self._dead:
            await self._store.commit(self._accepted, self._handled, self._dead)
            self._accepted.clear()
            self._handled.clear()
            self._dead.clear()

    async def _send_on(self) -> None:
        with suppress(PlatformUnavailable):  # the platform stops: what is not on its way stays in the inbox
            for frame in self._forward:
                await self._supervisor.put(frame)
        self._forward.clear()

    async def _fetch(self, lane: Lane) -> None:
        wanted = lane.room
        if not wanted:
            return
        page = await self._store.take(lane.channel, lane.cursor, wanted)
        lane.fetched([payload.sequence for payload in page], wanted)
        for payload in page:
            if self._expired(payload.expires):
                lane.settle(came_back=False)
                self._bury(payload.sequence, DropReason.EXPIRED, "")
            else:
                self._in_flight[payload.sequence] = lane
                self._hand_on(payload)
        self._feed(lane)

    async def _bury_lost(self) -> None:
        for channel in self._lost:
            for sequence in await self._store.open_sequences(channel):
                if sequence not in self._in_flight:
                    self._bury(sequence, DropReason.UNKNOWN_CHANNEL, "")
        self._lost.clear()
        await self._commit()

    def _refusal(self, message: m.Payload) -> DropReason | None:
        if message.channel not in self._channels:
            return DropReason.UNKNOWN_CHANNEL
        return DropReason.EXPIRED if self._expired(message.expires) else None

    def _admit(self, channel: str, sequence: int) -> bool:
        """Let a payload into its lane, and tell whether it goes on from memory."""
        lane = self._lanes.get(channel)
        if lane is None:
            return False
        if len(self._in_flight) < MAX_IN_FLIGHT and lane.accept(sequence):
            self._in_flight[sequence] = lane
            return True
        lane.fall_behind()
        self._feed(lane)
        return False

    def _hand_on(self, payload: StoredPayload) -> None:
        delivery = m.Delivery(
            payload.sequence, payload.channel, payload.id, payload.type, payload.body, payload.attempt, payload.expires
        )
        self._forward.append(encode(delivery))

    def _feed(self, lane: Lane) -> None:
        if lane.room and not self._quiet:
            self._hungry[lane.channel] = lane

    def _bury(self, sequence: int, reason: DropReason, detail: str) -> None:
        self._dead.append(DeadPayload(sequence, reason, detail, self._clock.wall()))

    def _expired(self, expires: float | None) -> bool:
        return expires is not None and expires <= self._clock.wall()

    def _remember(self, id_: str) -> None:
        self._recent[id_] = None
        if len(self._recent) > REMEMBERED:
            del self._recent[next(iter(self._recent))]
