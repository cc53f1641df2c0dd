"""Which apps no process is launched for at the start of an agent, as sessions of before come back, end, or take too long."""

from __future__ import annotations

from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tocsin.protocol.platform.launches import LaunchPurpose
from tocsin.protocol.platform.reunion import Reunion, SessionProcess

APPS = st.sampled_from(["mail", "chat"])
PIDS = st.integers(0, 3)
PURPOSES = st.sampled_from(LaunchPurpose)
PROCESSES = st.builds(SessionProcess, APPS, PIDS, st.just(7))


class Reunions(RuleBasedStateMachine):
    """Sessions are counted one by one here."""

    def __init__(self) -> None:
        super().__init__()
        self.out: dict[LaunchPurpose, list[SessionProcess]] = {}

    @initialize(expected=st.lists(PROCESSES, max_size=6), purposes=st.sets(PURPOSES, min_size=1))
    def begin(self, expected: list[SessionProcess], purposes: set[LaunchPurpose]) -> None:
        """Start an agent."""
        self.reunion = Reunion(expected, purposes)
        self.out = {purpose: list(expected) for purpose in purposes}

    @rule(purpose=PURPOSES, app=APPS, pid=PIDS)
    def resumed(self, purpose: LaunchPurpose, app: str, pid: int) -> None:
        """A session has told all; that of a process that was not expected counts for none."""
        if purpose not in self.out:
            return
        self.reunion.resumed(purpose, app, pid)
        if SessionProcess(app, pid, 7) in self.out[purpose]:
            self.out[purpose].remove(SessionProcess(app, pid, 7))

    @rule(pid=PIDS)
    def ended(self, pid: int) -> None:
        """A process has ended."""
        self.reunion.give_up(pid=pid)
        self.out = {purpose: [each for each in out if each.pid != pid] for purpose, out in self.out.items()}

    @rule()
    def patience_is_over(self) -> None:
        """The time is over for all."""
        self.reunion.give_up()
        self.out = {purpose: [] for purpose in self.out}

    @invariant()
    def an_app_is_awaited_as_long_as_a_session_of_it_is_out(self) -> None:
        """For each purpose by itself."""
        for purpose, out in self.out.items():
            for app in ("mail", "chat"):
                assert ((purpose, app) in self.reunion.awaited) == any(each.app == app for each in out)

    @invariant()
    def who_is_expected_has_something_to_tell(self) -> None:
        """So an agent that follows this one waits for no more than this one does."""
        most = Counter[SessionProcess]()
        for out in self.out.values():
            most |= Counter(out)
        if self.out:
            assert Counter(self.reunion.expected) == most


TestReunions = Reunions.TestCase
