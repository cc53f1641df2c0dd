"""What one run has seen: handler calls, work under way, waits, and whatever should not have been."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from hashlib import sha256

from attrs import Factory, define, frozen

from tests.simulation.gates import RealGates
from tocsin.actors.actor import Actor
from tocsin.actors.channel_requester import ChannelRequester
from tocsin.actors.payload_router import PayloadRouter
from tocsin.actors.retry_scheduler import RetryScheduler
from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.protocol import messages as m
from tocsin.protocol.platform.retry_schedule import RETRYABLE

SCHEDULE = (60.0, 120.0, 180.0, 240.0, 300.0)
"""Seconds before each retry of a channel request; there is no sixth."""

JITTER = 0.1
"""The fraction by which a wait may be off."""

TICK = 0.1
"""Seconds by which an alarm may be late."""

WATCHING = {"payload_router", "supervisor"}
"""The actors that see to it that work ends; when one of them begins anew, so does the time of what runs."""


@frozen
class Call:
    """One payload as a handler got it."""

    app: str
    channel: str
    id: str
    sequence: int
    attempt: int
    background: bool
    process: str = ""
    """The process of the handler; empty for that of the platform."""

    @property
    def place(self) -> tuple[str, bool, str]:
        """Where there is one at a time: a channel of a process in the foreground, an app in the background."""
        return (self.app, True, "") if self.background else (self.channel, False, self.process)


@define(eq=False)
class Work:
    """A call whose handler, or whose deferrals, have not ended; ``began`` in seconds of waking time."""

    call: Call
    args: PushNotificationReceivedEventArgs
    began: float
    supervised: bool = False
    """Of a process: whether an agent knew of it the last time that time had passed."""


@frozen
class Wait:
    """A channel request that waits for its next attempt: until ``due`` on the loop's clock, if nothing sleeps."""

    due: float
    began: float
    length: float


