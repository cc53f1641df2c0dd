"""The acts: everything that can happen to two apps, a service, and a machine and its user."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from attrs import evolve

from tests.simulation.apps import Handlers
from tests.simulation.faults import StoreFault
from tests.simulation.runner import Life, Simulation
from tests.simulation.script import APPS, FLAGS
from tocsin.api.channel import PushNotificationChannel
from tocsin.api.manager import PushNotificationManager
from tocsin.api.operation import CreateChannelOperation
from tocsin.protocol.errors import ChannelClosed, IllegalCall, PushError
from tocsin.protocol.hresult import HResult
from tocsin.protocol.messages import Payload
from tocsin.protocol.platform.activation import (
    Activators,
    CancellationReason,
    PushNotificationActivationInfo,
    SystemConditionType,
)
from tocsin.protocol.values import NotificationType
from tocsin.protocol.webpush.sender import is_web_push

REMOTE_IDS = ("f80e541e-3606-48fb-935e-118a3c5f41f4", "f80e541e-3606-48fb-935e-118a3c5f41f5")
CONDITIONS = (SystemConditionType.USER_PRESENT, SystemConditionType.FREE_NETWORK_AVAILABLE)
DAY = 86_400.0


class Acts:
    """Each act is a method with plain arguments, and is named by it in a script."""

    def __init__(self, on_tick: Callable[[], None], *, agent: bool = False) -> None:
        self.sim = Simulation(APPS, on_tick, agent=agent)
        self.record = self.sim.record
        self.service = self.sim.service
        self.handlers = Handlers(self.record, dict.fromkeys(APPS, "completes"))
        self.attached: dict[str, int] = {}
        self.operations: list[CreateChannelOperation] = []
        self.pushed: list[Payload] = []
        self.asked: dict[str, PushNotificationActivationInfo | None] = {}
        """What each app has asked for last: background work, or none."""
        self.agreed: set[str] = set()
        """The apps whose background work the platform has agreed to, and that have not unregistered it since."""

    @property
    def life(self) -> Life:
        """The platform that lives."""
        return self.sim.life

    # Apps

    def request(self, app: int, remote_id: int) -> None:
        """An app requests a channel; no task waits for the result, which the service tells."""
        with suppress(PushError):
            self.operations.append(self._manager(app).create_channel(REMOTE_IDS[remote_id]))

    def withdraw(self, which: int) -> None:
        """An app cancels a request, if one is open."""
        open_ = [operation for operation in self.operations if not operation._ended]
        for operation in pick(open_, which):
            operation.cancel()

    def close(self, app: int) -> None:
        """An app closes its channels."""
        manager = self._manager(app)
        for stored in [each for each in self.sim.store._channels.values() if each.app == APPS[app]][:1]:
            channel = PushNotificationChannel(manager._session, APPS[app], stored.channel, stored.uri, stored.expires)
            self._spawn(channel.close)

    def attach(self, which: int, mode: str) -> None:
        """A handler is attached to a channel, instead of the one before, if there is one."""
        for channel in pick(self.channels(), which):
            self.put_handler(channel, mode)

    def detach(self, which: int) -> None:
        """A handler is detached: its payloads wait, or go to the background."""
        for channel in pick(list(self.attached), which):
            self._detach(channel)

    def register(self, app: int, conditions: int, cancels: bool, mode: str) -> None:
        """Background work is registered; where it is already, it only works otherwise from now on.

        :param conditions: the sum of 1 and 2 for the first and the second of ``CONDITIONS``.
        """
        self.handlers.working[APPS[app]] = mode
        wanted = tuple(each for bit, each in enumerate(CONDITIONS) if conditions >> bit & 1)
        info = PushNotificationActivationInfo(Activators.PROTOCOL_ACTIVATOR, None, wanted, cancels)
        self._spawn(self._register, APPS[app], info)

    def unregister(self, app: int) -> None:
        """Background work is unregistered; what runs is cancelled."""
        self._spawn(self._unregister, APPS[app])

    def complete(self) -> None:
        """Deferrals are completed, in time or too late."""
        self.handlers.complete()

    # The service

    async def push(self, which: int, count: int, lifetime: float | None, priority: int) -> None:
        """Payloads are sent, some of them to channels that are gone; ``lifetime`` in seconds."""
        expires = None if lifetime is None else self.service.now() + lifetime
        of_apps = [name for name, (_, remote_id) in self.service.granted.items() if not is_web_push(remote_id)]
        for channel in pick(of_apps, which):
            for _ in range(count):
                payload = Payload(f"id{len(self.pushed)}", channel, NotificationType.RAW, b"ding", expires, priority)
                await self._send(payload, b"ding", lifetime)

    async def push_again(self, ago: int) -> None:
        """A payload is sent again: the service did not hear that it had arrived."""
        for payload in self.pushed[-ago:][:1]:
            if payload.id not in self.service.withdrawn:
                await self.service.push(payload)

    async def revoke(self, which: int) -> None:
        """The service takes a channel back."""
        for channel in list(self.service.channels)[which : which + 1]:
            await self.service.revoke(0, [channel])

    def refuse(self, hresult: str, retry_after: float | None) -> None:
        """The service will refuse a request, for now or for good."""
        self.service.refusals.append((HResult[hresult], retry_after))
        self.record.faults["refusal"] += 1

    async def cut(self, reachable: bool) -> None:
        """The connection is lost, and the service is away, or can be reached again."""
        self.service.reachable = reachable
        self.record.faults["connection cut"] += 1
        await self.service.cut()

    def reach(self) -> None:
        """The service is back; the device finds it by itself."""
        self.service.reachable = True

    def answer_after(self, seconds: float) -> None:
        """The service takes so long over each message from now on."""
        self.service.delay = seconds

    def grant_for(self, days: float) -> None:
        """Channels that are granted from now on live so long."""
        self.service.lifetime = days * DAY

    def break_wire(self, direction: str, chunks: int, passes: bool) -> None:
        """The wire will break with one of the next chunks in that direction, which still gets through or does not."""
        self.sim.wire.planned[direction, self.sim.wire.chunks[direction] + chunks] = passes

    # The machine and its user

    async def pass_time(self, seconds: float) -> None:
        """Time passes, from one deadline to the next."""
        await self.sim.advance(seconds)

    def sleep(self, seconds: float) -> None:
        """The machine sleeps: all deadlines of that time come at once."""
        self.record.excuse(seconds)
        self.record.faults["sleep"] += 1
        self.sim.clock.jump(seconds)

    def suspend(self, seconds: float, counted: bool) -> None:
        """The machine sleeps while its alarms stand still; not every system's steady clock counts that time."""
        self.record.faults["suspend"] += 1
        self.sim.time.slept += seconds
        if not counted:
            self.sim.device.missed += seconds
            self.record.lag_is(self.record.lag + seconds)

    async def power_off(self, seconds: float, clock: float) -> None:
        """The machine is off for a while, and its wall clock is wrong by so many seconds more when it is on again."""
        self.record.faults["power off"] += 1
        await self.sim.stop()
        self.forget()
        self.record.excuse(seconds)
        self.sim.clock.jump(seconds)
        self.sim.device.offset += clock
        await self.sim.start()

    def set_clock(self, seconds: float) -> None:
        """The device's wall clock is set forwards or backwards, while all others go on."""
        self.record.faults["clock set"] += 1
        self.sim.device.offset += seconds

    def set_service_clock(self, seconds: float) -> None:
        """That of the service's machine is."""
        self.record.faults["service's clock set"] += 1
        self.sim.machine.offset += seconds

    def clocks_apart(self, seconds: float) -> None:
        """The device's wall clock is so far ahead of the service's, and the device comes up knowing nothing of it."""
        self.record.faults["clocks apart"] += 1
        self.sim.device.offset = self.sim.machine.offset + seconds
        self.sim.store.forget_time()
        self.sim.die()

    async def restart_service(self) -> None:
        """The service is stopped and started again: its time goes on."""
        self.record.faults["service restarted"] += 1
        await self.service.cut()
        await self.sim.machine.restart()

    async def flip(self, flag: str) -> None:
        """The machine changes in one respect; each app speaks of other respects."""
        conditions = self._manager(FLAGS.index(flag) % len(APPS)).conditions
        value = not getattr(conditions.host, flag)
        with suppress(IllegalCall):  # a sensor knows it
            await conditions.set_host(**{flag: value})

    def sense(self, fact: str, value: bool | None) -> None:
        """A sensor tells something of the machine, or does not know it any more."""
        sensor = self.sim.sensor
        sensor.tell(evolve(sensor.facts, **{fact: value}))

    def rule(self, what: str, allowed: bool) -> None:
        """Policy changes for all apps."""
        policy, rule = self.sim.policy.told, {what: allowed}
        policy.set(evolve(policy.value, **rule))  # type: ignore[arg-type]  # one of RULES

    def rule_app(self, app: int, what: str, value: bool | None) -> None:
        """Policy changes for one."""
        policy = self.sim.policy.told
        rules = evolve(policy.value.rules_of(APPS[app]), **{what: value})
        policy.set(evolve(policy.value, apps={**policy.value.apps, APPS[app]: rules}))

    def run_out_of_data(self, app: int, left: bool) -> None:
        """An app has used up its data of the day, or the next day begins."""
        owner = self.life.platform.host_owner
        over = owner.record.over_budget - {APPS[app]}
        owner.set_over_budget(over if left else over | {APPS[app]})

    def decide(self, app: int, notifications: bool, background: bool, exempt: bool) -> None:
        """The user decides what an app may do, which is stored: it dies with the platform, or hears that it failed."""
        change = {"notifications": notifications, "background": background, "exempt_from_energy_saver": exempt}
        self._spawn(partial(self._manager(app).conditions.set_app, **change))

    async def cancel_work(self, app: int, reason: str) -> None:
        """Work is cancelled, as a system does that updates or suspends an app."""
        await self._manager(app).conditions.cancel_work(CancellationReason[reason])

    # Failures

    def crash(self, actor: str, where: str) -> None:
        """An actor will fail with the next message that it receives, or with the next batch that it flushes."""
        self.life.crashes.add((actor, where))

    def break_store(self, fault: str, calls: int, seconds: float) -> None:
        """One of the next store calls goes wrong; a slow one takes so many seconds."""
        self.sim.disk.planned[self.sim.disk.calls + calls] = StoreFault(fault), seconds

    async def restart(self) -> None:
        """The platform is stopped in order, and started again."""
        self.record.faults["restart"] += 1
        await self.sim.stop()
        self.forget()
        await self.sim.start()

    def kill(self) -> None:
        """The platform dies in the middle of what it does; it is started again."""
        self.record.faults["kill"] += 1
        self.sim.die()

    # How it happens

    async def _send(self, payload: Payload, plaintext: bytes, lifetime: float | None) -> None:
        """Send a payload, and note what its app is to get of it, and until when."""
        self.record.good_until[payload.id] = self.sim.time() + (math.inf if lifetime is None else lifetime)
        self.record.plaintexts[payload.id] = plaintext
        if payload.channel in self.record.ended:
            self.record.too_late.add(payload.id)
        self.pushed.append(payload)
        await self.service.push(payload)

    def forget(self) -> None:
        """What the apps knew went with their process."""
        self.attached.clear()
        self.operations.clear()
        self.handlers.deferred.clear()

    def _manager(self, app: int) -> PushNotificationManager:
        return self.life.managers[APPS[app]]

    def _spawn(self, act: Any, *arguments: Any) -> None:
        """Begin something that may wait, and may be refused."""

        async def attempt() -> None:
            with suppress(PushError):
                await act(*arguments)

        assert self.life.tasks is not None
        self.life.tasks.start_soon(attempt)

    async def _register(self, app: str, info: PushNotificationActivationInfo) -> None:
        self.asked[app] = info
        await self.life.managers[app].register_activator(info, self.handlers.background(app))
        if self.asked[app] is info:  # else it has been unregistered while the answer was on its way
            self.agreed.add(app)

    async def _unregister(self, app: str) -> None:
        self.asked[app] = None
        self.agreed.discard(app)
        await self.life.managers[app].unregister_all_activators()

    def channels(self) -> list[str]:
        """Return the channels of the apps in the platform's process."""
        return [name for name, stored in self.sim.store._channels.items() if stored.app in APPS]

    def put_handler(self, channel: str, mode: str) -> None:
        """Attach a handler to a channel, instead of the one before."""
        self._detach(channel)
        session = self.life.managers[self.service.granted[channel][0]]._session
        with suppress(ChannelClosed):
            self.attached[channel] = session.subscribe(channel, self.handlers.foreground(mode))

    def _detach(self, channel: str) -> None:
        token = self.attached.pop(channel, None)
        if token is not None:
            self.life.managers[self.service.granted[channel][0]]._session.unsubscribe(channel, token)


def pick(of: list[Any], which: int) -> list[Any]:
    """Return the one of them that a script means, if there are any."""
    return [of[which % len(of)]] if of else []
