"""Clicks on the app's toasts: how they reach its handler, or the program that was started for one."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Any, Final

import anyio
from attrs import define, field, frozen

from tocsin.api.callbacks import is_awaitable
from tocsin.api.questions import Questions
from tocsin.protocol import messages as m
from tocsin.protocol.arguments import check_callable
from tocsin.protocol.errors import TimedOut
from tocsin.protocol.text import MAX_DETAIL, describe_error, harmless
from tocsin.protocol.toasts.toast_arguments import ToastArguments

CLICK_TIMEOUT: Final = 2.0
"""Seconds that the program which was started for a click waits for it, from when it asks."""

REMEMBERED: Final = 256
"""Clicks that are over and known again, the newest: one whose end the agent has not heard comes once more."""

_LEFT = "the app has left while its handler was running"


@frozen
class ToastNotificationActivatedEventArgs:
    """A toast of the app was clicked: on itself, or on one of its buttons (``AppNotificationActivatedEventArgs``)."""

    argument: str
    """What the toast, or the button, has as its ``arguments``; for ``PROTOCOL`` the link."""
    user_input: Mapping[str, str] = field(repr=False)
    """What the user has typed or chosen, by the id of the input."""
    activation_type: m.ToastActivationType
    tag: str
    group: str
    id: int
    """The id of the toast."""
    attempt: int
    """How often the click was handed out, this time included: above 1, an earlier process of the app may have seen it."""

    @property
    def arguments(self) -> ToastArguments:
        """The argument read as pairs of names and values, as ``ToastContentBuilder.add_argument`` writes them; made anew each time."""
        return ToastArguments.parse(self.argument)


ToastActivatedHandler = Callable[[ToastNotificationActivatedEventArgs], Awaitable[Any] | Any]
"""What is called for each click: sync or async, for as long as it likes."""


class _State(Enum):
    KEPT = auto()
    """Neither a handler nor the program has it."""
    BEGUN = auto()
    OVER = auto()


@define(eq=False)
class _Click:
    """A click in this process."""

    number: int
    attempt: int
    args: ToastNotificationActivatedEventArgs
    state: _State = _State.KEPT
    failure: str = ""


class LaunchedClick:
    """The click that the agent has launched this process for.

    It goes to what asks first: :func:`get_activated_event_args`, with which it is done, or a handler that is registered.
    """

    def __init__(self, questions: Questions, claim: str) -> None:
        self._questions = questions
        self._claim = claim
        self._asking = anyio.Lock()
        self._arrived = anyio.Event()
        self._click: _Click | None = None
        self.is_asked = False
        """Whether the program waits for it now."""

    @property
    def has_arrived(self) -> bool:
        """Whether it is known."""
        return self._click is not None

    def show(self, click: _Click) -> None:
        """Take the first click of this process: it is the one that it was started for."""
        self._click = click
        self._arrived.set()

    async def wait(self) -> _Click:
        """Claim it where that was not done, and return it.

        :raises TimedOut: it did not come within ``CLICK_TIMEOUT``, or is not waiting any more.
        """
        async with self._asking:
            if self._click is None:
                self.is_asked = True
                try:
                    await self._ask()
                finally:
                    self.is_asked = False
        assert self._click is not None  # noqa: S101  # it was asked for, and has arrived
        return self._click

    async def _ask(self) -> None:
        number = self._questions.number()
        try:
            with anyio.fail_after(CLICK_TIMEOUT):
                await self._questions.ask(m.ClaimPayload(number, self._claim), number)
                await self._arrived.wait()
        except TimeoutError as late:
            if self._click is not None:  # a handler has it
                return
            text = str(late) if isinstance(late, TimedOut) else f"no click came within {CLICK_TIMEOUT:g} s"
            raise TimedOut(text) from None


class ToastClicks:
    """The clicks of one session.

    :param say: tells the platform something.
    :param call: calls a function in a task of its own.
    """

    def __init__(self, questions: Questions, say: Callable[[m.Message], None], call: Callable[..., None]) -> None:
        self._questions, self._say, self._call = questions, say, call
        self._handler: ToastActivatedHandler | None = None
        self._command = b""
        self._clicks: dict[int, _Click] = {}
        self._over: deque[int] = deque()
        self.launched: LaunchedClick | None = None
        """The click that this process was launched for; None where it was not launched for one."""

    async def register(self, handler: ToastActivatedHandler, command: bytes = b"") -> None:
        """Have the handler called for each click from now on, and for those that wait; one of before is called no more.

        Each call has a task of its own; they begin in the order of the clicks. A click is done when its handler has ended,
        whether or not it has failed.

        :param command: what starts the app for a click where no process of it takes them, packed; empty where nothing can.
        :raises InvalidArgument: the handler cannot be called.
        :raises PushError: the platform does not take it; the handler from before stays.
        """
        check_callable(handler, "a handler")
        number = self._questions.number()

        def install() -> None:
            self._handler, self._command = handler, command
            for click in self._clicks.values():
                self._begin(click)

        # The handler comes not before the platform has agreed, and not after: a click may come right behind its answer.
        await self._questions.ask(m.TakeActivations(number, command), number, install)

    def unregister(self) -> None:
        """Call the handler no more: clicks wait for another process, or start one; calls that run go on."""
        if self._handler is not None:
            self._handler = None
            self._say(m.LeaveActivations())

    def resume(self) -> None:
        """Tell a shell again that has forgotten it who takes clicks."""
        if self._handler is not None:
            self._say(m.TakeActivations(self._questions.number(), self._command))

    def receive(self, message: m.ToastActivated) -> None:
        """Take a click; one that is known already is not handled again."""
        if message.request:
            self._questions.answered(m.Done(message.request))  # the click is the answer
        click = self._clicks.get(message.number)
        if click is not None:
            click.attempt = message.attempt
            if click.state is _State.OVER:
                self._tell_end(click)
            return
        click = self._clicks[message.number] = _Click(message.number, message.attempt, _args_of(message))
        if self.launched is not None and not self.launched.has_arrived:
            self.launched.show(click)
            if self.launched.is_asked:
                return
        self._begin(click)

    async def launched_for(self) -> ToastNotificationActivatedEventArgs:
        """Return the click that has launched this process; it is done with that, unless a handler has it.

        :raises TimedOut: it did not come within ``CLICK_TIMEOUT``, or is not waiting any more.
        """
        assert self.launched is not None  # noqa: S101  # it was asked for where there is one
        click = await self.launched.wait()
        if click.state is _State.KEPT:
            self._end(click)
        return click.args

    def close(self) -> None:
        """Let what handlers have begun with be done: the app has left, and no other process is to begin with it again."""
        for click in list(self._clicks.values()):
            if click.state is _State.BEGUN:
                self._end(click, _LEFT)

    def _begin(self, click: _Click) -> None:
        if self._handler is not None and click.state is _State.KEPT:
            click.state = _State.BEGUN
            self._call("a handler of clicks on toasts", self._run, self._handler, click)

    async def _run(self, handler: ToastActivatedHandler, click: _Click) -> None:
        failure = "its handler was cancelled"
        try:
            result = handler(click.args)
            if is_awaitable(result):
                await result
            failure = ""
        except Exception as error:
            failure = harmless(describe_error(error), MAX_DETAIL)
            raise
        finally:
            if click.state is _State.BEGUN:  # else the app has left
                self._end(click, failure)

    def _end(self, click: _Click, failure: str = "") -> None:
        click.state, click.failure = _State.OVER, failure
        self._over.append(click.number)
        if len(self._over) > REMEMBERED:
            del self._clicks[self._over.popleft()]
        self._tell_end(click)

    def _tell_end(self, click: _Click) -> None:
        self._say(m.ActivationDone(click.number, click.attempt, click.failure))


def _args_of(message: m.ToastActivated) -> ToastNotificationActivatedEventArgs:
    inputs = MappingProxyType(dict(message.inputs))
    return ToastNotificationActivatedEventArgs(
        message.argument, inputs, message.kind, message.tag, message.group, message.toast, message.attempt
    )
