"""The device's end of the connection to its push service: keeps it up.

Its table is ``tocsin.protocol.platform.service_connection``.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from tocsin.protocol.errors import ProtocolViolation
from tocsin.protocol.kernel.machine import step
from tocsin.protocol.messages import ConnectionDown, ConnectionUp, Hello, Welcome
from tocsin.protocol.messages.codec import decode, encode, split
from tocsin.protocol.network.causes import ConnectionCause, explain
from tocsin.protocol.platform.service_connection import TABLE, Course, Effect, Event, Phase, loss
from tocsin.protocol.text import describe_error
from tocsin.protocol.values import PROTOCOL_VERSION
from tocsin.transport.frame_traffic import ArrivalHandlers, FrameTraffic, OutgoingFrames
from tocsin.transport.wire import Dial, Wire, WireBroken

logger = logging.getLogger(__name__)

_E = TypeVar("_E", bound=Exception)

GREETING_TIMEOUT = 10.0
"""Seconds within which the service must welcome the device."""

FAREWELL_TIMEOUT = 5.0
"""Seconds for what still goes out over a connection that group policy forbids."""


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
        self._attempt = anyio.CancelScope()
        """What is done without a connection: making one, or waiting for that."""
        self._permission = anyio.Event()
        self._permission.set()
        self._wire: Wire
        self._traffic: FrameTraffic | None = None
        """That of the wire that is held; None without one."""
        self._welcome: Welcome
        self._early = b""
        """What came right behind the welcome."""
        self._end = WireBroken("")
        """Why there is no connection."""
        self._pause = 0.0
        """Seconds from then until the next attempt."""
        self._perform: dict[Effect, Callable[[], Awaitable[Event | None]]] = {
            Effect.OPEN_WIRE: self._open_wire,
            Effect.SEND_HELLO: self._send_hello,
            Effect.REPORT_UP: self._report_up,
            Effect.CARRY_FRAMES: self._carry_frames,
            Effect.BACK_OFF: partial(self._choose_wait, Effect.BACK_OFF),
            Effect.STAND_BACK: partial(self._choose_wait, Effect.STAND_BACK),
            Effect.REPORT_DOWN: self._report_down,
            Effect.WAIT: self._wait,
            Effect.REPORT_FORBIDDEN: self._report_forbidden,
            Effect.AWAIT_PERMISSION: self._await_permission,
        }
        self._perform_at_once: dict[Effect, Callable[[], None]] = {
            Effect.FORGET_FAILURES: self._forget_failures,
            Effect.STOP_READING: self._stop_reading,
            Effect.GIVE_UP: self._running.cancel,
            Effect.BREAK_OFF: self._break_off,
        }
        self.phase = Phase.DOWN
        self.ended = anyio.Event()

    async def run(self) -> None:
        """Connect, and connect again whenever the connection is lost, until finished or cancelled."""
        try:
            with self._running:
                await self._follow(self._onwards(Event.ATTEMPT))
        finally:
            self._happened(Event.CLOSE)
            self.ended.set()

    def finish(self) -> None:
        """Take nothing more in; what is in the outbox, until it is closed, still goes out, then :meth:`run` ends."""
        if self.phase is not Phase.CLOSED:
            self._happened(Event.FINISH)

    def send_now(self) -> None:
        """Send what is in the outbox, as :meth:`FrameTraffic.send_now`, where there is a connection."""
        if self._traffic is not None:
            self._traffic.send_now()

    def allow(self, allowed: bool) -> None:  # noqa: FBT001  # the only argument
        """Let there be a connection or not, from now on; over one that is to end, what is in the outbox still goes out."""
        if allowed:
            self._permission.set()
        elif self._permission.is_set() and self.phase is not Phase.CLOSED:
            self._permission = anyio.Event()
            self._happened(Event.FORBIDDEN)

    async def _follow(self, event: Event | None) -> None:
        """Perform what the table asks for, until nothing more happens."""
        while event is not None:
            await checkpoint_if_cancelled()  # what was broken off meanwhile goes no further
            effects = self._step(event)
            event = None
            for effect in effects:
                event = await self._perform[effect]()

    def _happened(self, event: Event) -> None:
        """Perform what the table asks for beside the task that holds the connection."""
        for effect in self._step(event):
            self._perform_at_once[effect]()

    def _step(self, event: Event) -> tuple[Effect, ...]:
        self.phase, effects = step(TABLE, self.phase, event)
        return effects

    def _onwards(self, event: Event) -> Event | None:
        """Return what happens next, by itself or since it was interrupted; None where nothing does."""
        if self.phase is Phase.LEAVING:
            return Event.LEFT
        return None if self.phase is Phase.FINISHING else event

    # Effects: each may tell what has happened

    async def _open_wire(self) -> Event | None:
        """Hold one wire until it is lost, and note why it was."""
        end = WireBroken("")
        try:
            with anyio.CancelScope() as self._attempt:
                async with self._dial() as self._wire:
                    self._traffic = FrameTraffic(self._wire, self._outbox, self._handlers)
                    try:
                        await self._follow(Event.OPENED)
                    finally:
                        self._traffic = None
        except* WireBroken as broken:
            end = _first(broken)
        except* ProtocolViolation as violation:
            cause = ConnectionCause.PROTOCOL
            end = WireBroken(explain(cause, "the push service", str(_first(violation))), cause)
        except* Exception as unknown:  # no error of any kind may end the app
            if ConnectionCause.UNEXPECTED not in self._course.said:
                logger.exception("the connection to the push service has failed")
            first = _first(unknown)
            end = WireBroken(describe_error(first), ConnectionCause.UNEXPECTED)
        self._end = end
        return self._onwards(loss(end.cause))

    async def _send_hello(self) -> Event:
        """Say hello, wait for the welcome, and note what came right behind it."""
        await self._wire.send(encode(Hello(PROTOCOL_VERSION, self._device_key)))
        try:
            with anyio.fail_after(GREETING_TIMEOUT):
                first, *early = split(await self._wire.receive())
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
        self._welcome, self._early = welcome, b"".join(early)
        return Event.WELCOMED

    async def _report_up(self) -> None:
        await self._handlers.report(ConnectionUp(self._welcome.window, self._welcome.now))

    async def _carry_frames(self) -> None:
        """Carry frames both ways; finished or forbidden, only those that still go out."""
        traffic = self._traffic
        assert traffic is not None  # noqa: S101  # this is an effect while a wire is held
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(traffic.write, lambda: self.phase is Phase.LEAVING)
            lasting = anyio.CancelScope()
            if self._course.failures:
                tasks.start_soon(self._last, lasting)
            early, self._early = self._early, b""
            await traffic.read(early)
            lasting.cancel()
            if self.phase is Phase.LEAVING:
                tasks.cancel_scope.deadline = anyio.current_time() + FAREWELL_TIMEOUT

    async def _last(self, scope: anyio.CancelScope) -> None:
        """Wait until the connection has lasted long enough for the backoff to begin anew."""
        with scope:
            await anyio.sleep(self._course.lasting())
            self._happened(Event.LASTED)

    async def _choose_wait(self, way: Effect) -> None:
        self._pause = self._course.failed(way, self._end.retry_after, self._fraction())

    async def _report_down(self) -> None:
        """Report that there is no connection, each cause once to the log."""
        level = logging.WARNING if self._course.is_news(self._end.cause) else logging.DEBUG
        pause = _duration(self._pause)
        logger.log(level, "no connection to the push service, next attempt in %s: %s", pause, self._end)
        await self._handlers.report(ConnectionDown(self._end.cause, str(self._end), self._pause))

    async def _wait(self) -> Event | None:
        with anyio.CancelScope() as self._attempt:
            if self.phase is Phase.DOWN:  # it may have been forbidden while that there is none was reported
                await anyio.sleep(self._pause)
        return self._onwards(Event.ATTEMPT)

    async def _report_forbidden(self) -> None:
        cause = ConnectionCause.CLOUD_DISABLED
        text = explain(cause, "the push service")
        logger.warning("no connection to the push service until that changes: %s", text)
        await self._handlers.report(ConnectionDown(cause, text, 0.0))

    async def _await_permission(self) -> Event:
        while not self._permission.is_set():
            await self._permission.wait()
        logger.warning("group policy allows a connection to the push service again")
        return Event.ALLOWED

    def _break_off(self) -> None:
        self._attempt.cancel()

    def _stop_reading(self) -> None:
        if self._traffic is not None:
            self._traffic.stop_reading()

    def _forget_failures(self) -> None:
        if self._course.said:
            logger.warning("there is a connection to the push service again, and it lasts")
        self._course = Course()


def _first(group: ExceptionGroup[_E]) -> _E:
    """Return the first error in a group."""
    first = group.exceptions[0]
    return _first(first) if isinstance(first, ExceptionGroup) else first


def _duration(seconds: float) -> str:
    """Write how long it is, for people."""
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
