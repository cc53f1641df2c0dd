"""The way of a hub's clients in: who asks, and for what; then the resource that it is for answers."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import Final

from starlette.types import Receive, Scope, Send

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.hub import hub_request as ask
from tocsin.protocol.hub.batch import MAX_BATCH
from tocsin.protocol.hub.hub_refused import HubReason, HubRefused
from tocsin.protocol.hub.rights import KEY_NAMES, Right
from tocsin.protocol.hub.signature import verify_signature
from tocsin.protocol.service.tally import Asked
from tocsin.protocol.text import quoted
from tocsin.repeat_log import RepeatLog
from tocsin.service.hub.hub_answers import HubAnswer, refusal, send_answer, tracking_id_of
from tocsin.service.hub.installations import InstallationsResource
from tocsin.service.hub.messages import MessagesResource
from tocsin.service.hub.registrations import RegistrationsResource
from tocsin.service.operations.limits import Limits
from tocsin.service.operations.metrics import Counters
from tocsin.service.registry.hub_store import HubRow
from tocsin.service.registry.hubs import Hubs
from tocsin.service.web.bodies import Bodies, BodyFault

MAX_BODY: Final = 64 * 1024
"""Bytes of a request's body at most, a batch aside."""

_ROOMS: Final = frozenset(
    {"registrations", "registrationids", "tags", "installations", "messages", "schedulednotifications"}
    | {"feedbackcontainer", "jobs"}
)
_RIGHTS: Final = {name: right for right, name in KEY_NAMES.items()}
_UNUSABLE: Final = (
    HubReason.STORE_UNUSABLE,
    "The service cannot use its store just now: send the request again.",
)
_LAPSED: Final = (
    HubReason.NODE_LAPSED,
    "This node of the service cannot answer for hubs just now: send the request again.",
)
_BODY_FAULTS: Final = {
    BodyFault.TOO_LONG: (HubReason.TOO_LARGE, "The body is longer than is read here"),
    BodyFault.TORN: (HubReason.BODY_TORN, "The body is not as long as Content-Length says"),
    BodyFault.LATE: (HubReason.BODY_LATE, "The body did not arrive in time"),
    BodyFault.STOPPING: (HubReason.STOPPING, "The service is stopping"),
}

logger = logging.getLogger(__name__)


