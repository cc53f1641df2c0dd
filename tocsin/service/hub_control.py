"""What the ``tocsin`` command may ask about notification hubs."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum, unique
from typing import Final

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.hub.connection_string import write_connection_string
from tocsin.protocol.hub.rights import KEY_NAMES, Right
from tocsin.protocol.sending.sign_in import split_service_url
from tocsin.protocol.text import quoted
from tocsin.service.registry.hub_store import HubRow
from tocsin.service.registry.hubs import HubKeys, Hubs
from tocsin.transport.control_socket import Answer, text_of

_CLIENTS_SCHEME: Final = "sb://"


@unique
class HubVerb(StrEnum):
    """What may be asked; apps have the plain words."""

    ADD = "hub-add"
    LIST = "hub-list"
    ROTATE = "hub-rotate"
    REMOVE = "hub-remove"


HUB_VERBS: Final[frozenset[str]] = frozenset(HubVerb)


async def perform_on_hubs(hubs: Hubs, url: str | None, request: Answer) -> Answer:
    """Do what is asked about hubs.

    :param url: where clients reach the service, unless the request has an ``endpoint``; None where that is not known.
    :raises PushError: it cannot be done; the sentence says why.
    """
    name = text_of(request, "name")
    match HubVerb(text_of(request, "verb")):
        case HubVerb.ADD:
            endpoint = _endpoint(text_of(request, "endpoint"), url)
            app = text_of(request, "app")
            if "app" in request and not app:
                raise InvalidArgument("the app's name is empty: leave it out for a hub of every app")
            kept = endpoint if request.get("endpoint") else ""
            return _strings(await hubs.add(name, app, kept), endpoint)
        case HubVerb.ROTATE:
            hub = hubs.named(name)
            endpoint = _endpoint(text_of(request, "endpoint") or (hub.endpoint if hub is not None else ""), url)
            return _strings(await hubs.rotate(name, _rights(request)), endpoint)
        case HubVerb.REMOVE:
            await hubs.remove(name)
            return {"removed": name}
        case HubVerb.LIST:
            return {"hubs": [await _described(hubs, hub) for hub in hubs.hubs()]}


def _endpoint(given: str, url: str | None) -> str:
    """Return the URL that the connection strings are to name, before anything is done.

    :raises InvalidArgument: it is not known, or is none.
    """
    if given.lower().startswith(_CLIENTS_SCHEME):
        given = f"https://{given[len(_CLIENTS_SCHEME) :]}"
    endpoint = given or url
    if not endpoint:
        raise InvalidArgument(
            "no service has run on this state folder, so it is not known where clients reach it: start 'tocsin serve'"
            " first, or give --endpoint, such as https://push.example"
        )
    split_service_url(endpoint, "the endpoint")
    if ";" in endpoint:
        raise InvalidArgument("the endpoint has a semicolon, which would end it within a connection string")
    return endpoint


def _rights(request: Answer) -> list[Right]:
    right = text_of(request, "right")
    try:
        return [Right(right)] if right else list(Right)
    except ValueError:
        raise InvalidArgument(f"a right is {', '.join(Right)}, not {quoted(right)}") from None


def _strings(hub: HubKeys, endpoint: str) -> Answer:
    strings = {right: write_connection_string(endpoint, KEY_NAMES[right], key) for right, key in hub.keys.items()}
    return {"name": hub.name, "app": hub.app, "endpoint": endpoint, "connection_strings": strings}


async def _described(hubs: Hubs, hub: HubRow) -> Answer:
    counts = await hubs.counts(hub)
    valid = Counter({right: len(keys) for right, keys in hubs.keys_of(hub).items()})
    return {
        "name": hub.name,
        "app": hubs.app_of(hub),
        "every_app": hub.client_id is None,
        "endpoint": hub.endpoint or None,
        "registrations": counts.registrations,
        "installations": counts.installations,
        "waiting": counts.waiting,
        "keys": {right: valid[right] for right in Right},
    }
