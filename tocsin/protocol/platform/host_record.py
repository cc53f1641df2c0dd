"""What the platform knows of the machine and of the user's settings, and how a change of some fields is made to it.

A change names the fields that it changes. So two that change different fields never undo each other, whatever either
of them had seen of the others. What counts of the machine, field by field: what sensors know, else what an app has said, else
the default; group policy stands above all of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import Factory, evolve, frozen

from tocsin.protocol.errors import IllegalCall, InvalidArgument
from tocsin.protocol.platform.conditions import (
    DEFAULT_SETTINGS,
    OF_USER,
    AppSettings,
    HostState,
    check_exemption,
    exemptions,
)
from tocsin.protocol.platform.host_facts import HostFacts
from tocsin.protocol.platform.policy import NO_POLICY, NO_RULES, Policy
from tocsin.protocol.platform.power import Power
from tocsin.protocol.platform.unwanted import Unwanted, unwanted_of


@frozen
class HostRecord:
    """The state of the machine, the settings of each app that has any, and the apps that are exempt from energy saver."""

    facts: HostFacts = Factory(HostFacts)
    said: Mapping[str, bool] = Factory(dict)
    """Fields of ``HostState`` that apps have said."""
    policy: Policy = NO_POLICY
    minute: int = 0
    """Which minute of the day it is, local time; it matters to quiet hours only."""
    decided: Mapping[str, AppSettings] = Factory(dict)
    """What users have decided, by app."""
    over_budget: frozenset[str] = frozenset()
    """Apps that have used up their data of today."""

    @property
    def host(self) -> HostState:
        """The state of the machine."""
        known = self.facts.fields()
        return self.policy.on(evolve(HostState(), **{**self.said, **known}), self.minute)

    @property
    def metered(self) -> bool | None:
        """Whether the network in use costs by what goes over it, as sensors or apps say; None where neither does."""
        free = {**self.said, **self.facts.fields()}.get("free_network_available")
        return None if free is None else not free

    @property
    def apps(self) -> frozenset[str]:
        """The apps whose settings may differ from the default."""
        return self.over_budget | self.decided.keys() | self.policy.apps.keys()

    @property
    def exempt(self) -> tuple[str, ...]:
        """The apps that are exempt from energy saver, in their order."""
        return exemptions(app for app in self.apps if self.settings_of(app).exempt_from_energy_saver)

    @property
    def power(self) -> Power:
        """The power state, as the service is told of it."""
        host = self.host
        return Power(host.screen_on_or_plugged, battery_saver=host.energy_saver, exempt=self.exempt)

    @property
    def unwanted(self) -> Unwanted:
        """What is not to be sent to this machine, as the service is told of it."""
        return unwanted_of(self.host, ((app, self.settings_of(app)) for app in sorted(self.apps)))

    def settings_of(self, app: str) -> AppSettings:
        """Return what is decided for an app."""
        settings, rules = self.decided.get(app, DEFAULT_SETTINGS), self.policy.rules_of(app)
        if rules is not NO_RULES:
            settings = rules.on(settings)
        return evolve(settings, within_budget=False) if app in self.over_budget else settings

    def forget(self, app: str) -> HostRecord:
        """Return the record without an app."""
        decided = {each: found for each, found in self.decided.items() if each != app}
        return evolve(self, decided=decided, over_budget=self.over_budget - {app})

    def change_host(self, changes: Mapping[str, bool]) -> HostRecord:
        """Return the record with these fields of the machine's state changed, as an app says them.

        :raises InvalidArgument: there is no such field, or the value is neither True nor False.
        :raises IllegalCall: a sensor knows one of them.
        """
        try:
            evolve(HostState(), **changes)
        except TypeError as wrong:
            raise InvalidArgument(f"no such field of the machine's state: {wrong}") from None
        known = sorted(changes.keys() & self.facts.fields().keys())
        if known:
            raise IllegalCall(
                f"{' and '.join(known)}: this machine tells that itself, and no app overwrites it;"
                " a platform without sensors takes it (sensors=())"
            )
        return evolve(self, said={**self.said, **changes})

    def change_settings(self, app: str, changes: Mapping[str, bool]) -> HostRecord:
        """Return the record with these settings of an app changed, as its user decides.

        :raises InvalidArgument: there is no such setting, or the value is neither True nor False.
        :raises IllegalCall: as many apps are exempt from energy saver as may be on one device.
        """
        unknown = sorted(changes.keys() - set(OF_USER))
        if unknown:
            raise InvalidArgument(f"no such setting of an app: {', '.join(unknown)}; there are {', '.join(OF_USER)}")
        settings = evolve(self.decided.get(app, DEFAULT_SETTINGS), **changes)
        if settings.exempt_from_energy_saver:
            check_exemption(self.exempt, app)
        return evolve(self, decided={**self.decided, app: settings})
