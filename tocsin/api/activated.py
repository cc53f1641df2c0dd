"""Why this process was started, and the payload, or the click on a toast, that it was launched for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from enum import IntEnum, unique

import anyio
from attrs import frozen

from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.api.questions import Questions
from tocsin.api.subscription import Abandoned, Subscription
from tocsin.api.toast_activated import ToastClicks, ToastNotificationActivatedEventArgs
from tocsin.protocol import messages as m
from tocsin.protocol.delivery.plain_rows import PlainRow
from tocsin.protocol.errors import IllegalCall, TimedOut
from tocsin.protocol.messages import ToastActivationType
from tocsin.protocol.platform.launches import CLAIM_ARGUMENTS, LaunchPurpose

CLAIM_TIMEOUT = 2.0
"""Seconds that :func:`get_activated_event_args` waits for the payload, from its call on."""

MAX_CLAIM = 256
"""Characters of a claim at most; those of an agent have 32."""

_PROTOCOL_ARGUMENT = "----ms-protocol:"


@unique
class ExtendedActivationKind(IntEnum):
    """Why a process was started (enumeration of the same name of the Windows App SDK)."""

    LAUNCH = 0
    """A person, a service manager or another program has started it."""
    PROTOCOL = 4
    """A link was opened that the app is registered for."""
    TOAST_NOTIFICATION = 1010
    """A notification on the desktop was clicked."""
    PUSH = 5000
    """A push has arrived while the app was not running."""


@frozen
class ActivatedEventArgs:
    """Why this process was started."""

    kind: ExtendedActivationKind
    data: PushNotificationReceivedEventArgs | ToastNotificationActivatedEventArgs | tuple[str, ...]
    """For PUSH, the payload; for TOAST_NOTIFICATION, the click; else the arguments of the command line, for PROTOCOL the link
    alone."""


class LaunchedPayload:
    """The payload that the agent has launched this process for.

    It goes to what asks first: :func:`get_activated_event_args`, or a background handler that is registered. It has
    been handled when every deferral that was taken is completed, or, if none was taken, when the block is left.
    """

    def __init__(self, questions: Questions, subscribe: Callable[[str], Subscription], claim: str) -> None:
        self._questions = questions
        self._subscribe = subscribe
        self._claim = claim
        self._args: PushNotificationReceivedEventArgs | None = None
        self._arrived = anyio.Event()
        self._settled = anyio.Event()
        self._ended = anyio.Event()
        self._failed = False
        self._seen = False
        self._asking = anyio.Lock()
        self.subscription: Subscription | None = None
        """What waits for the program to be through with the payload."""

    async def args(self) -> PushNotificationReceivedEventArgs:
        """Claim the payload and return it; each call returns the same.

        :raises TimedOut: it did not come within ``CLAIM_TIMEOUT``, or is not waiting any more.
        """
        async with self._asking:
            if self._args is None:
                await self._ask()
        self._seen = True
        assert self._args is not None  # noqa: S101  # it was asked for, and has arrived
        return self._args

    async def _ask(self) -> None:
        number = self._questions.number()
        try:
            with anyio.fail_after(CLAIM_TIMEOUT):
                await self._questions.ask(m.ClaimPayload(number, self._claim), number)
                await self._arrived.wait()
        except TimeoutError as late:
            if self._args is not None:  # a handler has it
                return
            text = str(late) if isinstance(late, TimedOut) else f"no payload came within {CLAIM_TIMEOUT:g} s"
            raise TimedOut(text) from None

    def take(self, rows: Sequence[PlainRow]) -> None:
        """Hold the payload that was claimed, and let the program have it."""
        self.subscription = self._subscribe("the program that was launched")
        self.subscription.replace(self._hold)
        self.subscription.offer(rows)

    def note_handler_has(self, row: PlainRow) -> None:
        """Note that a background handler has the payload: get_activated_event_args may still show it."""
        if self._args is None:
            self._args = PushNotificationReceivedEventArgs()
            self._args._delivery, self._args._background, self._args._ended = row, True, True  # noqa: SLF001
            self._arrived.set()

    async def settle(self, *, failed: bool) -> None:
        """Note that the block is left; a payload without open deferrals comes to its end before this returns."""
        self._failed = failed or not self._seen
        self._settled.set()
        if self._args is not None and self.subscription is not None and not self._args._deferrals:  # noqa: SLF001
            await self._ended.wait()

    async def _hold(self, args: PushNotificationReceivedEventArgs) -> None:
        """Keep the payload, as its handler, while the program works on it."""
        args._taken = self._settled.set  # noqa: SLF001  # from the first deferral on, those decide
        self._args = args
        self._arrived.set()
        try:
            await self._settled.wait()
            if self._failed:
                raise Abandoned
        finally:
            self._ended.set()


@frozen
class LaunchedFor:
    """What a process was launched for: one of them, or nothing."""

    payload: LaunchedPayload | None = None
    clicks: ToastClicks | None = None
    """The clicks of its session, where one of them has launched it."""


LAUNCHED: ContextVar[LaunchedFor] = ContextVar("LAUNCHED", default=LaunchedFor())  # noqa: B039  # it is frozen
"""That of the ``connect()`` block that the running code stands in."""


def claim_in(arguments: Sequence[str], purpose: LaunchPurpose = LaunchPurpose.PUSH) -> str | None:
    """Return the claim among the arguments of a command line; None where there is none. One that is too long is none of ours."""
    prefix = CLAIM_ARGUMENTS[purpose]
    claims = [each.removeprefix(prefix) for each in arguments if each.startswith(prefix)]
    return claims[0][:MAX_CLAIM] if claims else None


async def get_activated_event_args() -> ActivatedEventArgs:
    """Return why this process was started; in one that a push, or a click on a toast, has launched, with that.

    It may be called before or after activators and handlers are registered, and returns the same each time. A click whose
    toast, or button, has the activation type ``PROTOCOL`` is of that kind, too.

    :raises IllegalCall: a push or a click has launched this process, and the call stands outside a :func:`tocsin.connect` block.
    :raises TimedOut: the payload, or the click, did not come within 2 s of the call, or was handled elsewhere meanwhile.
    """
    launched = LAUNCHED.get()
    if claim_in(sys.argv) is not None:
        if launched.payload is None:
            raise IllegalCall(
                "a push has launched this process: enter tocsin.connect() first, the payload comes through it"
            )
        return ActivatedEventArgs(ExtendedActivationKind.PUSH, await launched.payload.args())
    if claim_in(sys.argv, LaunchPurpose.TOAST) is not None:
        if launched.clicks is None:
            raise IllegalCall(
                "a click on a toast has launched this process: enter tocsin.connect() first, the click comes through it"
            )
        return _of_click(await launched.clicks.launched_for())
    for argument in sys.argv[1:]:
        if argument.startswith(_PROTOCOL_ARGUMENT):
            return ActivatedEventArgs(ExtendedActivationKind.PROTOCOL, (argument.removeprefix(_PROTOCOL_ARGUMENT),))
    return ActivatedEventArgs(ExtendedActivationKind.LAUNCH, tuple(sys.argv[1:]))


def _of_click(args: ToastNotificationActivatedEventArgs) -> ActivatedEventArgs:
    if args.activation_type == ToastActivationType.PROTOCOL:
        return ActivatedEventArgs(ExtendedActivationKind.PROTOCOL, (args.argument,))
    return ActivatedEventArgs(ExtendedActivationKind.TOAST_NOTIFICATION, args)
