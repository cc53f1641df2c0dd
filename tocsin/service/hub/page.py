"""A page of a message's targets: they are tried side by side, and what became of them is written down together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from attrs import Factory, define, evolve, frozen

from tocsin.protocol.hub.descriptions import RegistrationDescription
from tocsin.protocol.hub.hub_outcomes import HubOutcome, TargetOutcome
from tocsin.protocol.hub.message_life import wait_before
from tocsin.service.registry.hub_store import DeadTarget, Retry
from tocsin.service.registry.service_store import ChannelRow

_FAULT: Final = TargetOutcome(HubOutcome.ABANDONED, "The service could not try it")


@frozen
class Target:
    """What a message is for: a registration with its channel, or a channel that was named itself; ``attempts`` were made before."""

    place: int
    channel_uri: str
    channel: ChannelRow | None
    registration: RegistrationDescription | None = None
    attempts: int = 0

    def expired(self, now: float) -> bool:
        """Tell whether its registration is over."""
        ends = None if self.registration is None else self.registration.expires
        return ends is not None and ends <= now


@define(eq=False)
class Page:
    """Targets up to a place, some of which are still being tried.

    ``on_finished`` is called when all have ended, or are to be tried again later.
    """

    place: int
    open: int
    on_finished: Callable[[], None]
    counts: Counter[TargetOutcome] = Factory(Counter)
    results: list[tuple[Target, TargetOutcome]] | None = None
    """What became of each, where that is asked for."""
    retries: list[Retry] = Factory(list)
    done: list[int] = Factory(list)
    """The places of those that were tried again, and are not to be once more."""
    dead: list[DeadTarget] = Factory(list)

    @property
    def finished(self) -> bool:
        """Whether nothing of it is being tried."""
        return not self.open

    def end(self, target: Target, outcome: TargetOutcome | None) -> None:
        """Note what became of a target; None: it was none of the message's."""
        if outcome is not None:
            self.counts[outcome] += 1
            if self.results is not None:
                self.results.append((target, outcome))
        if target.attempts:
            self.done.append(target.place)
        self.close_one()

    def put_off(self, retry: Retry) -> None:
        """Note that a target is to be tried again."""
        self.retries.append(retry)
        self.close_one()

    def close_one(self) -> None:
        """Note that one is not being tried any more."""
        self.open -= 1
        if not self.open:
            self.on_finished()


def postponed(retries: Iterable[Retry], now: float) -> Page:
    """Return a page of targets that were to be tried again and could not, for a fault of the service's own: that was an attempt."""
    page = Page(0, 0, lambda: None)
    for retry in retries:
        attempts = retry.attempts + 1
        wait = wait_before(attempts)
        if wait is None:
            page.counts[_FAULT] += 1
            page.done.append(retry.place)
        else:
            page.retries.append(evolve(retry, attempts=attempts, due=now + wait))
    return page
