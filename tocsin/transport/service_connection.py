"""The device's end of the connection to its push service: keeps it up, and carries frames both ways.

Its table is ``tocsin.protocol.platform.service_connection``.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol, TypeVar

import anyio
from anyio import EndOfStream
from attrs import frozen

from tocsin.protocol.errors import ProtocolViolation
from tocsin.protocol.kernel.machine import step
from tocsin.protocol.messages import ConnectionDown, ConnectionUp, Hello, Message, Welcome
from tocsin.protocol.messages.codec import decode, decode_chunk, encode, split
from tocsin.protocol.network.causes import ConnectionCause, explain
from tocsin.protocol.platform.service_connection import POLICIES, TABLE, Course, Effect, Event, Phase, loss
from tocsin.protocol.text import describe_error
from tocsin.protocol.values import PROTOCOL_VERSION
from tocsin.transport.wire import Dial, Wire, WireBroken

logger = logging.getLogger(__name__)

_E = TypeVar("_E", bound=Exception)

GREETING_TIMEOUT = 10.0
"""Seconds within which the service must welcome the device."""


class OutgoingFrames(Protocol):
    """Where the frames for the service wait."""

    async def batch(self) -> list[bytes]:
        """Wait for frames and take them; raises EndOfStream when there will be no more."""
        ...

    def purge(self) -> int:
        """Throw away what was meant for a connection that is gone."""
        ...


@frozen
class ArrivalHandlers:
    """Where it goes."""

    deliver: Callable[[list[tuple[Message, bytes]]], Awaitable[None]]
    """Takes messages with their frames; raises ProtocolViolation for one that is not for devices."""
    report: Callable[[ConnectionUp | ConnectionDown], Awaitable[None]]
    """Takes what the connection says of itself."""


class ServiceConnection:
    """Drives one connection through its state machine, for as long as it runs."""

    def __init__(
        self,
        dial: Dial,
        device_key: str,
        outbox: OutgoingFrames,
        handlers: ArrivalHandlers,
        fraction: Callable[[], float],
    ) -> None:
        self._dial = dial
        self._device_key = device_key
        self._outbox = outbox
        self._handlers = handlers
        self._fraction = fraction
        self._course = Course()
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
                    broken = await self._connect()
                    if self.phase is Phase.FINISHING:
                        return
                    await anyio.sleep(await self._down(broken))
        finally:
            self._step(Event.CLOSE)
            self.ended.set()

    def finish(self) -> None:
        """Take nothing more in; what is in the outbox, until it is closed, still goes out, then :meth:`run` ends."""
        if self.phase is not Phase.CLOSED:
            for effect in self._step(Event.FINISH):
                scope = self._reading if effect is Effect.STOP_READING else self._running
                scope.cancel()

    async def _down(self, broken: WireBroken) -> float:
        """Report that there is no connection, once to the log, and return the seconds until the next attempt."""
        effects = self._step(loss(broken.cause))
        (way,) = POLICIES.keys() & set(effects)
        wait = self._course.failed(way, broken.retry_after, self._fraction())
        if self._course.is_news(broken.cause):
            logger.warning("no connection to the push service, next attempt in %s: %s", _duration(wait), broken)
        else:
            logger.debug("no connection to the push service, next attempt in %s: %s", _duration(wait), broken)
        await self._handlers.report(ConnectionDown(broken.cause, str(broken), wait))
        return wait

    async def _connect(self) -> WireBroken:
        """Hold one connection until it is lost, and return why it was."""
        end = WireBroken("")
        self._reading = anyio.CancelScope()
        try:
            async with self._dial() as wire:
                self._step(Event.OPENED)
                await self._exchange(wire, await self._greet(wire))
        except* WireBroken as broken:
            end = _first(broken)
        except* ProtocolViolation as violation:
            cause = ConnectionCause.PROTOCOL
            end = WireBroken(explain(cause, "the push service", str(_first(violation))), cause)
        except* Exception as unknown:  # whatever it is, an app must not end by it
            if ConnectionCause.UNEXPECTED not in self._course.said:
                logger.exception("the connection to the push service has failed")
            first = _first(unknown)
            end = WireBroken(describe_error(first), ConnectionCause.UNEXPECTED)
        return end

    async def _greet(self, wire: Wire) -> bytes:
        """Say hello, wait for the welcome, and return what came right behind it."""
        await wire.send(encode(Hello(PROTOCOL_VERSION, self._device_key)))
        try:
            with anyio.fail_after(GREETING_TIMEOUT):
                first, *early = split(await wire.receive())
        except TimeoutError:
            raise WireBroken(
                f"the push service did not greet within {GREETING_TIMEOUT:g} s", ConnectionCause.TIMED_OUT
            ) from None
        except ValueError:
            raise ProtocolViolation("an empty message instead of a welcome") from None
        welcome = decode(first)
        if not isinstance(welcome, Welcome):
            raise ProtocolViolation(f"{type(welcome).__name__} instead of a welcome")
        if welcome.version != PROTOCOL_VERSION:
            cause = ConnectionCause.OTHER_VERSION
            detail = f"it speaks {welcome.version}, this device {PROTOCOL_VERSION}"
            raise WireBroken(explain(cause, "the push service", detail), cause)
        self._outbox.purge()
        self._step(Event.WELCOMED)
        await self._handlers.report(ConnectionUp(welcome.window, welcome.now))
        return b"".join(early)

    async def _exchange(self, wire: Wire, early: bytes) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._write, wire)
            lasting = anyio.CancelScope()
            if self._course.failures:
                tasks.start_soon(self._last, lasting)
            with self._reading:
                await self._handlers.deliver(decode_chunk(early))
                while True:
                    await self._handlers.deliver(decode_chunk(await wire.receive()))
            lasting.cancel()

    async def _last(self, scope: anyio.CancelScope) -> None:
        """Forget what went wrong before, once the connection has lasted."""
        with scope:
            await anyio.sleep(self._course.lasting())
            for _ in self._step(Event.LASTED):
                if self._course.said:
                    logger.warning("there is a connection to the push service again, and it lasts")
                self._course = Course()

    async def _write(self, wire: Wire) -> None:
        with suppress(EndOfStream):
            while True:
                await wire.send(b"".join(await self._outbox.batch()))

    def _step(self, event: Event) -> tuple[Effect, ...]:
        self.phase, effects = step(TABLE, self.phase, event)
        return effects


def _first(group: ExceptionGroup[_E]) -> _E:
    """Return the first error in a group."""
    first = group.exceptions[0]
    return _first(first) if isinstance(first, ExceptionGroup) else first


def _duration(seconds: float) -> str:
    """Write how long it is, for people."""
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
