"""Registrations of a hub: made, replaced, read, listed and removed."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from functools import partial
from typing import Final

from attrs import evolve

from tocsin.protocol.hub.descriptions import RegistrationDescription
from tocsin.protocol.hub.hub_refused import HubReason, HubRefused
from tocsin.protocol.hub.hub_request import CONTINUATION, ListRegistrations, etag_matches
from tocsin.protocol.hub.registration_xml import read_registration, write_registration, write_registrations
from tocsin.service.hub.composing import template_of
from tocsin.service.hub.hub_answers import ATOM, ATOM_FEED, HubAnswer
from tocsin.service.hub.id_locks import IdLocks
from tocsin.service.hub.registered_channel import end_of_channel
from tocsin.service.hub.registration_limit import RegistrationLimit
from tocsin.service.registry.channel_directory import ChannelDirectory
from tocsin.service.registry.decided import decided
from tocsin.service.registry.hub_store import HubRow, HubStore, channel_of

ID_LIFETIME: Final = 24 * 3600
"""Seconds that an id which was given out may be waited with before its registration is made."""

_ID = re.compile("[0-9]{19}-[0-9]{19}-[0-9]{1,9}")
_GONE: Final = "There is no registration with this id any more: get a new id by POST registrationids."


class RegistrationsResource:
    """Answers for the registrations of all hubs; its methods raise ``HubRefused`` and ``StateUnavailable``.

    An id begins with when it was given out: a new one may be used for a day, and one that has neither a registration nor
    that time is gone. So nothing is kept of ids, however many are asked for.

    :param now: the service's time; :param wall: the wall clock, which clients are told.
    """

    def __init__(
        self,
        store: HubStore,
        channels: ChannelDirectory,
        limit: RegistrationLimit,
        now: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._store = store
        self._channels = channels
        self._now = now
        self._wall = wall
        self._limit = limit
        self._changing = IdLocks()

    def new_id(self) -> str:
        """Return an id that no other registration has, and that cannot be guessed."""
        return f"{int(self._now() * 1e9):019}-{secrets.randbelow(10**19):019}-1"

    def give_id(self, base: str) -> HubAnswer:
        """Give out an id for a registration to come.

        :param base: the URL of the hub, without a slash at its end.
        """
        return HubAnswer(201, headers=(("Location", f"{base}/registrationids/{self.new_id()}"),))

    async def create(self, hub: HubRow, base: str, body: bytes) -> HubAnswer:
        """Make a registration under an id of ours."""
        return self._entry(await self._make(hub, await self._read(body, self.new_id())), base)

    async def put(self, hub: HubRow, base: str, id: str, body: bytes, if_match: str) -> HubAnswer:  # noqa: A002 - the request
        """Make a registration under an id that was given out, or replace it."""
        read = await self._read(body, id)
        async with self._changing.of(hub.id, id):
            made = await decided(partial(self._put, hub, read, if_match))
        return self._entry(made, base)

    async def _put(self, hub: HubRow, read: RegistrationDescription, if_match: str) -> RegistrationDescription:
        known = await self._store.registration(hub.id, read.id)
        if known is None:
            if if_match or not self._is_fresh(read.id):  # with If-Match, there has to be one to change
                raise HubRefused(HubReason.REGISTRATION_GONE, _GONE)
            return await self._make(hub, read)
        _check_changeable(known)
        _check_etag(known, if_match)
        changed = evolve(read, etag=known.etag + 1)
        await self._store.save_registration(hub.id, changed, known.etag)
        return changed

    async def get(self, hub: HubRow, base: str, id: str) -> HubAnswer:  # noqa: A002 - the field's name
        """Return a registration."""
        return self._entry(_there(await self._store.registration(hub.id, id)), base)

    async def delete(self, hub: HubRow, id: str, if_match: str) -> HubAnswer:  # noqa: A002 - the field's name
        """Remove a registration."""
        async with self._changing.of(hub.id, id):
            await decided(partial(self._delete, hub, id, if_match))
        return HubAnswer(200)

    async def _delete(self, hub: HubRow, id: str, if_match: str) -> None:  # noqa: A002 - the field's name
        known = _there(await self._store.registration(hub.id, id))
        _check_changeable(known)
        _check_etag(known, if_match)
        await self._store.remove_registration(hub.id, id, known.etag)

    async def list(self, hub: HubRow, base: str, wanted: ListRegistrations) -> HubAnswer:
        """Return registrations, and where the list goes on."""
        after = _after(wanted.after)
        channel = (channel_of(wanted.channel_uri) or b"-") if wanted.channel_uri else None
        rows = await self._store.registrations(hub.id, after, wanted.top + 1, tag=wanted.tag or None, channel=channel)
        shown = rows[: wanted.top]
        more = ((CONTINUATION, str(shown[-1][0])),) if len(rows) > len(shown) else ()
        body = write_registrations([each for _, each in shown], base, self._wall())
        return HubAnswer(200, body, ATOM_FEED, more)

    async def _read(self, body: bytes, id: str) -> RegistrationDescription:  # noqa: A002 - the field's name
        """Read the entry of a request; its end is that of its channel, where the service knows it."""
        read = read_registration(body, id)
        if read.template is not None:
            template_of(read.template)
        return evolve(read, expires=await end_of_channel(self._channels, read.channel_uri, "ChannelUri"))

    async def _make(self, hub: HubRow, registration: RegistrationDescription) -> RegistrationDescription:
        await self._limit.add(hub, 1)
        await self._store.save_registration(hub.id, registration)
        return registration

    def _entry(self, registration: RegistrationDescription, base: str) -> HubAnswer:
        headers = (
            ("ETag", f'W/"{registration.etag}"'),
            ("Content-Location", f"{base}/registrations/{registration.id}"),
        )
        return HubAnswer(200, write_registration(registration, base, self._wall()), ATOM, headers)

    def _is_fresh(self, id: str) -> bool:  # noqa: A002 - the field's name
        if not _ID.fullmatch(id):
            return False
        age = self._now() - int(id.partition("-")[0]) / 1e9
        return -1 < age < ID_LIFETIME


def _after(token: str) -> int:
    if not token:
        return 0
    if not (token.isascii() and token.isdecimal() and len(token) <= 18):
        raise HubRefused(HubReason.WRONG_QUERY, f"{CONTINUATION} is what the answer before has in this header.")
    return int(token)


def _there(registration: RegistrationDescription | None) -> RegistrationDescription:
    if registration is None:
        raise HubRefused(HubReason.UNKNOWN_REGISTRATION, "There is no registration with this id.")
    return registration


def _check_changeable(registration: RegistrationDescription) -> None:
    if registration.installation:
        raise HubRefused(
            HubReason.PART_OF_INSTALLATION,
            "The registration is a part of an installation: change that, at installations/{id}.",
        )


def _check_etag(registration: RegistrationDescription, if_match: str) -> None:
    if if_match and not etag_matches(if_match, registration.etag):
        raise HubRefused(
            HubReason.CHANGED_MEANWHILE,
            f'If-Match is not the registration\'s ETag: it has been changed, and has W/"{registration.etag}" now.',
        )
