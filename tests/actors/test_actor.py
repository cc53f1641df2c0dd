"""The actor loop: a batch is a transaction, a failure begins anew, and what keeps failing dies."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import anyio
import pytest
from anyio.lowlevel import checkpoint

from tests.protocol.tables import erase
from tocsin.actors.actor import Actor, Wait, receives
from tocsin.actors.actor_runner import ActorRunner, Kernel
from tocsin.actors.alarm import Alarm
from tocsin.actors.bad_frames import BadFrames
from tocsin.actors.clock import LoopClock
from tocsin.mailbox import Mailbox
from tocsin.protocol.errors import PlatformUnavailable
from tocsin.protocol.kernel.restart import TABLE, Effect, RestartPolicy
from tocsin.protocol.messages import AlarmRang, Done, ForgetRetry, Message, OutcomeRow, Outcomes
from tocsin.protocol.messages.codec import decode, encode
from tocsin.protocol.values import Outcome


@pytest.fixture
def anyio_backend() -> str:
    """Run on trio, where time is the loop's alone."""
    return "trio"


class Recorder(Actor):
    """Writes what it was told into a journal when it flushes; fails on the numbers that it was told to fail on."""

    name = "recorder"

    def __init__(self, journal: list[int], poison: set[int], starts: list[str]) -> None:
        super().__init__()
        self._journal = journal
        self._poison = poison
        self._command_of = starts
        self._pending: list[int] = []

    async def start(self) -> None:
        """Note that an instance began."""
        self._command_of.append("start")

    @receives(Done)
    def note(self, message: Done, _: bytes) -> None:
        """Take a number."""
        if message.request in self._poison:
            raise ValueError(f"cannot take {message.request}")
        self._pending.append(message.request)

    @receives(Outcomes)
    def note_rows(self, message: Outcomes, frame: bytes) -> None:
        """Take the numbers of a batch."""
        for sequence, *_ in message.rows:
            self.note(Done(sequence), frame)

    @receives(ForgetRetry)
    def spoil(self, message: ForgetRetry, _: bytes) -> None:
        """Take a number that makes the flush fail."""
        self._pending.append(-message.key)

    @receives(AlarmRang)
    def ring(self, _message: AlarmRang, _: bytes) -> None:
        """Note an alarm."""
        self._pending.append(0)

    def flush(self) -> Iterator[Wait]:
        """Write the journal, all or nothing."""
        yield checkpoint
        if any(number < 0 for number in self._pending):
            raise OSError("the journal is full")
        self._journal.extend(self._pending)
        self._pending.clear()


class World:
    """An actor, its mailbox, and everything that can be seen of them."""

    def __init__(self, poison: set[int] | None = None, intensity: int = 5) -> None:
        self.journal: list[int] = []
        self.starts: list[str] = []
        self.announced: list[str] = []
        self.mailbox = Mailbox("recorder")
        self.kernel = Kernel(LoopClock(), BadFrames(), RestartPolicy(intensity=intensity))
        build: Callable[[Alarm], Actor] = lambda _: Recorder(self.journal, poison or set(), self.starts)  # noqa: E731
        self.runner = ActorRunner(self.mailbox, build, self.kernel, self.announced.append)

    async def run(self, *messages: Message) -> None:
        """Put the messages, then let the actor run to the end of its mailbox."""
        for message in messages:
            self.mailbox.send_nowait(message)
        self.mailbox.close()
        with self.mailbox, anyio.fail_after(5):
            await self.runner.run()

    def dead(self) -> list[Message]:
        """Return the messages in the dead letters."""
        return [decode(letter.frame) for letter in self.kernel.dead_letters]


async def test_messages_are_handled_in_order_until_the_mailbox_ends() -> None:
    """An actor whose mailbox is closed handles what is there, then stops."""
    world = World()
    await world.run(Done(1), Done(2), Done(3))
    assert world.journal == [1, 2, 3]
    assert world.starts == ["start"]
    assert world.runner.stopped.is_set()


async def test_one_bad_message_costs_only_itself() -> None:
    """The message that makes an actor fail is put aside; all others of its batch are handled, once."""
    world = World(poison={2})
    await world.run(Done(1), Done(2), Done(3))
    assert world.journal == [1, 3]
    assert world.dead() == [Done(2)]
    assert world.kernel.dead_letters.counts == {"recorder": 1}
    assert world.mailbox.statistics().dead == 1


