"""The payloads that are with apps: bringing many to their end at once is as good as one by one."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.persistence.payloads import payload
from tests.strategies import channel_names
from tocsin.protocol.delivery.outstanding import Outstanding
from tocsin.protocol.delivery.payload_life import TABLE, Effect, Event, Phase
from tocsin.protocol.messages import PayloadRow

places = st.integers(0, 20)


class OutstandingAndModel(RuleBasedStateMachine):
    """Payloads come, are handled in any order and number, or are dealt with one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.outstanding = Outstanding()
        self.model: dict[int, PayloadRow] = {}
        self.phases: dict[int, Phase] = {}
        """What is not offered any more."""
        self.last = 0

    @rule(channels=st.lists(channel_names(), min_size=1, max_size=6), attempt=st.integers(1, 3))
    def payloads_come(self, channels: list[str], attempt: int) -> None:
        """Of several channels of an app."""
        rows = [payload(self.last + n, channel, attempt=attempt) for n, channel in enumerate(channels, 1)]
        self.last += len(rows)
        self.outstanding.offer("mail", rows)
        self.outstanding.hand(rows, "s")
        self.model |= {row.sequence: row for row in rows}

    @precondition(lambda self: self.model)
    @rule(chosen=st.lists(places, min_size=1, max_size=8), wrong=st.booleans())
    def some_are_handled(self, chosen: list[int], *, wrong: bool) -> None:
        """All end, or none does: where one is missing, twice there, of another attempt, or more has happened to it."""
        sequences = [list(self.model)[place % len(self.model)] for place in chosen]
        attempts = [self.model[sequence].attempt for sequence in sequences]
        attempts[-1] += wrong
        possible = not wrong and len(set(sequences)) == len(sequences) and not self.phases.keys() & set(sequences)
        assert not self.outstanding.end_handled("s", [*sequences, 0], [*attempts, 1]), "one that is not here"
        assert not self.outstanding.end_handled("other", sequences, attempts), "another session has none of them"
        assert self.outstanding.end_handled("s", sequences, attempts) == possible
        if possible:
            for sequence in sequences:
                del self.model[sequence]

    @precondition(lambda self: self.model)
    @rule(place=places, phase=st.sampled_from([Phase.OFFERED, Phase.CANCELING]))
    def more_happens_to_one(self, place: int, phase: Phase) -> None:
        """It is looked at, and may be on its way to another end."""
        sequence = list(self.model)[place % len(self.model)]
        tracked = self.outstanding.get(sequence)
        assert tracked is not None
        assert (tracked.sequence, tracked.app, tracked.row) == (sequence, "mail", self.model[sequence])
        assert tracked.phase is self.phases.get(sequence, Phase.OFFERED)
        if phase is not Phase.OFFERED:
            tracked.phase = self.phases[sequence] = phase

    @precondition(lambda self: self.model)
    @rule(place=places)
    def one_comes_again(self, place: int) -> None:
        """A later attempt takes the place of the one that is here."""
        sequence = list(self.model)[place % len(self.model)]
        row = self.model[sequence]
        (tracked,) = self.outstanding.known([row])
        assert tracked.sequence == sequence
        self.outstanding.leave_queue(tracked)
        self.outstanding.end(tracked)
        self.phases.pop(sequence, None)
        again = row._replace(attempt=row.attempt + 1)
        self.outstanding.offer("mail", [again])
        self.outstanding.hand([again], "s")
        assert self.outstanding.is_current(again)
        assert not self.outstanding.is_current(row)
        del self.model[sequence]
        self.model[sequence] = again  # behind all others

    @rule()
    def budgets_begin(self) -> None:
        """Only those that are first in line, and only offered, get one."""
        firsts: dict[str, int] = {}
        for sequence, row in self.model.items():
            firsts.setdefault(row.channel, sequence)
        for line in self.outstanding.new_heads():
            assert line.head in firsts.values()
            assert line.head not in self.phases

    @rule()
    def all_is_forgotten(self) -> None:
        """The router begins anew."""
        self.outstanding.clear()
        self.model.clear()
        self.phases.clear()

    @invariant()
    def the_same_are_here(self) -> None:
        """No payload more, none less."""
        assert len(self.outstanding) == len(self.model)
        assert all(self.outstanding.is_current(row) for row in self.model.values())
        assert self.outstanding._holders == dict.fromkeys(self.model, "s")


TestOutstandingAndModel = OutstandingAndModel.TestCase


def test_a_payload_that_was_handled_has_nothing_to_be_done_but_to_settle_it() -> None:
    """Which is what ending many at once does; were there any other effect, it would have to be performed for each."""
    assert TABLE[Phase.OFFERED, Event.HANDLED] == (Phase.HANDLED, (Effect.SETTLE,))


def test_a_deadline_ends_with_the_payload() -> None:
    """A budget that began is over when the payload was handled, was looked at and left, or was forgotten."""
    outstanding = Outstanding()
    outstanding.offer("mail", [payload(number, f"c{number}", attempt=1) for number in range(1, 5)])
    outstanding.hand([payload(number, f"c{number}", attempt=1) for number in range(1, 5)], "s")
    lines = list(outstanding.new_heads())
    tracked = [outstanding.get(number) for number in (2, 4)]
    for each in (*lines, *tracked):
        assert each is not None
        each.deadline = 30.0
    assert outstanding.end_handled("s", [1, 2], [1, 1])
    assert list(outstanding.new_heads()) == []
    assert tracked[0] is not None
    assert (tracked[0].phase, tracked[0].deadline) == (Phase.HANDLED, 0.0)
    outstanding.clear()
    assert [each.deadline for each in (*lines, *tracked) if each] == [0.0] * 6
