"""An app's toasts: shown, updated, listed and removed (``AppNotificationManager`` of the Windows App SDK)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from enum import IntEnum, unique
from types import NoneType
from typing import Any
from uuid import UUID

from attrs import frozen

from tocsin.api.session import Session
from tocsin.api.toast_activated import ToastActivatedHandler
from tocsin.protocol import messages as m
from tocsin.protocol.arguments import EXACT, check_callable, check_kind, check_text, check_within
from tocsin.protocol.errors import InvalidArgument, NotShown
from tocsin.protocol.platform.activation import parse_clsid
from tocsin.protocol.text import quoted
from tocsin.protocol.toasts.notifier import HasXml, ShownToast, ToastData
from tocsin.protocol.values import MAX_TOAST_LABEL, MAX_TOAST_LENGTH, MAX_TOAST_SIZE, Outcome

MAX_EXPIRES = timedelta(days=3650)
"""How long a toast may be kept at most."""


@unique
class AppNotificationSetting(IntEnum):
    """Whether toasts of the app are shown, and what keeps them back (enumeration of the same name of Windows)."""

    ENABLED = 0
    DISABLED_FOR_APPLICATION = 1
    """The user has switched off the notifications of this app, or its toasts."""
    DISABLED_FOR_USER = 2
    """The user has switched off notifications altogether."""
    DISABLED_BY_GROUP_POLICY = 3
    """Group policy has switched off toasts, for all apps or for this one (``docs/policy.md``)."""


@unique
class AppNotificationProgressResult(IntEnum):
    """Whether there was a toast to update (enumeration of the same name of Windows)."""

    SUCCEEDED = 0
    NOT_FOUND = 1


@frozen
class KeptToast:
    """A toast that is on the desktop, or in its list of what came."""

    id: int
    tag: str
    group: str
    content: str
    """Its XML."""
    shown: datetime
    """When it was shown, in UTC."""
    expires: datetime | None
    """When it will be removed, in UTC; None where it is kept until something removes it."""


@frozen
class ToastDismissedEventArgs:
    """A toast has gone without a click."""

    id: int
    tag: str
    group: str
    reason: m.ToastDismissalReason


class ToastNotifier:
    """The toasts of one app; ``toasts`` of its manager.

    What each method asks for is done when it returns. Where its task is cancelled meanwhile, it may have been done.

    Example::

        await manager.toasts.on_activated(lambda args: print("the user wants to", args.arguments["action"]))
        builder = tocsin.ToastContentBuilder().add_text("Ann is calling").add_argument("action", "answer")
        shown = await builder.show(tag="ann")
        print(shown.outcome, [each.tag for each in await manager.toasts.get_all()])
    """

    def __init__(self, session: Session, command: Callable[[UUID], bytes] = lambda _: b"") -> None:
        """Make it; ``command`` returns what a click starts, of a class of the manifest or of the null CLSID, packed."""
        self._session = session
        self._command = command

    @property
    def setting(self) -> AppNotificationSetting:
        """Whether toasts of the app are shown, by what group policy says, and by what the user has decided."""
        settings = self._session.settings
        if settings.by_policy or not self._session.host.toasts:
            return AppNotificationSetting.DISABLED_BY_GROUP_POLICY
        if not self._session.host.notifications:
            return AppNotificationSetting.DISABLED_FOR_USER
        if not (settings.notifications and settings.toasts):
            return AppNotificationSetting.DISABLED_FOR_APPLICATION
        return AppNotificationSetting.ENABLED

    async def show(  # noqa: PLR0913  # a toast and what is said of it
        self,
        content: HasXml | str | bytes,
        *,
        tag: str = "",
        group: str = "",
        expires: timedelta | None = None,
        suppress_display: bool = False,
        expires_on_reboot: bool = False,
        data: Mapping[str, str] | ToastData | None = None,
    ) -> ShownToast:
        """Show a toast; it takes the place of one with the same tag and group.

        It returns when the desktop has answered: the process may end right after, and the toast stays.

        :param content: a ``ToastContentBuilder``, or XML of at most 5,120 characters.
        :param tag: names the toast within its group, for updates and removals; up to 64 printable characters.
        :param group: names several toasts; up to 64 printable characters.
        :param expires: after how long it is removed, up to ten years; None for when something else removes it.
        :param suppress_display: keep it in the list of what came, without a popup.
        :param expires_on_reboot: remove it when the machine starts again.
        :param data: values for the names in braces, such as ``{progress}``; :meth:`update` changes them.
        :raises InvalidArgument: an argument cannot be right, or the content is no toast (E_INVALIDARG).
        :raises NotSupported: the platform shows nothing.
        :raises NotShown: the desktop would not show it, or has no room; where there is no desktop, it is SUPPRESSED.
        """
        bound = _bound(data)
        question = m.ShowToast(
            self._session.questions.number(),
            xml_of(content),
            check_label(tag, "a tag"),
            check_label(group, "a group"),
            _seconds(expires),
            _truth(suppress_display, "suppress_display"),
            _truth(expires_on_reboot, "expires_on_reboot"),
            bound.sequence_number,
            _pairs(bound),
        )
        answer = await self._session.questions.ask_for(m.ToastShown, question, question.request)
        if answer.outcome == Outcome.DROPPED:
            raise NotShown(answer.detail or "the desktop would not show it")
        return ShownToast(answer.id, answer.outcome, answer.detail)

    async def update(
        self, data: Mapping[str, str] | ToastData, tag: str, group: str = "", sequence_number: int = 0
    ) -> AppNotificationProgressResult:
        """Change values that are bound to a toast, such as how far something is.

        :param sequence_number: where ``data`` is a mapping, orders the updates, as in :class:`ToastData`.
        :raises InvalidArgument: the tag is empty (E_INVALIDARG), or an argument cannot be right.
        :raises NotSupported: the platform shows nothing.
        """
        bound = data if isinstance(data, ToastData) else ToastData(data, sequence_number)
        question = m.UpdateToast(
            self._session.questions.number(),
            _named(tag, "a tag"),
            check_label(group, "a group"),
            bound.sequence_number,
            _pairs(bound),
        )
        answer = await self._session.questions.ask_for(m.ToastUpdated, question, question.request)
        return AppNotificationProgressResult.SUCCEEDED if answer.found else AppNotificationProgressResult.NOT_FOUND

    async def get_all(self) -> list[KeptToast]:
        """Return the toasts that are kept, those of pushes included, the oldest first.

        :raises NotSupported: the platform shows nothing.
        """
        number = self._session.questions.number()
        answer = await self._session.questions.ask_for(m.ToastList, m.ListToasts(number), number)
        return [_kept(m.ToastRow(*row)) for row in answer.rows]

    async def remove_by_id(self, id: int) -> None:  # noqa: A002  # the name of what it is
        """Remove a toast; that it has gone already is no error.

        :raises InvalidArgument: the id is 0 (E_INVALIDARG), or none.
        """
        check_within(id, "the id of a toast", 1, EXACT)
        await self._remove(id, None, None)

    async def remove_by_tag(self, tag: str) -> None:
        """Remove the toasts with a tag, in whatever group; that there are none is no error.

        :raises InvalidArgument: the tag is empty (E_INVALIDARG), or cannot be one.
        """
        await self._remove(None, _named(tag, "a tag"), None)

    async def remove_by_tag_and_group(self, tag: str, group: str) -> None:
        """Remove the toast with a tag in a group; that there is none is no error.

        :raises InvalidArgument: one of them is empty (E_INVALIDARG), or cannot be one.
        """
        await self._remove(None, _named(tag, "a tag"), _named(group, "a group"))

    async def remove_by_group(self, group: str) -> None:
        """Remove the toasts of a group; that there are none is no error.

        :raises InvalidArgument: the group is empty (E_INVALIDARG), or cannot be one.
        """
        await self._remove(None, None, _named(group, "a group"))

    async def remove_all(self) -> None:
        """Remove all toasts of the app; that there are none is no error."""
        await self._remove(None, None, None)

    async def _remove(self, toast: int | None, tag: str | None, group: str | None) -> None:
        number = self._session.questions.number()
        await self._session.questions.ask(m.RemoveToasts(number, toast, tag, group), number)

    async def on_activated(self, handler: ToastActivatedHandler, clsid: UUID | str | None = None) -> None:
        """Have the handler called for each click on a toast of the app, and for those that wait; it takes the place of another.

        A click while no process of the app takes clicks starts the app, by the command of :func:`tocsin.connect` or of the
        manifest; what was started finds it by :func:`tocsin.get_activated_event_args`, or by this method. Embedded, it waits.
        A handler, sync or async, has the time that it needs, in a task of its own; what it raises is logged. It ends the click.

        :param clsid: for a manifest with several classes, that whose command a click starts.
        :raises InvalidArgument: the handler cannot be called, or the manifest has no such class, or several and none is named.
        :raises NotSupported: the platform shows nothing.
        """
        check_callable(handler, "a handler")
        await self._session.toast_clicks.register(handler, self._command(parse_clsid(clsid)))

    def remove_activated(self) -> None:
        """Call the handler no more: clicks wait for another process, or start one. Calls that run go on."""
        self._session.toast_clicks.unregister()

    def add_dismissed(self, handler: Callable[[ToastDismissedEventArgs], Any]) -> None:
        """Call the handler, sync or async, when a toast of the app has gone without a click; what it raises is logged.

        :raises InvalidArgument: the handler cannot be called.
        """
        check_callable(handler, "a handler")

        def hear(message: m.ToastDismissed) -> None:
            args = ToastDismissedEventArgs(message.toast, message.tag, message.group, message.reason)
            self._session.call("a handler of add_dismissed", handler, args)

        self._session.on_toast_dismissed.append(hear)


def xml_of(content: HasXml | str | bytes) -> bytes:
    """Return content as it goes to the platform: XML of at most 5,120 characters and 16 KiB.

    :raises InvalidArgument: it is neither XML nor what can say itself in XML, is empty or too long.
    """
    xml = content if isinstance(content, str | bytes) else _said(content)
    try:
        text = xml.decode() if isinstance(xml, bytes) else xml
    except UnicodeDecodeError:
        raise InvalidArgument("content in bytes must be UTF-8") from None
    check_text(text, "content")
    if len(text) > MAX_TOAST_LENGTH:
        raise InvalidArgument(f"content has at most {MAX_TOAST_LENGTH} characters, not {len(text)}")
    encoded = text.encode()
    if len(encoded) > MAX_TOAST_SIZE:
        raise InvalidArgument(f"content has at most {MAX_TOAST_SIZE} bytes, not {len(encoded)}")
    return encoded


def _said(content: HasXml) -> str:
    get_xml = getattr(content, "get_xml", None)
    if not callable(get_xml):
        raise InvalidArgument(
            f"content is XML, or has get_xml() as a ToastContentBuilder has, which {quoted(content)} has not"
        )
    return str(get_xml())


def check_label(label: str, what: str) -> str:
    """Return a tag or a group, which may be empty.

    :raises InvalidArgument: it is none.
    """
    check_kind(label, what, str)
    if len(label) > MAX_TOAST_LABEL or not label.isprintable():
        raise InvalidArgument(f"{what} has at most {MAX_TOAST_LABEL} printable characters, not {quoted(label)}")
    return label


def _named(label: str, what: str) -> str:
    if not check_label(label, what):
        raise InvalidArgument(f"{what} must not be empty")
    return label


def _bound(data: Mapping[str, str] | ToastData | None) -> ToastData:
    return data if isinstance(data, ToastData) else ToastData({} if data is None else data)


def _pairs(data: ToastData) -> tuple[m.TextPair, ...]:
    return tuple(m.TextPair(name, value) for name, value in data.values.items())


def _seconds(expires: timedelta | None) -> float | None:
    check_kind(expires, "expires", timedelta, NoneType)
    if expires is None:
        return None
    if not timedelta() < expires <= MAX_EXPIRES:
        raise InvalidArgument(f"expires is above 0 and up to {MAX_EXPIRES.days} days, not {quoted(expires)}")
    return expires.total_seconds()


def _truth(value: bool, what: str) -> bool:  # noqa: FBT001  # it is looked at
    check_kind(value, what, bool)
    return value


def _kept(row: m.ToastRow) -> KeptToast:
    until = None if row.expires is None else datetime.fromtimestamp(row.expires, UTC)
    text = row.content.decode(errors="replace")
    return KeptToast(row.id, row.tag, row.group, text, datetime.fromtimestamp(row.shown, UTC), until)
