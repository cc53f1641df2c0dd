"""The state of the machine, what it lets through, and what it interrupts; ``tocsin.api.conditions`` is how an app says it.

Order of the gates for an arriving payload: group policy, the app's notification setting, energy saver with priority.
Sources: "Push notification priorities", ``NoCloudApplicationNotification``, "Set conditions for running a background task".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Final

from attrs import Factory, define, field, frozen

from tocsin.protocol.arguments import truth
from tocsin.protocol.errors import IllegalCall
from tocsin.protocol.hresult import HResult
from tocsin.protocol.platform.activation import CancellationReason, SystemConditionType
from tocsin.protocol.platform.power import MAX_EXEMPT, MAX_EXEMPT_BYTES
from tocsin.protocol.values import DropReason

VERY_LOW = 4
"""The priority that energy saver holds back even for an app that is exempt."""


@frozen
class HostState:
    """What is known of the machine; the defaults are those of one that knows nothing: all is well."""

    user_present: bool = field(default=True, validator=truth)
    internet_available: bool = field(default=True, validator=truth)
    session_connected: bool = field(default=True, validator=truth)
    free_network_available: bool = field(default=True, validator=truth)
    background_work_cost_high: bool = field(default=False, validator=truth)
    energy_saver: bool = field(default=False, validator=truth)
    quiet_hours: bool = field(default=False, validator=truth)
    cloud_notifications: bool = field(default=True, validator=truth)
    """False where group policy forbids notifications from the network (NoCloudApplicationNotification)."""
    notifications: bool = field(default=True, validator=truth)
    """False where the user has switched off what is shown, for all apps."""
    screen_on_or_plugged: bool = field(default=True, validator=truth)
    """False on battery while the screen is off: then the push service holds back what is not urgent."""
    toasts: bool = field(default=True, validator=truth)
    """False where group policy forbids them for all apps; so of tiles and badges."""
    tiles: bool = field(default=True, validator=truth)
    badges: bool = field(default=True, validator=truth)

    def meets(self, condition: SystemConditionType) -> bool:
        """Tell whether a condition holds."""
        return _MEETS[condition](self)

    def meets_all(self, conditions: Iterable[int]) -> bool:
        """Tell whether all of them hold."""
        return all(self.meets(SystemConditionType(condition)) for condition in conditions)


_C = SystemConditionType
_MEETS: dict[SystemConditionType, Callable[[HostState], bool]] = {
    _C.USER_PRESENT: lambda host: host.user_present,
    _C.USER_NOT_PRESENT: lambda host: not host.user_present,
    _C.INTERNET_AVAILABLE: lambda host: host.internet_available,
    _C.INTERNET_NOT_AVAILABLE: lambda host: not host.internet_available,
    _C.SESSION_CONNECTED: lambda host: host.session_connected,
    _C.SESSION_DISCONNECTED: lambda host: not host.session_connected,
    _C.FREE_NETWORK_AVAILABLE: lambda host: host.internet_available and host.free_network_available,
    _C.BACKGROUND_WORK_COST_NOT_HIGH: lambda host: not host.background_work_cost_high,
}


@frozen
class AppSettings:
    """What is decided for an app, by its user or for them."""

    notifications: bool = field(default=True, validator=truth)
    background: bool = field(default=True, validator=truth)
    """Whether background work is allowed (BackgroundAccessStatus)."""
    exempt_from_energy_saver: bool = field(default=False, validator=truth)
    toasts: bool = field(default=True, validator=truth)
    tiles: bool = field(default=True, validator=truth)
    badges: bool = field(default=True, validator=truth)
    by_policy: bool = field(default=False, validator=truth)
    """Whether group policy has switched off the app's notifications or toasts, and not the user."""
    within_budget: bool = field(default=True, validator=truth)
    """False where the app has used up the data that policy allows it for today: its background work waits."""


OF_USER = ("notifications", "background", "exempt_from_energy_saver", "toasts", "tiles", "badges")
"""The settings that the user decides; the others follow."""

DEFAULT_SETTINGS: Final = AppSettings()
"""Of an app of which nothing has been decided."""


class Gate(Enum):
    """What becomes of an arriving payload."""

    PASS = auto()
    HOLD = auto()
    """It waits in the inbox until the machine's state changes."""
    DROP = auto()