async def test_one_bad_row_costs_only_itself() -> None:
    """Of a batch in one message, too, only the row dies that makes the actor fail; all others are taken once."""
    rows = [OutcomeRow(number, Outcome.HANDLED, "", 1) for number in range(1, 6)]
    world = World(poison={3})
    await world.run(Done(10), Outcomes(tuple(rows)), Done(11))
    assert world.journal == [10, 1, 2, 4, 5, 11]
    assert world.dead() == [Outcomes((rows[2],))]
    assert world.mailbox.statistics().dead == 1


async def test_a_dead_letter_tells_why() -> None:
    """The dead letter carries the mailbox's name and the traceback."""
    world = World(poison={1})
    await world.run(Done(1))
    (letter,) = world.kernel.dead_letters
    assert letter.mailbox == "recorder"
    assert "ValueError: cannot take 1" in letter.reason


async def test_a_failing_flush_does_nothing_twice() -> None:
    """When the effects of a batch fail, the batch is taken again one message at a time."""
    world = World()
    await world.run(Done(1), ForgetRetry(9), Done(2))
    assert world.journal == [1, 2]
    assert world.dead() == [ForgetRetry(9)]


async def test_a_restart_is_announced() -> None:
    """Others hear of every new beginning but the first."""
    world = World(poison={1})
    await world.run(Done(1))
    assert world.announced == ["recorder"]
    assert world.runner.restarts == 1
    assert world.starts == ["start", "start"]


async def test_an_actor_that_keeps_failing_is_given_up() -> None:
    """More failures than the policy allows end the actor with the last one as the cause."""
    world = World(poison={1, 2, 3}, intensity=2)
    with pytest.raises(PlatformUnavailable, match="recorder keeps failing: cannot take 3"):
        await world.run(Done(1), Done(2), Done(3))
    assert world.runner.stopped.is_set()


async def test_a_frame_that_is_no_message_is_a_dead_letter_and_no_failure() -> None:
    """Bytes that cannot be decoded do not bring an actor down."""
    world = World()
    world.mailbox.send_frame_nowait(b"\xc1")
    await world.run(Done(1))
    assert world.journal == [1]
    assert world.starts == ["start"]
    assert [letter.frame for letter in world.kernel.dead_letters] == [b"\xc1"]


async def test_a_message_for_somebody_else_is_a_dead_letter() -> None:
    """An actor puts aside what it has no method for, and says so."""
    world = World()
    world.mailbox.send_frame_nowait(encode(Done(1))[:1] + b"\x09\x90")  # Acknowledge(())
    await world.run(Done(1))
    (letter,) = world.kernel.dead_letters
    assert "recorder does not take Acknowledge" in letter.reason
    assert world.journal == [1]


async def test_dead_letters_are_bounded_but_all_are_counted() -> None:
    """The newest dead letters are kept, and none is left out of the count."""
    letters = BadFrames(keep=2)
    for number in range(5):
        letters.add("recorder", bytes([number]), "why")
    assert [letter.frame for letter in letters] == [b"\x03", b"\x04"]
    assert letters.counts["recorder"] == 5


async def test_an_actor_that_cannot_start_is_given_up_and_no_message_dies() -> None:
    """The actor fails without having taken a message, so none becomes a bad frame."""
    world = World(intensity=2)

    def build(_: Alarm) -> Actor:
        raise OSError("no state")

    world.runner = ActorRunner(world.mailbox, build, world.kernel, world.announced.append)
    with pytest.raises(PlatformUnavailable, match="recorder keeps failing: no state"):
        await world.run(Done(1))
    assert world.dead() == []


async def _seen(poison: set[int]) -> tuple[list[int], int, str]:
    """Let an actor take two numbers, and return all that was seen of it."""
    world = World(poison, intensity=1)
    end = ""
    try:
        await world.run(Done(1), Done(2))
    except PlatformUnavailable as failure:
        end = str(failure)
    return world.journal, len(world.starts), end


@pytest.mark.parametrize("effect", Effect)
async def test_the_runner_does_nothing_that_its_table_does_not_name(
    monkeypatch: pytest.MonkeyPatch, effect: Effect
) -> None:
    """Without any one of its effects the table makes another runner: it does not serve, begin anew, or say why it ends."""
    right = await _seen({2}), await _seen({1, 2})
    assert right == (([1], 3, ""), ([], 3, "recorder keeps failing: cannot take 2"))
    erase(monkeypatch, TABLE, effect)
    assert (await _seen({2}), await _seen({1, 2})) != right
