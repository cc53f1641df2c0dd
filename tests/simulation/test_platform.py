"""The whole platform in any order of events, with any of them failing: nothing that was acknowledged is ever lost."""

from __future__ import annotations

from anyio.lowlevel import checkpoint
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from tests.simulation.machine import (
    ACTORS,
    APPS,
    CONDITIONS,
    FLAGS,
    REMOTE_IDS,
    TURNS,
    PlatformMachine,
)
from tests.simulation.runner import EPOCH
from tocsin.protocol.activation import (
    CancellationReason,
    SystemConditionType,
)
from tocsin.protocol.conditions import AppSettings
from tocsin.protocol.hresult import HResult
from tocsin.protocol.messages import Payload
from tocsin.protocol.values import NotificationType


class PlatformUnderFaults(PlatformMachine):
    """Two apps, a service, and everything that can happen to them."""

    # What apps do

    @initialize(background=st.booleans(), mode=st.sampled_from(["handles", "refuses", "hangs", ""]))
    def there_are_channels(self, background: bool, mode: str) -> None:
        """Most of what can go wrong needs one."""
        for app in APPS:
            self.do(self.run.managers[app].create_channel, REMOTE_IDS[0])
            if background:
                self.do(self.register, app, (), True)  # noqa: FBT003
        for channel in list(self.sim.store._channels) if mode else []:
            self.do(self.attach, channel, mode)

    @rule(app=st.sampled_from(APPS), remote_id=st.sampled_from(REMOTE_IDS))
    def an_app_requests_a_channel(self, app: str, remote_id: str) -> None:
        """Nobody waits for the result: the service tells."""
        self.do(self.run.managers[app].create_channel, remote_id)

    @rule(
        mode=st.sampled_from(["handles", "handles", "refuses", "raises", "hangs", "takes its time"]),
        which=st.integers(0, 7),
        turns=TURNS,
    )
    def a_handler_is_attached(self, mode: str, which: int, turns: int | None) -> None:
        """Instead of the one before, if there is one."""
        names = list(self.sim.store._channels)
        if names:
            self.do(self.attach, names[which % len(names)], mode, turns=turns)

    @rule(which=st.integers(0, 1), turns=TURNS)
    def a_handler_is_detached(self, which: int, turns: int | None) -> None:
        """Then its payloads wait, or go to the background."""
        for channel in list(self.attached)[which : which + 1]:
            self.do(self.detach, channel, turns=turns)

    @rule(
        app=st.sampled_from(APPS),
        conditions=st.sets(st.sampled_from(CONDITIONS)),
        cancels=st.booleans(),
        mode=st.sampled_from(["completes", "defers", "leaks", "raises"]),
    )
    def background_work_is_registered(
        self,
        app: str,
        conditions: set[SystemConditionType],
        cancels: bool,
        mode: str,
    ) -> None:
        """Where it is already, it only works otherwise from now on."""
        self.working[app] = mode
        self.do(self.register, app, sorted(conditions), cancels)

    @rule(app=st.sampled_from(APPS), turns=TURNS)
    def background_work_is_unregistered(self, app: str, turns: int | None) -> None:
        """What runs is cancelled."""
        self.do(self.spawn, self.run.managers[app].unregister_all_activators, turns=turns)

    @rule()
    def deferrals_are_completed(self) -> None:
        """In time, or too late."""
        self.do(self.complete)

    # What the service does

    @rule(
        which=st.integers(0, 7),
        count=st.integers(1, 5),
        lifetime=st.none() | st.sampled_from([-1.0, 3.0, 40.0]),
        priority=st.integers(1, 4),
        turns=TURNS,
    )
    def payloads_are_pushed(
        self, which: int, count: int, lifetime: float | None, priority: int, turns: int | None
    ) -> None:
        """Some of them are sent to channels that are gone."""
        names = list(self.sim.service.granted)
        name = names[which % len(names)]
        expires = None if lifetime is None else EPOCH + self.sim.clock.current_time() + lifetime
        for _ in range(count):
            payload = Payload(f"id{len(self.pushed)}", name, NotificationType.RAW, b"ding", expires, priority)
            self.pushed.append(payload)
            self.do(self.sim.service.push, payload, turns=turns)

    @rule(ago=st.integers(1, 5), turns=TURNS)
    def a_payload_is_pushed_again(self, ago: int, turns: int | None) -> None:
        """The service did not hear that it had arrived."""
        for payload in self.pushed[-ago:][:1]:
            self.do(self.sim.service.push, payload, turns=turns)

    @rule(which=st.integers(0, 2))
    def a_channel_is_revoked(self, which: int) -> None:
        """The service takes it back."""
        names = list(self.sim.service.channels)
        self.do(self.sim.service.revoke, 0, names[which : which + 1])

    @rule(hresult=st.sampled_from([HResult.WNP_E_RECONNECTING, HResult.E_INVALIDARG]))
    def a_request_will_be_refused(self, hresult: int) -> None:
        """For now, or for good."""
        self.sim.service.refusals.append(hresult)

    @rule(reachable=st.booleans(), turns=TURNS)
    def the_connection_is_lost(self, reachable: bool, turns: int | None) -> None:
        """And the service is away, or can be reached again."""
        self.sim.service.reachable = reachable
        self.do(self.sim.service.cut, turns=turns)

    @rule()
    def the_service_is_back(self) -> None:
        """The device finds it by itself."""
        self.sim.service.reachable = True

    # What happens to all

    @rule(seconds=st.sampled_from([0.2, 1.0, 4.0, 12.0, 31.0, 36.0, 90.0]))
    def time_passes(self, seconds: float) -> None:
        """From one deadline to the next."""
        self.do(self.sim.advance, seconds)

    @rule(seconds=st.sampled_from([10.0, 60.0, 3600.0]))
    def the_machine_sleeps(self, seconds: float) -> None:
        """All deadlines of that time come at once."""
        self.do(self.sim.clock.jump, seconds)

    @rule(app=st.sampled_from(APPS), name=st.sampled_from([each.name for each in FLAGS]), turns=TURNS)
    def a_condition_flips(self, app: str, name: str, turns: int | None) -> None:
        """The machine changes."""
        conditions = self.run.managers[app].conditions
        for each in self.run.managers.values():
            each.conditions.host = conditions.host
        self.do(lambda: conditions.set_host(**{name: not getattr(conditions.host, name)}), turns=turns)

    @rule(app=st.sampled_from(APPS), settings=st.builds(AppSettings, st.booleans(), st.booleans(), st.booleans()))
    def the_user_decides(self, app: str, settings: AppSettings) -> None:
        """What an app may do."""
        self.do(self.decide, app, settings)

    @rule(app=st.sampled_from(APPS), reason=st.sampled_from(CancellationReason))
    def work_is_cancelled(self, app: str, reason: CancellationReason) -> None:
        """As a system does that updates or suspends an app."""
        self.do(self.run.managers[app].conditions.cancel_work, reason)

    @rule(name=st.sampled_from(ACTORS))
    def an_actor_will_crash(self, name: str) -> None:
        """With the next message that it takes."""
        self.run.crashes.add(name)

    @rule(killed=st.booleans())
    def the_platform_is_restarted(self, killed: bool) -> None:
        """In order, or after it was killed in the middle of what it did."""
        self.do(self.run.kill if killed else checkpoint)
        self.stop()
        self.start()


TestPlatformUnderFaults = PlatformUnderFaults.TestCase
TestPlatformUnderFaults.settings = settings(stateful_step_count=max(settings().stateful_step_count, 50))