class HubRoute:
    """The requests of a hub's clients, as an ASGI application.

    :param wall: the wall clock, by which clients date their signatures.
    :param base_url: the service's URL, without a slash at its end.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # the service's parts
        self,
        hubs: Hubs,
        registrations: RegistrationsResource,
        installations: InstallationsResource,
        messages: MessagesResource,
        bodies: Bodies,
        limits: Limits,
        counters: Counters,
        recurring: RepeatLog,
        wall: Callable[[], float],
        base_url: str,
    ) -> None:
        self._hubs = hubs
        self._registrations = registrations
        self._installations = installations
        self._messages = messages
        self._bodies = bodies
        self._limits = limits
        self._counters = counters
        self._recurring = recurring
        self._wall = wall
        # Clients look for https in a Location, and in what they are told nothing else of the URL is of use.
        self._host = base_url.partition("://")[2]
        self._base = f"https://{self._host}"

    def answers(self, path: str) -> bool:
        """Tell whether a path leads to a hub, or would if it were there."""
        hub, room = _names_in(path)
        if room == "oauth2":  # the token endpoint of an Entra tenant, whose name may be that of a hub
            return False
        return self._hubs.named(hub) is not None or room in _ROOMS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = _collect(scope)
        tracking_id = tracking_id_of(headers.get("trackingid", ""))
        close = False
        try:
            answer = await self._answer(scope, headers, receive)
        except HubRefused as refused:
            close = refused.status in {408, 413} or "expect" in headers
            self._count(scope, refused.reason)
            answer = refusal(refused)
        except StateUnavailable as failure:
            self._recurring.log(logger, logging.WARNING, "hub", "hubs cannot use the store: %s", failure)
            reason, text = _UNUSABLE if self._hubs.is_current() else _LAPSED
            self._count(scope, reason)
            answer = refusal(HubRefused(reason, text))
        await send_answer(send, answer, tracking_id, close=close)

    def _count(self, scope: Scope, reason: HubReason) -> None:
        hub = self._hubs.named(_names_in(scope["path"])[0])
        client_id = (None if hub is None else hub.client_id) or ""
        self._counters.tally.refuse(Asked.HUB, reason, client_id, self._limits.address_of(scope))

    async def _answer(self, scope: Scope, headers: dict[str, str], receive: Receive) -> HubAnswer:
        throttled = self._limits.address(scope)
        if throttled is not None:
            raise HubRefused(
                HubReason.ADDRESS_THROTTLED,
                "Too many requests from this address: send more slowly.",
                throttled.retry_after,
            )
        if not self._hubs.is_current():
            raise StateUnavailable("this node does not know just now what others have changed")
        path = scope["raw_path"].decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        request = ask.read_hub_request(scope["method"], path, query, headers.get(ask.CONTINUATION, ""))
        hub = self._hubs.named(request.hub)
        if hub is None:
            raise _no_hub(request.hub)
        right = self._authorize(scope, hub, headers, path)
        ask.check_right(request.operation, right)
        limit = MAX_BATCH if isinstance(request.operation, ask.SendBatch) else MAX_BODY
        body = await self._read_body(receive, headers, limit)
        if self._hubs.numbered(hub.id) is None:  # it was removed while the body came
            raise _no_hub(request.hub)
        return await self._perform(hub, request.operation, headers, body)

    def _authorize(self, scope: Scope, hub: HubRow, headers: Mapping[str, str], path: str) -> Right:
        """Return the right of the key that has signed; an address that forges again and again has to wait."""
        wait = self._limits.secret(scope, hub.name)
        if wait:
            raise HubRefused(
                HubReason.SECRET_THROTTLED, "Too many wrong signatures came from this address.", math.ceil(wait)
            )
        keys = {KEY_NAMES[right]: keys for right, keys in self._hubs.keys_of(hub).items()}
        hosts = (headers.get("host", ""), self._host)
        try:
            name = verify_signature(headers.get("authorization", ""), keys, hosts, path, self._wall())
            return _RIGHTS[name]
        except HubRefused:
            if "authorization" in headers:
                self._limits.wrong_secret(scope, hub.name)
            raise

    async def _read_body(self, receive: Receive, headers: Mapping[str, str], limit: int) -> bytes:
        length = headers.get("content-length", "")
        body = await self._bodies.read(receive, limit, int(length) if length.isdecimal() else None)
        if isinstance(body, BodyFault):
            reason, words = _BODY_FAULTS[body]
            raise HubRefused(reason, f"{words}: {limit} bytes at most." if body is BodyFault.TOO_LONG else f"{words}.")
        return body

    async def _perform(  # noqa: C901, PLR0911, PLR0912  # one line for each operation
        self, hub: HubRow, operation: ask.HubOperation, headers: Mapping[str, str], body: bytes
    ) -> HubAnswer:
        base = f"{self._base}/{hub.name}"
        if_match = headers.get("if-match", "")
        match operation:
            case ask.CreateRegistration():
                return await self._registrations.create(hub, base, body)
            case ask.CreateRegistrationId():
                return self._registrations.give_id(base)
            case ask.PutRegistration(id=id_):
                return await self._registrations.put(hub, base, id_, body, if_match)
            case ask.GetRegistration(id=id_):
                return await self._registrations.get(hub, base, id_)
            case ask.DeleteRegistration(id=id_):
                return await self._registrations.delete(hub, id_, if_match)
            case ask.ListRegistrations():
                return await self._registrations.list(hub, base, operation)
            case ask.PutInstallation(id=id_):
                return await self._installations.put(hub, id_, body, if_match)
            case ask.PatchInstallation(id=id_):
                return await self._installations.patch(hub, id_, body, if_match)
            case ask.GetInstallation(id=id_):
                return await self._installations.get(hub, id_)
            case ask.DeleteInstallation(id=id_):
                return await self._installations.delete(hub, id_, if_match)
            case ask.SendMessage(direct=direct, test=test):
                return await self._messages.send(hub, base, headers, body, direct=direct, test=test)
            case ask.SendBatch():
                return await self._messages.send_batch(hub, base, headers, body)
            case ask.GetMessage(id=id_):
                return await self._messages.details(hub, base, id_)
            case ask.ScheduleMessage():
                return await self._messages.schedule(hub, base, headers, body)
            case ask.CancelScheduled(id=id_):
                return await self._messages.cancel(hub, id_)


def _names_in(path: str) -> tuple[str, str]:
    """Return the names of the hub and of what it has, in lower case, each empty where there is none."""
    _, hub, room, *_ = *path.lower().split("/", 3), "", ""
    return hub, room


def _no_hub(name: str) -> HubRefused:
    return HubRefused(HubReason.UNKNOWN_HUB, f"There is no hub {quoted(name)}: 'tocsin hub add' makes one.")


def _collect(scope: Scope) -> dict[str, str]:
    """Return the headers by lower-cased name; a repeated one is joined with a comma (RFC 9110 §5.3)."""
    found: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
        found[name] = f"{found[name]}, {text}" if name in found else text
    return found
