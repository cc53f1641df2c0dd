"""What is kept of hubs in memory: what the promise says of changes that were decided from what was read, in a few lines."""

from __future__ import annotations

from collections.abc import Sequence

from anyio.lowlevel import checkpoint
from attrs import Factory, define

from tocsin.protocol.hub.descriptions import RegistrationDescription
from tocsin.protocol.kernel.changed_meanwhile import ChangedMeanwhile
from tocsin.service.registry.hub_store import NO_HUBS, HubKeyRow, HubRow, InstallationRow, KeptHubs


@define(eq=False)
class MemoryHubStore:
    """Keeps hubs, registrations and installations as :class:`tocsin.service.registry.hub_store.HubStore` promises."""

    _hubs: dict[int, HubRow] = Factory(dict)
    _keys: list[HubKeyRow] = Factory(list)
    _registrations: dict[tuple[int, str], RegistrationDescription] = Factory(dict)
    _installations: dict[tuple[int, str], InstallationRow] = Factory(dict)

    async def hubs(self) -> list[HubRow]:
        """Return all hubs, by name."""
        await checkpoint()
        return sorted(self._hubs.values(), key=lambda hub: hub.name.lower())

    async def keys(self) -> list[HubKeyRow]:
        """Return the keys of all hubs, the oldest first."""
        await checkpoint()
        return sorted(self._keys, key=lambda key: key.created)

    async def save_hub(self, hub: HubRow, keys: Sequence[HubKeyRow], was: KeptHubs = NO_HUBS) -> None:
        """Keep a hub with these keys, and no others; another of its name goes."""
        await checkpoint()
        self._see_kept(was)
        others = {key: each for key, each in self._hubs.items() if each.name.lower() != hub.name.lower()}
        self._hubs = {**others, hub.id: hub}
        self._keys = [*(key for key in self._keys if key.hub != hub.id and key.hub in others), *keys]

    async def remove_hub(self, hub: int, was: KeptHubs) -> None:
        """Forget a hub with all that is kept for it."""
        await checkpoint()
        self._see_kept(was)
        self._hubs.pop(hub, None)
        self._keys = [key for key in self._keys if key.hub != hub]
        self._registrations = {key: each for key, each in self._registrations.items() if key[0] != hub}
        self._installations = {key: each for key, each in self._installations.items() if key[0] != hub}

    async def forget_rest(self, hub: int) -> None:
        """Forget what is kept for a hub that is not there."""
        if hub not in self._hubs:
            await self.remove_hub(hub, KeptHubs(frozenset(self._hubs.values()), frozenset(self._keys)))

    async def registration(self, hub: int, id: str) -> RegistrationDescription | None:  # noqa: A002 - the field's name
        """Return a registration, or None."""
        await checkpoint()
        return self._registrations.get((hub, id))

    async def save_registration(self, hub: int, registration: RegistrationDescription, was: int | None = None) -> None:
        """Keep a registration, in the place of the one with its id if there is one."""
        await checkpoint()
        self._see_etag(hub, registration.id, was)
        self._registrations[hub, registration.id] = registration

    async def remove_registration(self, hub: int, id: str, was: int) -> None:  # noqa: A002 - the field's name
        """Forget a registration."""
        await checkpoint()
        self._see_etag(hub, id, was)
        del self._registrations[hub, id]

    async def installation(self, hub: int, id: str, now: float) -> tuple[str, int] | None:  # noqa: A002 - the field's name
        """Return an installation's document and its ETag; None where there is none that has not expired."""
        await checkpoint()
        kept = self._installations.get((hub, id))
        return None if kept is None or (kept.expires or now + 1) <= now else (kept.document, kept.etag)

    async def save_installation(
        self,
        hub: int,
        installation: InstallationRow,
        parts: Sequence[RegistrationDescription],
        was: tuple[str, int] | None = None,
        now: float = 0.0,
    ) -> None:
        """Keep an installation with its parts, and no others of it."""
        if await self.installation(hub, installation.id, now) != was:
            raise ChangedMeanwhile
        self._forget_parts(hub, installation.id)
        self._installations[hub, installation.id] = installation
        self._registrations |= {(hub, part.id): part for part in parts}

    async def remove_installation(self, hub: int, id: str, was: tuple[str, int]) -> None:  # noqa: A002 - the field's name
        """Forget an installation with its parts."""
        kept = self._installations.get((hub, id))
        await checkpoint()
        if kept is None or (kept.document, kept.etag) != was:
            raise ChangedMeanwhile
        self._forget_parts(hub, id)
        del self._installations[hub, id]

    def _forget_parts(self, hub: int, installation: str) -> None:
        self._registrations = {
            key: each for key, each in self._registrations.items() if key[0] != hub or each.installation != installation
        }

    def _see_kept(self, was: KeptHubs) -> None:
        if was != KeptHubs(frozenset(self._hubs.values()), frozenset(self._keys)):
            raise ChangedMeanwhile

    def _see_etag(self, hub: int, id_: str, was: int | None) -> None:
        kept = self._registrations.get((hub, id_))
        if (None if kept is None else kept.etag) != was:
            raise ChangedMeanwhile
