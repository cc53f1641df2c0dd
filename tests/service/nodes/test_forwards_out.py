"""What waits to go to one node, and what that node has yet to answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.service.nodes.link_world import post
from tocsin.protocol.errors import ProtocolViolation
from tocsin.protocol.messages import codec
from tocsin.protocol.messages.node_protocol import Forward, ForwardsAnswered, LookInto, WithdrawThere
from tocsin.protocol.values import MAX_PAYLOAD
from tocsin.service.devices.outbox import PushResult
from tocsin.service.nodes.forwarding import ForwardResult, NotPushed
from tocsin.service.nodes.forwards_out import MAX_BYTES, MAX_LOOKS, MAX_TOLD, ForwardsOut, LinkCounts

BACKLOG, TIMEOUT = 5, 10.0


class AnyForwards(RuleBasedStateMachine):
    """Forwards are given, sent, answered, refused, given up and expire in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.counts = LinkCounts()
        self.out = ForwardsOut(BACKLOG, TIMEOUT, self.counts)
        self.out.window = 3
        self.now = 0.0
        self.given = 0
        self.results: dict[int, list[ForwardResult]] = {}
        self.waiting: list[int] = []
        self.sent: list[int] = []
        self.late: list[int] = []
        self.began: dict[int, float] = {}

    @precondition(lambda self: not self.out.is_full)
    @rule()
    def one_is_given(self) -> None:
        """It waits."""
        self.given += 1
        self.results[self.given] = []
        self.began[self.given] = self.now
        self.out.add(post(str(self.given)), self.now, self.results[self.given].append)
        self.waiting.append(self.given)

    @rule()
    def what_may_go_goes(self) -> None:
        """The oldest first, as far as the window goes; what is late has its place in it."""
        frames = [codec.decode(frame) for frame in self.out.take()]
        room = 3 - len(self.sent) - len(self.late)
        expected, self.waiting = self.waiting[: max(room, 0)], self.waiting[max(room, 0) :]
        assert [(frame.request, frame.id) for frame in frames if isinstance(frame, Forward)] == [
            (each, str(each)) for each in expected
        ]
        self.sent += expected

    @precondition(lambda self: self.sent or self.late)
    @rule(data=st.data())
    def one_is_answered(self, data: st.DataObject) -> None:
        """In any order; what is late is answered to none."""
        number = data.draw(st.sampled_from(self.sent + self.late))
        self.out.answered(ForwardsAnswered((number,), ("stored",)))
        if number in self.sent:
            self.sent.remove(number)
            assert self.results[number] == [PushResult.STORED]
        else:
            self.late.remove(number)
            assert self.results[number] == [NotPushed.UNANSWERED]

    @rule(data=st.data())
    def what_was_not_sent_is_answered(self, data: st.DataObject) -> None:
        """The link is at an end."""
        number = data.draw(st.integers(0, self.given + 2).filter(lambda each: each not in self.sent + self.late))
        with pytest.raises(ProtocolViolation, match="an answer to what was not asked"):
            self.out.answered(ForwardsAnswered((number,), ("stored",)))

    @rule()
    def the_connection_is_lost(self) -> None:
        """What was sent may have been handed over; what waits, waits."""
        self.out.give_up()
        assert all(self.results[each] == [NotPushed.UNANSWERED] for each in self.sent)
        self.sent, self.late = [], []

    @rule()
    def the_node_cannot_be_reached(self) -> None:
        """What waits was not sent."""
        self.out.refuse()
        assert all(self.results[each] == [NotPushed.UNREACHABLE] for each in self.waiting)
        self.waiting = []

    @rule(seconds=st.floats(0.1, 12.0))
    def time_goes_on(self, seconds: float) -> None:
        """What has waited for too long is told so, and only that."""
        self.now += seconds
        self.out.expire(self.now)
        over = {each for each, began in self.began.items() if began + TIMEOUT <= self.now}
        assert all(self.results[each] == [NotPushed.UNANSWERED] for each in self.sent if each in over)
        assert all(self.results[each] == [NotPushed.UNREACHABLE] for each in self.waiting if each in over)
        self.late += [each for each in self.sent if each in over]
        self.sent = [each for each in self.sent if each not in over]
        self.waiting = [each for each in self.waiting if each not in over]

    @invariant()
    def each_is_told_once(self) -> None:
        """Whose caller waits has been told nothing, any other once; and all are counted."""
        assert {each for each, told in self.results.items() if not told} == {*self.waiting, *self.sent}
        assert all(len(told) <= 1 for told in self.results.values())
        assert self.out.depth == len(self.waiting) + len(self.sent)
        assert self.out.is_awaited == bool(self.sent or self.late)
        assert self.out.has_waiting == bool(self.waiting)
        told = self.counts.answered + self.counts.unreachable + self.counts.unanswered
        assert (self.counts.forwarded, told) == (self.given, self.given - self.out.depth)


