"""What an agent says of its desktop and its machine over its control socket."""

from __future__ import annotations

from pathlib import Path

from tests.agent.world import world
from tocsin.shell.console import ConsoleDesktop
from tocsin.transport.control_socket import ask


async def test_an_agent_says_what_shows_its_toasts(tmp_path: Path) -> None:
    """Where it has a desktop; without one it says nothing of it."""
    async with world(tmp_path, ConsoleDesktop(print)):
        told = await ask(tmp_path / "state", {"verb": "status"})
        assert told is not None
        assert (told["desktop"]["name"], told["desktop"]["actions"], told["desktop"]["fault"]) == (
            "terminal",
            False,
            "",
        )
    async with world(tmp_path):
        told = await ask(tmp_path / "state", {"verb": "status"})
        assert told is not None
        assert "desktop" not in told


async def test_an_agent_says_how_its_machine_stands(tmp_path: Path) -> None:
    """What apps have said counts where no sensor tells; the rest is assumed."""
    async with world(tmp_path) as w, w.connect("contoso.mail") as manager:
        await manager.conditions.set_host(energy_saver=True)
        told = await ask(tmp_path / "state", {"verb": "status"})
        assert told is not None
        assert told["host"] == w.agent.platform.host_owner.report()
        assert told["host"]["said"] == {"energy_saver": True}
        assert told["host"]["state"]["energy_saver"]
        assert "user_present" in told["host"]["assumed"]
