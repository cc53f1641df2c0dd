"""What the platform knows of the machine and of the user's settings, and how a change of some fields is made to it.

A change names the fields that it changes. So two that change different fields never undo each other, whatever either
of them had seen of the others.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import Factory, evolve, frozen

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.platform.conditions import AppSettings, HostState, with_exemption
from tocsin.protocol.platform.power import Power


@frozen
class HostRecord:
    """The state of the machine, the settings of each app that has any, and the apps that are exempt from energy saver."""

    host: HostState = Factory(HostState)
    settings: Mapping[str, AppSettings] = Factory(dict)
    exempt: tuple[str, ...] = ()

    @property
    def power(self) -> Power:
        """The power state, as the service is told of it."""
        return Power(battery_saver=self.host.energy_saver, exempt=self.exempt)

    def settings_of(self, app: str) -> AppSettings:
        """Return what the user has decided for an app."""
        return self.settings.get(app, AppSettings())

    def forget(self, app: str) -> HostRecord:
        """Return the record without an app."""
        settings = {each: found for each, found in self.settings.items() if each != app}
        return evolve(self, settings=settings, exempt=with_exemption(self.exempt, app, wanted=False))

    def change_host(self, changes: Mapping[str, bool]) -> HostRecord:
        """Return the record with these fields of the machine's state changed.

        :raises InvalidArgument: there is no such field, or the value is neither True nor False.
        """
        try:
            return evolve(self, host=evolve(self.host, **changes))
        except TypeError as wrong:
            raise InvalidArgument(f"no such field of the machine's state: {wrong}") from None

    def change_settings(self, app: str, changes: Mapping[str, bool]) -> HostRecord:
        """Return the record with these settings of an app changed.

        :raises InvalidArgument: there is no such setting, or the value is neither True nor False.
        :raises IllegalCall: as many apps are exempt from energy saver as may be on one device.
        """
        try:
            settings = evolve(self.settings_of(app), **changes)
        except TypeError as wrong:
            raise InvalidArgument(f"no such setting of an app: {wrong}") from None
        exempt = with_exemption(self.exempt, app, wanted=settings.exempt_from_energy_saver)
        return evolve(self, settings={**self.settings, app: settings}, exempt=exempt)
