"""The machine, its network, its user and its policy, as a test plays them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from threading import RLock
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self

from attrs import evolve, fields, frozen

from tocsin.host.promises import HostParts
from tocsin.protocol.arguments import check_kind, check_within
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.platform.host_facts import HostFacts
from tocsin.protocol.platform.host_record import HostRecord
from tocsin.protocol.platform.policy import DAY, NO_POLICY, AppRules, Policy, QuietHours
from tocsin.protocol.text import quoted
from tocsin.testing.told import Told

WELL: Final = HostFacts(
    on_battery=False,
    battery_low=False,
    power_saver=False,
    session_connected=True,
    user_present=True,
    internet=True,
    metered=False,
)
"""A machine that is plugged in and online at no cost, and used by its user."""

MOST_DATA: Final = 2**62
"""Bytes a day that a rule may name at most."""

_HOUR = 60


class PlayedSensor:
    """A sensor that tells what a test says: for ``tocsin.embedded(sensors=[...])``.

    :param facts: what it tells first; by default that all is well.
    """

    name = "played"
    is_polled = False
    standing = "told by a test"

    def __init__(self, facts: HostFacts = WELL) -> None:
        check_kind(facts, "facts", HostFacts)
        self._told = Told(facts)

    @property
    def facts(self) -> HostFacts:
        """What it tells now."""
        return self._told.value

    def tell(self, facts: HostFacts) -> None:
        """Tell something else from now on; the platforms that listen have heard of it when this returns.

        :raises InvalidArgument: it is of another kind.
        """
        check_kind(facts, "facts", HostFacts)
        self._told.set(facts)

    async def run(self, tell: Callable[[HostFacts], None]) -> None:
        """Tell a platform of the machine, until cancelled; not for apps."""
        await self._told.listen(tell)

    def ask(self) -> None:
        """Do nothing: whatever changes has been told; not for apps."""


class PlayedPolicy:
    """The group policy that a test says."""

    is_polled = False
    faults: tuple[str, ...] = ()

    def __init__(self, policy: Policy = NO_POLICY) -> None:
        self.told = Told(policy)

    async def run(self, tell: Callable[[Policy], None]) -> None:
        """Tell a platform of it, until cancelled."""
        await self.told.listen(tell)

    def ask(self) -> None:
        """Do nothing: whatever changes has been told."""


@frozen(eq=False)
class _Change:
    """What one call has changed."""

    facts: Mapping[str, bool]
    policy: Mapping[str, Any]
    apps: Mapping[str, Mapping[str, Any]]


class PlayedCondition:
    """Lasts until the ``with`` block ends, or for as long as the machine is played where there is none."""

    def __init__(self, end: Callable[[], None]) -> None:
        self.end = end
        """Take it back; to do so twice changes nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


_NOTHING: Mapping[str, Any] = MappingProxyType({})


