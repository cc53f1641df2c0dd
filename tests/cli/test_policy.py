"""``tocsin policy``: of an agent that runs, of the files alone, and of a file that is to count."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from tests.agent.world import world
from tests.processes import PATIENCE, call


async def in_process(*arguments: str) -> tuple[int, str, str]:
    """Run the command beside the test's event loop."""
    return await anyio.to_thread.run_sync(call, "policy", *arguments)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the user a policy with a fault; return its place."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    file = tmp_path / "config" / "tocsin" / "policy.toml"
    file.parent.mkdir(parents=True)
    file.write_text('tosts = 1\ndaily_data = "5 MB"\n[apps.mail]\nbackground = false\n', encoding="utf-8")
    file.chmod(0o600)
    return file


async def test_without_an_agent_the_files_are_looked_at(tmp_path: Path, file: Path) -> None:
    """Which is said, with what is wrong with them; the settings go to standard output."""
    code, output, errors = await in_process("show", "--state", str(tmp_path))
    assert code == 0
    assert f"no agent runs on {tmp_path}: the files alone were looked at" in errors
    assert f"{file}: line 1: tosts: there is no such setting" in errors
    lines = output.splitlines()
    assert lines[0].split() == ["SETTING", "VALUE", "FROM"]
    rows = [[cell.strip() for cell in line.split("  ") if cell] for line in lines]
    assert ["daily_data", "5 MB", str(file)] in rows
    assert ["quiet_hours", "as the user has them", "default"] in rows
    assert ["daily_metered_data", "no limit", "default"] in rows
    assert ['apps."mail".background', "false", str(file)] in rows
    assert lines[-1].split() == [str(file), "counts"]
    told = json.loads((await in_process("show", "--json", "--state", str(tmp_path)))[1])
    assert told["agent"] is False
    assert told["files"][str(file)] == "counts"


async def test_an_agent_tells_what_a_payload_would_meet(tmp_path: Path, file: Path) -> None:
    """As its machine and its user have it now."""
    options = ("--app", "mail", "--state", str(tmp_path / "state"))
    async with world(tmp_path) as w, w.connect("mail") as manager:
        await manager.conditions.set_host(energy_saver=True)
        code, output, errors = await in_process("show", *options)
        assert (code, len(errors.splitlines())) == (0, 1)
        start = (
            "A raw payload of mail with priority 3 (low): it waits: in energy saver, priority 3 (low) waits at the push"
        )
        assert start in output
        assert "energy and priority  waits   in energy saver" in output
        code, output, errors = await in_process("exempt", *options[1:])
        assert (code, output, errors) == (0, "mail is exempt from energy saver\n", "")
        with anyio.fail_after(PATIENCE):
            while not manager.conditions.settings.exempt_from_energy_saver:  # noqa: ASYNC110  # no app is called then
                await anyio.sleep(0.001)
        output = (await in_process("show", *options))[1]
        assert f"a handler that is attached gets it; else it waits: {file} has forbidden background work" in output
        answer = json.loads((await in_process("show", *options, "--type", "badge", "--priority", "4", "--json"))[1])
        assert answer["agent"] is True
        assert answer["payload"]["meets"].startswith("it waits: in energy saver, priority 4 (very low), of an app that")
        assert await in_process("exempt", *options[1:], "--off") == (0, "mail is not exempt from energy saver\n", "")
        answer = json.loads((await in_process("exempt", "chat", *options[2:], "--json"))[1])
        assert answer == {"app": "chat", "decided": True, "exempt": True}


async def test_a_policy_stands_above_an_exemption(tmp_path: Path, file: Path) -> None:
    """It is kept, and it is said that it does not count."""
    await anyio.Path(file).write_text("[apps.mail]\nexempt_from_energy_saver = false", encoding="utf-8")
    async with world(tmp_path):
        code, output, errors = await in_process("exempt", "mail", "--state", str(tmp_path / "state"))
    assert (code, output) == (0, "mail is not exempt from energy saver\n")
    assert "it is decided, and does not count: the policy of this machine says otherwise" in errors


def test_without_an_agent_no_app_is_exempt(tmp_path: Path) -> None:
    """The command says how to start one."""
    code, output, errors = call("policy", "exempt", "mail", "--state", str(tmp_path))
    assert (code, output) == (1, "")
    assert f"no agent runs on {tmp_path}; 'tocsin agent' starts one" in errors


async def test_what_an_agent_refuses_is_told(tmp_path: Path) -> None:
    """In its words."""
    async with world(tmp_path):
        code, output, errors = await in_process("exempt", "\n", "--state", str(tmp_path / "state"))
    assert (code, output) == (1, "")
    assert "an app's name has 1 to 128 printable characters" in errors


def test_a_payload_is_one_of_an_app(tmp_path: Path) -> None:
    """Neither type nor priority says anything without one."""
    for option in (("--type", "raw"), ("--priority", "1")):
        code, output, errors = call("policy", "show", *option, "--state", str(tmp_path))
        assert (code, output) == (1, "")
        assert "name it with --app" in errors
    assert call("policy", "show", "--app", "", "--state", str(tmp_path))[0] == 1


def test_a_file_is_checked_before_it_counts(tmp_path: Path, file: Path) -> None:
    """All that it says is listed, and each fault with its line; the exit code tells a script whether there is one."""
    code, output, errors = call("policy", "check", str(file))
    assert code == 1
    assert output.splitlines()[1:] == ["daily_data              5 MB", 'apps."mail".background  false']
    assert f"tocsin policy: {file}: line 1: tosts: there is no such setting of a policy" in errors
    code, output, errors = call("policy", "check", str(file), "--json")
    assert (code, errors) == (1, "")
    assert json.loads(output)["settings"] == {"daily_data": "5 MB", 'apps."mail".background': "false"}
    file.write_text("toasts = false", encoding="utf-8")
    assert call("policy", "check", str(file))[0] == 0
    file.write_text("", encoding="utf-8")
    assert call("policy", "check", str(file)) == (0, "It says nothing.\n", "")
    file.write_text("toasts = ", encoding="utf-8")
    code, _, errors = call("policy", "check", str(file))
    assert code == 1
    assert "it is no TOML: Invalid value" in errors
    code, _, errors = call("policy", "check", str(tmp_path / "none"))
    assert code == 1
    assert "there is no file" in errors
