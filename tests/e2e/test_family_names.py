"""A device with a manifest asks a real ``tocsin serve`` for its channel, and needs no remote id."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from aiohttp import ClientSession

from tests.processes import PATIENCE, Sender, call, running
from tocsin import HResult, embedded

FAMILY = "Contoso.Mail_8wekyb3d8bbwe"


async def ok(*arguments: str) -> dict[str, Any]:
    """Run a verb with ``--json`` in this process, and return what it printed."""
    code, output, errors = await anyio.to_thread.run_sync(partial(call, *arguments, "--json"))
    assert code == 0, errors
    printed: dict[str, Any] = json.loads(output)
    return printed


async def test_an_app_that_was_added_with_its_family_gets_its_channel_by_it(tmp_path: Path) -> None:
    """Before that it is refused; afterwards a push of the app's server arrives."""
    manifest, state = tmp_path / "tocsin.toml", tmp_path / "service"
    manifest.write_text(f'family_name = "{FAMILY}"\n', encoding="utf-8")
    async with running("serve", "--json", "--log-json", "--state", str(state)) as server:
        url = server.first["url"]
        async with embedded("mail", tmp_path / "device", service=url, manifest=manifest) as manager:
            with anyio.fail_after(PATIENCE):
                refused = await manager.create_channel()
                assert refused.extended_error == HResult.WPN_E_INVALID_APP
                assert FAMILY in refused.detail
                app = await ok("app", "add", "contoso", "--family", FAMILY, "--state", str(state))
                channel = (await manager.create_channel()).channel
                assert channel is not None
                async with ClientSession() as http:
                    sender = Sender(http, server.first | app | {"uri": channel.uri})
                    await sender.sign_in()
                    status, headers = await sender.push(b"ding")
                assert (status, headers["x-wns-status"]) == (200, "received")
                async for args in channel.payloads():
                    assert args.payload == b"ding"
                    break
