"""What is kept of apps and of hubs, as a change of them says what it was decided from."""

from __future__ import annotations

from tocsin.service.registry.hub_store import HubStore, KeptHubs
from tocsin.service.registry.service_store import KeptApps, ServiceStore


async def kept_apps(store: ServiceStore) -> KeptApps:
    """Return all apps and secrets."""
    return KeptApps(frozenset(await store.apps()), frozenset(await store.secrets()))


async def kept_hubs(hubs: HubStore) -> KeptHubs:
    """Return all hubs and keys."""
    return KeptHubs(frozenset(await hubs.hubs()), frozenset(await hubs.keys()))
