"""What a payload would meet on its way to its app as things are now: every gate, in the order in which it comes to them.

The first that stops it decides; what a handler of the app that is attached takes does not come to the gates of background work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final

from attrs import frozen

from tocsin.protocol.platform.activation import SystemConditionType
from tocsin.protocol.platform.conditions import AppSettings, Gate, HostState, judge
from tocsin.protocol.platform.policy_text import PolicyKey
from tocsin.protocol.platform.power import BATCH_TIME, Passage, Power, passage
from tocsin.protocol.values import NotificationType

PRIORITY_NAMES: Final = {1: "high", 2: "medium", 3: "low", 4: "very low"}

USUAL_PRIORITIES: Final = {
    NotificationType.RAW: 3,
    NotificationType.TOAST: 1,
    NotificationType.TILE: 2,
    NotificationType.BADGE: 2,
}
"""Those of notifications whose senders name none."""


class Passing(StrEnum):
    """What a gate does with a payload."""

    PASSES = "passes"
    WAITS = "waits"
    DROPPED = "dropped"


@frozen
class GateView:
    """A gate, what it does with the payload, and why."""

    gate: str
    passing: Passing
    why: str


@frozen
class Outlook:
    """What a payload of an app, of a type and a priority would meet."""

    app: str
    kind: NotificationType
    priority: int
    gates: tuple[GateView, ...]

    @property
    def meets(self) -> str:
        """The end of it, in words."""
        stop = next((each for each in self.gates if each.passing is not Passing.PASSES), None)
        if stop is None:
            return "it goes through all gates"
        names = [each.gate for each in self.gates]
        if _FOREGROUND in names and names.index(stop.gate) > names.index(_FOREGROUND):
            return f"a handler that is attached gets it; else it {_ENDS[stop.passing]}: {stop.why}"
        return f"it {_ENDS[stop.passing]}: {stop.why}"


def payload_outlook(  # noqa: PLR0913, PLR0917  # a payload, and all that decides on it
    host: HostState,
    settings: AppSettings,
    power: Power,
    origins: Mapping[str, str],
    app: str,
    kind: NotificationType,
    priority: int,
) -> Outlook:
    """Look ahead.

    :param power: as the push service was told of it.
    :param origins: where each setting of the policy is from, by its name.
    """
    view = _View(host, settings, power, origins, app, kind, priority)
    return Outlook(app, kind, priority, tuple(view.gates()))


_FOREGROUND: Final = "foreground handler"
_ENDS: Final = {Passing.WAITS: "waits", Passing.DROPPED: "is dropped"}


@frozen
class _View:
    host: HostState
    settings: AppSettings
    power: Power
    origins: Mapping[str, str]
    app: str
    kind: NotificationType
    priority: int

    def gates(self) -> Iterator[GateView]:
        yield self._cloud_notifications()
        yield self._notifications()
        yield self._type()
        yield self._energy()
        if self.kind is NotificationType.RAW:
            yield GateView(_FOREGROUND, Passing.PASSES, "one that is attached takes it; else it is for background work")
            yield self._background()
            yield self._budget()
            yield self._conditions()
        elif self.kind is NotificationType.TOAST:
            yield self._quiet_hours()

    def _cloud_notifications(self) -> GateView:
        said = self._said("", "cloud_notifications", "the program that embeds Tocsin")
        off = f"{said} has switched off notifications from the network"
        return _view("cloud notifications", Passing.DROPPED, off, passes=self.host.cloud_notifications)

    def _notifications(self) -> GateView:
        shown = self.kind is not NotificationType.RAW
        if shown and not self.host.notifications:
            return GateView("notifications", Passing.DROPPED, "the user has switched off what is shown, of all apps")
        off = f"{self._said(self.app, 'notifications')} has switched off the notifications of this app"
        return _view("notifications", Passing.DROPPED, off, passes=self.settings.notifications)

    def _type(self) -> GateView:
        if self.kind is NotificationType.RAW:
            return GateView("type", Passing.PASSES, "raw payloads are not shown, and no switch is theirs")
        name = f"{self.kind}s"
        if not getattr(self.host, name):
            return GateView("type", Passing.DROPPED, f"{self._said('', name, 'group policy')} has switched off {name}")
        off = f"{self._said(self.app, name)} has switched off {name} of this app"
        return _view("type", Passing.DROPPED, off, passes=bool(getattr(self.settings, name)))

    def _energy(self) -> GateView:
        """At the push service, and behind it on the device, for what was on its way when the state changed."""
        named = f"priority {self.priority} ({PRIORITY_NAMES[self.priority]})"
        held = judge(self.host, self.settings, self.priority)[0] is Gate.HOLD
        state, end = "on battery with the screen off", "the screen is on or the device is plugged in"
        if self.power.battery_saver or held:
            state, end = "in energy saver", "energy saver ends"
        exempt = ", of an app that is exempt" if self.settings.exempt_from_energy_saver else ""
        match Passage.CACHE if held else passage(self.power, self.app, self.priority):
            case Passage.CACHE:
                why = f"{state}, {named}{exempt} waits at the push service until {end}"
                return GateView("energy and priority", Passing.WAITS, why)
            case Passage.BATCH:
                why = f"{state}, {named} waits at the push service for others, {BATCH_TIME:.0f} s at most"
                return GateView("energy and priority", Passing.WAITS, why)
            case _:
                return GateView("energy and priority", Passing.PASSES, "")

    def _background(self) -> GateView:
        off = f"{self._said(self.app, 'background')} has forbidden background work of this app"
        return _view("background work", Passing.WAITS, off, passes=self.settings.background)

    def _budget(self) -> GateView:
        why = "the app has used up its data of today, and its background work waits until tomorrow"
        return _view("data budget", Passing.WAITS, why, passes=self.settings.within_budget)

    def _conditions(self) -> GateView:
        failing = [each.name for each in SystemConditionType if each and not self.host.meets(each)]
        return GateView("conditions", Passing.PASSES, f"but waits where its trigger wants one of {', '.join(failing)}")

    def _quiet_hours(self) -> GateView:
        said = self._said("", "quiet_hours")
        why = f"these are the quiet hours of {said}: it is shown when they end, unless it is an alarm, a call or urgent"
        return _view("quiet hours", Passing.WAITS, why, passes=not self.host.quiet_hours)

    def _said(self, app: str, name: str, other: str = "the user") -> str:
        """Return what has decided a setting: a file, or another."""
        return self.origins.get(str(PolicyKey(app, name)), other)


def _view(gate: str, else_: Passing, why: str, *, passes: bool) -> GateView:
    return GateView(gate, Passing.PASSES, "") if passes else GateView(gate, else_, why)