@define(eq=False)
class Record:
    """Notes of one run; ``now`` is the loop's clock in seconds, ``time`` the time that really passes, since the epoch."""

    now: Callable[[], float]
    time: Callable[[], float]
    log: list[tuple[float, tuple[object, ...]]] = Factory(list)
    counts: Counter[str] = Factory(Counter)
    faults: Counter[str] = Factory(Counter)
    checks: Counter[str] = Factory(Counter)
    offences: defaultdict[str, list[str]] = Factory(lambda: defaultdict(list))
    """By the invariant that is broken."""
    works: list[Work] = Factory(list)
    done: set[str] = Factory(set)
    """The ids of what a handler has handled, or has ended its work on."""
    seen: set[str] = Factory(set)
    """The ids of what a handler has been given."""
    excused_from_seeing: set[str] = Factory(set)
    """The apps with a process that took nothing for a while: what it was sent may die unseen."""
    accepted: dict[int, tuple[str, float | None]] = Factory(dict)
    """Channel and expiry of what was ever accepted, by sequence number."""
    granted: dict[str, tuple[str, str]] = Factory(dict)
    """The app and remote id that each channel was granted to."""
    keys: dict[str, bytes] = Factory(dict)
    """What senders encrypt by, by the endpoints of the push subscriptions that apps were told of."""
    plaintexts: dict[str, bytes] = Factory(dict)
    """What apps are to get of payloads, by the ids of these."""
    ended: set[str] = Factory(set)
    """The channels that the device has given up."""
    too_late: set[str] = Factory(set)
    """The ids of what was sent to such."""
    latched: set[int] = Factory(set)
    held: set[int] = Factory(set)
    """The sequence numbers of what a gate has ever held back."""
    good_until: dict[str, float] = Factory(dict)
    """When payloads expire, by their ids, in the time that really passes."""
    at_service: float = 0.0
    """What time it was at the service when all was at rest last, in seconds since the epoch."""
    lag: float = math.inf
    """By how many seconds the device may take it to be earlier at the service than it is."""
    longest_lag: float = math.inf
    """The longest since all was at rest."""
    excused: float = 0.0
    """Seconds in which nothing could go on: the machine slept, or the store took its time."""
    waits: dict[int, Wait] = Factory(dict)
    _asked: dict[int, tuple[m.PlanRetry, Wait]] = Factory(dict)
    _attempts: dict[tuple[str, bool], int] = Factory(dict)
    _newest: dict[tuple[str, bool, str], int] = Factory(dict)
    gates: RealGates = Factory(lambda record: RealGates(record.now, record.awake), takes_self=True)

    def say(self, *words: object) -> None:
        """Write a line into the trace."""
        self.log.append((self.now(), words))

    def trace(self) -> list[str]:
        """Return the trace, each line with its virtual second."""
        return [f"{at:12.3f}  {' '.join(map(str, words))}" for at, words in self.log]

    def digest(self) -> str:
        """Return what two runs have in common only if they did and saw the same."""
        return sha256("\n".join(self.trace()).encode()).hexdigest()

    def awake(self) -> float:
        """Return the seconds in which things could go on."""
        return self.now() - self.excused

    def lag_is(self, seconds: float) -> None:
        """Note by how much the device may be late."""
        self.lag = seconds
        self.longest_lag = max(self.longest_lag, seconds)

    def rested(self, at_service: float) -> None:
        """Note what time it is at the service while nothing can go on."""
        self.at_service = at_service
        self.longest_lag = self.lag

    def excuse(self, seconds: float) -> None:
        """Do not count that time, from now on, as one in which things can go on."""
        self.excused += seconds
        self.gates.news_wait(self.now() + seconds)

    def offend(self, invariant: str, text: str) -> None:
        """Note that an invariant does not hold."""
        self.offences[invariant].append(text)

    # Handlers

    def call(self, args: PushNotificationReceivedEventArgs, process: str = "") -> None:
        """Write down what a handler gets, before it does anything."""
        background, sequence = args._background, args._sequence
        channel, expires = self.accepted[sequence]
        call = Call(self.granted[channel][0], channel, args.id, sequence, args.attempt, background, process)
        self.say("handler", "background" if background else "foreground", call.id, "attempt", call.attempt)
        self.counts["handler calls"] += 1
        self.seen.add(call.id)
        before = self._attempts.get((call.id, background), 0)
        self._attempts[call.id, background] = call.attempt
        if call.attempt <= before:
            self.offend("no_attempt_is_seen_twice", f"{call} after attempt {before}")
        if call.attempt == 1 and call.sequence not in self.held:
            row = call.channel, background, "" if background else process
            newest = self._newest.get(row, 0)
            self._newest[row] = call.sequence
            if call.sequence <= newest:
                self.offend("first_attempts_come_in_order", f"{call} after {newest}")
        if args.payload != self.plaintexts[args.id]:
            self.offend("apps_get_what_was_sent", f"{call} is {args.payload!r}")
        if args.id in self.too_late:
            self.offend("nothing_comes_after_the_end", f"{call}, which was sent to a channel that had ended")
        if background and expires is not None and expires + TICK + self.longest_lag < self.at_service:
            self.offend("background_work_begins_in_time", f"{call} has expired at {expires}")
        if background and not process and self.gates.are_long_closed(self.gates.latched, call.app):
            self.offend("no_work_begins_while_a_gate_is_closed", f"{call}, and it has been closed for a while")
        self.look()
        if any(work.call.place == call.place for work in self.works):
            self.offend("one_at_a_time", f"{call} while another runs")
        self.works.append(Work(call, args, self.awake()))

    def look(self) -> None:
        """See which work has ended."""
        self.works = [work for work in self.works if not work.args._ended]

    def life_ended(self) -> None:
        """All work, and all that the platform knew, ended with it."""
        self.works.clear()
        self.latched.clear()
        self.waits.clear()
        self.gates.life_ended()

    # Actors

    def began(self, actor: str) -> None:
        """Note that an actor begins: it knows nothing of before."""
        self.say("begins", actor)
        if actor in WATCHING:
            for work in self.works:
                work.began = self.awake()
        if actor == "payload_router":
            self.latched.clear()
        elif actor in {"channel_requester", "retry_scheduler"}:
            self.waits.clear()

    def received(self, actor: Actor, message: m.Message) -> None:
        """Look at what an actor gets, before it does."""
        self.gates.heard(actor, message)
        match actor, message:
            case PayloadRouter(), m.Parked(sequence) if actor._windows.on_its_way(sequence):  # else of before a restart
                self.latched.add(sequence)
            case PayloadRouter(), m.Settlements() | m.Handled() as ended:
                self.latched.difference_update(_sequences(ended))
            case PayloadRouter(), m.ActorRestarted("supervisor"):
                self.latched.clear()
            case RetryScheduler(), m.PlanRetry(key):
                self._asked[key] = message, Wait(self.now(), self.awake(), 0.0)
            case RetryScheduler(), m.ResumeRetry(key, delay):
                self._resumed(key, delay)
            case RetryScheduler(), m.ForgetRetry(key):
                self.waits.pop(key, None)
            case ChannelRequester(), m.RetryPlanned(key, count, delay) if key in actor._requests:  # else it has ended
                self._planned(key, count, delay)
            case ChannelRequester(), m.RetryDenied(key):
                self._denied(key)
            case ChannelRequester(), m.RetryDue(key):
                self._due(key)

    def _resumed(self, key: int, delay: float) -> None:
        """A wait goes on after a restart: not longer than any wait is, whatever the wall clock did meanwhile."""
        self.waits[key] = Wait(self.now(), self.awake(), min(delay, SCHEDULE[-1] * (1 + JITTER)))

    def _planned(self, key: int, count: int, delay: float) -> None:
        asked, since = self._asked[key]
        backoff, asked_for = SCHEDULE[asked.failures - 1], asked.retry_after or 0.0
        shortest, longest = (max(backoff * (1 + sign * JITTER), asked_for) for sign in (-1, 1))
        if count != asked.failures or not shortest - TICK <= delay <= longest + TICK:
            self.offend("retries_follow_the_schedule", f"{delay:.1f} s before retry {count}, asked with {asked}")
        self.waits[key] = Wait(since.due + delay, since.began, delay)

    def _denied(self, key: int) -> None:
        asked, _ = self._asked[key]
        if asked.hresult in RETRYABLE and asked.failures <= len(SCHEDULE):
            self.offend("retries_follow_the_schedule", f"no retry after {asked}")

    def _due(self, key: int) -> None:
        wait = self.waits.pop(key, None)
        if wait is not None and self.now() < wait.due - TICK:
            self.offend("retries_follow_the_schedule", f"due at {wait.due:.1f}, and now it is {self.now():.1f}")


def _sequences(ended: m.Settlements | m.Handled) -> Iterable[int]:
    return ended.sequences if isinstance(ended, m.Handled) else (row[0] for row in ended.rows)
