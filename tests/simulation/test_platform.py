"""The whole platform in any order of events, with any of them failing: nothing that was acknowledged is ever lost."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from tests.simulation.apps import BACKGROUND, FOREGROUND
from tests.simulation.faults import StoreFault
from tests.simulation.machine import TURNS, PlatformMachine
from tests.simulation.script import ACTORS, APART, APPS, FACTS, FLAGS, REFUSALS, RULES, RULES_OF_APPS
from tocsin.protocol.platform.activation import CancellationReason

apps = st.integers(0, len(APPS) - 1)
which = st.integers(0, 7)
JUMPS = st.floats(-APART, APART)


class PlatformUnderFaults(PlatformMachine):
    """Two apps, a service, and everything that can happen to them."""

    # What apps do

    @initialize(background=st.booleans(), mode=st.sampled_from(["handles", "refuses", "hangs", ""]))
    def there_are_channels(self, background: bool, mode: str) -> None:
        """Most of what can go wrong needs one."""
        for app in range(len(APPS)):
            self.do("request", app, 0)
            if background:
                self.do("register", app, 0, True, "completes")  # noqa: FBT003  # acts have plain arguments
            if mode:
                self.do("attach", app, mode)

    @rule(app=apps, remote_id=st.integers(0, 1))
    def an_app_requests_a_channel(self, app: int, remote_id: int) -> None:
        """No task waits for the result, which the service tells."""
        self.do("request", app, remote_id)

    @rule(mode=st.sampled_from(["handles", *FOREGROUND]), which=which, turns=TURNS)
    def a_handler_is_attached(self, mode: str, which: int, turns: int | None) -> None:
        """Instead of the one before, if there is one."""
        self.do("attach", which, mode, turns=turns)

    @rule(which=st.integers(0, 1), turns=TURNS)
    def a_handler_is_detached(self, which: int, turns: int | None) -> None:
        """Then its payloads wait, or go to the background."""
        self.do("detach", which, turns=turns)

    @rule(app=apps, conditions=st.integers(0, 3), cancels=st.booleans(), mode=st.sampled_from(BACKGROUND))
    def background_work_is_registered(self, app: int, conditions: int, cancels: bool, mode: str) -> None:
        """Where it is already, it only works otherwise from now on."""
        self.do("register", app, conditions, cancels, mode)

    @rule(app=apps, turns=TURNS)
    def background_work_is_unregistered(self, app: int, turns: int | None) -> None:
        """What runs is cancelled."""
        self.do("unregister", app, turns=turns)

    @rule()
    def deferrals_are_completed(self) -> None:
        """In time, or too late."""
        self.do("complete")

    # What the service does

    @rule(
        which=which,
        count=st.integers(1, 5),
        lifetime=st.none() | st.sampled_from([-1.0, 3.0, 40.0]),
        priority=st.integers(1, 4),
        turns=TURNS,
    )
    def payloads_are_pushed(
        self, which: int, count: int, lifetime: float | None, priority: int, turns: int | None
    ) -> None:
        """Some of them are sent to channels that are gone."""
        self.do("push", which, count, lifetime, priority, turns=turns)

    @rule(ago=st.integers(1, 5), turns=TURNS)
    def a_payload_is_pushed_again(self, ago: int, turns: int | None) -> None:
        """The service did not hear that it had arrived."""
        self.do("push_again", ago, turns=turns)

    @rule(which=st.integers(0, 2))
    def a_channel_is_revoked(self, which: int) -> None:
        """The service takes it back."""
        self.do("revoke", which)

    @rule(hresult=st.sampled_from(REFUSALS), retry_after=st.sampled_from([None, 200.0]))
    def a_request_will_be_refused(self, hresult: str, retry_after: float | None) -> None:
        """For now, or for good."""
        self.do("refuse", hresult, retry_after)

    @rule(reachable=st.booleans(), turns=TURNS)
    def the_connection_is_lost(self, reachable: bool, turns: int | None) -> None:
        """And the service is away, or can be reached again."""
        self.do("cut", reachable, turns=turns)

    @rule(direction=st.sampled_from(["up", "down"]), chunks=st.integers(1, 4), passes=st.booleans())
    def the_wire_will_break(self, direction: str, chunks: int, passes: bool) -> None:
        """With one of the next chunks."""
        self.do("break_wire", direction, chunks, passes)

    @rule()
    def the_service_is_back(self) -> None:
        """The device finds it by itself."""
        self.do("reach")

    # What happens to all

    @rule(seconds=st.sampled_from([0.2, 1.0, 4.0, 12.0, 31.0, 36.0, 90.0]))
    def time_passes(self, seconds: float) -> None:
        """From one deadline to the next."""
        self.do("pass_time", seconds)

    @rule(seconds=st.sampled_from([10.0, 60.0, 3600.0]))
    def the_machine_sleeps(self, seconds: float) -> None:
        """All deadlines of that time come at once."""
        self.do("sleep", seconds)

    @rule(seconds=st.sampled_from([10.0, 60.0, 3600.0]), counted=st.booleans())
    def the_machine_is_suspended(self, seconds: float, counted: bool) -> None:
        """Its alarms stand still meanwhile."""
        self.do("suspend", seconds, counted)

    @rule(seconds=st.sampled_from([2.0, 60.0, 3600.0]), clock=JUMPS)
    def the_machine_is_off(self, seconds: float, clock: float) -> None:
        """And its wall clock is wrong when it is on again."""
        self.do("power_off", seconds, clock)

    @rule(seconds=JUMPS)
    def the_clock_is_set(self, seconds: float) -> None:
        """The device's wall clock; the others go on."""
        self.do("set_clock", seconds)

    @rule(seconds=JUMPS)
    def the_services_clock_is_set(self, seconds: float) -> None:
        """Its time goes on."""
        self.do("set_service_clock", seconds)

    @rule(seconds=JUMPS)
    def the_clocks_are_apart(self, seconds: float) -> None:
        """And the device knows nothing of the service's."""
        self.do("clocks_apart", seconds)

    @rule()
    def the_service_is_restarted(self) -> None:
        """The device finds it by itself."""
        self.do("restart_service")

    @rule(flag=st.sampled_from(FLAGS), turns=TURNS)
    def a_condition_flips(self, flag: str, turns: int | None) -> None:
        """The machine changes."""
        self.do("flip", flag, turns=turns)

    @rule(fact=st.sampled_from(FACTS), value=st.none() | st.booleans(), turns=TURNS)
    def a_sensor_tells(self, fact: str, value: bool | None, turns: int | None) -> None:
        """Of the machine, or that it does not know it any more."""
        self.do("sense", fact, value, turns=turns)

    @rule(what=st.sampled_from(RULES), allowed=st.booleans(), turns=TURNS)
    def policy_changes(self, what: str, allowed: bool, turns: int | None) -> None:
        """For all apps."""
        self.do("rule", what, allowed, turns=turns)

    @rule(app=apps, what=st.sampled_from(RULES_OF_APPS), value=st.none() | st.booleans(), turns=TURNS)
    def policy_changes_for_an_app(self, app: int, what: str, value: bool | None, turns: int | None) -> None:
        """For one."""
        self.do("rule_app", app, what, value, turns=turns)

    @rule(app=apps, left=st.booleans())
    def data_runs_out(self, app: int, left: bool) -> None:
        """For the day, or another day begins."""
        self.do("run_out_of_data", app, left)

    @rule(app=apps, notifications=st.booleans(), background=st.booleans(), exempt=st.booleans())
    def the_user_decides(self, app: int, notifications: bool, background: bool, exempt: bool) -> None:
        """What an app may do."""
        self.do("decide", app, notifications, background, exempt)

    @rule(app=apps, reason=st.sampled_from(CancellationReason))
    def work_is_cancelled(self, app: int, reason: CancellationReason) -> None:
        """As a system does that updates or suspends an app."""
        self.do("cancel_work", app, reason.name)

    @rule(actor=st.sampled_from(ACTORS), where=st.sampled_from(["receive", "flush"]))
    def an_actor_will_crash(self, actor: str, where: str) -> None:
        """With the next message that it takes, or the next batch."""
        self.do("crash", actor, where)

    @rule(fault=st.sampled_from(StoreFault), calls=st.integers(1, 6))
    def a_store_call_will_go_wrong(self, fault: StoreFault, calls: int) -> None:
        """One of the next."""
        self.do("break_store", fault, calls, 8.0)

    @rule(killed=st.booleans())
    def the_platform_is_restarted(self, killed: bool) -> None:
        """In order, or after it was killed in the middle of what it did."""
        self.do("kill" if killed else "restart")


TestPlatformUnderFaults = PlatformUnderFaults.TestCase
TestPlatformUnderFaults.settings = settings(stateful_step_count=max(settings().stateful_step_count, 50))
