"""The seeded world: it holds what the platform promises, repeats itself exactly, and makes a violation short."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.lowlevel import checkpoint

from tests.simulation import world as world_module
from tests.simulation.__main__ import main
from tests.simulation.faults import StoreFault
from tests.simulation.invariants import ALWAYS, AT_THE_END
from tests.simulation.many import run_seeds
from tests.simulation.report import Summary
from tests.simulation.script import KINDS, Act, Script, draw, parse
from tests.simulation.seeds import run
from tests.simulation.shrink import shrink
from tests.simulation.world import World
from tocsin.actors.actor import Wait
from tocsin.actors.clock import ServiceClock
from tocsin.actors.device_channels import DeviceChannels
from tocsin.actors.host_reports import HostReports
from tocsin.actors.inbox_effects import InboxEffects
from tocsin.actors.payload_router import PayloadRouter
from tocsin.persistence.store import StoredChannel
from tocsin.protocol.delivery import background_queue
from tocsin.protocol.delivery.background_queue import BackgroundQueue
from tocsin.protocol.messages import Acknowledge
from tocsin.protocol.platform.service_time import ServiceTime, Verdict
from tocsin.protocol.platform.unwanted import NOTHING
from tocsin.protocol.values import DropReason
from tocsin.service.registry.steady_clock import SteadyClock
from tocsin.transport.service_connection import ServiceConnection

SEEDS = range(60)
"""As many as a test run can afford; ``python -m tests.simulation --seeds 0:200`` looks at more."""

REPEATED = 8
"""How many of them are run again in other processes."""


@pytest.fixture(scope="module")
def summary() -> Summary:
    """Run the seeds."""
    return run_seeds(SEEDS)


def test_no_seed_breaks_an_invariant(summary: Summary) -> None:
    """``python -m tests.simulation --seed N`` says what happened in one that does, and makes its script short."""
    assert summary.violations == {}


def test_everything_happens_in_a_few_seeds(summary: Summary) -> None:
    """All kinds of acts and faults, and every invariant is looked at."""
    acts = {act.name for seed in SEEDS for act in draw(seed).acts}
    assert acts == KINDS.keys()
    assert {f"store {fault}" for fault in StoreFault} <= summary.faults.keys()
    assert {"crash in receive", "crash in flush", "kill", "restart", "sleep", "suspend"} <= summary.faults.keys()
    clocks = {"clocks apart", "clock set", "service's clock set", "service restarted", "power off"}
    assert clocks <= summary.faults.keys()
    assert {each.__name__ for each in (*ALWAYS, *AT_THE_END)} == summary.checks.keys()
    assert all(summary.counts[f"dead: {reason}"] for reason in (DropReason.EXPIRED, DropReason.EXECUTION_TIME_EXCEEDED))
    posts = "posts answered with 201", "posts answered with 410", "messages taken back", "messages replaced"
    assert all(summary.counts[what] for what in posts)
    assert summary.counts["acknowledged"] > 1000
    assert summary.counts["handled"] > 500


def test_a_seed_does_the_same_whatever_the_process_hashes(summary: Summary) -> None:
    """Two processes with other hash seeds see what this one has seen, to the byte."""
    command = [sys.executable, "-m", "tests.simulation", "--seeds", f"0:{REPEATED}", "--json"]
    ours = Summary(digests={seed: summary.digests[seed] for seed in range(REPEATED)}).digest()
    others = [
        subprocess.Popen(command, env={**os.environ, "PYTHONHASHSEED": hash_seed}, stdout=subprocess.PIPE)  # noqa: S603
        for hash_seed in ("1", "2")
    ]
    for other in others:
        printed, _ = other.communicate()
        assert json.loads(printed)["digest"] == ours


def test_a_printed_script_can_be_read_again() -> None:
    """What is printed is what happened."""
    script = draw(3)
    assert parse(str(script)) == script
    assert run(parse(str(script))).digest == run(script).digest


# A violation


def never_killed_twice(world: World) -> None:
    """Stands in for a promise that does not hold."""
    assert world.record.faults["kill"] < 2, "killed twice"


TWICE = Script(5, [*draw(5).acts[:20], Act("kill"), *draw(6).acts[:20], Act("kill"), *draw(7).acts[:20]])
SHORT = Script(5, [Act("kill"), Act("kill")])


def test_a_violation_is_made_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left but the acts without which the invariant holds."""
    monkeypatch.setattr(world_module, "ALWAYS", (*ALWAYS, never_killed_twice))
    outcome = run(TWICE)
    assert outcome.violation is not None
    assert outcome.violation.invariant == "never_killed_twice"
    assert shrink(outcome).script == SHORT


