"""Installations of a hub: put, changed, read and removed; each stands for several registrations, which are its parts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from attrs import evolve

from tocsin.protocol.hub.descriptions import Installation, RegistrationDescription
from tocsin.protocol.hub.hub_refused import HubReason, HubRefused
from tocsin.protocol.hub.hub_request import etag_matches
from tocsin.protocol.hub.installation_json import read_installation, restore_installation, write_installation
from tocsin.protocol.hub.installation_parts import parts_of
from tocsin.protocol.hub.installation_patch import patch_installation
from tocsin.service.hub.hub_answers import JSON, HubAnswer
from tocsin.service.hub.id_locks import IdLocks
from tocsin.service.hub.registered_channel import end_of_channel
from tocsin.service.hub.registration_limit import RegistrationLimit
from tocsin.service.registry.channel_directory import ChannelDirectory
from tocsin.service.registry.decided import decided
from tocsin.service.registry.hub_store import HubRow, HubStore, InstallationRow


class InstallationsResource:
    """Answers for the installations of all hubs; its methods raise ``HubRefused`` and ``StateUnavailable``.

    :param now: the service's time; :param wall: the wall clock, by which apps say when an installation expires.
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
        self._limit = limit
        self._now = now
        self._wall = wall
        self._changing = IdLocks()

    async def put(self, hub: HubRow, id: str, body: bytes, if_match: str) -> HubAnswer:  # noqa: A002 - the field's name
        """Make an installation, or replace it."""
        installation = read_installation(body, id)
        async with self._changing.of(hub.id, id):
            return await decided(partial(self._put, hub, installation, if_match))

    async def _put(self, hub: HubRow, installation: Installation, if_match: str) -> HubAnswer:
        now = self._now()
        known = await self._store.installation(hub.id, installation.id, now)
        if known is not None:
            _check_etag(if_match, known[1])
        return await self._save(hub, installation, known, now)

    async def patch(self, hub: HubRow, id: str, body: bytes, if_match: str) -> HubAnswer:  # noqa: A002 - the field's name
        """Change an installation, by all operations in the body or by none of them."""
        async with self._changing.of(hub.id, id):
            return await decided(partial(self._patch, hub, id, body, if_match))

    async def _patch(self, hub: HubRow, id: str, body: bytes, if_match: str) -> HubAnswer:  # noqa: A002 - the field's name
        now = self._now()
        known = await self._there(hub, id, now)
        _check_etag(if_match, known[1])
        patched = patch_installation(restore_installation(known[0]), body)
        # What does not name another channel may be changed, though the channel has ended.
        return await self._save(hub, patched, known, now, may_have_ended=True)

    async def get(self, hub: HubRow, id: str) -> HubAnswer:  # noqa: A002 - the field's name
        """Return an installation."""
        document, etag = await self._there(hub, id, self._now())
        return HubAnswer(200, document.encode(), JSON, (("ETag", f'W/"{etag}"'),))

    async def delete(self, hub: HubRow, id: str, if_match: str) -> HubAnswer:  # noqa: A002 - the field's name
        """Remove an installation; one that is not there is as good as removed."""
        async with self._changing.of(hub.id, id):
            await decided(partial(self._delete, hub, id, if_match))
        return HubAnswer(204)

    async def _delete(self, hub: HubRow, id: str, if_match: str) -> None:  # noqa: A002 - the field's name
        known = await self._store.installation(hub.id, id, self._now())
        if known is not None:
            _check_etag(if_match, known[1])
            await self._store.remove_installation(hub.id, id, known)

    async def _there(self, hub: HubRow, id: str, now: float) -> tuple[str, int]:  # noqa: A002 - the field's name
        known = await self._store.installation(hub.id, id, now)
        if known is None:
            raise HubRefused(HubReason.UNKNOWN_INSTALLATION, "There is no installation with this id.")
        return known

    async def _save(
        self,
        hub: HubRow,
        installation: Installation,
        known: tuple[str, int] | None,
        now: float,
        *,
        may_have_ended: bool = False,
    ) -> HubAnswer:
        wanted = parts_of(installation)
        expires = None
        if installation.expires is not None:
            left = installation.expires - self._wall()
            if left <= 0:
                raise HubRefused(
                    HubReason.WRONG_INSTALLATION, "expirationTime is in the past: leave it out, or name a time to come."
                )
            expires = now + left
        parts = [await self._with_end(part, expires, may_have_ended=may_have_ended) for part in wanted]
        document, etag = known or ("", 0)
        await self._limit.add(hub, max(len(parts) - _count_parts(document), 0))
        etag += 1
        row = InstallationRow(installation.id, write_installation(installation), etag, expires)
        await self._store.save_installation(hub.id, row, parts, known, now)
        return HubAnswer(200, headers=(("ETag", f'W/"{etag}"'),))

    async def _with_end(
        self, part: RegistrationDescription, expires: float | None, *, may_have_ended: bool
    ) -> RegistrationDescription:
        """Return a part with its end: that of its channel, where the service knows it, or of the installation."""
        end = await end_of_channel(self._channels, part.channel_uri, "pushChannel", may_have_ended=may_have_ended)
        ends = [expires, end]
        return evolve(part, expires=min((end for end in ends if end is not None), default=None))


def _count_parts(document: str) -> int:
    return len(parts_of(restore_installation(document))) if document else 0


def _check_etag(if_match: str, etag: int) -> None:
    if if_match and not etag_matches(if_match, etag):
        raise HubRefused(
            HubReason.CHANGED_MEANWHILE,
            f'If-Match is not the installation\'s ETag: it has been changed, and has W/"{etag}" now.',
        )
