"""The agent's part of the seeded world: what happens there, and the bugs that it finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.__main__ import main
from tests.simulation.invariants import Violation
from tests.simulation.liar import LIES
from tests.simulation.many import run_seeds
from tests.simulation.plants import PLANTS, planted
from tests.simulation.processes import LAUNCHES
from tests.simulation.script import AGENT_EVERY, AGENT_KINDS, Act, Script, draw
from tests.simulation.seeds import run
from tocsin.actors import payload_lives
from tocsin.actors.payload_lives import PayloadLives
from tocsin.actors.supervisor import Supervisor
from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.api.subscription import Subscription
from tocsin.protocol.delivery.payload_life import Tracked
from tocsin.protocol.platform.activation import CancellationReason
from tocsin.protocol.values import Outcome

SEEDS = range(AGENT_EVERY - 1, 30 * AGENT_EVERY, AGENT_EVERY)
"""The first of those that have an agent in their world."""

FOUND_BY: dict[str, tuple[str, Script]] = {
    "same attempt after a crash": (
        "no_attempt_is_seen_twice",
        Script(
            79,
            [
                Act("launched_do", [1, "crashes"]),
                Act("begin_process", [1, "trigger", "takes its time"]),
                Act("push", [5, 4, 3.0, 3]),
                Act("push", [3, 4, None, 4]),
                Act("pass_time", [36.0]),
            ],
        ),
    ),
    "settle for a session that is gone": (
        "handled_means_that_a_handler_handled_it",
        Script(
            31,
            [
                Act("begin_process", [1, "works", "hangs"]),
                Act("begin_process", [1, "trigger", "raises"]),
                Act("push", [5, 5, None, 1]),
            ],
        ),
    ),
    "keep a launch slot": (
        "launches_have_places_until_they_claim",
        Script(
            19,
            [
                Act("begin_process", [0, "trigger", "defers"]),
                Act("attach", [0, "raises"]),
                Act("push", [7, 1, None, 1]),
            ],
        ),
    ),
}
"""The invariant that each planted bug breaks, and the short script of a seed that finds it."""


def violation(script: Script) -> Violation | None:
    """Run a script, and return what it breaks."""
    return run(script).violation


def found(script: Script) -> str:
    """Return the name of the invariant that a script breaks; empty where it breaks none."""
    broken = violation(script)
    return broken.invariant if broken else ""


def test_everything_of_an_agent_happens_in_a_few_seeds() -> None:
    """All that processes do, every lie, and every kind of launch, none of which breaks an invariant."""
    acts = [act for seed in SEEDS for act in draw(seed).acts]
    summary = run_seeds(SEEDS)
    assert summary.violations == {}
    assert {act.name for act in acts} >= AGENT_KINDS.keys()
    assert {f"lie: {lie}" for lie in LIES} | {"process crashed", "process stalled"} <= summary.faults.keys()
    assert {act.arguments[1] for act in acts if act.name == "launched_do"} == set(LAUNCHES)
    assert sum(count for name, count in summary.counts.items() if name.startswith("launch: ")) > 10


@pytest.mark.parametrize("bug", PLANTS)
def test_a_planted_bug_is_found(bug: str) -> None:
    """By the short script of the first seed that finds it, and only while the bug is there."""
    invariant, script = FOUND_BY[bug]
    assert found(script) == ""
    with planted(bug):
        assert found(script) == invariant
    assert found(script) == ""


def test_the_command_plants_a_bug(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And says which invariant it breaks."""
    invariant, script = FOUND_BY["same attempt after a crash"]
    (tmp_path / "script").write_text(str(script), encoding="utf-8")
    assert main(["--replay", str(tmp_path / "script"), "--plant", "same attempt after a crash"]) == 1
    assert f"\n{invariant}: " in capsys.readouterr().out
    assert main(["--replay", str(tmp_path / "script")]) == 0


# What the seeds have found