TestAnyForwards = AnyForwards.TestCase


def filled(count: int, body: bytes = b"") -> ForwardsOut:
    """Return so many that wait."""
    out = ForwardsOut(count, TIMEOUT, LinkCounts())
    out.window = count
    for number in range(count):
        out.add(post(str(number), body), 0.0, lambda _: None)
    return out


def test_a_write_is_bounded_in_bytes() -> None:
    """What is more goes in the next."""
    out = filled(40, bytes(MAX_PAYLOAD))
    sizes = [sum(map(len, frames)) for frames in iter(out.take, [])]
    assert len(sizes) > 2
    assert all(MAX_BYTES <= size < MAX_BYTES + 2 * MAX_PAYLOAD for size in sizes[:-1])


def test_a_caller_may_forward_again_while_it_is_told() -> None:
    """What is given then is not told with the others."""
    out = ForwardsOut(5, TIMEOUT, LinkCounts())
    told: list[ForwardResult] = []

    def again(result: ForwardResult) -> None:
        told.append(result)
        out.add(post("2"), 0.0, told.append)

    for end in (out.refuse, lambda: out.expire(TIMEOUT), out.give_up):
        _sent(out, again, send=end == out.give_up)
        told.clear()
        end()
        assert len(told) == 1
        out.refuse()


def _sent(out: ForwardsOut, settled: Callable[[ForwardResult], None], *, send: bool) -> None:
    out.window = 5 if send else 0
    out.add(post("1"), 0.0, settled)
    out.take()


def test_devices_to_look_into_go_once_and_in_parts() -> None:
    """The oldest are forgotten where there are too many, as they are where the node cannot be reached."""
    out = ForwardsOut(5, TIMEOUT, LinkCounts())
    out.look(["a", "b", "a"])
    assert [codec.decode(frame) for frame in out.take()] == [LookInto(("a", "b"))]
    out.look([f"{number:064}" for number in range(MAX_LOOKS + 1)])
    told = [codec.decode(frame) for frames in iter(out.take, []) for frame in frames]
    devices = [device for each in told if isinstance(each, LookInto) for device in each.devices]
    assert devices == [f"{number:064}" for number in range(1, MAX_LOOKS + 1)]
    out.look(["a"])
    out.refuse()
    assert not out.has_waiting


def test_deleted_toasts_go_once_and_the_oldest_give_way() -> None:
    """Also before what waits for the window; they are forgotten where the node cannot be reached."""
    out = ForwardsOut(5, TIMEOUT, LinkCounts())
    told = [WithdrawThere("d", "c", None, str(number)) for number in range(MAX_TOLD + 1)]
    for message in told:
        out.tell(message)
    out.add(post("1"), 0.0, lambda _: None)
    assert [codec.decode(frame) for frames in iter(out.take, []) for frame in frames] == told[1:]
    out.window = 1
    (forward,) = out.take()
    assert isinstance(codec.decode(forward), Forward)
    out.tell(told[0])
    out.refuse()
    assert not out.has_waiting
