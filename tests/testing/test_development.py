"""A twin for development as a whole: how it ends, and its state folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from aiohttp import ClientSession

import tocsin
from tests.testing.controlling import Control
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.server import open_service
from tocsin.testing.development import DEVELOPMENT, open_development
from tocsin.testing.http_control import ControlledFaults


class TestEnd:
    """How it ends, and what does not end it."""

    async def test_who_waits_is_answered_at_the_end(self, tmp_path: Path) -> None:
        """With 503, before the service has gone."""
        told = []
        async with (
            ClientSession() as http,
            anyio.create_task_group() as tasks,
            open_development(tmp_path, ServiceSettings()) as twin,
        ):
            control = Control(http, twin.service.url, twin)

            async def wait() -> None:
                told.append(await control.ask("GET", "/pushes?count=1&timeout=300"))

            tasks.start_soon(wait)
            faults = twin.faults
            assert isinstance(faults, ControlledFaults)
            while not faults._waits:
                await anyio.lowlevel.checkpoint()
        ((status, problem),) = told
        assert (status, problem["kind"]) == (503, "PlatformUnavailable")

    async def test_a_connection_that_breaks_comes_back(self, control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
        """By itself, as a device's does: a twin runs for days."""
        monkeypatch.setattr("tocsin.testing.device.RETURNS_AFTER", 0.01)
        for _ in range(3):
            (socket,) = control.twin.faults._connected
            left = control.twin.faults.device_left
            socket.drop()
            await left.wait()
            with anyio.fail_after(10):
                while not (control.twin.faults._connected and control.twin.device.connected):
                    await anyio.lowlevel.checkpoint()
        assert (await control.do("GET", "/"))["online"] is True
        assert (await (await control.sender()).push(b"x"))[1]["x-wns-status"] == "received"


class TestFolder:
    """The state folder of a twin."""

    async def test_all_stays_the_same_over_a_restart(self, tmp_path: Path) -> None:
        """The credentials are constants, and the channel and its tokens are kept with the port; the file is for the user alone."""
        uris, token = [], ""
        for _ in range(2):
            async with open_development(tmp_path, ServiceSettings()) as twin, ClientSession() as http:
                assert twin.app == DEVELOPMENT
                uris.append(twin.channel_uri)
                control = Control(http, twin.service.url, twin)
                sender = await control.sender()
                sender.token, token = token or sender.token, sender.token
                assert (await sender.push(b"x"))[0] == 200
                assert [push.channel_uri for push in twin.pushes.all()] == [twin.channel_uri]
        assert uris[0] == uris[1]
        assert (tmp_path / "development.json").stat().st_mode & 0o777 == 0o600

    async def test_no_other_service_opens_it(self, tmp_path: Path) -> None:
        """Neither does a twin open that of another: what everyone knows is good in a twin only."""
        twins, others = tmp_path / "twins", tmp_path / "others"
        twins.mkdir()
        others.mkdir()
        async with open_development(twins, ServiceSettings()):
            pass
        with pytest.raises(tocsin.StateUnavailable, match="whose credentials everyone knows"):
            async with open_service(twins):
                pass
        async with open_service(others):
            pass
        with pytest.raises(tocsin.StateUnavailable, match="not for development"):
            async with open_development(others, ServiceSettings()):
                pass
        assert not (others / "development.json").exists()

    @pytest.mark.parametrize(
        "content",
        [
            *(b"", b"{}", b"[]", b"\xff"),
            b'{"key": 1, "channels": [], "uri": ""}',
            b'{"key": "cut off", "channels": {}, "uri": ""}',
        ],
    )
    async def test_what_is_no_memory_is_none(self, tmp_path: Path, content: bytes) -> None:
        """It is a new device then."""
        (tmp_path / "development.json").write_bytes(content)
        async with open_development(tmp_path, ServiceSettings()) as twin:
            assert twin.device.connected

    @pytest.mark.parametrize(
        "settings",
        [{"host": "0.0.0.0"}, {"host": "::"}, {"tls_cert": "x.pem"}, {"public_url": "https://push.example"}],  # noqa: S104
    )
    async def test_others_do_not_reach_it(self, tmp_path: Path, settings: dict[str, Any]) -> None:
        """Whatever lets them is refused before anything is opened."""
        with pytest.raises(tocsin.InvalidArgument, match="--dev is for this machine only"):
            async with open_development(tmp_path, ServiceSettings(insecure=True, **settings)):
                pass
        assert not (tmp_path / "service.db").exists()


async def test_it_speaks_tls(tmp_path: Path) -> None:
    """With the certificate that is made for this machine, which its own device trusts."""
    async with open_development(tmp_path, ServiceSettings(dev_tls=True)) as twin:
        assert twin.channel_uri.startswith("https://127.0.0.1:")
        assert twin.device.connected
