"""Hubs beside the service's own paths."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.types import ASGIApp

from tests.service.world import open_world
from tocsin.protocol.errors import InvalidArgument
from tocsin.service.layer import Layer
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.routing import OtherRoutes
from tocsin.service.url_paths import CHANNEL_PATH, PUSH_PATH, RESERVED


async def test_no_hub_is_called_as_a_path_of_the_service_begins(tmp_path: Path) -> None:
    """Whichever route is added: its first piece is one of the names that are refused, or begins as no hub's name does."""
    found: list[OtherRoutes] = []

    class Keeping(Layer):
        def around_others(self, app: ASGIApp) -> ASGIApp:
            assert isinstance(app, OtherRoutes)
            found.append(app)
            return app

    async with open_world(tmp_path, ServiceSettings(browsers=True), layer=Keeping()) as world:
        first = {route.path.split("/")[1] for route in found[0].routes}
        first = {piece for piece in first if piece and piece[0].isalnum()} | {
            CHANNEL_PATH.strip("/"),
            PUSH_PATH.strip("/"),
        }
        assert first == RESERVED
        for name in RESERVED:
            with pytest.raises(InvalidArgument, match="path of the service"):
                await world.service.hubs.add(name.upper())


async def test_a_tenant_may_be_called_as_a_hub_is(tmp_path: Path) -> None:
    """Senders go on getting their tokens, in whatever tenant they ask for them."""
    async with open_world(tmp_path) as world:
        await world.service.hubs.add("common")
        form = {
            "grant_type": "client_credentials",
            "client_id": world.app.client_id,
            "client_secret": world.app.client_secret,
            "scope": "https://wns.windows.com/.default",
        }
        async with world.http.post(world.service.aad_token_url, data=form) as answer:
            assert (answer.status, "access_token" in await answer.json()) == (200, True)
