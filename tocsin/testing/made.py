"""For the unit tests of an app's own handlers: args, clicks and channels that no platform has made."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from types import MappingProxyType

from tocsin.api.args import CanceledHandler, PushNotificationReceivedEventArgs
from tocsin.api.attached import token_of
from tocsin.api.channel import PushNotificationChannel
from tocsin.api.subscription import Abandoned, PushHandler
from tocsin.api.toast_activated import ToastNotificationActivatedEventArgs
from tocsin.protocol.arguments import EXACT, check_kind, check_text, check_within
from tocsin.protocol.errors import ChannelClosed, InvalidArgument
from tocsin.protocol.messages import PayloadRow, ToastActivationType
from tocsin.protocol.platform.activation import CancellationReason
from tocsin.protocol.text import quoted
from tocsin.protocol.toast_label import MAX_NAME, ToastLabel, is_name
from tocsin.protocol.toasts.toast_arguments import ToastArguments
from tocsin.protocol.values import MAX_PAYLOAD, WNS_TYPES, NotificationType, wns_type
from tocsin.tasks import task_group

_NAME = "c1"


class MadeArgs(PushNotificationReceivedEventArgs):
    """Args with what a test needs besides: to cancel the work, and to see whether it has ended."""

    def __init__(self, row: PayloadRow, *, background: bool) -> None:
        self._delivery = row
        self._background = background
        self._late: list[CanceledHandler] = []

    @property
    def open_deferrals(self) -> tuple[str, ...]:
        """The deferrals that were taken and not completed: function, file and line of each taker."""
        return tuple(deferral.creator for deferral in self._deferrals or ())

    async def cancel(self, reason: CancellationReason = CancellationReason.EXECUTION_TIME_EXCEEDED) -> None:
        """Cancel the work: all ``canceled`` handlers are called, and waited for. A second time changes nothing.

        What a handler raises is raised here, where the platform logs it. One that is attached later is called by
        :meth:`completed`.

        :raises InvalidArgument: it is no reason.
        """
        if not isinstance(reason, CancellationReason):
            raise InvalidArgument(f"a reason is a member of CancellationReason, not {quoted(reason)}")
        if self._cancellation is None:
            self._cancel(reason, self._late.append)
            await self._call_canceled()

    async def completed(self) -> None:
        """Wait until no deferral is open and all ``canceled`` handlers have ended: then the work has ended.

        A deferral that is never completed makes this wait for ever, as there are no 30 seconds here.
        """
        await self._call_canceled()
        while (completed := self._when_completed()) is not None:
            await completed.wait()
            await self._call_canceled()
        self._ended = True

    async def _call_canceled(self) -> None:
        """Call, all at once, the handlers whose turn has come, and those that they attach."""
        while self._late and self._cancellation is not None:
            handlers, self._late[:] = tuple(self._late), ()
            async with task_group() as tasks:
                for handler in handlers:
                    tasks.start_soon(_call, partial(handler, self._cancellation))


class MadeChannel(PushNotificationChannel):
    """A channel with what a test needs besides: to have its handlers called."""

    _session: _Holder

    async def push(self, args: MadeArgs) -> bool:
        """Call the handlers with a payload, in their order, and wait until it is completed; return whether it is handled.

        What a handler raises is raised here, where the platform makes the payload a dead letter.

        :raises ChannelClosed: the channel was closed.
        """
        if self._session.is_lost(_NAME):
            raise ChannelClosed("the channel was closed")
        for _, handler in self._session.handlers:
            try:
                await _call(partial(handler, args))
            except Abandoned:  # the loop over ``payloads()`` was left before the payload was handled
                break
        await args.completed()
        return args.handled


class _Holder:
    """Stands for the session of one channel."""

    def __init__(self) -> None:
        self.handlers: tuple[tuple[int, PushHandler], ...] = ()
        self._tokens = count(1)
        self._ends: dict[Callable[[], None], None] = {}
        self._lost = False

    def subscribe(self, _channel: str, handler: PushHandler) -> int:
        if self._lost:
            raise ChannelClosed("the channel is closed; request another")
        token = next(self._tokens)
        self.handlers += ((token, handler),)
        return token

    def unsubscribe(self, _channel: str, handler: int | PushHandler) -> None:
        token = token_of(handler, self.handlers, "this channel")
        self.handlers = tuple(each for each in self.handlers if each[0] != token)

    @contextmanager
    def ending_with(self, _channel: str, end: Callable[[], None]) -> Iterator[None]:
        self._ends[end] = None
        try:
            yield
        finally:
            self._ends.pop(end, None)

    def is_lost(self, _channel: str) -> bool:
        return self._lost

    async def close_channel(self, _channel: str) -> None:
        self._lost = True
        for end in tuple(self._ends):
            end()


def received(  # noqa: PLR0913  # each sets a property, by its name
    payload: bytes = b"",
    *,
    id: str = "A1B2C3D4E5F60718",  # noqa: A002  # the property that it sets
    type: NotificationType | str = NotificationType.RAW,  # noqa: A002  # as above
    attempt: int = 1,
    background: bool = False,
    tag: str = "",
    group: str = "",
    received_at: datetime | None = None,
    expires_at: datetime | None = None,
) -> MadeArgs:
    """Make the args that a handler is called with; ``background`` makes those of background work. They are received now by default.

    :raises InvalidArgument: the payload is not bytes or has more than 5,000, the id is no text, the type is none, the attempt
        is not from 1 up, tag or group are not up to 16 letters and digits, or a date has no time zone.
    """
    check_kind(payload, "the payload", bytes)
    if len(payload) > MAX_PAYLOAD:
        raise InvalidArgument(f"a payload has at most {MAX_PAYLOAD} bytes, not {len(payload)}")
    check_text(id, "the id")
    check_within(attempt, "the attempt", 1, 2**31)
    check_kind(background, "background", bool)
    try:
        kind = wns_type(type)
    except ValueError:
        raise InvalidArgument(f"a type is one of {', '.join(WNS_TYPES)}, not {quoted(type)}") from None
    label = ToastLabel(_name(tag, "the tag"), _name(group, "the group")).text
    received = _seconds(datetime.now(UTC) if received_at is None else received_at, "when it was received")
    expires = None if expires_at is None else _seconds(expires_at, "when it expires")
    return MadeArgs(PayloadRow(1, id, kind, payload, attempt, expires, _NAME, label, received), background=background)


def _name(text: str, words: str) -> str:
    check_kind(text, words, str)
    if text and not is_name(text):
        raise InvalidArgument(f"{words} has up to {MAX_NAME} letters and digits, not {quoted(text)}")
    return text


def clicked(  # noqa: PLR0913  # a click, and what is said of its toast
    argument: ToastArguments | str = "",
    user_input: Mapping[str, str] | None = None,
    *,
    tag: str = "",
    group: str = "",
    id: int = 1,  # noqa: A002  # the field that it sets
    attempt: int = 1,
    activation_type: ToastActivationType = ToastActivationType.FOREGROUND,
) -> ToastNotificationActivatedEventArgs:
    """Make what a handler of clicks is called with: the argument of a toast, or of its button, and what the user has typed.

    :raises InvalidArgument: one of them is not of its kind, or the id or the attempt is not from 1 up.
    """
    check_kind(argument, "the argument", ToastArguments, str)
    check_kind(user_input, "what was typed", Mapping, type(None))
    typed = dict(user_input or {})
    for text in (*typed, *typed.values(), tag, group):
        check_kind(text, "a tag, a group and what was typed", str)
    check_within(id, "the id", 1, EXACT)
    check_within(attempt, "the attempt", 1, 2**31)
    check_kind(activation_type, "the activation type", ToastActivationType)
    return ToastNotificationActivatedEventArgs(
        str(argument), MappingProxyType(typed), activation_type, tag, group, id, attempt
    )


def channel(uri: str = "https://push.example/w/?token=test", expiration: datetime | None = None) -> MadeChannel:
    """Make a channel that no service has granted; its ``expiration`` is in 30 days where none is given.

    :raises InvalidArgument: the URI is no text, or the expiration is no date with a time zone.
    """
    check_text(uri, "the URI")
    expires = datetime.now(UTC) + timedelta(days=30) if expiration is None else expiration
    return MadeChannel(_Holder(), "app under test", _NAME, uri, _seconds(expires, "the expiration"))


def _seconds(moment: datetime, words: str) -> float:
    check_kind(moment, words, datetime)
    if moment.tzinfo is None:
        raise InvalidArgument(f"{words} must have a time zone, such as UTC")
    return moment.timestamp()


async def _call(function: Callable[[], object]) -> None:
    returned = function()
    if inspect.isawaitable(returned):
        await returned
