"""The deferral and cancellation supervisor: knows every payload that is with its app, and sees to it that it ends."""

from __future__ import annotations

from tocsin.actors.actor import Actor, receives
from tocsin.actors.mailbox import Mailbox
from tocsin.protocol import messages as m
from tocsin.protocol.codec import encode
from tocsin.protocol.values import Outcome


class Supervisor(Actor):
    """Owns the payloads that are on their way to an app or with it."""

    name = "supervisor"

    def __init__(self, router: Mailbox, registry: Mailbox) -> None:
        super().__init__()
        self._router = router
        self._registry = registry
        self._running: dict[int, str] = {}
        self._down: list[bytes] = []
        self._up: list[bytes] = []

    @receives(m.Delivery)
    def deliver(self, message: m.Delivery, frame: bytes) -> None:
        """Let a payload go to its app."""
        self._running[message.sequence] = message.channel
        self._down.append(frame)

    @receives(m.NoSink)
    def came_back(self, message: m.NoSink, _: bytes) -> None:
        """There was nobody to take it."""
        self._settle(message.sequence, Outcome.RETURNED, "")

    @receives(m.Returned)
    def returned(self, message: m.Returned, _: bytes) -> None:
        """The app is through with it."""
        self._settle(message.sequence, message.outcome, message.detail)

    @receives(m.SinkOpened, m.SinkClosed)
    def pass_up(self, _message: m.SinkOpened | m.SinkClosed, frame: bytes) -> None:
        """What the registry says of sinks is for the router, in order with the outcomes."""
        self._up.append(frame)

    @receives(m.ActorRestarted)
    def peer_restarted(self, message: m.ActorRestarted, _: bytes) -> None:
        """A router that begins anew hands its payloads on again."""
        if message.actor == self._router.name:
            self._running.clear()

    async def flush(self) -> None:
        """Outcomes go up before payloads go down: room is made before it is taken."""
        for frame in self._up:
            self._router.reply(frame)
        self._up.clear()
        for frame in self._down:
            await self._registry.put(frame)
        self._down.clear()

    def _settle(self, sequence: int, outcome: Outcome, detail: str) -> None:
        """Report an outcome, also one of a payload that was given up: handled late is handled all the same."""
        channel = self._running.pop(sequence, "")
        if channel or outcome is Outcome.HANDLED:
            self._up.append(encode(m.Settled(sequence, channel, outcome, detail)))