def judge(host: HostState, settings: AppSettings, priority: int) -> tuple[Gate, DropReason | None]:
    """Send an arriving payload through the gates, in their order."""
    if not host.cloud_notifications:
        return Gate.DROP, DropReason.CLOUD_DISABLED
    if not settings.notifications:
        return Gate.DROP, DropReason.NOTIFICATIONS_DISABLED
    if host.energy_saver and (not settings.exempt_from_energy_saver or priority >= VERY_LOW):
        return Gate.HOLD, None
    return Gate.PASS, None


def channel_refusal(host: HostState, settings: AppSettings) -> tuple[HResult, str] | None:
    """Return why an app gets no channel, with the code of that; None where it may have one."""
    if not host.cloud_notifications:
        return HResult.WPN_E_CLOUD_DISABLED, "group policy forbids notifications from the network"
    if not settings.notifications:
        return HResult.WPN_E_NOTIFICATION_DISABLED, "the notifications of this app are switched off"
    return None


@define
class Gates:
    """The gates as they stand: the machine's state and what the user has decided for each app."""

    host: HostState = Factory(HostState)
    settings: dict[str, AppSettings] = Factory(dict)
    wide_open: bool = True
    """Whether nothing stands before any payload of any app, as is usual: then there is nothing to judge."""

    def set_host(self, host: HostState) -> None:
        """Judge by this state of the machine from now on."""
        self.host = host
        self._look()

    def set_settings(self, app: str, settings: AppSettings) -> None:
        """Judge by what the user has decided for an app from now on."""
        self.settings[app] = settings
        self._look()

    def judge(self, app: str, priority: int) -> tuple[Gate, DropReason | None]:
        """Send a payload of an app through the gates."""
        return judge(self.host, self.settings.get(app, DEFAULT_SETTINGS), priority)

    def _look(self) -> None:
        apart = (DEFAULT_SETTINGS, *self.settings.values())
        self.wide_open = all(judge(self.host, settings, VERY_LOW) == (Gate.PASS, None) for settings in apart)

    def holds(self, app: str) -> bool:
        """Tell whether all that waits for an app is held back."""
        return self.host.energy_saver and not self.settings.get(app, DEFAULT_SETTINGS).exempt_from_energy_saver


def obstacle(host: HostState, settings: AppSettings) -> CancellationReason | None:
    """Tell which gate keeps all background work of an app from going on and from beginning; None where none does."""
    if not host.cloud_notifications or not settings.notifications or not settings.background:
        return CancellationReason.SYSTEM_POLICY
    if host.energy_saver and not settings.exempt_from_energy_saver:
        return CancellationReason.ENERGY_SAVER
    return None


def interruption(
    before: HostState, after: HostState, settings: AppSettings, conditions: Iterable[int] = ()
) -> CancellationReason | None:
    """Tell why running background work of an app is cancelled by a change of state, or None where it goes on.

    :param conditions: those whose loss cancels the work.
    """
    if before.cloud_notifications and not after.cloud_notifications:
        return CancellationReason.SYSTEM_POLICY
    if before.session_connected and not after.session_connected:
        return CancellationReason.LOGGING_OFF
    if not before.energy_saver and after.energy_saver and not settings.exempt_from_energy_saver:
        return CancellationReason.ENERGY_SAVER
    if not before.quiet_hours and after.quiet_hours:
        return CancellationReason.QUIET_HOURS_ENTERED
    needed = [SystemConditionType(condition) for condition in conditions]
    if any(before.meets(condition) and not after.meets(condition) for condition in needed):
        return CancellationReason.CONDITION_LOSS
    return None


def exemptions(apps: Iterable[str]) -> tuple[str, ...]:
    """Return which of these apps are exempt from energy saver, in their order: the first of them, as far as there is room."""
    found, size = list[str](), 0
    for app in sorted(set(apps)):
        size += len(app.encode(errors="backslashreplace"))
        if len(found) == MAX_EXEMPT or size > MAX_EXEMPT_BYTES:
            break
        found.append(app)
    return tuple(found)


def check_exemption(exempt: tuple[str, ...], app: str) -> None:
    """Check that there is room for one more app that is exempt from energy saver.

    :raises IllegalCall: there is none.
    """
    if app not in exempt and len(exemptions((*exempt, app))) <= len(exempt):
        raise IllegalCall(
            f"{len(exempt)} apps are exempt from energy saver on this device, and {app!r} would be too much: at most"
            f" {MAX_EXEMPT} may be, whose names have {MAX_EXEMPT_BYTES} bytes together"
        )
