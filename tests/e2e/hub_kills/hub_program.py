"""The program that is killed: a push service with an app and a hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
from attrs import frozen

from tests.e2e.crash.victims import APP, Pipe
from tocsin.persistence.state_folder import state_folder
from tocsin.protocol.hub.rights import Right
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.server import open_service

HUB = "contoso"


@frozen
class HubPlace:
    """What the service says at its first start: where it is, its app, and the key of its hub."""

    url: str
    device_url: str
    remote_id: str
    key: str


def serve_hub(pipe: Pipe[Any, Any], state: Path, port: int) -> None:
    """Run the push service until told to leave; at its first start it makes the hub, and says how it is reached."""
    anyio.run(_serve, pipe, state, port, not state.exists())


async def _serve(pipe: Pipe[Any, Any], state: Path, port: int, first: bool) -> None:
    with state_folder(state) as folder:
        async with open_service(folder, ServiceSettings(port=port)) as service:
            place = None
            if first:
                app = await service.register(APP)
                keys = (await service.hubs.add(HUB)).keys
                place = HubPlace(service.url, service.device_url, app.remote_id, keys[Right.MANAGE])
            pipe.send(place)
            await anyio.wait_readable(pipe)
