"""How a toast finds the platform that shows it: the notifier of the block that the running code stands in."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from datetime import timedelta
from typing import Protocol

from attrs import field, frozen

from tocsin.protocol.arguments import check_kind, check_text, check_within
from tocsin.protocol.errors import IllegalCall, InvalidArgument
from tocsin.protocol.kernel.scoped import scoped
from tocsin.protocol.values import MAX_SEQUENCE_NUMBER, MAX_TOAST_DATA, MAX_TOAST_SIZE, Outcome


def _values(_: object, __: object, values: Mapping[str, str]) -> None:
    check_kind(values, "the values of a toast", Mapping)
    for name, value in values.items():
        check_text(name, "the name of a value of a toast")
        check_kind(value, "a value of a toast", str)
    if len(values) > MAX_TOAST_DATA:
        raise InvalidArgument(f"a toast has {MAX_TOAST_DATA} values at most, not {len(values)}")
    length = sum(len(name) + len(value) for name, value in values.items())
    if length > MAX_TOAST_SIZE:
        raise InvalidArgument(f"the values of a toast have at most {MAX_TOAST_SIZE} characters, not {length}")


def _sequence_number(_: object, __: object, number: int) -> None:
    check_within(number, "a sequence number", 0, MAX_SEQUENCE_NUMBER)


@frozen
class ToastData:
    """Values that are bound to a toast, which has their names in braces (``NotificationData`` of Windows)."""

    values: Mapping[str, str] = field(validator=_values)
    sequence_number: int = field(default=0, validator=_sequence_number)
    """Orders the updates: one below that of an earlier update changes nothing; 0 goes by no order."""


@frozen
class ShownToast:
    """What has become of a toast that an app shows."""

    id: int
    """Names it, for its removal; 0 where the user has switched off toasts, so that there is none."""
    outcome: Outcome
    """SHOWN: the desktop has it. SUPPRESSED: it is kept without being shown, or not at all."""
    reason: str = ""
    """Why it is not shown, in words; empty where it is."""


class HasXml(Protocol):
    """What can say itself in XML, such as the builder of a toast."""

    def get_xml(self) -> str:
        """Return it as XML."""
        ...


class Notifier(Protocol):
    """What shows the toasts of one app: ``toasts`` of its manager."""

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
        """Show a toast; it returns when the desktop has answered."""
        ...


_NOTIFIER: ContextVar[Notifier | None] = ContextVar("NOTIFIER", default=None)


def notifying(notifier: Notifier) -> AbstractContextManager[None]:
    """Let the code of a block show toasts by this notifier."""
    return scoped(_NOTIFIER, notifier)


def current_notifier() -> Notifier:
    """Return the notifier of the block that the running code stands in.

    :raises IllegalCall: it stands in none.
    """
    notifier = _NOTIFIER.get()
    if notifier is None:
        raise IllegalCall(
            "a toast is shown inside a tocsin.connect() or tocsin.embedded() block, or by toasts.show() of its manager"
        )
    return notifier
