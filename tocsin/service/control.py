"""What the ``tocsin`` command may ask a push service: over its control socket, or done on the store where none runs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tocsin.persistence.state_folder import state_folder_at_rest
from tocsin.protocol.errors import NotFound, PlatformUnavailable
from tocsin.protocol.text import quoted
from tocsin.service.hub_control import HUB_VERBS, HubVerb, perform_on_hubs
from tocsin.service.registry.apps import AppRegistration, Apps
from tocsin.service.registry.hubs import Hubs
from tocsin.service.registry.sqlite_service_store import has_store, open_store
from tocsin.service.registry.steady_clock import SteadyClock
from tocsin.transport.control_socket import Answer, ask, text_of

SERVICE_VERBS: Final = frozenset({"add", "rotate", "remove", "list"}) | HUB_VERBS
"""What may be asked about the apps and hubs of a service."""


async def perform_on_service(registrations: Apps, hubs: Hubs, url: str, request: Answer) -> Answer:
    """Do what is asked about the apps or the hubs of a running service.

    :param url: where clients reach the service.
    :raises PushError: it cannot be done; the sentence says why.
    """
    if text_of(request, "verb") in HUB_VERBS:
        return await perform_on_hubs(hubs, url, request)
    return await perform(registrations, request)


async def perform(registrations: Apps, request: Answer) -> Answer:
    """Do what is asked about app registrations.

    :raises PushError: it cannot be done; the sentence says why.
    """
    name = text_of(request, "name")
    match text_of(request, "verb"):
        case "add":
            return _with_secret(await registrations.add(name, text_of(request, "family")))
        case "rotate":
            return _with_secret(await registrations.rotate(name))
        case "remove":
            await registrations.remove(name)
            return {"removed": name}
        case "list":
            apps = [
                {
                    "name": app.name,
                    "family": app.family or None,
                    "client_id": app.client_id,
                    "remote_id": app.remote_id,
                    "secrets": registrations.living_secrets(app.client_id),
                }
                for app in registrations.apps()
            ]
            return {"apps": apps}
        case other:
            raise PlatformUnavailable(
                f"the push service that runs on this folder does not know how to {quoted(other)}: name the folder of one that does"
                " with --state"
            )


def _with_secret(app: AppRegistration) -> Answer:
    return {
        "name": app.name,
        "family": app.family or None,
        "client_id": app.client_id,
        "client_secret": app.client_secret,
        "remote_id": app.remote_id,
    }


async def ask_or_perform(state: Path, request: Answer) -> Answer:
    """Ask the service that runs on a state folder, or do it on the store where none does.

    :raises NotFound: there is no store, and the request is not one that makes one.
    :raises PushError: it cannot be done; the sentence says why.
    """
    done = await ask(state, request)
    if done is not None:
        return done
    verb = text_of(request, "verb")
    makes_one = verb == "add" or (verb == HubVerb.ADD and bool(request.get("endpoint")))
    if not makes_one and not await has_store(state):
        raise NotFound(f"there is no push service's state in {state}; name its folder with --state")
    with state_folder_at_rest(state) as folder:
        async with open_store(folder) as store:
            now = await SteadyClock.load(store)
            registrations = await Apps.load(store, now)
            if verb not in HUB_VERBS:
                return await perform(registrations, request)
            url = await store.meta("url")
            hubs = await Hubs.load(store.hubs, registrations, now)
            return await perform_on_hubs(hubs, None if url is None else url.decode(), request)
