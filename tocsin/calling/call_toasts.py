"""The bell: shows a toast for each call that rings, and does what its buttons say."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from types import NoneType, TracebackType
from typing import Final, Self

import anyio
from anyio.abc import TaskGroup
from attrs import frozen

from tocsin.api.callbacks import is_awaitable
from tocsin.api.toast_activated import ToastActivatedHandler, ToastNotificationActivatedEventArgs
from tocsin.api.toast_notifier import ToastNotifier
from tocsin.calling.call import Call
from tocsin.calling.call_client import CallClient
from tocsin.calling.call_event import CallEvent
from tocsin.calling.call_toast_content import CallAction, CallClick, click_on
from tocsin.calling.handler_calls import HandlerCalls
from tocsin.calling.incoming_call import IncomingCall
from tocsin.calling.options import AcceptCallOptions
from tocsin.calling.shown_rings import ShownRings
from tocsin.protocol.arguments import check_callable, check_kind
from tocsin.protocol.errors import (
    CallEnded,
    IllegalCall,
    InvalidArgument,
    NotFound,
    PlatformUnavailable,
    PushError,
    TimedOut,
)
from tocsin.protocol.text import quoted
from tocsin.tasks import apart, task_group

logger = logging.getLogger(__name__)

RING_TIME: Final = timedelta(minutes=2)
"""How long a click waits for its call by default: as long as services let a call ring."""

PAUSE: Final = 1.0
"""Seconds until a click is tried again, where the calling service could not be reached."""

LEAVING: Final = 2.0
"""Seconds that toasts of calls which have ended have for being removed when the block is left."""

_ANSWERS: Final = (CallAction.ACCEPT, CallAction.DECLINE)
"""The clicks of which the first counts, while what it asks for is under way."""


@frozen
class CallAcceptedEventArgs:
    """The user has accepted a call by its toast."""

    incoming_call: IncomingCall
    call: Call


@frozen
class CallDeclinedEventArgs:
    """The user has declined a call by its toast."""

    incoming_call: IncomingCall


@frozen
class CallOpenedEventArgs:
    """The user has clicked on the toast itself: the call rings on, and its toast is shown again."""

    incoming_call: IncomingCall


@frozen
class AnswerFailedEventArgs:
    """The user has clicked on the toast of a call, and nothing came of it."""

    call_id: str
    action: CallAction
    error: PushError
    """Why: ``CallEnded`` or ``NotFound`` where the call has gone; its text is for people."""

    @property
    def has_gone(self) -> bool:
        """Whether the call rings no more; else its toast is shown again."""
        return isinstance(self.error, (CallEnded, NotFound))


class CallToasts:
    """Shows each call that rings, each as a toast of its own: ``async with CallToasts(manager.toasts, client) as bell``.

    The toasts have the group ``calls`` and the call's id as their tag; they are removed when their call rings no more, for
    whatever reason, and where the process that has shown one has died, as soon as another has connected. Of a call that was missed
    one toast tells, of the group ``missed-calls``. When the block is left, toasts of calls that ring stay: a click on one starts the app
    again. Where toasts cannot be shown that is logged once, and calls ring by the client's events all the same.

    Enter it in the block of the client, before the agent is made: it takes the clicks of the app's toasts
    (``manager.toasts.on_activated``), of which one may have started this process.

    :param toasts: the app's, ``manager.toasts``.
    :param client: the client whose calls are shown.
    :param accept_options: how calls are accepted that are accepted by their toasts.
    :param other_clicks: gets the clicks on all other toasts of the app, sync or async.
    :param ring_time: how long a click waits at most for its call to be known, such as before there is a connection; above 0 and up to
        an hour.
    :raises InvalidArgument: an argument cannot be right.
    """

    call_accepted: CallEvent[CallAcceptedEventArgs]
    """The user has accepted a call by its toast: here is the call."""
    call_declined: CallEvent[CallDeclinedEventArgs]
    call_opened: CallEvent[CallOpenedEventArgs]
    """The user has clicked on the toast itself."""
    answer_failed: CallEvent[AnswerFailedEventArgs]
    """The user has answered a call by its toast, but the call has gone, or cannot be answered just now."""

    def __init__(
        self,
        toasts: ToastNotifier,
        client: CallClient,
        *,
        accept_options: AcceptCallOptions | None = None,
        other_clicks: ToastActivatedHandler | None = None,
        ring_time: timedelta = RING_TIME,
    ) -> None:
        check_kind(accept_options, "accept_options", AcceptCallOptions, NoneType)
        check_kind(ring_time, "ring_time", timedelta)
        if not timedelta() < ring_time <= timedelta(hours=1):
            raise InvalidArgument(f"ring_time is above 0 and up to an hour, not {quoted(ring_time)}")
        if other_clicks is not None:
            check_callable(other_clicks, "a handler")
        self._toasts, self._client = toasts, client
        self._accept_options = accept_options
        self._other_clicks = other_clicks
        self._ring_time = ring_time.total_seconds()
        self._shown = ShownRings(toasts, client)
        self._calls = HandlerCalls()
        self.call_accepted = CallEvent("a call that was accepted by its toast", self._calls)
        self.call_declined = CallEvent("a call that was declined by its toast", self._calls)
        self.call_opened = CallEvent("a call whose toast was clicked", self._calls)
        self.answer_failed = CallEvent("a call that could not be answered", self._calls)
        self._under_way: set[CallClick] = set()
        self._tasks: TaskGroup | None = None
        self._block: AbstractAsyncContextManager[None] | None = None

    async def __aenter__(self) -> Self:
        if self._block is not None:
            raise IllegalCall("the block of these CallToasts was entered before: make others")
        self._block = _living(self)
        await self._block.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._block is not None  # noqa: S101  # it was entered
        return await self._block.__aexit__(kind, error, trace)

    @property
    def is_answering(self) -> bool:
        """Whether an answer that the user has given by a toast is under way: a program that ends itself waits for that."""
        return bool(self._under_way)

    async def handle_click(self, args: ToastNotificationActivatedEventArgs) -> bool:
        """Do what a click asks for; for an app that has its clicks by :func:`tocsin.get_activated_event_args`.

        It returns when that is done, or cannot be done; what has come of it is told by the events.

        :return: whether it was a click on the toast of a call.
        :raises IllegalCall: the block has not begun, or is left.
        """
        if self._tasks is None:
            raise IllegalCall("clicks are handled in the block of the CallToasts")
        click = click_on(args)
        if click is None:
            return False
        if not self._under_way & {click, *(CallClick(click.call_id, action) for action in _ANSWERS)}:
            self._under_way.add(click)
            answered = anyio.Event()
            self._tasks.start_soon(self._answer_then, click, answered, name="an answer to a call")
            await answered.wait()
        return True

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Show calls and take clicks while the block runs; ``async with`` the object itself does it."""
        async with task_group() as tasks:
            self._tasks = tasks
            self._calls.start(tasks)
            try:
                async with self._shown.following():
                    await self._shown.surely("calls cannot be answered by their toasts", self._take_clicks)
                    yield
            finally:
                self._tasks = None
                self._toasts.remove_activated()
            with anyio.move_on_after(LEAVING, shield=True):
                await self._calls.done()
            self._calls.end()
            tasks.cancel_scope.cancel()

    async def _take_clicks(self) -> None:
        await self._toasts.on_activated(self._clicked)

    async def _clicked(self, args: ToastNotificationActivatedEventArgs) -> None:
        if self._tasks is not None and not await self.handle_click(args) and self._other_clicks is not None:
            result = self._other_clicks(args)
            if is_awaitable(result):
                await result

    async def _answer_then(self, click: CallClick, answered: anyio.Event) -> None:
        try:
            await self._answer(click)
        finally:
            self._under_way.discard(click)
            answered.set()

    async def _answer(self, click: CallClick) -> None:
        until = anyio.current_time() + self._ring_time
        try:
            while True:
                try:
                    await self._act(click.action, await self._find(click.call_id, until))
                except (TimedOut, PlatformUnavailable) as error:
                    if anyio.current_time() >= until:
                        raise
                    logger.info("a click (%s) on the toast of a call is tried again: %s", click.action, error)
                else:
                    return
                await anyio.sleep(PAUSE)
        except PushError as error:
            logger.warning("a click (%s) on the toast of a call came to nothing: %s", click.action, error)
            self.answer_failed.emit(AnswerFailedEventArgs(click.call_id, click.action, error))
            self._shown.show_again(click.call_id)

    async def _act(self, action: CallAction, incoming: IncomingCall) -> None:
        match action:
            case CallAction.ACCEPT:
                call = await incoming.accept(self._accept_options)
                self.call_accepted.emit(CallAcceptedEventArgs(incoming, call))
            case CallAction.DECLINE:
                await incoming.reject()
                self.call_declined.emit(CallDeclinedEventArgs(incoming))
            case CallAction.OPEN:
                self.call_opened.emit(CallOpenedEventArgs(incoming))
                self._shown.show_again(incoming.id)

    async def _find(self, call_id: str, until: float) -> IncomingCall:
        """Return a call that rings; in a process that the click has started, that waits for the agent and its connection.

        :raises PushError: as of ``agent.attend_call``.
        :raises TimedOut: that moment has come.
        """
        with anyio.move_on_after(until - anyio.current_time()):
            agent = await self._client.wait_for_call_agent()
            return await agent.attend_call(call_id)
        raise TimedOut("the calling service could not be asked for the call within the time that it may ring")


@apart
@asynccontextmanager
async def _living(toasts: CallToasts) -> AsyncIterator[None]:
    """Let it live in a task of its own, so that what was shown is removed however the block is cancelled."""
    async with toasts.running():
        yield