def test_the_command_prints_the_short_script_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """It can be pasted into a file and replayed."""
    monkeypatch.setattr(world_module, "ALWAYS", (*ALWAYS, never_killed_twice))
    (tmp_path / "script").write_text(str(TWICE), encoding="utf-8")
    assert main(["--replay", str(tmp_path / "script")]) == 1
    printed = capsys.readouterr().out
    assert "never_killed_twice: killed twice" in printed
    assert printed.endswith(f"\n{SHORT}\n\n")
    (tmp_path / "short").write_text(str(SHORT), encoding="utf-8")
    monkeypatch.undo()
    assert main(["--replay", str(tmp_path / "short")]) == 0


def test_a_run_that_goes_in_circles_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a violation too."""

    async def spin(_: World) -> None:
        while True:
            await checkpoint()

    monkeypatch.setattr(World, "calm", spin)
    violation = run(Script(0, [])).violation
    assert violation is not None
    assert violation.invariant == "comes_to_rest"


# Teeth: bugs that are planted are found


def found(*acts: Act) -> str:
    """Return the invariant that these acts find broken."""
    violation = run(Script(0, acts)).violation
    return violation.invariant if violation else ""


def test_an_acknowledgement_before_the_commit_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a commit that fails."""
    acts = Act("request", [0, 0]), Act("break_store", ["fail_before", 1, 0.0]), Act("push", [0, 1, None, 3])
    assert found(*acts) == ""
    flush = PayloadRouter.flush

    def acknowledge_first(self: PayloadRouter) -> Iterator[Wait]:
        acknowledged, self._acknowledged = self._acknowledged, []
        if acknowledged:
            self._connection.send_urgent(Acknowledge(tuple(acknowledged)))
        yield from flush(self)

    monkeypatch.setattr(PayloadRouter, "flush", acknowledge_first)
    assert found(*acts) == "what_was_acknowledged_is_in_exactly_one_place"


def test_a_latch_that_is_not_kept_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The payload is handed out while it waits."""
    acts = (
        Act("request", [0, 0]),
        Act("register", [0, 1, False, "completes"]),
        Act("flip", ["user_present"]),
        Act("push", [0, 1, None, 3]),
        Act("flip", ["quiet_hours"]),
    )
    assert found(*acts) == ""
    monkeypatch.setattr(InboxEffects, "park", lambda _self, _sequence: None)
    assert found(*acts) == "a_latched_payload_waits"


BEHIND_A_GATE = (
    Act("request", [0, 0]),
    Act("register", [0, 0, False, "takes its time"]),
    Act("push", [0, 2, None, 3]),
    Act("sense", ["power_saver", True]),
    Act("pass_time", [31.0]),
)


def test_work_that_begins_behind_a_closed_gate_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """It had passed the gate while that was open, and waited for its turn."""
    assert found(*BEHIND_A_GATE) == ""
    monkeypatch.setattr(background_queue, "obstacle", lambda _host, _settings: None)
    assert found(*BEHIND_A_GATE) == "no_work_begins_while_a_gate_is_closed"


def test_work_that_goes_on_behind_a_closed_gate_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would end by its budget, which is longer than the grace."""
    acts = Act("request", [0, 0]), Act("register", [0, 0, False, "hangs"]), *BEHIND_A_GATE[2:]
    assert found(*acts) == ""
    monkeypatch.setattr(BackgroundQueue, "interruption", lambda _self, _before, _after: None)
    assert found(*acts) == "work_ends_when_a_gate_closes"


