"""Sending a notification: which answers are worth another attempt, when it is made, and which error ends it.

Source: "Push notification service request and response headers"; what it asks a sender to do on each answer.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import auto

from attrs import field, frozen

from tocsin.protocol.arguments import number
from tocsin.protocol.errors import (
    ChannelGone,
    NotificationRefused,
    SenderNotAllowed,
    SendFailed,
    ServiceUnavailable,
    Throttled,
)
from tocsin.protocol.kernel.backoff import backoff
from tocsin.protocol.kernel.machine import Label
from tocsin.protocol.network.retry_after import LONGEST
from tocsin.protocol.send_result import SendResult
from tocsin.protocol.sending.results import ACCEPTED, MAY_PASS


class Phase(Label):
    """Where one notification stands."""

    NEW = auto()
    POSTED = auto()
    WAITING = auto()
    ENDED = auto()


class Event(Label):
    """What happens to it."""

    BEGIN = auto()
    ACCEPTED = auto()
    STALE_TOKEN = auto()
    """The first 401: the token may have expired since it was issued."""
    TRY_LATER = auto()
    REFUSED = auto()
    DUE = auto()


class Effect(Label):
    """What the client has to do."""

    POST = auto()
    RENEW_TOKEN = auto()
    BACK_OFF = auto()
    RETURN_RESULT = auto()
    RAISE_ERROR = auto()


TABLE: dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]] = {
    (Phase.NEW, Event.BEGIN): (Phase.POSTED, (Effect.POST,)),
    (Phase.POSTED, Event.ACCEPTED): (Phase.ENDED, (Effect.RETURN_RESULT,)),
    (Phase.POSTED, Event.STALE_TOKEN): (Phase.POSTED, (Effect.RENEW_TOKEN, Effect.POST)),
    (Phase.POSTED, Event.TRY_LATER): (Phase.WAITING, (Effect.BACK_OFF,)),
    (Phase.POSTED, Event.REFUSED): (Phase.ENDED, (Effect.RAISE_ERROR,)),
    (Phase.WAITING, Event.DUE): (Phase.POSTED, (Effect.POST,)),
}

BLOCKED = "domain blocked"
"""With 410: not the channel is gone, the sender is blocked."""


@frozen
class SendPolicy:
    """How often and how long a notification is tried.

    ``retries`` is the number of attempts after the first, ``first`` and ``longest`` are seconds to wait: doubled each
    time, with jitter down to half. ``total`` seconds after it began, sending ends.

    Example::

        once = tocsin.SendPolicy(retries=0, total=10)
        client = tocsin.WnsClient(client_id, client_secret, policy=once)

    :raises InvalidArgument: a number is below 0, or is 0 where that would be no time at all.
    """

    retries: int = field(default=4, validator=number(0, whole=True))
    first: float = field(default=1.0, validator=number(0, above=True))
    longest: float = field(default=60.0, validator=number(0, above=True))
    total: float = field(default=120.0, validator=number(0, above=True))

    def told(self, result: SendResult) -> float | None:
        """Return the seconds that an answer asks to wait: the longest usual ones at least, if it is not clear how many."""
        if result.retry_unclear is None:
            return result.retry_after
        return max(result.retry_after or 0.0, self.longest)

    def wait(self, failures: int, told: float | None, elapsed: float, fraction: float) -> float | None:
        """Return the seconds to wait after that many failures, from 1; None where it is not worth it.

        :param told: what the service asked for, in seconds; the wait is never shorter.
        :param elapsed: seconds since sending began.
        :param fraction: random, from 0 to 1; so that those who were sent away together do not come back together.
        """
        if failures > self.retries:
            return None
        usual = backoff(self.first, self.longest, failures, fraction)
        wait = max(usual, (told or 0.0) * (1 + 0.1 * fraction))
        return wait if elapsed + wait < self.total else None


def classify(  # noqa: PLR0913  # the last two are the service's own
    result: SendResult,
    wait: float | None,
    *,
    renewed: bool,
    denied: bool = False,
    accepted: Collection[int | None] = ACCEPTED,
    may_pass: Collection[int | None] = MAY_PASS,
) -> Event:
    """Decide which event an answer is.

    :param wait: what the policy says of another attempt.
    :param renewed: whether the token was renewed for this notification already.
    :param denied: whether there was no answer because the sender gets no token, now or later.
    :param accepted: the statuses of success; ``may_pass`` those that another attempt may change.
    """
    if denied:
        return Event.REFUSED
    if result.http_status in accepted:
        return Event.ACCEPTED
    if result.http_status == 401 and not renewed:
        return Event.STALE_TOKEN
    if result.lasting:
        return Event.REFUSED
    return Event.TRY_LATER if result.http_status in may_pass and wait is not None else Event.REFUSED


_ERRORS: dict[int | None, type[SendFailed]] = {
    None: ServiceUnavailable,
    401: SenderNotAllowed,
    403: SenderNotAllowed,
    404: ChannelGone,
    406: Throttled,
    408: ServiceUnavailable,
    410: ChannelGone,
    429: Throttled,
}


def failure(result: SendResult, *, denied: bool = False) -> SendFailed:
    """Make the error of an answer that ends the sending, or of a sender that gets no token."""
    status = result.http_status
    if denied:
        return SenderNotAllowed(result.explanation, result=result)
    kind = _ERRORS.get(status, ServiceUnavailable if status is not None and status >= 500 else NotificationRefused)
    if status == 410 and BLOCKED in (result.description or "").lower():
        kind = SenderNotAllowed
    tried = f" ({result.attempts} attempts)" if result.attempts > 1 else ""
    tried += _asked(result)
    if status is None:
        return kind(f"{result.explanation}{tried}", result=result)
    return kind(f"refused with {status}: {result.description or 'the service gave no reason'}{tried}", result=result)


def _asked(result: SendResult) -> str:
    """Say how long the service asks to wait."""
    if result.retry_unclear is not None:
        return f"; it asks to wait, and how long is not clear: {result.retry_unclear!a}"
    if not result.retry_after:
        return ""
    return f"; it asks to wait {result.retry_after:.12g} s" + (" or more" if result.retry_after >= LONGEST else "")
