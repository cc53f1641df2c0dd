"""The rule machine's ground: how it drives the platform, what handlers do, and what always holds."""

from __future__ import annotations

import logging
import math
from collections import Counter
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager, ExitStack, suppress
from typing import Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from attrs import fields, frozen
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant
from trio._core import _run as trio_run

from tests.simulation.runner import Run, Simulation
from tocsin.actors.payload_router import PayloadRouter
from tocsin.actors.supervisor import Supervisor
from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.api.deferral import Deferral
from tocsin.protocol.activation import (
    Activators,
    PushNotificationActivationInfo,
    SystemConditionType,
)
from tocsin.protocol.conditions import AppSettings, HostState
from tocsin.protocol.errors import ChannelClosed, PushError
from tocsin.protocol.messages import Payload

APPS: tuple[str, ...] = ("contoso.mail", "contoso.news")
REMOTE_IDS = ("f80e541e-3606-48fb-935e-118a3c5f41f4", "f80e541e-3606-48fb-935e-118a3c5f41f5")
PATIENCE = 20.0
"""Real seconds after which a step that never comes to rest fails."""

SETTLED = 600.0
"""Virtual seconds in which all must have ended once nothing fails any more."""

ACTORS = ("payload_router", "supervisor", "activator_registry", "channel_requester", "retry_scheduler")
FLAGS = sorted(fields(HostState), key=lambda each: each.name)
CONDITIONS = [SystemConditionType.USER_PRESENT, SystemConditionType.FREE_NETWORK_AVAILABLE]
TURNS = st.none() | st.integers(0, 12)
"""How far the scheduler goes before the next thing happens: until nothing can go on, or some turns."""


@frozen
class Call:
    """One payload as a handler got it."""

    channel: str | None
    """None in the background."""
    id: str
    sequence: int
    attempt: int


