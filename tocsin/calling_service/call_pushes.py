"""The pushes that ring devices, and those that stop them: each tried again for as long as it is of use."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import anyio
from anyio.abc import TaskGroup

from tocsin.calling_service.pusher import Pusher
from tocsin.protocol.calling.push_notification import PushEventType, PushNotificationDetails, write_push
from tocsin.protocol.calling.raw_id import read_raw_id
from tocsin.protocol.calling.switchboard_rows import CallRow, Endpoint, Push, Pushed, RingByPush
from tocsin.protocol.kernel.backoff import backoff
from tocsin.repeat_log import RepeatLog

AT_A_TIME: Final = 64
"""Pushes that are under way at most."""

FIRST_WAIT: Final = 0.5
"""Seconds until a push that has failed is made again; doubled each time."""

LAST_WAIT: Final = 8.0
"""Seconds of the longest wait."""

_Key: TypeAlias = tuple[str, Endpoint]

logger = logging.getLogger(__name__)


class CallPushes:
    """Makes pushes, each in a task of its own, so that a slow one holds up no other while there are not too many.

    For a call and an endpoint, one is under way: what stops a ring takes its place.

    :param tasks: owns what is under way.
    :param pusher: None: no push reaches anything.
    :param came_to: told of what each has come to.
    """

    def __init__(
        self,
        tasks: TaskGroup,
        pusher: Pusher | None,
        now: Callable[[], float],
        came_to: Callable[[Push, Pushed], Awaitable[None]],
        recurring: RepeatLog,
    ) -> None:
        self._tasks = tasks
        self._pusher = pusher
        self._now = now
        self._came_to = came_to
        self._recurring = recurring
        self._room = anyio.CapacityLimiter(AT_A_TIME)
        self._under_way: dict[_Key, anyio.CancelScope] = {}
        self._rings: dict[str, dict[Endpoint, anyio.CancelScope]] = {}

    def send(self, push: Push) -> None:
        """Begin with a push."""
        key = (push.row.call, push.registration.endpoint)
        former = self._under_way.get(key)
        if former is not None:
            former.cancel()
        scope = self._under_way[key] = anyio.CancelScope()
        if isinstance(push, RingByPush):
            self._rings.setdefault(push.row.call, {})[push.registration.endpoint] = scope
        self._tasks.start_soon(self._send, push, key, scope)

    def stop_ringing(self, call: str) -> None:
        """Give up what would ring for a call."""
        for scope in self._rings.pop(call, {}).values():
            scope.cancel()

    def forget(self, endpoint: Endpoint) -> None:
        """Give up what would ring an endpoint."""
        for rings in self._rings.values():
            if endpoint in rings:
                rings[endpoint].cancel()

    async def _send(self, push: Push, key: _Key, scope: anyio.CancelScope) -> None:
        try:
            with scope:
                outcome = await self._until_taken(push)
                if outcome is not None:
                    await self._came_to(push, outcome)
        finally:
            if self._under_way.get(key) is scope:
                del self._under_way[key]
            rings = self._rings.get(push.row.call, {})
            if rings.get(push.registration.endpoint) is scope:
                del rings[push.registration.endpoint]
                if not rings:
                    self._rings.pop(push.row.call, None)

    async def _until_taken(self, push: Push) -> Pushed | None:
        """Push again and again until it has come to something; None: until it is of no use any more."""
        row = push.row
        is_ring = isinstance(push, RingByPush)
        body = body_of(row, PushEventType.INCOMING_CALL if is_ring else PushEventType.STOP_RINGING)
        failures = 0
        while True:
            async with self._room:
                left = push.until - self._now()
                if left <= 0:
                    return None
                outcome = await self._attempt(push.registration.uri, body, left)
            if outcome is not Pushed.FAILED:
                return outcome
            failures += 1
            await anyio.sleep(backoff(FIRST_WAIT, LAST_WAIT, failures))

    async def _attempt(self, uri: str, body: bytes, ttl: float) -> Pushed:
        if self._pusher is None:
            return Pushed.DROPPED
        try:
            return await self._pusher.push(uri, body, ttl)
        except Exception as failure:  # noqa: BLE001 - a defect of the pusher's ends no call; its words may show the URI
            kind = type(failure).__name__
            self._recurring.log(
                logger, logging.ERROR, ("push", kind), "a push of a call has failed by a defect: %s", kind
            )
            return Pushed.FAILED


def body_of(row: CallRow, kind: PushEventType) -> bytes:
    """Write the push that is about a call."""
    details = PushNotificationDetails(
        kind,
        int(kind),
        call_id=row.call,
        caller=read_raw_id(row.caller.user),
        recipient=read_raw_id(row.callee.user),
        display_name=row.caller.name,
        has_incoming_video=row.caller.video,
        context=row.context,
    )
    return write_push(details)
