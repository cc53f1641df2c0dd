"""The way of a message to one target: by the push service, as a notification of any other sender goes."""

from __future__ import annotations

import hashlib
import logging
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from math import ceil
from time import time
from typing import Final

import anyio
from anyio.abc import TaskGroup
from attrs import define, evolve, frozen

from tocsin.followers import Followers
from tocsin.protocol.delivery.payload_events import PayloadEvent, Stage
from tocsin.protocol.hub.hub_outcomes import HubOutcome, TargetOutcome
from tocsin.protocol.hub.message_life import wait_before
from tocsin.protocol.messages import Payload
from tocsin.protocol.service.notification import Notification
from tocsin.protocol.service.refusal import Refusal, RefusalKind
from tocsin.protocol.values import NotificationStatus
from tocsin.repeat_log import RepeatLog
from tocsin.service.devices.devices import Devices
from tocsin.service.devices.outbox import PushResult
from tocsin.service.hub.composing import Compose
from tocsin.service.hub.page import Page, Target
from tocsin.service.hub.target_room import TargetRoom
from tocsin.service.operations.limits import Limits
from tocsin.service.operations.metrics import Counters
from tocsin.service.registry.hub_store import DeadTarget, HubRow, MessageRow, Retry, channel_of
from tocsin.service.registry.hubs import Hubs
from tocsin.service.registry.service_store import ChannelRow
from tocsin.service.senders.dispatch import Dispatcher
from tocsin.service.senders.wns_refusals import refused, status_and_words
from tocsin.tasks import Signal

AT_ONCE: Final = 1_024
"""Targets that are being tried at a time, of all messages together."""

TOGETHER: Final = 64
"""Targets of a message that get room at once."""

logger = logging.getLogger(__name__)

_SUCCESS: Final = TargetOutcome(HubOutcome.SUCCESS)
_TOO_LATE: Final = TargetOutcome(HubOutcome.DROPPED, "X-WNS-TTL was over before it could be sent")
_ENDED: Final = {
    RefusalKind.UNKNOWN_CHANNEL: HubOutcome.BAD_CHANNEL,
    RefusalKind.CHANNEL_EXPIRED: HubOutcome.EXPIRED_CHANNEL,
    RefusalKind.CHANNEL_REVOKED: HubOutcome.EXPIRED_CHANNEL,
}
_WRONG_APP: Final = TargetOutcome(HubOutcome.WRONG_CHANNEL, "The channel is of another app than the hub sends for")


@frozen
class Order:
    """A message that is being sent; times are the service's.

    ``begins`` is when its TTL begins. Until ``devices_return`` a device that is away is waited for, whatever the cache policy: it
    was the service that went away.
    """

    message: MessageRow
    hub: HubRow
    compose: Compose
    begins: float
    devices_return: float = 0.0


@define(eq=False)  # freezing it would cost each target a microsecond
class _Attempt:
    """One target that is being tried."""

    order: Order
    page: Page
    target: Target
    channel: ChannelRow
    notification: Notification
    payload: Payload