FORBIDDEN = (
    Act("request", [0, 0]),
    Act("flip", ["cloud_notifications"]),
    Act("pass_time", [60.0]),
    Act("restart"),
    Act("pass_time", [60.0]),
    Act("rule", ["cloud_notifications", False]),
    Act("pass_time", [60.0]),
    Act("cut", [True]),
    Act("pass_time", [60.0]),
)


def test_a_connection_that_is_tried_although_it_is_forbidden_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was not told, and goes on trying."""
    assert found(*FORBIDDEN) == ""
    monkeypatch.setattr(ServiceConnection, "allow", lambda _self, _allowed: None)
    assert found(*FORBIDDEN) == "no_connection_is_tried_where_policy_forbids_it"


def test_a_service_that_believes_what_is_over_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was told what is unwanted, and not that it is wanted again."""
    acts = Act("request", [0, 0]), Act("rule", ["toasts", False]), Act("pass_time", [1.0])
    assert found(*acts) == ""
    tell = HostReports._tell_unwanted

    def tell_half(self: HostReports) -> None:
        if self._unwanted != NOTHING:
            tell(self)

    monkeypatch.setattr(HostReports, "_tell_unwanted", tell_half)
    assert found(*acts) == "the_service_knows_what_is_unwanted"


AHEAD = Act("clocks_apart", [31 * 86_400.0])
SHORT_LIVED = (AHEAD, Act("request", [0, 0]), Act("attach", [0, "handles"]), Act("push", [0, 1, 4000.0, 3]))


def test_a_device_that_judges_payloads_by_its_own_clock_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was received dies before its time."""
    assert found(*SHORT_LIVED) == ""

    def by_the_wall(self: ServiceClock, moment: float) -> Verdict:
        return Verdict.PAST if moment <= self._clock.wall() else Verdict.AHEAD

    monkeypatch.setattr(ServiceClock, "judge", by_the_wall)
    assert found(*SHORT_LIVED) == "nothing_expires_before_its_time"


def test_a_device_that_judges_channels_by_its_own_clock_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks for channels again and again, since each has ended when it comes."""
    acts = (AHEAD, Act("grant_for", [30.0]), Act("request", [0, 0]))
    assert found(*acts) == ""
    monkeypatch.setattr(ServiceClock, "least", lambda self: self._clock.wall())
    assert found(*acts) == "comes_to_rest"


def test_a_device_that_believes_its_own_clock_after_a_start_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes what was set for what has gone by."""
    acts = (
        Act("request", [0, 0]),
        Act("push", [0, 1, 4000.0, 3]),
        Act("cut", [False]),
        Act("power_off", [2.0, 86_400.0]),
        Act("attach", [0, "handles"]),
    )
    assert found(*acts) == ""

    def by_what_is_likely(self: ServiceTime, moment: float, steady: float) -> Verdict:
        return Verdict.PAST if moment <= self.likely(steady) else Verdict.AHEAD

    monkeypatch.setattr(ServiceTime, "judge", by_what_is_likely)
    assert found(*acts) == "nothing_expires_before_its_time"


def test_a_service_that_goes_by_its_wall_clock_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has set ends when its machine's clock is set."""
    acts = (
        Act("request", [0, 0]),
        Act("push", [0, 1, 4000.0, 3]),
        Act("set_service_clock", [86_400.0]),
        Act("cut", [True]),
        Act("pass_time", [1.0]),
        Act("attach", [0, "handles"]),
    )
    assert found(*acts) == ""
    monkeypatch.setattr(SteadyClock, "__call__", lambda self: self._wall())
    assert found(*acts) == "nothing_expires_before_its_time"


def test_a_renewal_that_is_not_tried_again_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its service would not do it when it was time."""
    acts = (
        Act("grant_for", [1.02]),
        Act("request", [0, 0]),
        Act("grant_for", [30.0]),
        Act("refuse", ["E_INVALIDARG", None]),
        *[Act("pass_time", [900.0])] * 3,
    )
    assert found(*acts) == ""

    def once(self: DeviceChannels) -> list[StoredChannel]:
        due, self._to_renew = self._to_renew, {}
        return list(due.values())

    monkeypatch.setattr(DeviceChannels, "to_renew", once)
    assert found(*acts) == "channels_are_renewed_in_time"
