"""Tells those who follow payloads what happens to them, where it passes the edges of the actors.

Where there is none who follows, it costs a look at a flag for each batch.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping

from attrs import evolve, frozen

from tocsin.actors.clock import LoopClock
from tocsin.followers import Followers
from tocsin.persistence.store import Changes
from tocsin.protocol import messages as m
from tocsin.protocol.delivery.payload_events import PayloadEvent, Stage
from tocsin.protocol.delivery.plain_rows import PlainRow
from tocsin.protocol.messages.codec import decode_own

MAX_KNOWN = 16_384
"""Payloads that are known by their sequence numbers while they are followed."""


@frozen
class ShownPayload:
    """What the shell has done with a payload; ``reason`` says why it is not shown, where it is not."""

    stage: Stage
    reason: str
    detail: str


_HANDLED = ShownPayload(Stage.HANDLED, "", "")
_NONE_SHOWN: Mapping[int, ShownPayload] = {}


class PayloadWatch:
    """What the edges of the actors tell; ``channels`` says whose each channel is."""

    def __init__(self, clock: LoopClock) -> None:
        self.channels: Mapping[str, str] = {}
        self._clock = clock
        self.followers = Followers()
        self._known: OrderedDict[int, PayloadEvent] = OrderedDict()

    @property
    def active(self) -> bool:
        """Whether there is one who follows."""
        return bool(self.followers.all)

    def arrived(self, arrivals: m.Arrivals) -> None:
        """Payloads have come from the service; they have no number yet."""
        if self.followers.all:
            columns = zip(arrivals.ids, arrivals.channels, arrivals.types, arrivals.bodies, strict=True)
            for id_, channel, type_, body in columns:
                self._tell(self._event(Stage.ACCEPTED, channel, id=id_, type=type_, size=len(body)))

    def committed(self, changes: Changes, shown: Mapping[int, ShownPayload] = _NONE_SHOWN) -> None:
        """Changes of the inbox are on disk; ``shown`` says what became of those among the handled that the shell had."""
        if self.followers.all:
            for row in changes.accepted:
                self._tell(evolve(self._note(row), stage=Stage.STORED))
            self._tell_each(Stage.GATED, changes.gated)
            self._tell_each(Stage.PARKED, changes.parked)
            for sequence in changes.handled:
                end = shown.get(sequence, _HANDLED)
                self._tell(evolve(self._of(sequence), stage=end.stage, reason=str(end.reason), detail=end.detail))
            for dead in changes.dead:
                told = evolve(self._of(dead.sequence), reason=str(dead.reason), detail=dead.detail)
                self._tell(evolve(told, stage=Stage.DEAD))

    def handed_over(self, session: str, frame: bytes) -> None:
        """A session has got a frame, which may hold payloads, or tell it to stop work on one."""
        if self.followers.all:
            message = decode_own(frame)
            if isinstance(message, m.Activation):
                message = decode_own(message.delivery)
            if isinstance(message, m.Deliveries):
                for row in message.rows:
                    told = evolve(self._note(row), app=message.app, session=session)
                    self._tell(evolve(told, stage=Stage.OFFERED))
            elif isinstance(message, m.CancelDelivery):
                told = evolve(self._of(message.sequence), session=session, reason=message.reason.name.lower())
                self._tell(evolve(told, stage=Stage.CANCELED))

    def launching(self, app: str, sequence: int) -> None:
        """A process is to be started for a payload."""
        if self.followers.all:
            self._tell(evolve(self._of(sequence), app=app, stage=Stage.LAUNCHED))

    def _tell_each(self, stage: Stage, sequences: Iterable[int]) -> None:
        for sequence in sequences:
            self._tell(evolve(self._of(sequence), stage=stage))

    def _tell(self, event: PayloadEvent) -> None:
        self.followers.tell(event)

    def _note(self, row: PlainRow) -> PayloadEvent:
        """Remember a payload, so that it is known again by its number."""
        sequence, id_, type_, body, attempt, _, channel, _, _ = row
        known = self._event(
            Stage.STORED, channel, sequence=sequence, id=id_, type=type_, size=len(body), attempt=attempt
        )
        self._known[sequence] = known
        self._known.move_to_end(sequence)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return known

    def _of(self, sequence: int) -> PayloadEvent:
        """Return what is known of a payload: its number alone where it came before any follower."""
        known = self._known.get(sequence)
        now = self._clock.wall()
        return PayloadEvent(now, Stage.STORED, sequence=sequence) if known is None else evolve(known, at=now)

    def _event(self, stage: Stage, channel: str, **fields: object) -> PayloadEvent:
        return PayloadEvent(self._clock.wall(), stage, self.channels.get(channel, ""), channel, **fields)  # type: ignore[arg-type]  # its own
