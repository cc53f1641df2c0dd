"""The gates before background work, as they really stand: by what the owner of the machine's state tells."""

from __future__ import annotations

from collections.abc import Callable

from attrs import Factory, define

from tocsin.actors.actor import Actor
from tocsin.actors.supervisor import Supervisor
from tocsin.protocol import messages as m
from tocsin.protocol.platform.conditions import obstacle
from tocsin.protocol.platform.host_record import HostRecord

HEARD = 1.0
"""Seconds of waking time within which all actors have heard how the machine stands."""


@define(eq=False)
class RealGates:
    """Since when which gates are closed; ``awake`` tells the seconds of ``now`` in which things could go on."""

    now: Callable[[], float]
    awake: Callable[[], float]
    closed: dict[str, float] = Factory(dict)
    """By app: since when its background work must not go on."""
    latched: dict[str, float] = Factory(dict)
    """Since when it must not begin: that, or its conditions do not hold, or its data of the day is used up."""
    _all_heard: float = 0.0
    """Until when an actor may be kept from hearing of it."""
    _machine: HostRecord = Factory(HostRecord)
    _conditions: dict[str, tuple[int, ...]] = Factory(dict)

    def machine_is(self, machine: HostRecord) -> None:
        """Note how it stands, and what is decided for each app."""
        self._machine = machine
        for app in sorted({*self._conditions, *self.latched, *machine.apps}):
            self._look(app)

    def heard(self, actor: Actor, message: m.Message) -> None:
        """Note what the work of an app needs, once the supervisor hears of it."""
        if isinstance(actor, Supervisor) and isinstance(message, m.ActivatorChanged):
            self._conditions[message.app] = message.conditions
            self._look(message.app)

    def news_wait(self, until: float) -> None:
        """Note that nothing can go on until then."""
        self._all_heard = max(self._all_heard, until)

    def are_long_closed(self, which: dict[str, float], app: str, seconds: float = 0.0) -> bool:
        """Tell whether some of an app are closed for so long, after all actors have heard of it."""
        allowed = seconds + HEARD
        return app in which and self.awake() > which[app] + allowed and self.now() > self._all_heard + allowed

    def life_ended(self) -> None:
        """All that was known went with the platform."""
        self.closed.clear()
        self.latched.clear()
        self._conditions.clear()

    def _look(self, app: str) -> None:
        host, settings = self._machine.host, self._machine.settings_of(app)
        stops = obstacle(host, settings) is not None
        waits = stops or not settings.within_budget or not host.meets_all(self._conditions.get(app, ()))
        for since, is_closed in ((self.closed, stops), (self.latched, waits)):
            if not is_closed:
                since.pop(app, None)
            else:
                since.setdefault(app, self.awake())
