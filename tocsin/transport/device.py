"""The device's end of the connection to its push service: keeps it up, and carries frames both ways."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

import anyio
from anyio import EndOfStream
from attrs import frozen

from tocsin.protocol.codec import decode, decode_chunk, encode, split
from tocsin.protocol.connection import TABLE, Effect, Event, Phase, ReconnectPolicy
from tocsin.protocol.errors import ProtocolViolation
from tocsin.protocol.hresult import HResult
from tocsin.protocol.machine import step
from tocsin.protocol.messages import ConnectionDown, ConnectionUp, Hello, Message, Welcome
from tocsin.protocol.values import PROTOCOL_VERSION
from tocsin.transport.wire import Dial, Wire, WireBroken

logger = logging.getLogger(__name__)

GREETING_TIMEOUT = 10.0
"""Seconds within which the service must welcome the device."""


class Outbox(Protocol):
    """Where the frames for the service wait."""

    async def batch(self) -> list[bytes]:
        """Wait for frames and take them; raises EndOfStream when there will be no more."""
        ...

    def purge(self) -> int:
        """Throw away what was meant for a connection that is gone."""
        ...


@frozen
class Inlet:
    """Where it goes."""

    deliver: Callable[[list[tuple[Message, bytes]]], Awaitable[None]]
    """Takes messages with their frames; raises ProtocolViolation for one that is not for devices."""
    report: Callable[[Message], Awaitable[None]]
    """Takes what the connection says of itself."""


class DeviceConnection:
    """Drives one connection through its state machine, for as long as it runs."""

    def __init__(
        self, dial: Dial, device_key: str, outbox: Outbox, inlet: Inlet, fraction: Callable[[], float]
    ) -> None:
        self._dial = dial
        self._device_key = device_key
        self._outbox = outbox
        self._inlet = inlet
        self._fraction = fraction
        self._policy = ReconnectPolicy()
        self._failures = 0
        self._running = anyio.CancelScope()
        self._reading = anyio.CancelScope()
        self.phase = Phase.DOWN
        self.ended = anyio.Event()

    async def run(self) -> None:
        """Connect, and connect again whenever the connection is lost, until finished or cancelled."""
        try:
            with self._running:
                while True:
                    self._step(Event.ATTEMPT)
                    reason = await self._connect()
                    if self.phase is Phase.FINISHING:
                        return
                    effects = self._step(Event.LOST)
                    self._failures += 1
                    was_up = Effect.CLOSE_WIRE in effects
                    hresult = HResult.WNP_E_RECONNECTING if was_up else HResult.WNP_E_NOT_CONNECTED
                    await self._inlet.report(ConnectionDown(hresult, reason))
                    await anyio.sleep(self._policy.wait(self._failures, self._fraction()))
        finally:
            self._step(Event.CLOSE)
            self.ended.set()

    def finish(self) -> None:
        """Take nothing more in; what is in the outbox, until it is closed, still goes out, then :meth:`run` ends."""
        if self.phase is not Phase.CLOSED:
            for effect in self._step(Event.FINISH):
                scope = self._reading if effect is Effect.STOP_READING else self._running
                scope.cancel()

    async def _connect(self) -> str:
        """Hold one connection until it is lost, and return why it was."""
        reason = ""
        self._reading = anyio.CancelScope()
        try:
            async with self._dial() as wire:
                self._step(Event.OPENED)
                await self._exchange(wire, await self._greet(wire))
        except* WireBroken as broken:
            reason = _first(broken)
        except* ProtocolViolation as violation:
            reason = f"the push service broke the protocol: {_first(violation)}"
            logger.warning("%s", reason)
        return reason

    async def _greet(self, wire: Wire) -> bytes:
        """Say hello, wait for the welcome, and return what came right behind it."""
        await wire.send(encode(Hello(PROTOCOL_VERSION, self._device_key)))
        try:
            with anyio.fail_after(GREETING_TIMEOUT):
                first, *early = split(await wire.receive())
        except TimeoutError:
            raise WireBroken(f"the push service did not answer within {GREETING_TIMEOUT:g} s") from None
        except ValueError:
            raise ProtocolViolation("an empty message instead of a welcome") from None
        welcome = decode(first)
        if not isinstance(welcome, Welcome) or welcome.version != PROTOCOL_VERSION:
            raise ProtocolViolation(f"{welcome} instead of a welcome in version {PROTOCOL_VERSION}")
        self._outbox.purge()
        self._step(Event.WELCOMED)
        self._failures = 0
        await self._inlet.report(ConnectionUp(welcome.window, welcome.now))
        return b"".join(early)

    async def _exchange(self, wire: Wire, early: bytes) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._write, wire)
            with self._reading:
                await self._inlet.deliver(decode_chunk(early))
                while True:
                    await self._inlet.deliver(decode_chunk(await wire.receive()))

    async def _write(self, wire: Wire) -> None:
        with suppress(EndOfStream):
            while True:
                await wire.send(b"".join(await self._outbox.batch()))

    def _step(self, event: Event) -> tuple[Effect, ...]:
        self.phase, effects = step(TABLE, self.phase, event)
        return effects


def _first(group: BaseExceptionGroup[BaseException]) -> str:
    """Return the sentence of the first error in a group."""
    failure: BaseException = group
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return str(failure)
