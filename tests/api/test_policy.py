"""The policy files of the machine, as a program with ``embedded`` and an agent obey them."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import pytest

from tests.agent.world import world as agent_world
from tests.helpers import PATIENCE
from tocsin import AppNotificationSetting, embedded
from tocsin.api.manager import PushNotificationManager
from tocsin.transport.control_socket import ask

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere policy files are looked at once a minute")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the user a folder for configuration; return the place of the policy in it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "tocsin" / "policy.toml"


def write(file: Path, text: str) -> None:
    """Write a policy as its user does."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")


async def until(manager: PushNotificationManager, setting: AppNotificationSetting) -> None:
    """Wait until the app has heard of it."""
    with anyio.fail_after(PATIENCE):
        while manager.toasts.setting != setting:  # noqa: ASYNC110  # no app is called when it changes
            await anyio.sleep(0.001)


async def test_a_program_that_embeds_obeys_from_its_start(tmp_path: Path, file: Path) -> None:
    """And each change of the file as it is made."""
    write(file, "toasts = false")
    async with embedded("a", tmp_path / "state") as manager:
        await until(manager, AppNotificationSetting.DISABLED_BY_GROUP_POLICY)
        write(file, "tiles = false")
        await until(manager, AppNotificationSetting.ENABLED)
        assert not manager.conditions.host.tiles
        write(file, "[apps.a]\nnotifications = false\n[apps.b]\nbackground = false")
        await until(manager, AppNotificationSetting.DISABLED_BY_GROUP_POLICY)
        assert manager.conditions.host.tiles
        await manager.conditions.set_app(notifications=True)
        assert not manager.conditions.settings.notifications
        write(file, "")
        await until(manager, AppNotificationSetting.ENABLED)


async def test_an_agent_says_what_is_wrong_with_its_policy(tmp_path: Path, file: Path) -> None:
    """It is a cause in its status; what it said before still counts, and a policy that is right is no cause."""
    write(file, "toasts = false")
    async with agent_world(tmp_path) as w, w.connect("a") as manager:
        await until(manager, AppNotificationSetting.DISABLED_BY_GROUP_POLICY)
        told = await ask(tmp_path / "state", {"verb": "status"})
        assert told is not None
        assert "policy" not in told["causes"]
        write(file, "[apps.a]\ntosts = 1\ntiles = 7")
        await until(manager, AppNotificationSetting.ENABLED)
        told = await ask(tmp_path / "state", {"verb": "status"})
        assert told is not None
        assert told["status"] == "unavailable"
        assert told["causes"]["policy"].startswith(f"{file}: line 2: apps.a.tosts: there is no such setting of one app")
        assert told["causes"]["policy"].endswith("(and 1 more: 'tocsin policy show' lists them)")
