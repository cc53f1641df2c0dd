"""What the administrator of a machine, or its user, has decided for all of it: the group policy.

How it is written is in ``tocsin.protocol.platform.policy_text``, and ``tocsin.cli.policy`` shows it. Sources: ``NoCloudApplicationNotification`` and its siblings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import Factory, evolve, field, frozen

from tocsin.protocol.platform.conditions import OF_USER, AppSettings, HostState

DAY: Final = 24 * 60
"""Minutes of a day."""


@frozen
class QuietHours:
    """A time of each day in which only what is urgent is shown, in minutes since midnight, local time.

    One that ends before it begins goes over midnight.
    """

    begin: int
    end: int

    def at(self, minute: int) -> bool:
        """Tell whether it is within them at that minute of the day."""
        if self.begin <= self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end

    def minutes_to_change(self, minute: int) -> int:
        """Return how many minutes after that one they begin or end, whichever is next, 1 to 1,440."""
        return min((moment - minute - 1) % DAY + 1 for moment in (self.begin, self.end))


@frozen
class AppRules:
    """What the policy says of one app; None where it leaves that to the user, or to what it says of all apps."""

    notifications: bool | None = None
    background: bool | None = None
    toasts: bool | None = None
    tiles: bool | None = None
    badges: bool | None = None
    exempt_from_energy_saver: bool | None = None
    daily_data: int | None = None
    """Bytes a day, on any network, after which background work waits for the next day."""
    daily_metered_data: int | None = None
    """The same, on metered networks only."""

    def on(self, settings: AppSettings) -> AppSettings:
        """Return the settings of the app under these rules."""
        ruled = {name: value for name in OF_USER if (value := getattr(self, name)) is not None}
        closed = self.notifications is False or self.toasts is False
        return evolve(settings, **ruled, by_policy=closed)


NO_RULES: Final = AppRules()


@frozen
class Policy:
    """The whole of it; the defaults forbid nothing."""

    cloud_notifications: bool = True
    """False: no connection to the push service; local notifications go on (NoCloudApplicationNotification)."""
    toasts: bool = True
    tiles: bool = True
    badges: bool = True
    quiet_hours: QuietHours | None = None
    """Those of the policy count instead of the user's."""
    daily_data: int | None = None
    """Of each app, where its rules have none; as there."""
    daily_metered_data: int | None = None
    apps: Mapping[str, AppRules] = Factory(dict)
    origins: Mapping[str, str] = field(factory=dict, eq=False)
    """Where each setting that is not the default is from, by its name, such as ``apps."contoso.mail".toasts``."""
    overruled: tuple[str, ...] = field(default=(), eq=False)
    """What of it does not count as another part says otherwise, a sentence each."""

    def on(self, host: HostState, minute: int) -> HostState:
        """Return the state of the machine under this policy, at that minute of the day."""
        quiet = host.quiet_hours if self.quiet_hours is None else self.quiet_hours.at(minute)
        return evolve(
            host,
            cloud_notifications=host.cloud_notifications and self.cloud_notifications,
            toasts=host.toasts and self.toasts,
            tiles=host.tiles and self.tiles,
            badges=host.badges and self.badges,
            quiet_hours=quiet,
        )

    def rules_of(self, app: str) -> AppRules:
        """Return what it says of an app."""
        return self.apps.get(app, NO_RULES)


NO_POLICY: Final = Policy()
