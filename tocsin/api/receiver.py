"""Runs an app's handlers: the payloads of one channel one after the other, in order."""

from __future__ import annotations

import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
from anyio.abc import TaskGroup

from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.protocol.activation import CancellationReason
from tocsin.protocol.messages import Delivery, Returned
from tocsin.protocol.values import Outcome

logger = logging.getLogger(__name__)

PushHandler = Callable[[PushNotificationReceivedEventArgs], Awaitable[Any] | Any]
"""What an app attaches to a channel: sync or async; what it returns is not looked at."""


MAX_DETAIL = 2_000
"""Characters that are told of what went wrong with a payload at most."""


class Abandoned(Exception):
    """A handler gives its payload back: it waits for the next handler."""


class Receiver:
    """The handlers of one channel, or of an app's background work, and the payloads that wait for them.

    The router's window, and the supervisor's "one at a time", bound their number.
    """

    def __init__(
        self, name: str, report: Callable[[Returned], None], tasks: TaskGroup, *, background: bool = False
    ) -> None:
        self.name = name
        self.handlers: dict[int, PushHandler] = {}
        self._report = report
        self._tasks = tasks
        self._background = background
        self._waiting: deque[Delivery] = deque()
        self._running: _Work | None = None
        self._arrived = anyio.Event()
        self._closing = False

    def offer(self, deliveries: Sequence[Delivery]) -> None:
        """Take payloads; with nobody to handle them, they go back at once."""
        self._waiting.extend(deliveries)
        if self._closing or not self.handlers:
            self.give_back()
        else:
            self._arrived.set()

    def give_back(self) -> None:
        """Return all payloads that no handler has begun with."""
        while self._waiting:
            delivery = self._waiting.popleft()
            self._report(Returned(delivery.sequence, Outcome.RETURNED, "", delivery.attempt))

    def cancel(self, sequence: int | None, reason: CancellationReason) -> None:
        """Raise ``canceled`` for the payload that is being handled, if it is that one; None means any."""
        work = self._running
        if work is None or sequence not in {None, work.delivery.sequence} or work.args.cancellation is not None:
            return
        for result in work.raise_canceled(reason):
            self._tasks.start_soon(_wait_for, result, name=f"canceled handler of {self.name}")

    def abort(self, sequence: int) -> None:
        """Cut off the handler of that payload, and answer at once with what it left open."""
        work = self._running
        if work is not None and work.delivery.sequence == sequence and not work.answered:
            work.answered = True
            detail = work.leaks()
            logger.warning("payload %s of %s was cut off: %s", work.args.id, self.name, detail)
            self._report(Returned(sequence, Outcome.NOT_HANDLED, detail, work.delivery.attempt))
            work.scope.cancel()

    def close(self) -> None:
        """Begin with no other payload; the handler that runs is told, and comes to its end."""
        self._closing = True
        self.give_back()
        self.cancel(None, CancellationReason.TERMINATING)
        self._arrived.set()

    async def run(self) -> None:
        """Handle payloads until closed; one that is cut off by cancellation is returned."""
        while not self._closing:
            # One scope for as long as nothing is cut off, rather than one for each payload.
            with anyio.CancelScope() as scope:
                while not self._closing:
                    while self._waiting:
                        await self._handle(self._waiting.popleft(), scope)
                    if not self._closing:
                        self._arrived = anyio.Event()
                        await self._arrived.wait()

    async def _handle(self, delivery: Delivery, scope: anyio.CancelScope) -> None:
        work = self._running = _Work(delivery, scope, background=self._background)
        outcome, detail = Outcome.RETURNED, ""
        try:
            result = await self._call_handlers(work.args)
            await work.deferrals_completed()
            outcome, detail = result
        finally:
            self._running = None
            work.end()
            if not work.answered:
                final = self._final(work.args, outcome)
                self._report(Returned(delivery.sequence, final, detail, delivery.attempt))

    async def _call_handlers(self, args: PushNotificationReceivedEventArgs) -> tuple[Outcome, str]:
        """Call every handler in the order of attachment."""
        failure = ""
        for handler in list(self.handlers.values()):
            try:
                result = handler(args)
                if inspect.isawaitable(result):
                    await result
            except Abandoned:
                return Outcome.RETURNED, ""
            except Exception as error:
                logger.exception("a handler of %s failed on payload %s", self.name, args.id)
                failure = f"{type(error).__name__}: {error}"[:MAX_DETAIL]
        return (Outcome.HANDLER_FAILED, failure) if failure else (Outcome.NOT_HANDLED, "")

    def _final(self, args: PushNotificationReceivedEventArgs, outcome: Outcome) -> Outcome:
        """Read ``handled`` when handlers and deferrals are through; background work handles by ending."""
        if outcome is Outcome.RETURNED:
            return outcome
        if self._background:
            return Outcome.HANDLED if outcome is Outcome.NOT_HANDLED else outcome
        return Outcome.HANDLED if args.handled else outcome


class _Work:
    """One payload while it is handled."""

    def __init__(self, delivery: Delivery, scope: anyio.CancelScope, *, background: bool) -> None:
        self.delivery = delivery
        self.scope = scope
        self.args = PushNotificationReceivedEventArgs(delivery, background=background)
        self.answered = False

    def raise_canceled(self, reason: CancellationReason) -> list[Awaitable[Any]]:
        """Call the handlers of ``canceled``, and return what the async ones have to be waited for."""
        self.args._cancellation = reason  # noqa: SLF001  # args show apps less than they hold
        results = []
        for handler in self.args._canceled:  # noqa: SLF001
            try:
                results.append(handler(reason))
            except Exception:
                logger.exception("a canceled handler failed on payload %s", self.args.id)
        return [result for result in results if inspect.isawaitable(result)]

    async def deferrals_completed(self) -> None:
        """Wait until no deferral is open."""
        while self.args._deferrals:  # noqa: SLF001
            self.args._completed = anyio.Event()  # noqa: SLF001
            await self.args._completed.wait()  # noqa: SLF001

    def leaks(self) -> str:
        """Name what keeps the work open."""
        creators = [deferral.creator for deferral in self.args._deferrals]  # noqa: SLF001
        if not creators:
            return "the handler had not returned"
        leaks = "; ".join(f"a deferral taken by {creator} was never completed" for creator in creators[:8])
        return leaks[:MAX_DETAIL]

    def end(self) -> None:
        """Let no further deferral be taken."""
        self.args._ended = True  # noqa: SLF001


async def _wait_for(result: Awaitable[Any]) -> None:
    try:
        await result
    except Exception:
        logger.exception("a canceled handler failed")
