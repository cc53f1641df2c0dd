"""What wakes an app in the background: activators, conditions, the 30-second rule, and the reasons for cancellation.

Sources: ``PushNotificationRegistrationActivators``, ``SystemConditionType``, ``BackgroundTaskCancellationReason``.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum, IntFlag, unique
from typing import Any
from uuid import UUID

from attrs import define, field, setters

from tocsin.protocol.arguments import truth
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.text import quoted

BUDGET = 30.0
"""Seconds that one activation may take, in the foreground or background: the 30-second rule; deferrals do not extend it.

The supervisor counts them on the monotonic clock of the process that holds the platform: the agent, where there is one."""

GRACE = 5.0
"""Seconds that an activation has to end after it was cancelled; then its handler is cancelled too, and a process that was
launched is ended, whatever else it does: Windows terminates the host process when the grace is over."""

LAST_WORD = 0.1
"""Seconds after that grace in which the session of a launched process may say what it has left open, before SIGTERM."""

KILL_AFTER = 1.8
"""Seconds from the SIGTERM to a launched process, and all in its session, to SIGKILL: within 2 s of its grace it is gone."""


class Activators(IntFlag):
    """What is to wake the app (``PushNotificationRegistrationActivators``); flags may be combined."""

    UNDEFINED = 0
    PUSH_TRIGGER = 1
    """A push starts the app's background work: packaged apps."""
    COM_ACTIVATOR = 2
    """This process does that work: packaged apps."""
    PROTOCOL_ACTIVATOR = 4
    """A push starts the work, and this process does it: unpackaged apps."""


def parse_activators(value: Any) -> Activators:
    """Read a combination of flags.

    :raises InvalidArgument: it is none.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= sum(Activators):
        raise InvalidArgument(f"activators are a combination of the flags of Activators, not {quoted(value)}")
    return Activators(value)


@unique
class SystemConditionType(IntEnum):
    """What must hold before background work begins (WinRT enum of the same name)."""

    INVALID = 0
    USER_PRESENT = 1
    USER_NOT_PRESENT = 2
    INTERNET_AVAILABLE = 3
    INTERNET_NOT_AVAILABLE = 4
    SESSION_CONNECTED = 5
    SESSION_DISCONNECTED = 6
    FREE_NETWORK_AVAILABLE = 7
    BACKGROUND_WORK_COST_NOT_HIGH = 8


@unique
class CancellationReason(IntEnum):
    """Why work was cancelled (``BackgroundTaskCancellationReason``)."""

    ABORT = 0
    """The app unregistered the activator."""
    TERMINATING = 1
    """The platform is about to stop."""
    LOGGING_OFF = 2
    SERVICING_UPDATE = 3
    IDLE_TASK = 4
    UNINSTALL = 5
    CONDITION_LOSS = 6
    SYSTEM_POLICY = 7
    QUIET_HOURS_ENTERED = 8
    EXECUTION_TIME_EXCEEDED = 9
    RESOURCE_REVOCATION = 10
    ENERGY_SAVER = 11


_C = SystemConditionType
CONTRADICTIONS = (
    {_C.USER_PRESENT, _C.USER_NOT_PRESENT},
    {_C.INTERNET_AVAILABLE, _C.INTERNET_NOT_AVAILABLE},
    {_C.SESSION_CONNECTED, _C.SESSION_DISCONNECTED},
    {_C.FREE_NETWORK_AVAILABLE, _C.INTERNET_NOT_AVAILABLE},
)
"""Pairs that never hold together: work that waits for both would wait for ever."""


def check_conditions(conditions: Iterable[SystemConditionType]) -> tuple[SystemConditionType, ...]:
    """Return the conditions without repetitions, in their order.

    :raises InvalidArgument: one of them is INVALID or none at all, or two contradict each other.
    """
    try:
        listed = tuple(conditions)
    except TypeError:
        raise InvalidArgument(
            f"conditions are a list of members of SystemConditionType, not {quoted(conditions)}"
        ) from None
    given = tuple(dict.fromkeys(map(_condition, listed)))
    if SystemConditionType.INVALID in given:
        raise InvalidArgument("the condition INVALID cannot be met")
    for pair in CONTRADICTIONS:
        if pair <= set(given):
            names = " and ".join(sorted(condition.name for condition in pair))
            raise InvalidArgument(f"the conditions {names} never hold together")
    return given


def _condition(value: SystemConditionType) -> SystemConditionType:
    try:
        return SystemConditionType(value)
    except Exception:  # noqa: BLE001  # an enumeration writes the value out, which may fail in any way
        raise InvalidArgument(f"conditions are members of SystemConditionType, not {quoted(value)}") from None


def parse_clsid(value: UUID | str | None) -> UUID:
    """Read a CLSID; None and the null GUID stand for none.

    :raises InvalidArgument: it is no GUID.
    """
    if value is None:
        return UUID(int=0)
    try:
        return value if isinstance(value, UUID) else UUID(value)
    except (ValueError, AttributeError, TypeError):
        raise InvalidArgument(f"a CLSID is a GUID, not {quoted(value)}") from None


@define
class PushNotificationActivationInfo:
    """What to register (WinRT class of the same name).

    Activators and CLSID stay as they are; ``conditions`` may be replaced as a whole. All conditions must hold before
    background work begins; with ``cancel_on_condition_loss`` it is cancelled when one no longer does. Without activators
    it is for ``on_background_activated``, which takes those that the app may have.

    Example::

        online = tocsin.SystemConditionType.INTERNET_AVAILABLE
        info = tocsin.PushNotificationActivationInfo(tocsin.Activators.PROTOCOL_ACTIVATOR, None, [online])

    :raises InvalidArgument: the CLSID is no GUID, the conditions are none or contradict each other, or the last is no truth value.
    """

    activators: Activators = field(default=Activators.UNDEFINED, converter=parse_activators, on_setattr=setters.frozen)
    task_clsid: UUID = field(default=None, converter=parse_clsid, on_setattr=setters.frozen)
    conditions: tuple[SystemConditionType, ...] = field(
        default=(), converter=check_conditions, on_setattr=setters.convert
    )
    cancel_on_condition_loss: bool = field(default=False, validator=truth)
