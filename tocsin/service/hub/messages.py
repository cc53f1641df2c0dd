"""Messages of a hub: sent, sent as a test, scheduled, cancelled, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from uuid import uuid4

from tocsin.protocol.hub.batch import read_batch
from tocsin.protocol.hub.channel_uri import check_channel_uri
from tocsin.protocol.hub.hub_outcomes import TargetOutcome
from tocsin.protocol.hub.hub_refused import HubReason, HubRefused
from tocsin.protocol.hub.message_life import Phase, state_of
from tocsin.protocol.hub.outcome_xml import TriedTarget, write_details, write_test_outcome
from tocsin.protocol.hub.schedule_time import read_schedule_time
from tocsin.protocol.hub.signature import CLOCK_SKEW
from tocsin.protocol.hub.tag_expression import read_tag_expression
from tocsin.protocol.text import quoted
from tocsin.protocol.values import MAX_PAYLOAD
from tocsin.service.hub.composing import NATIVE, TEMPLATE, composer
from tocsin.service.hub.hub_answers import HubAnswer
from tocsin.service.hub.hub_sender import HubSender
from tocsin.service.hub.page import Target
from tocsin.service.hub.registered_channel import token_in
from tocsin.service.operations.metrics import Counters
from tocsin.service.registry.hub_store import HubRow, HubStore, MessageRow

MAX_WAIT: Final = 7 * 24 * 3600
"""Seconds from now that a message is scheduled for at most."""

MAX_SCHEDULED: Final = 100_000
"""Messages of one hub that are scheduled at most."""

_FORMAT: Final = "servicebusnotification-format"
_TAGS: Final = "servicebusnotification-tags"
_DEVICE: Final = "servicebusnotification-devicehandle"
_TIME: Final = "servicebusnotification-scheduletime"


class MessagesResource:
    """Answers for the messages of all hubs; its methods raise ``HubRefused`` and ``StateUnavailable``.

    :param now: the service's time; :param wall: the wall clock, by which senders say when a message is due.
    """

    def __init__(
        self,
        store: HubStore,
        sender: HubSender,
        counters: Counters,
        now: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._store = store
        self._sender = sender
        self._counters = counters
        self._now = now
        self._wall = wall

    async def send(  # noqa: PLR0913  # what a request says
        self, hub: HubRow, base: str, headers: Mapping[str, str], body: bytes, *, direct: bool, test: bool
    ) -> HubAnswer:
        """Accept a message to a tag expression, or to the channel that it names."""
        devices: tuple[str, ...] = ()
        if direct or _DEVICE in headers:
            if _DEVICE not in headers:
                raise HubRefused(
                    HubReason.WRONG_MESSAGE,
                    "A direct message names its channel in the header ServiceBusNotification-DeviceHandle.",
                )
            devices = (_device(headers[_DEVICE]),)
        message = self._message(hub, headers, body, devices)
        if test:
            results = await self._sender.test(hub, message)
            return _accepted(message, base, write_test_outcome(map(_result, results)))
        return await self._accept(message, base)

    async def send_batch(self, hub: HubRow, base: str, headers: Mapping[str, str], body: bytes) -> HubAnswer:
        """Accept a message to the channels that are in the body behind it."""
        batch = read_batch(headers.get("content-type", ""), body)
        for uri in batch.devices:
            token_in(uri, "A channel of the batch")
        return await self._accept(self._message(hub, headers, batch.notification, batch.devices), base)

    async def schedule(self, hub: HubRow, base: str, headers: Mapping[str, str], body: bytes) -> HubAnswer:
        """Accept a message for later."""
        if _TIME not in headers:
            raise HubRefused(
                HubReason.WRONG_MESSAGE,
                "The header ServiceBusNotification-ScheduleTime is missing: it says when, as 2026-12-31T08:00:00.",
            )
        wait = read_schedule_time(headers[_TIME]) - self._wall()
        if not -CLOCK_SKEW <= wait <= MAX_WAIT:
            text = f"ServiceBusNotification-ScheduleTime is a time in UTC, within {MAX_WAIT // 86_400} days from now."
            raise HubRefused(HubReason.WRONG_MESSAGE, text)
        if await self._store.count_scheduled(hub.id, MAX_SCHEDULED) >= MAX_SCHEDULED:
            raise HubRefused(
                HubReason.TOO_MANY_SCHEDULED,
                f"{MAX_SCHEDULED} messages of the hub are scheduled, and no more are taken.",
            )
        devices = (_device(headers[_DEVICE]),) if _DEVICE in headers else ()
        return await self._accept(self._message(hub, headers, body, devices, self._now() + max(wait, 0)), base)

    async def cancel(self, hub: HubRow, id: str) -> HubAnswer:  # noqa: A002 - the field's name
        """Cancel a message that is scheduled."""
        await self._sender.cancel(hub, id)
        return HubAnswer(200)

    async def details(self, hub: HubRow, base: str, id: str) -> HubAnswer:  # noqa: A002 - the field's name
        """Tell what has become of a message."""
        message = await self._store.message(hub.id, id)
        if message is None:
            raise HubRefused(
                HubReason.UNKNOWN_MESSAGE, "The hub has no message with this id, or forgot it some days after its end."
            )
        moments = {"EnqueueTime": message.accepted, "StartTime": message.began, "EndTime": message.ended}
        body = message.body.decode("utf-8", "replace")
        texts = {"NotificationBody": body, "Tags": message.tags}
        location = f"{base}/messages/{id}"
        return HubAnswer(200, write_details(id, location, state_of(message.phase), moments, texts, message.tally))

    def _message(  # what a request says
        self,
        hub: HubRow,
        headers: Mapping[str, str],
        body: bytes,
        devices: tuple[str, ...],
        due: float | None = None,
    ) -> MessageRow:
        """Make a message of a request, and see that it can be sent."""
        kind = headers.get(_FORMAT, "").lower()
        if kind not in {NATIVE, TEMPLATE}:
            words = "missing" if not kind else f"not {quoted(kind)}"
            raise HubRefused(
                HubReason.WRONG_MESSAGE,
                f"ServiceBusNotification-Format is windows or template, {words}: devices here have WNS channels.",
            )
        if kind == TEMPLATE and devices:
            raise HubRefused(
                HubReason.WRONG_MESSAGE,
                "A template is a registration's, and a channel that is named itself has none: send the format windows.",
            )
        tags = "" if devices else _as_meant(headers.get(_TAGS, "")).strip()
        if tags:
            read_tag_expression(tags)
        if kind == NATIVE and len(body) > MAX_PAYLOAD:
            raise HubRefused(
                HubReason.TOO_LARGE, f"The payload has {len(body)} bytes; at most {MAX_PAYLOAD} are allowed."
            )
        phase = Phase.ENQUEUED if due is None else Phase.SCHEDULED
        own = tuple((name, value) for name, value in headers.items() if name.startswith("x-wns-"))
        message = MessageRow(0, str(uuid4()), hub.id, phase, kind, tags, own, body, self._now(), devices, due)
        composer(message)
        return message

    async def _accept(self, message: MessageRow, base: str) -> HubAnswer:
        if self._sender.is_full:
            raise HubRefused(HubReason.TOO_MANY_WAITING, "Too many messages of hubs wait to be sent: send more slowly.")
        await self._sender.accept(message)
        self._counters.hub_messages += 1
        return _accepted(message, base)


def _accepted(message: MessageRow, base: str, body: bytes = b"") -> HubAnswer:
    room = "messages" if message.due is None else "schedulednotifications"
    return HubAnswer(201, body, headers=(("Location", f"{base}/{room}/{message.id}"),))


def _result(result: tuple[Target, TargetOutcome]) -> TriedTarget:
    target, outcome = result
    return TriedTarget(target.channel_uri, "" if target.registration is None else target.registration.id, outcome)


def _as_meant(text: str) -> str:
    """Return a header that was read as ISO 8859-1: some clients write letters beyond ASCII in it, others in UTF-8."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


def _device(uri: str) -> str:
    what = "ServiceBusNotification-DeviceHandle"
    check_channel_uri(uri, what)
    token_in(uri, what)
    return uri
