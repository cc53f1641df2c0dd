"""The toasts of calls that ring: each is shown while its call rings, and of a missed call one toast tells."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final, TypeVar

import anyio
from anyio.abc import TaskGroup

from tocsin.api.toast_notifier import KeptToast, ToastNotifier
from tocsin.calling.agent_events import IncomingCallReceivedEventArgs, UnrungCallEndedEventArgs
from tocsin.calling.call_agent import CommonCallAgent
from tocsin.calling.call_client import CallAgentChangedEventArgs, CallClient
from tocsin.calling.call_toast_content import CALLS, MISSED_CALLS, ShownCall, call_on
from tocsin.calling.incoming_call import IncomingCall
from tocsin.calling.missed_calls_file import MissedCallsFile
from tocsin.protocol.calling.agent_connection import ConnectionState
from tocsin.protocol.calling.end_reason import Bell, CallEndReason, end_reason
from tocsin.protocol.calling.missed_calls import MissedCalls
from tocsin.protocol.errors import (
    CallEnded,
    IllegalCall,
    InvalidArgument,
    NotFound,
    PlatformUnavailable,
    PushError,
    StateUnavailable,
    TimedOut,
)
from tocsin.protocol.toasts.notifier import ShownToast
from tocsin.protocol.values import Outcome
from tocsin.repeat_log import RepeatLog
from tocsin.tasks import Signal, task_group

logger = logging.getLogger(__name__)

LEAVING: Final = 2.0
"""Seconds that the removal of toasts, and what tells of missed calls, may take when the block is left."""

ATTEMPTS: Final = 3
"""How often the platform is asked for something where it goes away meanwhile."""

PAUSE: Final = 1.0
"""Seconds between two of these."""

T = TypeVar("T")


class ShownRings:
    """Shows the calls of one client, each as long as it rings."""

    def __init__(self, toasts: ToastNotifier, client: CallClient) -> None:
        self._toasts, self._client = toasts, client
        self._rings: dict[str, Signal] = {}
        """Of each call that rings, what has its toast shown once more."""
        self._file = MissedCallsFile(client.state, client.app)
        self._told = MissedCalls()
        self._telling = anyio.Lock()
        self._to_sweep = Signal()
        self._left = anyio.Event()
        self._log = RepeatLog()
        self._tasks: TaskGroup | None = None

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Show what rings while the block runs; then, toasts of calls that have ended are removed, and those that ring stay."""
        async with task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._sweep_each_time, name="stale toasts of calls")
            with (
                self._client.call_agent_changed(self._agent_changed),
                self._client.incoming_call_received(self._received),
                self._client.unrung_call_ended(self._unrung_ended),
            ):
                yield
            self._tasks = None
            self._left.set()
            tasks.cancel_scope.deadline = anyio.current_time() + LEAVING
        self._log.close()

    def show_again(self, call_id: str) -> None:
        """Show the toast of a call once more, if it rings still."""
        ring = self._rings.get(call_id)
        if ring is not None:
            ring.set()

    async def close(self, call: ShownCall, reason: CallEndReason | None) -> None:
        """Remove the toast of a call that rings no more, and tell of it where it was missed.

        :param reason: why it rings no more; None where that is not known, or where it was accepted here.
        """
        await self._remove(call)
        if reason is not None and reason.bell is Bell.MISSED:
            await self._tell_missed(call)

    def _received(self, args: IncomingCallReceivedEventArgs) -> None:
        incoming = args.incoming_call
        if self._tasks is not None and incoming.id not in self._rings:
            self._rings[incoming.id] = Signal()
            self._tasks.start_soon(self._ring, incoming, name="the toast of a call")

    def _unrung_ended(self, args: UnrungCallEndedEventArgs) -> None:
        """Take the end of a call that another process may have shown."""
        if self._tasks is not None:
            call = ShownCall(args.call_id, args.caller_info.shown, args.is_video_enabled)
            self._tasks.start_soon(self.close, call, args.reason, name="the end of a call")

    def _agent_changed(self, args: CallAgentChangedEventArgs) -> None:
        if args.agent is not None:
            # It ends with its agent, and the lane of a block that is left calls nothing any more.
            args.agent.connection_state_changed.add(lambda _: self._to_sweep.set())
            self._to_sweep.set()

    async def _ring(self, incoming: IncomingCall) -> None:
        """Show a call until it rings no more, or the block is left."""
        async with task_group() as tasks:
            tasks.start_soon(self._keep_shown, incoming, self._rings[incoming.id])
            tasks.start_soon(self._cancel_when_left, tasks.cancel_scope)
            look_again = self._rings[incoming.id].set
            with (
                incoming.caller_info_changed(lambda _: look_again()),
                incoming.ringing_stopped(lambda _: look_again()),
            ):
                await incoming.wait_until_ended()
            tasks.cancel_scope.cancel()
        del self._rings[incoming.id]
        if not incoming.is_ringing:
            await self.close(_shown(incoming), incoming.call_end_reason)

    async def _keep_shown(self, incoming: IncomingCall, again: Signal) -> None:
        while True:
            if incoming.is_ringing:
                await self._show(incoming)
            else:  # it is being answered, or its end comes
                await self._remove(_shown(incoming))
            await again.wait()

    async def _cancel_when_left(self, scope: anyio.CancelScope) -> None:
        await self._left.wait()
        scope.cancel()

    async def _show(self, incoming: IncomingCall) -> None:
        async def ask() -> ShownToast:
            call, left = _shown(incoming), timedelta(seconds=max(incoming.rings_for, 1.0))
            return await self._toasts.show(call.ring(), tag=call.tag, group=CALLS, expires=left, expires_on_reboot=True)

        await self.surely("the toast of a call is not shown, and it rings all the same", ask)

    async def _remove(self, call: ShownCall) -> None:
        async def ask() -> None:
            await self._toasts.remove_by_tag_and_group(call.tag, CALLS)

        await self.surely("the toast of a call that rings no more is not removed", ask)

    async def _tell_missed(self, call: ShownCall) -> None:
        async def ask() -> ShownToast:
            return await self._toasts.show(call.missed(), tag=call.missed_tag, group=MISSED_CALLS)

        async with self._telling:  # two may have heard of the end
            if await self._was_told(call):
                return
            shown = await self.surely("no toast tells of a missed call", ask)
            if shown is not None:
                self._told.add(call.call_id)
                await self._in_file(lambda: self._file.note(call.call_id))

    async def _was_told(self, call: ShownCall) -> bool:
        if call.call_id in self._told:
            return True
        there = await self._in_file(self._file.load)
        if there is not None and call.call_id in there:
            return True
        # As where a process has died between the toast and the file.
        return any(each.group == MISSED_CALLS and each.tag == call.missed_tag for each in await self._kept())

    async def _in_file(self, function: Callable[[], T]) -> T | None:
        try:
            return await anyio.to_thread.run_sync(function)
        except StateUnavailable as error:
            self._log.log(logger, logging.WARNING, "file", "which calls were told of as missed is not kept: %s", error)
        return None

    async def _kept(self) -> list[KeptToast]:
        return await self.surely("what toasts there are is not known", self._toasts.get_all) or []

    async def surely(self, failing: str, ask: Callable[[], Awaitable[T]]) -> T | None:
        """Ask the platform, again where it goes away meanwhile; None where nothing comes of it, which the log says once."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = await ask()
            except (PlatformUnavailable, TimedOut) as error:  # whether it was done is not known
                if attempt == ATTEMPTS:
                    self._say(failing, error)
                else:
                    await anyio.sleep(PAUSE)
            except PushError as error:
                self._say(failing, error)
                break
            else:
                if isinstance(answer, ShownToast) and answer.outcome is not Outcome.SHOWN:
                    self._say(failing, answer.reason)
                return answer
        return None

    def _say(self, failing: str, why: object) -> None:
        self._log.log(logger, logging.WARNING, failing, "%s: %s", failing, why)

    async def _sweep_each_time(self) -> None:
        with anyio.CancelScope() as scope:
            async with task_group() as tasks:
                tasks.start_soon(self._cancel_when_left, scope)
                while True:
                    await self._to_sweep.wait()
                    agent = self._client.call_agent
                    if agent is not None and agent.connection_state is ConnectionState.CONNECTED:
                        with suppress(PlatformUnavailable, TimedOut):  # it is swept again when there is a connection
                            await self._sweep(agent)

    async def _sweep(self, agent: CommonCallAgent) -> None:
        """Look at the toasts that an earlier process has left: those of calls which ring no more are removed."""
        for call in filter(None, map(call_on, await self._kept())):
            if call.call_id not in self._rings:
                await self._look_at(call, agent)

    async def _look_at(self, call: ShownCall, agent: CommonCallAgent) -> None:
        try:
            await agent.attend_call(call.call_id)  # where it rings, that is told as of any call
        except CallEnded as over:
            await self.close(call, over.reason and end_reason(*over.reason))
        except (NotFound, InvalidArgument):
            await self.close(call, None)
        except IllegalCall:
            if any(each.id == call.call_id for each in agent.calls):  # it was accepted here, where this did not see it
                await self.close(call, None)


def _shown(incoming: IncomingCall) -> ShownCall:
    return ShownCall(incoming.id, incoming.caller_info.shown, incoming.is_video_enabled)
