"""The owner of the machine's state and of the user's settings: sensors and policy tell it, and apps say what no sensor knows.

The router, the supervisor through it, and the sessions that it concerns are told of each change with the whole new state.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

import anyio
from attrs import evolve

from tocsin.actors.clock import LoopClock
from tocsin.actors.host_reports import HostReports
from tocsin.actors.sessions import Sessions, Stamp
from tocsin.host.promises import HostParts, PolicySource, Sensor
from tocsin.mailbox import Mailbox
from tocsin.persistence.store import Store
from tocsin.protocol import messages as m
from tocsin.protocol.errors import PlatformUnavailable, PushError
from tocsin.protocol.platform.conditions import OF_USER, AppSettings
from tocsin.protocol.platform.host_facts import HostFacts, merged
from tocsin.protocol.platform.host_record import HostRecord
from tocsin.protocol.platform.host_standing import SensorStanding, host_report
from tocsin.protocol.platform.policy import Policy
from tocsin.tasks import task_group

logger = logging.getLogger(__name__)

Change = m.ChangeHost | m.ChangeAppSettings

ASK_AGAIN = 60.0
"""Seconds after which a sensor that is polled is asked again, while what it has told holds something back."""

PAUSE = 1.0
"""Seconds in which those that are polled are asked once at most, however many payloads come: they look once a minute."""

FIRST_LOOK = 1.0
"""Seconds for which a start waits at most for what sensors tell first; what they tell later counts from then on."""

_SETTINGS = "settings"
"""The key of what users have decided, in the store."""


class HostOwner:
    """Makes one change after the other, in the order in which they were asked for.

    :param route: returns the mailboxes to which a statement goes.
    :param parts: what tells of the machine; :meth:`run` listens to them.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # it stands between all of these
        self,
        route: Callable[[m.Message], Iterable[Mailbox]],
        sessions: Sessions,
        reports: HostReports,
        store: Store,
        clock: LoopClock,
        parts: HostParts,
    ) -> None:
        self.record = HostRecord()
        self.parts = parts
        self._route, self._sessions, self._reports = route, sessions, reports
        self._store, self._clock = store, clock
        self._turn = anyio.Lock(fast_acquire=True)
        self._deciding = anyio.Lock(fast_acquire=True)
        self._told: dict[str, HostFacts] = {}
        self._failed: set[str] = set()
        self._policy = self.record.policy
        self._over_budget = frozenset[str]()
        self.on_policy: Callable[[Policy], None] | None = None
        """Called with each policy before it counts: budgets are judged by it."""
        self._stirred = anyio.Event()
        self._told_by = [each for each in (*parts.sensors, parts.policy) if each is not None]
        self._polled = self._polled_now()
        self._asks_again = -math.inf
        """From when on those are asked again that are polled."""
        self._looked = anyio.Event()

    async def recall(self) -> None:
        """Read what users have decided; before :meth:`run`.

        :raises StateUnavailable: the store cannot be read.
        """
        kept = json.loads(await self._store.value(_SETTINGS) or "{}")
        decided = {app: AppSettings(**settings) for app, settings in kept.items()}
        self.record = evolve(self.record, decided=decided)

    async def run(self) -> None:
        """Listen to sensors and policy, and look at the time where that matters, until cancelled."""
        async with task_group() as tasks:
            for sensor in self.parts.sensors:
                tasks.start_soon(self._listen, sensor, name=sensor.name)
            if self.parts.policy is not None:
                tasks.start_soon(self._listen_to_policy, self.parts.policy, name="policy")
            while True:
                with anyio.move_on_after(self._until_next_look()):
                    await self._stirred.wait()
                self._stirred = anyio.Event()
                async with self._turn:
                    observed = self._observed()
                    # With quiet hours it is looked each time that payloads come; equal policies may be from other files.
                    if observed != self.record or observed.policy is not self.record.policy:
                        with suppress(PlatformUnavailable):  # it stops: no actor takes what changes now
                            await self._publish(observed)
                self._note_first_look()
                self._polled = self._polled_now()
                if self._holds_back():
                    self._ask_polled()

    async def looked(self) -> None:
        """Wait until each part has told what it knows, for ``FIRST_LOOK`` at most."""
        if self._told_by:
            with anyio.move_on_after(FIRST_LOOK):
                await self._looked.wait()

    def ask(self) -> None:
        """Have those look again that look only when a caller waits for them; so is the time of the day looked at again."""
        now = self._clock.monotonic()
        if self._polled and now >= self._asks_again:
            self._asks_again = now + PAUSE
            self._ask_polled()
        if self._policy.quiet_hours is not None:  # the machine may have slept through their begin
            self._stirred.set()

    def _ask_polled(self) -> None:
        for each in self._polled:
            each.ask()

    def set_over_budget(self, apps: frozenset[str]) -> None:
        """Note which apps have used up their data of today."""
        if apps != self._over_budget:
            self._over_budget = apps
            self._stirred.set()

    async def change(self, stamp: Stamp, change: Change) -> None:
        """Make a change that a session asks for, waiting for room in the router's mailbox, and answer the session.

        One that is cancelled meanwhile has changed nothing. One that cannot be is answered with the reason.
        """
        fields = dict(change.changes)
        try:
            if isinstance(change, m.ChangeHost):
                async with self._turn:
                    await self._publish(self.record.change_host(fields))
            else:
                await self.decide(stamp.app, fields)
        except PushError as refused:
            failed = m.Failed(change.request, type(refused).__name__, str(refused), refused.hresult)
            self._sessions.send(stamp.session, failed)
        else:
            self._sessions.send(stamp.session, m.Done(change.request))

    async def decide(self, app: str, settings: Mapping[str, bool]) -> None:
        """Change settings of an app, as its user decides; they are stored before they count.

        :raises InvalidArgument: there is no such setting.
        :raises IllegalCall: as many apps are exempt from energy saver as may be on one device.
        :raises StateUnavailable: the settings cannot be stored.
        """
        async with self._deciding:
            await self._decided(self.record.change_settings(app, settings))

    async def forget(self, app: str) -> None:
        """Forget what the user has decided for an app."""
        async with self._deciding:
            await self._decided(self.record.forget(app))

    async def _decided(self, record: HostRecord) -> None:
        """Store what users have decided, and let it count; the machine may change while the disk is slow."""
        if record.decided != self.record.decided:
            await self._store.keep_value(_SETTINGS, _packed(record))
        async with self._turn:
            await self._publish(evolve(self.record, decided=record.decided))

    def report(self) -> dict[str, Any]:
        """Say how the machine stands, and which sensor tells what of it."""
        sensors = [
            SensorStanding(
                each.name,
                "has failed, which the log tells" if each.name in self._failed else each.standing,
                self._told.get(each.name, HostFacts()),
            )
            for each in self.parts.sensors
        ]
        return host_report(sensors, self.record)

    def greet(self, stamp: Stamp) -> None:
        """Tell a session that was let in how the machine stands, and what the user has decided for its app."""
        self._sessions.send(stamp.session, m.HostChanged(self.record.host))
        self._sessions.send(stamp.session, m.AppSettingsChanged(stamp.app, self.record.settings_of(stamp.app)))

    def repeat(self) -> None:
        """Tell a router that began anew how all of it stands."""
        settings = [m.AppSettingsChanged(app, self.record.settings_of(app)) for app in sorted(self.record.apps)]
        for statement in (m.HostChanged(self.record.host), *settings):
            for mailbox in self._route(statement):
                mailbox.send_urgent(statement)

    async def _listen(self, sensor: Sensor) -> None:
        try:
            await sensor.run(partial(self._take_facts, sensor.name))
        except Exception:  # what a sensor does not foresee must end no app
            logger.exception("the sensor %s has failed: what it knew is unknown from now on", sensor.name)
            self._failed.add(sensor.name)
            self._take_facts(sensor.name, HostFacts())

    async def _listen_to_policy(self, policy: PolicySource) -> None:
        try:
            await policy.run(self._take_policy)
        except Exception:  # as of sensors; what it has told goes on to count
            logger.exception("what reads the group policy has failed: it stays as it is until the next start")
            self._take_policy(self._policy)

    def _take_facts(self, sensor: str, facts: HostFacts) -> None:
        self._told[sensor] = facts
        self._stirred.set()

    def _take_policy(self, policy: Policy) -> None:
        self._policy = policy
        if self.on_policy is not None:
            self.on_policy(policy)
        self._told.setdefault("", HostFacts())  # it has told, too
        self._stirred.set()

    def _observed(self) -> HostRecord:
        facts = merged(self._told[each.name] for each in self.parts.sensors if each.name in self._told)
        local = datetime.fromtimestamp(self._clock.wall()).astimezone()
        minute = 0 if self._policy.quiet_hours is None else local.hour * 60 + local.minute
        return evolve(self.record, facts=facts, policy=self._policy, minute=minute, over_budget=self._over_budget)

    def _polled_now(self) -> list[Sensor | PolicySource]:
        return [each for each in self._told_by if each.is_polled]

    def _until_next_look(self) -> float:
        """Return for how many seconds nothing changes by itself."""
        quiet = self._policy.quiet_hours
        moments = [ASK_AGAIN] if self._polled and self._holds_back() else []
        if quiet is not None:
            seconds = self._clock.wall() % 60
            moments.append(quiet.minutes_to_change(self.record.minute) * 60 - seconds)
        return min(moments, default=math.inf)

    def _holds_back(self) -> bool:
        host = self.record.host
        return host.energy_saver or not host.screen_on_or_plugged

    def _note_first_look(self) -> None:
        if len(self._told) == len(self._told_by):
            self._looked.set()

    async def _publish(self, record: HostRecord) -> None:
        """Tell what is different in a record, and make it the one that counts."""
        before = self.record
        host = [m.HostChanged(record.host)] if record.host != before.host else []
        apps = [app for app in sorted(record.apps | before.apps) if record.settings_of(app) != before.settings_of(app)]
        settings = [m.AppSettingsChanged(app, record.settings_of(app)) for app in apps]
        for statement in (*host, *settings):
            for mailbox in self._route(statement):
                await mailbox.send(statement)
        self.record = record
        self._reports.note(record)
        for statement in host:
            self._sessions.send_to_all(statement)
        for each in settings:
            self._sessions.send_to_app(each.app, each)


def _packed(record: HostRecord) -> str:
    """Write down what users have decided."""
    decided = {app: {name: getattr(each, name) for name in OF_USER} for app, each in record.decided.items()}
    return json.dumps(decided)