class PlatformMachine(RuleBasedStateMachine):
    """Drives the platform of two apps, and says what always holds."""

    def __init__(self) -> None:
        super().__init__()
        logging.disable(logging.CRITICAL)
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(trio_run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)
        trio_run._r.seed(0)
        self.sim = Simulation(APPS)
        self.stack = ExitStack()
        self.portal = self.stack.enter_context(start_blocking_portal("trio", {"clock": self.sim.clock}))
        self.calls: list[Call] = []
        self.done: set[str] = set()
        self.deferred: list[tuple[str, Deferral]] = []
        self.attached: dict[str, int] = {}
        self.working = dict.fromkeys(APPS, "completes")
        self.pushed: list[Payload] = []
        self.acts: list[tuple[Any, tuple[Any, ...], int | None]] = []
        self.life: AbstractContextManager[Run]
        self.start()

    # Driving

    def start(self) -> None:
        """Start the platform on what is stored."""
        self.life = self.portal.wrap_async_context_manager(self.sim.run())
        self.run = self.life.__enter__()

    def stop(self) -> None:
        """Stop it; time passes as it needs."""
        self.attached.clear()
        self.portal.call(setattr, self.sim.clock, "autojump_threshold", 0)
        with suppress(CancelledError):  # that is how a run ends that was killed
            self.life.__exit__(None, None, None)
        self.portal.call(setattr, self.sim.clock, "autojump_threshold", math.inf)

    def do(self, act: Any, *arguments: Any, turns: int | None = None) -> None:
        """Do something within the loop and let what follows happen; or go on with the next thing after some turns."""
        self.acts.append((act, arguments, turns))
        if turns is None:
            acts, self.acts = self.acts, []
            self.portal.start_task_soon(self.sim.do, acts).result(PATIENCE)

    async def spawn(self, act: Any, *arguments: Any) -> None:
        """Begin something that may wait, and may be refused."""

        async def attempt() -> None:
            with suppress(PushError):
                await act(*arguments)

        self.run.tasks.start_soon(attempt)

    # Handlers

    def foreground(self, channel: str, mode: str) -> Any:
        """Make a foreground handler of a channel."""

        async def handle(args: PushNotificationReceivedEventArgs) -> None:
            self.note(args, channel)
            if mode == "raises":
                raise RuntimeError("a handler fails")
            if mode == "hangs":
                await anyio.sleep_forever()
            if mode == "takes its time":
                await anyio.sleep(7)
            if mode != "refuses":
                self.done.add(args.id)
                args.handled = True

        return handle

    def background(self, app: str) -> Any:
        """Make the handler of an app's background work, which works as the app does at the time."""

        async def handle(args: PushNotificationReceivedEventArgs) -> None:
            self.note(args)
            mode = self.working[app]
            if mode == "raises":
                raise RuntimeError("background work fails")
            if mode in {"defers", "leaks"}:
                deferral = args.get_deferral()
                if mode == "defers":
                    self.deferred.append((args.id, deferral))
            else:
                self.done.add(args.id)

        return handle

    def note(self, args: PushNotificationReceivedEventArgs, channel: str | None = None) -> None:
        """Write down what a handler got: one of a channel in the foreground, or one of the background."""
        self.calls.append(Call(channel, args.id, args._sequence, args.attempt))

    # What apps and users do

    def attach(self, channel: str, mode: str) -> None:
        """Attach a handler to a channel."""
        self.detach(channel)
        session = self.run.managers[self.sim.store._channels[channel].app]._session
        with suppress(ChannelClosed):
            self.attached[channel] = session.attach(channel, self.foreground(channel, mode))

    def detach(self, channel: str) -> None:
        """Detach the handler of a channel."""
        token = self.attached.pop(channel, None)
        if token is not None:
            self.run.managers[self.sim.service.granted[channel]]._session.detach(channel, token)

    async def register(self, app: str, conditions: Any, cancels: bool) -> None:
        """Register background work of an app."""
        info = PushNotificationActivationInfo(Activators.PROTOCOL_ACTIVATOR, None, conditions, cancels)
        await self.spawn(self.run.managers[app].register_activator, info, self.background(app))

    def complete(self) -> None:
        """Complete what was deferred."""
        for id_, deferral in self.deferred:
            self.done.add(id_)
            deferral.complete()
        self.deferred.clear()

    async def decide(self, app: str, settings: AppSettings) -> None:
        """Set all settings of an app."""
        await self.run.managers[app].conditions.set_app(
            notifications=settings.notifications,
            background=settings.background,
            exempt_from_energy_saver=settings.exempt_from_energy_saver,
        )

    # What always holds

    @invariant()
    def what_was_acknowledged_is_in_exactly_one_place(self) -> None:
        """It is open, or was handled by its app, or is a dead letter with a reason."""
        store = self.sim.store
        numbers = {id_: number for number, id_ in store._ids.items()}
        assert len(numbers) == len(store._ids), "an id was accepted twice"
        assert numbers.keys() >= self.sim.service.acknowledged.keys()
        for id_, number in numbers.items():
            letter = store._dead.get(number)
            assert (number in store._open) + (number in store.handled) + (letter is not None) == 1, id_
            assert letter is None or letter.reason
            assert number not in store.handled or id_ in self.done, f"{id_} ended as handled, but nobody handled it"

    @invariant()
    def nothing_is_a_first_attempt_twice(self) -> None:
        """Neither in the foreground nor in the background."""
        first = Counter((call.id, call.channel is None) for call in self.calls if call.attempt == 1)
        assert max(first.values(), default=1) == 1, first.most_common(1)

    @invariant()
    def first_attempts_come_in_order(self) -> None:
        """In the foreground, by channel, but for what a gate has held back."""
        last: Counter[str] = Counter()
        for call in self.calls:
            if call.attempt == 1 and call.channel is not None and call.sequence not in self.sim.store.held:
                assert call.sequence > last[call.channel], call
                last[call.channel] = call.sequence

    @invariant()
    def mailboxes_are_bounded(self) -> None:
        """None was ever deeper than it may be."""
        for mailbox in self.run.platform.statistics():
            assert mailbox.high_water <= mailbox.capacity

    def teardown(self) -> None:
        """When nothing fails any more, everything comes to its end."""
        try:
            self.do(self.mend)
            self.do(self.sim.advance, SETTLED)
            self.what_was_acknowledged_is_in_exactly_one_place()
            assert not self.sim.store._open, "these never ended"
            router, supervisor = self.run.actors["payload_router"], self.run.actors["supervisor"]
            assert isinstance(router, PayloadRouter)
            assert isinstance(supervisor, Supervisor)
            assert not router._lanes._in_flight
            assert not supervisor._tracked
            assert not supervisor._lines
        finally:
            self.stop()
            self.stack.close()
            self.patch.undo()
            logging.disable(logging.NOTSET)

    async def mend(self) -> None:
        """Stop all faults, and let every app do its work."""
        self.run.crashes.clear()
        self.sim.service.refusals.clear()
        self.sim.service.reachable = True
        for app, manager in self.run.managers.items():
            await manager.conditions.set_host(**{each.name: bool(each.default) for each in FLAGS})
            await self.decide(app, AppSettings())
            self.working[app] = "completes"
            await self.register(app, (), False)  # noqa: FBT003
        for channel in list(self.sim.store._channels):
            self.attach(channel, "handles")