class PlayedHost:
    """A machine on which all is well, until a test says otherwise.

    Each of its methods begins something, and returns when the platforms that listen have heard of it. ``with
    host.battery_saver():`` ends it with the block; without ``with`` it lasts until :meth:`restore`. Several add up,
    the latest first.

    """

    def __init__(self) -> None:
        self.sensor = PlayedSensor()
        """For ``tocsin.embedded(sensors=[wns.host.sensor])``."""
        self.policy_source = PlayedPolicy()
        """What tells of the policy of this machine."""
        self.changed: Callable[[], None] | None = None
        """Called after each change; not for apps."""
        self._changes: list[_Change] = []
        self._lock = RLock()

    @property
    def parts(self) -> HostParts:
        """Both together, for a platform; not for apps."""
        return HostParts((self.sensor,), self.policy_source)

    @property
    def record(self) -> HostRecord:
        """What a platform makes of them; not for apps."""
        return HostRecord(facts=self.sensor.facts, policy=self.policy_source.told.value)

    def on_battery(self) -> PlayedCondition:
        """Pull the plug; the screen is on for as long as the user is present."""
        return self._begin({"on_battery": True})

    def battery_low(self) -> PlayedCondition:
        """Run on a battery that is nearly empty: energy is saved."""
        return self._begin({"on_battery": True, "battery_low": True})

    def battery_saver(self) -> PlayedCondition:
        """Save energy, as the user has chosen to."""
        return self._begin({"power_saver": True})

    def locked(self) -> PlayedCondition:
        """Lock the screen: no user is present; on battery, the screen goes off."""
        return self._begin({"user_present": False})

    def logged_off(self) -> PlayedCondition:
        """Let the user log off; apps that run go on."""
        return self._begin({"user_present": False, "session_connected": False})

    def metered(self) -> PlayedCondition:
        """Use a network that costs by what goes over it."""
        return self._begin({"metered": True})

    def offline(self) -> PlayedCondition:
        """Lose the network, and with it every connection to the push service of the fixture."""
        return self._begin({"internet": False})

    def quiet_hours(self) -> PlayedCondition:
        """Let it be a time, by policy, in which only what is urgent is shown."""
        return self._begin(policy={"quiet_hours": QuietHours(0, DAY)})

    def exempt(self, app: str) -> PlayedCondition:
        """Exempt an app from energy saver, by policy."""
        return self.policy(apps={app: {"exempt_from_energy_saver": True}})

    def policy(  # noqa: PLR0913  # what an administrator may decide, each with its name
        self,
        *,
        cloud_notifications: bool | None = None,
        toasts: bool | None = None,
        tiles: bool | None = None,
        badges: bool | None = None,
        quiet_hours: tuple[str, str] | None = None,
        daily_data: int | None = None,
        daily_metered_data: int | None = None,
        apps: Mapping[str, Mapping[str, bool | int]] | None = None,
    ) -> PlayedCondition:
        """Decide by group policy; what is not named stays as it is.

        :param quiet_hours: when they begin and end each day, local time, such as ``("22:00", "07:00")``.
        :param daily_data: bytes a day of each app after which its background work waits.
        :param apps: the rules of single apps, such as ``{"contoso.mail": {"notifications": False}}``.
        :raises InvalidArgument: there is no such rule, or a value is of another kind.
        """
        flags = {"cloud_notifications": cloud_notifications, "toasts": toasts, "tiles": tiles, "badges": badges}
        budgets = {"daily_data": daily_data, "daily_metered_data": daily_metered_data}
        changes: dict[str, Any] = {name: value for name, value in (flags | budgets).items() if value is not None}
        _check(changes)
        if quiet_hours is not None:
            check_kind(quiet_hours, "quiet hours", tuple, list)
            if len(quiet_hours) != 2:
                raise InvalidArgument('quiet hours are two times of the day, such as "22:00" and "07:00"')
            begin, end = (_minute(each) for each in quiet_hours)
            changes["quiet_hours"] = QuietHours(begin, end)
        known = {each.name for each in fields(AppRules)}
        for app, rules in (apps or {}).items():
            if unknown := sorted(rules.keys() - known):
                raise InvalidArgument(
                    f"no such rule of an app: {', '.join(unknown)}; there are {', '.join(sorted(known))}"
                )
            _check(rules, of=f"{quoted(app)}: ")
        return self._begin(policy=changes, apps=apps or {})

    def become(self, conditions: Iterable[str], exempt: Iterable[str], rules: Mapping[str, Any]) -> None:
        """Be in these conditions and no others, under this policy; not for apps.

        :param conditions: names of methods of this class.
        :param rules: as for :meth:`policy`.
        :raises InvalidArgument: there is no such rule, or a value is of another kind; then all is well.
        """
        self.restore()
        try:
            self.policy(**rules)
            for name in conditions:
                getattr(self, name)()
            for app in exempt:
                self.exempt(app)
        except BaseException:
            self.restore()
            raise

    def restore(self) -> None:
        """Take all back: all is well again."""
        with self._lock:
            self._changes.clear()
            self._apply()

    def _begin(
        self,
        facts: Mapping[str, bool] = _NOTHING,
        policy: Mapping[str, Any] = _NOTHING,
        apps: Mapping[str, Mapping[str, Any]] = _NOTHING,
    ) -> PlayedCondition:
        change = _Change(dict(facts), dict(policy), {app: dict(rules) for app, rules in apps.items()})
        with self._lock:
            self._changes.append(change)
            self._apply()
        return PlayedCondition(lambda: self._end(change))

    def _end(self, change: _Change) -> None:
        with self._lock:
            if change in self._changes:
                self._changes.remove(change)
                self._apply()

    def _apply(self) -> None:
        facts, policy = WELL, NO_POLICY
        for change in self._changes:
            facts = evolve(facts, **change.facts)
            rules = {app: evolve(policy.rules_of(app), **given) for app, given in change.apps.items()}
            policy = evolve(policy, **change.policy, apps={**policy.apps, **rules})
        self.sensor.tell(facts)
        self.policy_source.told.set(policy)
        if self.changed is not None:
            self.changed()


def _check(rules: Mapping[str, Any], of: str = "") -> None:
    for name, value in rules.items():
        if name.startswith("daily_"):
            check_within(value, f"{of}{name}", 0, MOST_DATA)
        else:
            check_kind(value, f"{of}{name}", bool)


def _minute(text: str) -> int:
    """Read a time of the day."""
    check_kind(text, "a time of the day", str)
    hour, colon, minute = text.partition(":")
    if not (colon and len(hour) == len(minute) == 2 and (hour + minute).isdecimal() and text.isascii()):
        raise InvalidArgument(f'a time of the day is written as "22:00", not {quoted(text)}')
    check_within(int(hour), "the hour", 0, 23)
    check_within(int(minute), "the minute", 0, _HOUR - 1)
    return int(hour) * _HOUR + int(minute)
