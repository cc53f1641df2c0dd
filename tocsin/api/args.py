"""What a handler gets: one payload, and the say in what becomes of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import anyio

from tocsin.api.attached import token_of
from tocsin.api.deferral import Deferral
from tocsin.protocol.arguments import check_callable
from tocsin.protocol.delivery.plain_rows import (
    PlainRow,
    attempt_of,
    body_of,
    expires_of,
    id_of,
    label_of,
    received_of,
    sequence_of,
    type_of,
)
from tocsin.protocol.errors import IllegalCall, UnreadableContent
from tocsin.protocol.platform.activation import CancellationReason
from tocsin.protocol.toast_label import ToastLabel
from tocsin.protocol.values import NotificationType

CanceledHandler = Callable[[CancellationReason], Awaitable[Any] | Any]
"""What is called when the work on a payload is cancelled: sync or async."""

_LATEST = datetime.max.replace(tzinfo=UTC, microsecond=0).timestamp()
"""The last moment that a date can be; a service may name any number."""


class PushNotificationReceivedEventArgs:
    """A payload that has arrived (WinRT class of the same name).

    Example::

        def on_push(args: tocsin.PushNotificationReceivedEventArgs) -> None:
            print(args.json()["subject"], "came at", args.received_at)
            args.handled = True
    """

    # What most payloads never have stands here once, and not in each of them. There is one for each payload: it is made
    # without arguments, and its receiver sets what it needs, which takes a third of the time.
    _delivery: PlainRow
    _background = False
    _handled: bool | None = None
    _ended = False
    _cancellation: CancellationReason | None = None
    _canceled: tuple[tuple[int, CanceledHandler], ...] = ()
    """Each with its token."""
    _tokens = 0
    """How many were given."""
    _handler: object = None
    """The handler that is being called."""
    _failure = ""
    """What the last handler that failed has raised, in words."""
    _deferrals: dict[Deferral, object] | None = None
    """Those that are open, each with the handler that has taken it."""
    _taken: Callable[[], None] | None = None
    """Called when a deferral is taken."""
    _call: Callable[[CanceledHandler], None] | None = None
    _completed: anyio.Event | None = None

    @property
    def payload(self) -> bytes:
        """The bytes as they were sent, 5,000 at most."""
        return body_of(self._delivery)

    @property
    def text(self) -> str:
        """The payload as text.

        :raises UnreadableContent: it is no UTF-8; the text says where, and shows nothing else of it.
        """
        body = body_of(self._delivery)
        try:
            return body.decode()
        except UnicodeDecodeError as wrong:
            raise UnreadableContent(
                f"the payload of {self._what} is no text: byte {wrong.start + 1}, 0x{body[wrong.start]:02X}, is no UTF-8;"
                " its bytes are in args.payload"
            ) from None

    def json(self) -> Any:
        """Read the payload as JSON, and return what that says.

        :raises UnreadableContent: it is none, or no UTF-8; the text says where, and shows nothing else of it.
        """
        text = self.text
        try:
            return json.loads(text)
        except json.JSONDecodeError as wrong:
            where = f"{wrong.msg} in line {wrong.lineno}, column {wrong.colno}" if text else "it is empty"
        except (ValueError, RecursionError) as wrong:  # a number of thousands of digits, or thousands of brackets
            where = (
                "it is nested too deeply" if isinstance(wrong, RecursionError) else "it has a number that is too long"
            )
        raise UnreadableContent(f"the payload of {self._what} is no JSON: {where}")

    @property
    def _what(self) -> str:
        return f"{len(body_of(self._delivery))} bytes of type {type_of(self._delivery)}"

    @property
    def id(self) -> str:
        """The message id that the service gave, as the sender saw it in ``X-WNS-Msg-ID``."""
        return id_of(self._delivery)

    @property
    def type(self) -> NotificationType:
        """What kind of notification it is."""
        return NotificationType(type_of(self._delivery))

    @property
    def tag(self) -> str:
        """What its sender calls a toast or tile, to replace or remove it (``X-WNS-Tag``); empty where there is none."""
        return ToastLabel.read(label_of(self._delivery)).tag

    @property
    def group(self) -> str:
        """The group of its tag (``X-WNS-Group``); empty where there is none."""
        return ToastLabel.read(label_of(self._delivery)).group

    @property
    def received_at(self) -> datetime | None:
        """When this device took it in, by its own clock, in UTC: at first, or when a dead letter was retried.

        None where an earlier version of Tocsin did.
        """
        seconds = received_of(self._delivery)
        return None if seconds is None else moment(seconds)

    @property
    def expires_at(self) -> datetime | None:
        """When it is of no use any more, by the clock of the push service, in UTC; None where its sender has set no ``X-WNS-TTL``.

        A handler that is called later than that gets it all the same if it was on its way by then.
        """
        seconds = expires_of(self._delivery)
        return None if seconds is None else moment(seconds)

    @property
    def attempt(self) -> int:
        """How often it was handed out, this time included: above 1, an earlier handler may have seen it."""
        return attempt_of(self._delivery)

    @property
    def handled(self) -> bool:
        """Whether the app is done with it: false until a handler says so. In the foreground only.

        :raises IllegalCall: background work has no say in it: it handles the payload by ending (E_ILLEGAL_METHOD_CALL).
        """
        self._foreground_only()
        return bool(self._handled)

    @handled.setter
    def handled(self, value: bool) -> None:
        if self._background:
            self._foreground_only()
        self._handled = bool(value)

    @property
    def cancellation(self) -> CancellationReason | None:
        """Why the work was cancelled; None while it was not."""
        return self._cancellation

    def get_deferral(self) -> Deferral:
        """Keep the work open after the handler has returned, until the deferral is completed; there may be several.

        The work's budget of 30 seconds is not extended. Take it before the first await. A handler that fails ends those
        that it has taken.

        :raises IllegalCall: the work on this payload has ended.
        """
        if self._ended:
            raise IllegalCall("the work on this payload has ended: take a deferral before the handler returns")
        deferral = Deferral(self._complete, sys._getframe(1))  # noqa: SLF001  # inspect takes a hundred times as long
        if self._deferrals is None:
            self._deferrals = {}
        self._deferrals[deferral] = self._handler
        if self._taken is not None:
            self._taken()
        return deferral

    def canceled(self, handler: CanceledHandler) -> int:
        """Call the handler, with the reason, when the work is cancelled; return the token to remove it by.

        The work is cut off 5 seconds after that. A handler that is attached late, when the work was cancelled, is called
        soon. What a handler raises is logged.

        :raises InvalidArgument: the handler cannot be called.
        """
        check_callable(handler, "a handler")
        self._tokens += 1
        self._canceled += ((self._tokens, handler),)
        if self._call is not None:
            self._call(handler)
        return self._tokens

    def remove_canceled(self, handler: int | CanceledHandler) -> None:
        """Remove a handler, by its token or by itself; of one that is attached more than once, the latest.

        One that was called already, since the work is cancelled, can be removed too; it runs on.

        :raises InvalidArgument: it is neither a token nor a handler.
        :raises NotFound: it is not attached.
        """
        token = token_of(handler, self._canceled, "these args")
        self._canceled = tuple(each for each in self._canceled if each[0] != token)

    def _cancel(self, reason: CancellationReason, call: Callable[[CanceledHandler], None]) -> None:
        """Call all ``canceled`` handlers, and those attached from now on."""
        self._cancellation, self._call = reason, call
        for _, handler in self._canceled:
            call(handler)

    @property
    def undecided(self) -> bool:
        """Whether no handler has set ``handled`` yet, either way."""
        return self._handled is None

    @property
    def _sequence(self) -> int:
        return sequence_of(self._delivery)

    def _foreground_only(self) -> None:
        if self._background:
            raise IllegalCall("Background activation cannot call this.")

    def _when_completed(self) -> anyio.Event | None:
        """Return an event that is set once no deferral is open, or None where none is open now."""
        self._completed = anyio.Event() if self._deferrals else None
        return self._completed

    def _give_up(self, deferrals: Iterable[Deferral]) -> None:
        """Stop waiting for these deferrals."""
        for deferral in deferrals:
            self._complete(deferral)

    def _complete(self, deferral: Deferral) -> None:
        if self._deferrals is not None:
            self._deferrals.pop(deferral, None)
        if not self._deferrals and self._completed is not None:
            self._completed.set()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.type} {len(self.payload)} bytes, attempt {self.attempt}>"


def moment(seconds: float) -> datetime:
    """Return seconds since the epoch as a date in UTC; as the first or last of all, where there is none for such a number."""
    return datetime.fromtimestamp(min(max(seconds, 0.0), _LATEST), UTC)