class TargetDelivery:
    """Tries targets, so many at a time.

    A device that is connected and takes it at once costs a callback; any other way is a task.

    :param tasks: in which the other ways are.
    :param now: the service's time.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # the service's parts
        self,
        dispatcher: Dispatcher,
        devices: Devices,
        hubs: Hubs,
        limits: Limits,
        counters: Counters,
        followers: Followers,
        recurring: RepeatLog,
        now: Callable[[], float],
        tasks: TaskGroup,
    ) -> None:
        self._dispatcher = dispatcher
        self._devices = devices
        self._hubs = hubs
        self._limits = limits
        self._counters = counters
        self._followers = followers
        self._recurring = recurring
        self._now = now
        self._tasks = tasks
        self._room = TargetRoom(AT_ONCE)
        self._unsettled: deque[tuple[_Attempt, PushResult]] = deque()
        self._to_settle = Signal()
        self._under_way: set[str] = set()  # the ids of what is being tried

    async def run(self) -> None:
        """Go on with what devices have not acknowledged."""
        while True:
            await self._to_settle.wait()
            while self._unsettled:
                self._tasks.start_soon(self._store, *self._unsettled.popleft())

    async def begin(
        self, order: Order, page: Page, targets: Sequence[Target], may_try: Callable[[], bool] = lambda: True
    ) -> None:
        """Begin to try targets, as soon as there is room; what becomes of each is told to the page.

        :param may_try: where it says no, nothing more is tried, and this waits until it is cancelled.
        """
        for some in (targets[start : start + TOGETHER] for start in range(0, len(targets), TOGETHER)):
            held = len(some)
            await self._room.take(held)
            try:
                if not may_try():
                    await anyio.sleep_forever()
                for target in some:
                    attempt = self._prepare(order, page, target)
                    while attempt is not None and (wait := self._wait_for_app(attempt)):
                        others, held = held, 0  # who may send need not wait with those who may not
                        self._room.give_back(others)
                        await anyio.sleep(wait)
                        await self._room.take(others)
                        held = others
                    if attempt is not None and self._try(attempt):
                        held -= 1
            finally:
                self._room.give_back(held)

    def _prepare(self, order: Order, page: Page, target: Target) -> _Attempt | None:
        """Find out what is to go where; None where nothing is: that is told to the page."""
        composed = order.compose(target.registration)
        if composed is None or isinstance(composed, TargetOutcome):
            self._end(page, target, composed)
            return None
        channel = self._dispatcher.usable(target.channel)
        if isinstance(channel, Refusal):
            self._end_dead(page, target, channel.kind)
            return None
        if target.expired(self._now()):  # with its installation, which is forgotten soon
            self._end(page, target, None)
            return None
        if not self._hubs.may_send(order.hub, channel.client_id):
            self._end(page, target, _WRONG_APP)
            return None
        notification, body = composed
        if notification.ttl:
            left = ceil(notification.ttl - (self._now() - order.begins))  # a TTL of 1 is good for its second
            if left <= 0:
                self._end(page, target, _TOO_LATE)
                return None
            notification = evolve(notification, ttl=left)
        id_ = _id_of(order.message, channel, target, body)
        payload = self._dispatcher.payload(id_, channel, notification, body)
        return _Attempt(order, page, target, channel, notification, payload)

    def _try(self, attempt: _Attempt) -> bool:
        """Try a target, and tell whether it needs room for as long as that takes."""
        channel, id_ = attempt.channel, attempt.payload.id
        if id_ in self._under_way:  # the same device is named twice
            self._end(attempt.page, attempt.target, None)
            return False
        throttled = self._limits.channel(channel.name, of_hub=True) if self._limits.limited else None
        if throttled is not None:
            self._conclude(attempt, throttled)
            return False
        self._under_way.add(id_)

        def settled(result: PushResult) -> None:
            if result is PushResult.ACKNOWLEDGED:
                self._counters.acknowledged += 1
                self._settle(attempt, result)
            else:
                self._unsettled.append((attempt, result))  # a callback of the loop cannot start a task in the group
                self._to_settle.set()

        if not self._devices.push_now(channel, attempt.payload, attempt.notification, settled):
            self._tasks.start_soon(self._deliver, attempt)
        return True

    async def _deliver(self, attempt: _Attempt) -> None:
        """Go the way of a device that is away, or takes nothing just now."""
        payload = attempt.payload
        call = partial(self._dispatcher.deliver, payload.id, attempt.channel, attempt.notification, payload.body)
        self._settle(attempt, await self._guarded(call))

    async def _store(self, attempt: _Attempt, result: PushResult) -> None:
        """Store what a device has not acknowledged, if its sender allows that."""
        call = partial(self._dispatcher.conclude, attempt.channel, attempt.payload, attempt.notification, result)
        self._settle(attempt, await self._guarded(call))

    async def _guarded(self, call: Callable[[], Awaitable[PushResult | Refusal]]) -> PushResult | Refusal:
        """Call, and take what fails unexpectedly for one try that came to nothing: a fault of ours ends nothing else."""
        try:
            return await call()
        except Exception:  # noqa: BLE001  # see above; it is logged
            trace = traceback.format_exc()
            self._recurring.log(logger, logging.ERROR, trace, "a message of a hub could not be delivered:\n%s", trace)
            return Refusal(RefusalKind.STORE_UNREADABLE)

    def _settle(self, attempt: _Attempt, result: PushResult | Refusal) -> None:
        """Conclude what had room, which is free again."""
        self._under_way.discard(attempt.payload.id)
        self._room.give_back()
        self._conclude(attempt, result)

    def _conclude(self, attempt: _Attempt, result: PushResult | Refusal) -> None:
        """Tell the page what has become of a target, or when it is to be tried again."""
        target, page = attempt.target, attempt.page
        waits = result is PushResult.OFFLINE and self._now() < attempt.order.devices_return
        if waits or result is PushResult.LOST:  # it is known by its id again, if the device has it
            result = Refusal(RefusalKind.NOT_ACKNOWLEDGED)
        if not isinstance(result, Refusal):
            status, words = status_and_words(result, cache=attempt.notification.cache)
            self._tell_followers(attempt, Stage(status.value), words)
            received = status is NotificationStatus.RECEIVED
            self._end(page, target, _SUCCESS if received else TargetOutcome(HubOutcome.DROPPED, words))
            return
        words = refused(result).description
        attempts = target.attempts + 1
        wait = None if page.results is not None else wait_before(attempts)
        self._tell_followers(attempt, Stage.REFUSED, words)
        if wait is None:
            self._end(page, target, TargetOutcome(HubOutcome.ABANDONED, words))
        else:
            due = self._now() + max(wait, result.retry_after or 0)
            page.put_off(Retry(attempt.order.message.id, target.place, attempts, due))

    def _end_dead(self, page: Page, target: Target, kind: RefusalKind) -> None:
        """End a target whose channel leads nowhere: its registration goes."""
        registration = target.registration
        if registration is not None:
            channel = channel_of(registration.channel_uri) or b""
            page.dead.append(DeadTarget(target.place, channel, registration.installation))
        self._end(page, target, TargetOutcome(_ENDED[kind], refused(Refusal(kind)).description))

    def _end(self, page: Page, target: Target, outcome: TargetOutcome | None) -> None:
        if outcome is not None:
            self._counters.hub_targets[outcome.name.value] += 1
        page.end(target, outcome)

    def _wait_for_app(self, attempt: _Attempt) -> float:
        """Return the seconds to wait until the app may send again; 0: it may, and this is counted."""
        throttled = self._limits.app(attempt.channel.client_id, of_hub=True) if self._limits.limited else None
        return 0.0 if throttled is None else throttled.retry_after or 1.0

    def _tell_followers(self, attempt: _Attempt, stage: Stage, words: str) -> None:
        if self._followers:
            channel, payload = attempt.channel, attempt.payload
            event = PayloadEvent(time(), stage, channel.app, channel.name, id=payload.id, type=str(payload.type))
            detail = f"hub {attempt.order.hub.name}, message {attempt.order.message.id}"
            self._followers.tell(evolve(event, size=len(payload.body), reason=words, detail=detail))


def _id_of(message: MessageRow, channel: ChannelRow, target: Target, body: bytes) -> str:
    """Return the id of a notification: the same whenever this message goes to this channel by this template.

    So a device knows again what it has had, where the service was killed before it could write that down.
    """
    id_ = hashlib.sha256(f"{message.id} {channel.hash.hex()} ".encode())
    template = target.registration.template if target.registration is not None else None
    if template is not None:  # a name alone tells no two apart: many have none
        id_.update(repr((template.name, template.headers)).encode() + body)
    return id_.hexdigest()[:16].upper()
