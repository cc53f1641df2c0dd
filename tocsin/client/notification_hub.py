"""What an app has of a notification hub: it registers its channel there, and the app's server sends to the hub."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from os import PathLike
from pathlib import Path
from types import NoneType
from typing import Final
from urllib.parse import quote

import anyio
from attrs import evolve, field, frozen

from tocsin.client.http import AnyHttp
from tocsin.client.http_opening import http_client
from tocsin.client.hub_requests import HubRequests, id_in
from tocsin.client.kept_registrations import NATIVE, KeptRegistrations
from tocsin.client.registration_request import native_registration, template_registration
from tocsin.private_file import folder_of
from tocsin.protocol.arguments import check_app_name, check_kind, check_text
from tocsin.protocol.errors import InvalidArgument, ProtocolViolation, ServiceUnavailable
from tocsin.protocol.hub.connection_string import read_connection_string
from tocsin.protocol.hub.descriptions import RegistrationDescription
from tocsin.protocol.hub.hub_name import check_hub_name
from tocsin.protocol.hub.registration_answer import (
    MAX_ANSWER,
    read_registration_answer,
    read_registrations_answer,
)
from tocsin.protocol.hub.registration_xml import CONTENT_TYPE, write_registration_request
from tocsin.protocol.sending.attempts import SendPolicy

_ENTRY: Final = {"Content-Type": CONTENT_TYPE}
_CONTINUATION: Final = "x-ms-continuationtoken"
_PAGE: Final = "20"
_PAGES: Final = 20
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@frozen
class HubRegistration:
    """A registration as the hub has it; ``expires_at`` is in UTC, None where it does not expire."""

    channel_uri: str = field(repr=False)
    registration_id: str
    etag: str
    expires_at: datetime | None
    tags: tuple[str, ...]


class NotificationHub:
    """A hub of a Tocsin service, in which an app registers its channel.

    It speaks the protocol of Azure Notification Hubs and is written for a hub of that service as well, which is untried.
    Connections are opened as they are needed and not kept. An app registers at each start: the id of what it has registered is
    kept in a private file, so that it is changed and not made a second time, whichever channel the app has by then.

    :param name: the hub's name, as ``tocsin hub add`` has made it.
    :param connection_string: the one for listening; the key in it is shown nowhere.
    :param app: what tells this app from others of the same user; by default the path of its program. Each app has one
        registration without a template in a hub, and one for each name of a template.
    :param state: the folder for the file; by default the user's, such as ``~/.local/state/tocsin/hubs``. Made where it is missing.
    :param policy: how often and how long a request is tried.
    :raises InvalidArgument: an argument cannot be right; the sentence does not show the key.
    """

    def __init__(
        self,
        name: str,
        connection_string: str,
        *,
        app: str | None = None,
        state: str | PathLike[str] | None = None,
        policy: SendPolicy | None = None,
    ) -> None:
        check_text(connection_string, "a connection string")
        self._connection = read_connection_string(
            connection_string
        )  # before the name, which is shown: they may be swapped
        check_hub_name(name)
        check_kind(policy, "policy", SendPolicy, NoneType)
        if app is not None:
            check_app_name(app)
        self._name = name
        self._policy = policy or SendPolicy()
        self._kept = KeptRegistrations(
            folder_of(state, "hubs"), (self._connection.url.lower(), name.lower(), app or _program())
        )
        self._lock = anyio.Lock()
        self._now: Callable[[], float] = time.time
        self._open_http: Callable[[], AbstractAsyncContextManager[AnyHttp]] = partial(http_client, MAX_ANSWER)

    def __repr__(self) -> str:
        """Show which hub it is."""
        return f"NotificationHub({self._name!r} at {self._connection.url})"

    async def register_native(self, uri: str, tags: Iterable[str] = ()) -> HubRegistration:
        """Register a channel, or change the registration that this app has: it then has this channel and these tags only.

        :param uri: the channel's URI.
        :param tags: up to 60, each of up to 120 characters: letters, digits and ``_ @ # . : -``.
        :raises InvalidArgument: an argument cannot be right, or the hub refuses the registration.
        :raises NotFound: there is no such hub.
        :raises SenderNotAllowed: the key of the connection string is none of the hub's, or is not for listening.
        :raises Throttled: the hub was asked too much; every attempt was made.
        :raises ServiceUnavailable: it cannot be reached, or does not work; every attempt was made.
        :raises StateUnavailable: the file with the id cannot be read or written; nothing was registered that the next call
            would not find.
        :raises NotSupported: there is no HTTP client, and the text says what to install.
        """
        return await self._register(native_registration(uri, tags))

    async def register_template_native(  # noqa: PLR0913  # all but the template is optional
        self,
        uri: str,
        body: str,
        name: str,
        *,
        type: str | None = None,  # noqa: A002  # the header's name
        headers: Mapping[str, str] | None = None,
        tags: Iterable[str] = (),
    ) -> HubRegistration:
        """Register a template for a channel, from which the hub makes what it sends; errors as of :meth:`register_native`.

        :param body: the notification with expressions such as ``$(message)`` in it.
        :param name: the template's; what is registered under it is changed.
        :param type: of ``NotificationType``, such as ``toast``; by default that of the body's root element.
        :param headers: further ones that it is sent with, such as ``X-WNS-TTL``.
        :param tags: those of this registration.
        """
        wanted = template_registration(uri, body, name, type, headers, tags)
        if name == NATIVE:
            raise InvalidArgument(f"a template cannot have the name {NATIVE}, which what has no template has")
        return await self._register(wanted)

    async def unregister_native(self) -> bool:
        """Remove the registration without a template; errors as of :meth:`register_native`.

        :return: whether the file knew one. Where it was lost, register first: that finds what the hub has for the channel.
        """
        return await self._unregister(NATIVE)

    async def unregister_template(self, name: str) -> bool:
        """Remove the registration of a template; returns as :meth:`unregister_native`, errors as of :meth:`register_native`."""
        check_text(name, "a template's name")
        return await self._unregister(name)

    async def _register(self, wanted: RegistrationDescription) -> HubRegistration:
        """Make or change a registration; its id is written down first, so that an end at any moment leaves none behind that is lost."""
        key = NATIVE if wanted.template is None else wanted.template.name
        async with self._lock, self._asking() as hub:
            ids = await anyio.to_thread.run_sync(self._kept.load)
            kept = ids.get(key)
            known = kept or await _find(hub, wanted)
            for _ in range(2):
                known = known or await _new_id(hub)
                if kept != known:
                    kept = known = await anyio.to_thread.run_sync(self._kept.settle, key, kept, known)
                made = await _put(hub, evolve(wanted, id=known))
                if made is not None:
                    return made
                known = None  # the hub has forgotten it, as it does when a channel ends
        raise ServiceUnavailable("the hub has made an id for a registration, and says that it is gone")

    async def _unregister(self, key: str) -> bool:
        async with self._lock:
            ids = await anyio.to_thread.run_sync(self._kept.load)
            known = ids.get(key)
            if known is None:
                return False
            async with self._asking() as hub:
                await hub.ask("DELETE", _path(known), headers={"If-Match": "*"}, expected={404, 410})
            await anyio.to_thread.run_sync(self._kept.forget, key, known)
        return True

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[HubRequests]:
        async with self._open_http() as http:
            yield HubRequests(http, quote(self._name, safe=""), self._connection, self._policy, now=self._now)


def _path(registration_id: str) -> str:
    return f"/registrations/{quote(registration_id, safe='')}"


async def _new_id(hub: HubRequests) -> str:
    reply = await hub.ask("POST", "/registrationids")
    made = id_in(reply.headers.get("location", ""))
    if made is None:
        raise ServiceUnavailable("the hub has made an id for a registration without saying which: is it a hub?")
    return made


async def _put(hub: HubRequests, wanted: RegistrationDescription) -> HubRegistration | None:
    """Register; None where the hub has no use for the id any more."""
    reply = await hub.ask(
        "PUT", _path(wanted.id), headers=_ENTRY, body=write_registration_request(wanted), expected={404, 410}
    )
    if reply.status in {404, 410}:
        return None
    try:
        made = read_registration_answer(reply.body)
    except ProtocolViolation as wrong:
        raise ServiceUnavailable(f"no registration has come back: {wrong}") from None
    expires = None if made.expires is None else _EPOCH + timedelta(seconds=made.expires)
    return HubRegistration(made.channel_uri, made.id, str(made.etag), expires, made.tags)


async def _find(hub: HubRequests, wanted: RegistrationDescription) -> str | None:
    """Return the id of such a registration for the same channel, as there is one where the file was lost."""
    uri = wanted.channel_uri.replace("'", "''")
    query = {"$filter": f"ChannelUri eq '{uri}'", "$top": _PAGE}
    found: list[str] = []
    for _ in range(_PAGES):
        reply = await hub.ask("GET", "/registrations", query=query)
        try:
            found += [each.id for each in read_registrations_answer(reply.body) if _is_such(each, wanted)]
        except ProtocolViolation as wrong:
            raise ServiceUnavailable(f"no list has come back: {wrong}") from None
        following = reply.headers.get(_CONTINUATION)
        if not following:
            break
        query["ContinuationToken"] = following
    return min(found, default=None)


def _is_such(each: RegistrationDescription, wanted: RegistrationDescription) -> bool:
    """Tell whether a registration may become the wanted one: it is not a part of an installation, or of a tile."""
    names = [template and template.name for template in (each.template, wanted.template)]
    apart = each.secondary_tile or any(tag.startswith("$InstallationId:") for tag in each.tags)
    return each.channel_uri == wanted.channel_uri and names[0] == names[1] and not apart


def _program() -> str:
    """Return the path of the program that runs."""
    return str(Path(sys.argv[0]).absolute()) if sys.argv and sys.argv[0] not in {"", "-", "-c"} else sys.executable
