"""Installations of a hub: put, changed, read and removed; each stands for several registrations, which are its parts."""

from __future__ import annotations

from anyio import Lock
from attrs import evolve

from tocsin.protocol.hub.descriptions import Installation, RegistrationDescription
from tocsin.protocol.hub.hub_refused import HubRefused
from tocsin.protocol.hub.installation_json import read_installation, restore_installation, write_installation
from tocsin.protocol.hub.installation_parts import parts_of
from tocsin.protocol.hub.installation_patch import patch_installation
from tocsin.service.hub.composing import template_of
from tocsin.service.hub.hub_answers import JSON, HubAnswer
from tocsin.service.registry.channels import Channels
from tocsin.service.registry.hub_store import HubRow, HubStore
from tocsin.service.url_paths import token_of_uri


class InstallationsResource:
    """Answers for the installations of all hubs; its methods raise ``HubRefused`` and ``StateUnavailable``."""

    def __init__(self, store: HubStore, channels: Channels) -> None:
        self._store = store
        self._channels = channels
        self._changing = Lock()

    async def put(self, hub: HubRow, id: str, body: bytes) -> HubAnswer:  # noqa: A002 - the field's name
        """Make an installation, or replace it."""
        installation = read_installation(body, id)
        async with self._changing:
            known = await self._store.installation(hub.id, id)
            return await self._save(hub, installation, 1 if known is None else known[1] + 1)

    async def patch(self, hub: HubRow, id: str, body: bytes) -> HubAnswer:  # noqa: A002 - the field's name
        """Change an installation, by all operations in the body or by none of them."""
        async with self._changing:
            document, etag = await self._there(hub, id)
            return await self._save(hub, patch_installation(restore_installation(document), body), etag + 1)

    async def get(self, hub: HubRow, id: str) -> HubAnswer:  # noqa: A002 - the field's name
        """Return an installation."""
        document, etag = await self._there(hub, id)
        return HubAnswer(200, document.encode(), JSON, (("ETag", f'W/"{etag}"'),))

    async def delete(self, hub: HubRow, id: str) -> HubAnswer:  # noqa: A002 - the field's name
        """Remove an installation; one that is not there is as good as removed."""
        async with self._changing:
            await self._store.remove_installation(hub.id, id)
        return HubAnswer(204)

    async def _there(self, hub: HubRow, id: str) -> tuple[str, int]:  # noqa: A002 - the field's name
        known = await self._store.installation(hub.id, id)
        if known is None:
            raise HubRefused(404, "There is no installation with this id")
        return known

    async def _save(self, hub: HubRow, installation: Installation, etag: int) -> HubAnswer:
        for part in parts_of(installation):
            if part.template is not None:
                template_of(part.template)
        parts = [await self._with_end(part, installation) for part in parts_of(installation)]
        document = write_installation(installation)
        await self._store.save_installation(hub.id, installation.id, document, etag, parts)
        return HubAnswer(200, headers=(("ETag", f'W/"{etag}"'),))

    async def _with_end(self, part: RegistrationDescription, installation: Installation) -> RegistrationDescription:
        """Return a part with its end: that of its channel, where the service knows it, or of the installation."""
        token = token_of_uri(part.channel_uri)
        if token is None:
            raise HubRefused(
                400, "pushChannel is the URI of a channel of this service, with its token: .../w/?token=..."
            )
        channel = await self._channels.kept(token)
        ends = [installation.expires, None if channel is None else channel.expires]
        return evolve(part, expires=min((end for end in ends if end is not None), default=None))