def test_what_expires_while_a_process_starts_is_not_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seed 31: the process that claims it is told that it waits no more."""
    script = Script(
        31,
        [
            Act("begin_process", [0, "trigger", "completes"]),
            Act("launched_do", [0, "starts slowly"]),
            Act("pass_time", [2.0]),
            Act("push", [0, 1, 3.0, 3]),
            Act("pass_time", [3.5]),
            Act("pass_time", [9.0]),
        ],
    )
    assert found(script) == ""

    def give(self: PayloadLives, tracked: Tracked, session: str, request: int = 0) -> bool:
        self._steps.give_to(tracked, session, request)
        return True

    monkeypatch.setattr(PayloadLives, "give_launched", give)
    assert found(script) == "background_work_begins_in_time"


def test_work_that_no_agent_knows_does_not_end_what_waits_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It went on over a restart of the agent, and has expired; it is told, and cut off in the end."""
    script = Script(
        1,
        [
            Act("begin_process", [0, "works", "stops when told"]),
            Act("pass_time", [1.0]),
            Act("push", [0, 1, 3.0, 4]),
            Act("pass_time", [5.0]),
            Act("kill"),
            Act("pass_time", [2.0]),
            Act("push", [0, 1, None, 4]),
            Act("pass_time", [310.0]),
        ],
    )
    assert found(script) == ""

    def go_on(
        self: Subscription, sequence: int, args: PushNotificationReceivedEventArgs, reason: CancellationReason
    ) -> None:
        del self, sequence, args, reason

    monkeypatch.setattr(Subscription, "_free_for", go_on)
    assert found(script) == "what_dies_of_its_handling_was_seen"


def test_a_lie_that_crosses_the_end_of_its_agent_ends_nothing_else() -> None:
    """Seed 415: what was to be said of it left the agent by another way."""
    assert found(Script(415, [Act("lie", ["no message of an app", 14], 7), Act("kill")])) == ""


def test_what_waits_behind_work_that_was_done_before_waits_until_it_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two processes, the one that was at work over the agent's absence came too late, and the other began it again."""
    script = Script(
        1,
        [
            Act("request", [1, 1]),
            Act("request", [0, 0], 1),
            Act("begin_process", [1, "trigger", "leaks"]),
            Act("begin_process", [0, "foreground", "completes"]),
            Act("begin_process", [1, "works", "takes its time"]),
            Act("begin_process", [1, "works", "takes its time"]),
            Act("push", [6, 2, 4000.0, 4]),
            Act("stall_process", [3]),
            Act("kill"),
            Act("pass_time", [3.0]),
            Act("go_on"),
            Act("pass_time", [310.0]),
        ],
    )
    assert found(script) == ""

    def end_at_once(self: PayloadLives, tracked: Tracked) -> None:
        self._steps._tell_abort(tracked)
        self.came_back(tracked, Outcome.HANDLED)

    monkeypatch.setattr(PayloadLives, "handled_before", end_at_once)
    assert found(script) == "one_at_a_time"


def test_work_that_a_fence_cuts_off_comes_again_to_the_process_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """In another, which has taken over the app's work meanwhile, it ran beside what was being cut off."""
    script = Script(
        2,
        [
            Act("begin_process", [1, "trigger", "handles"]),
            Act("begin_process", [1, "works", "takes its time"]),
            Act("push", [0, 3, None, 4]),
            Act("begin_process", [1, "works", "takes its time"], 7),
            Act("crash", ["payload_router", "flush"]),
            Act("push", [0, 1, None, 4]),
            Act("pass_time", [36.0]),
        ],
    )
    assert found(script) == ""
    monkeypatch.setattr(payload_lives, "comes_again", lambda **_: False)
    assert found(script) == "one_at_a_time"


def test_hundreds_of_launches_that_take_no_time_are_no_circle() -> None:
    """Seed 8223: each takes some forty steps, and each brings its payload forward."""
    script = Script(
        8223,
        [Act("begin_process", [1, "trigger", "handles"]), Act("push", [7, 254, None, 2]), Act("pass_time", [36.0])],
    )
    assert found(script) == ""


def test_a_report_that_is_believed_from_any_session_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session of another app says that a payload was not handled."""
    script = Script(
        0,
        [
            Act("begin_process", [0, "foreground", "hangs"]),
            Act("push", [0, 1, None, 3]),
            Act("lie", ["not handled", 0]),
        ],
    )
    assert found(script) == ""
    monkeypatch.setattr(Supervisor, "_has", lambda *_: True)
    assert found(script) == "only_who_has_a_payload_settles_it"
