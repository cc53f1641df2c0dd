"""Runs an app's handlers: the payloads of one channel one after the other, in order.

What a sender of Web Push sends to is in ``tocsin.protocol.webpush.subscription``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from types import CoroutineType
from typing import Any

import anyio

from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.api.attached import token_of
from tocsin.api.callbacks import (
    InDoubt,
    is_awaitable,
    is_cancelled,
    log_failure,
    program_end,
)
from tocsin.api.outcomes import OutcomeReports
from tocsin.api.workers import Workers
from tocsin.protocol.delivery.payload_life import ended_by_failure
from tocsin.protocol.delivery.plain_rows import PlainRow, attempt_of, sequence_of
from tocsin.protocol.messages import OutcomeRow
from tocsin.protocol.platform.activation import CancellationReason
from tocsin.protocol.text import describe_error, encodable
from tocsin.protocol.values import Outcome

logger = logging.getLogger(__name__)

PushHandler = Callable[[PushNotificationReceivedEventArgs], Awaitable[Any] | Any]
"""What an app attaches to a channel: sync or async; what it returns is not looked at."""


# Members that every payload meets: up to Python 3.11 looking one up in its class costs as much as a table step.
_RETURNED, _HANDLED, _REFUSED = Outcome.GIVEN_BACK, Outcome.HANDLED, Outcome.NOT_HANDLED
_FAILED, _GIVEN_BACK = Outcome.HANDLER_FAILED, (Outcome.GIVEN_BACK, "")
_ITSELF = "CancelledError: the task that the handler runs in was cancelled by the app"


class Abandoned(Exception):
    """A handler gives its payload back: it waits for the next handler."""


class Subscription:
    """The handlers of one channel, or of an app's background work, and the payloads that wait for them.

    The router's window, and the supervisor's "one at a time", bound their number. There is one for each channel, so that
    it has no more than it needs: a list of those that wait is shorter than a queue, while none do.
    """

    __slots__ = (
        "_answered", "_background", "_busy", "_closing", "_kept", "_outcomes", "_running", "_scope", "_silent", "_waiting",
        "_workers", "handlers", "name",
    )  # fmt: skip

    def __init__(self, name: str, outcomes: OutcomeReports, workers: Workers, *, background: bool = False) -> None:
        self.name = name
        self.handlers: tuple[tuple[int, PushHandler], ...] = ()
        """Each with the token that it was attached by; it is replaced and never changed, as it may be gone through just now."""
        self._outcomes = outcomes
        self._workers = workers
        self._background = background
        self._waiting: list[PlainRow] = []
        self._silent = (Outcome.HANDLED if background else Outcome.NOT_HANDLED, "")
        self._running: PushNotificationReceivedEventArgs | None = None
        self._answered = False
        self._kept = (
            0  # what goes on as its next attempt, if it comes again; negative where it has been handled meanwhile
        )
        self._scope: anyio.CancelScope | None = None
        self._busy = False  # whether a worker is with it or will come
        self._closing = False

    def attach(self, token: int, handler: PushHandler) -> None:
        """Call a handler for each payload, behind those that are attached."""
        self.handlers += ((token, handler),)

    def detach(self, handler: int | PushHandler) -> None:
        """Call a handler no more, named by its token or by itself.

        :raises InvalidArgument: it is neither.
        :raises NotFound: it is not attached.
        """
        token = token_of(handler, self.handlers, "this channel")
        self.handlers = tuple(each for each in self.handlers if each[0] != token)

    def replace(self, handler: PushHandler) -> None:
        """Call this handler only."""
        self.handlers = ((0, handler),)

    def offer(self, deliveries: Sequence[PlainRow]) -> None:
        """Take payloads; without a handler, they go back at once."""
        if self._waiting or self._running is not None or self._kept:
            deliveries = [row for row in deliveries if attempt_of(row) == 1 or not self._takes_up(row)]
        self._waiting.extend(deliveries)
        if self._closing or not self.handlers:
            self.give_back()
        else:
            self._call_worker()

    def give_back(self) -> None:
        """Return all payloads that no handler has begun with."""
        while self._waiting:
            sequence, _, _, _, attempt, _, _, _, _ = self._waiting.pop(0)
            self._outcomes.note(OutcomeRow(sequence, Outcome.GIVEN_BACK, "", attempt))

    def keep_running(self) -> None:
        """Forget what waits, as it comes again; what is being handled goes on, and is taken for its next attempt."""
        self._waiting.clear()
        self._kept = 0 if self._running is None else self._running._sequence

    @property
    def kept(self) -> int:
        """The payload that goes on as its next attempt when it comes again; 0 where none does."""
        return abs(self._kept)

    def begin_anew(self) -> None:
        """Give everything back, also what is being handled: the supervisor lost its deadline, and offers it anew."""
        self.give_back()
        if self._running is not None and self._running._sequence != self._kept:  # else it is the agent's before
            self._cut_off(self._running, Outcome.GIVEN_BACK, "")

    def _takes_up(self, row: PlainRow) -> bool:
        """Let a payload that comes again take the place of its earlier attempt; tell whether that goes on as this one."""
        sequence, running = sequence_of(row), self._running
        if sequence == -self._kept:
            self._outcomes.handled(sequence, attempt_of(row))
            self._outcomes.tell_soon()
        elif running is not None and sequence == self._kept == running._sequence:
            running._delivery = row
        else:
            self._drop(sequence)
            return False
        self._kept = 0
        return True

    def _drop(self, sequence: int) -> None:
        """Forget an earlier attempt at a payload that comes again."""
        if sequence in map(sequence_of, self._waiting):
            self._waiting = [row for row in self._waiting if sequence_of(row) != sequence]
        if self._running is not None and self._running._sequence == sequence:
            self._cut_off(self._running, Outcome.GIVEN_BACK, "")

    def _cut_off(self, args: PushNotificationReceivedEventArgs, outcome: Outcome, detail: str) -> None:
        if not self._answered:
            self._answered = True
            self._outcomes.note(OutcomeRow(args._sequence, outcome, detail, args.attempt))
            if self._scope is not None:
                self._scope.cancel()

    def cancel(self, sequence: int | None, reason: CancellationReason) -> None:
        """Raise ``canceled`` for the payload that is being handled, if it is that one; None means any."""
        args = self._running
        if args is None:
            return
        if sequence is not None and args._sequence == self._kept != sequence:
            self._free_for(sequence, args, reason)
        elif sequence in {None, args._sequence} and args.cancellation is None:
            self._tell(args, reason)

    def _free_for(self, sequence: int, args: PushNotificationReceivedEventArgs, reason: CancellationReason) -> None:
        """Let a payload come again whose time has gone by behind work of before the agent was away, which has not come again.

        That work may never come again, as it has expired or another process has it, and no agent would ever end it: it is
        told the first time, and cut off the second.
        """
        rows = [row for row in self._waiting if sequence_of(row) == sequence]
        if not rows:
            return
        if args.cancellation is None:
            self._tell(args, reason)
        else:
            self._cut_off(args, Outcome.GIVEN_BACK, "")
        self._waiting.remove(rows[0])
        self._outcomes.note(OutcomeRow(sequence, Outcome.GIVEN_BACK, "", attempt_of(rows[0])))

    def _tell(self, args: PushNotificationReceivedEventArgs, reason: CancellationReason) -> None:
        what = f"the canceled handler of {self._what(args)}"
        args._cancel(reason, lambda handler: self._workers.call(what, handler, reason))

    def abort(self, sequence: int) -> None:
        """Cut off the handler of that payload, and answer at once with what it left open; it may not have begun behind another."""
        args = self._running
        if args is None or self._answered or args._sequence != sequence:
            self._abort_waiting(sequence)
        else:
            outcome, detail = (
                (_FAILED, f"{args._failure}; {_leaks(args)}") if args._failure else (_REFUSED, _leaks(args))
            )
            logger.warning("payload %s of %s was cut off: %s", args.id, self.name, detail)
            self._cut_off(args, outcome, encodable(detail))

    def _abort_waiting(self, sequence: int) -> None:
        """Answer for a payload that stands behind a handler: one that goes on although it was cut off, or the next to end."""
        for row in self._waiting:
            if sequence_of(row) == sequence:
                self._drop(sequence)
                before = "another" if self._running is None else f"payload {self._running.id}"
                detail = f"the handler of {before} goes on{', though cut off' if self._answered else ''}"
                self._outcomes.note(OutcomeRow(sequence, Outcome.NOT_HANDLED, detail, attempt_of(row)))
                break

    def close(self) -> None:
        """Begin with no other payload; the handler that runs is told, and comes to its end."""
        self._closing = True
        self.give_back()
        self.cancel(None, CancellationReason.TERMINATING)

    async def do(self, scope: anyio.CancelScope, requests: Callable[[], int]) -> None:
        """Handle the payloads that wait; one that is cut off by cancellation is returned."""
        self._scope, self._answered = scope, False
        try:
            await self._handle_what_waits(requests)
        finally:
            self._scope = None
            self._busy = False
            if self._waiting:  # one was cut off, and these stood behind it
                self._call_worker()

    def _call_worker(self) -> None:
        if not self._busy:
            self._busy = True
            self._workers.enqueue(self)

    async def _handle_what_waits(  # noqa: C901, PLR0912  # every payload comes through here, and a call more costs as much as a step
        self, requests: Callable[[], int]
    ) -> None:
        """Handle one payload after the other, and report each; ``handled`` is read when its deferrals are completed.

        Every handler is called, in the order of attachment; background work handles a payload by ending.
        """
        while self._waiting and not self._answered:
            delivery = self._waiting.pop(0)
            if self._outcomes.is_untold:  # this handler may have to wait
                self._outcomes.tell_soon()
            args = self._running = PushNotificationReceivedEventArgs()
            args._delivery = delivery
            args._background = self._background
            outcome, detail, doubt = _RETURNED, "", ""
            try:
                result = self._silent
                for _, handler in self.handlers:
                    args._handler = handler
                    try:
                        returned = handler(args)
                        if returned is not None and (type(returned) is CoroutineType or is_awaitable(returned)):
                            await returned
                    except Abandoned:
                        result = _GIVEN_BACK
                        break
                    except BaseException as error:  # noqa: BLE001  # the program's own end is raised again
                        result = self._judge(args, error, requests)
                if args._deferrals or requests():
                    await self._come_to_an_end(args, requests, result)
                outcome, detail = result
            except InDoubt as reason:
                doubt = str(reason)
                raise
            finally:
                self._running = None
                args._ended = True  # no further deferral may be taken
                if not self._answered:
                    if outcome is _HANDLED or (args._handled and outcome is not _RETURNED):
                        sequence, _, _, _, attempt, _, _, _, _ = args._delivery
                        self._outcomes.handled(sequence, attempt)
                        if sequence == self._kept:
                            self._kept = -sequence
                    else:
                        self._report(args, outcome, detail, doubt)

    def _report(self, args: PushNotificationReceivedEventArgs, outcome: Outcome, detail: str, doubt: str) -> None:
        """Report what was not handled, or not for certain."""
        if doubt:
            outcome = _HANDLED if args._handled else _FAILED
            self._outcomes.in_doubt(self._what(args), OutcomeRow(args._sequence, outcome, doubt, args.attempt))
        else:
            self._outcomes.note(OutcomeRow(args._sequence, outcome, detail, args.attempt))

    @property
    def at_work(self) -> str:
        """Name the handler that is running, in words; empty where none is."""
        return "" if self._running is None else self._what(self._running)

    def _what(self, args: PushNotificationReceivedEventArgs) -> str:
        return f"a handler of {self.name} on payload {args.id}"

    def _judge(
        self, args: PushNotificationReceivedEventArgs, error: BaseException, requests: Callable[[], int]
    ) -> tuple[Outcome, str]:
        """Return the outcome of a payload whose handler has just raised something; the program's end is raised again.

        :raises InDoubt: it may be a cancellation that is not about this payload.
        """
        words = describe_error(error)
        if issubclass(type(error), Exception):
            pass
        elif (end := program_end(error)) is not None:
            # No word of it: it must not be handed out again before the end, but at the next start.
            self._answered = True
            raise end
        elif requests() or is_cancelled():
            raise InDoubt(words) from None
        elif args.cancellation is CancellationReason.TERMINATING and issubclass(type(error), asyncio.CancelledError):
            return _GIVEN_BACK  # it has let its work be cancelled because the app leaves
        log_failure(self._what(args), error)
        args._failure = words
        args._give_up(ended_by_failure(args._deferrals or {}, args._handler))
        return _FAILED, words

    async def _come_to_an_end(
        self, args: PushNotificationReceivedEventArgs, requests: Callable[[], int], result: tuple[Outcome, str]
    ) -> None:
        """Wait until no deferral is open.

        :raises InDoubt: the task was cancelled meanwhile, or before.
        """
        try:
            while (completed := args._when_completed()) is not None:
                await completed.wait()
        except anyio.get_cancelled_exc_class() as error:
            raise InDoubt(result[1] or describe_error(error)) from None
        if requests():
            raise InDoubt(result[1] or _ITSELF)


def _leaks(args: PushNotificationReceivedEventArgs) -> str:
    """Name the deferrals that keep the work open, or say that the handler has not returned."""
    creators = [deferral.creator for deferral in args._deferrals or ()]
    if not creators:
        return "the handler had not returned"
    return "; ".join(f"a deferral taken by {creator} was never completed" for creator in creators[:8])
