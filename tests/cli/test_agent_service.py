"""``tocsin agent install`` and ``uninstall``, with a systemctl that notes what it is asked for."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import pytest
from attrs import frozen

from tests.processes import call
from tocsin.protocol.platform.agent_units import SERVICE_UNIT, SOCKET_UNIT, is_ours

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the agent runs on POSIX systems only")

NEXT = f"systemctl --user daemon-reload && systemctl --user enable --now {SOCKET_UNIT} {SERVICE_UNIT}"


@frozen
class User:
    """A user with a home, and a systemd that answers or does not."""

    home: Path

    @property
    def units(self) -> list[Path]:
        """Where the units are written."""
        folder = self.home / "config" / "systemd" / "user"
        return [folder / SOCKET_UNIT, folder / SERVICE_UNIT]

    @property
    def asked(self) -> list[str]:
        """What systemd was asked for."""
        log = self.home / "asked"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    def systemd(self, *refused: str) -> None:
        """Let systemd answer, but refuse some verbs."""
        refusals = "".join(f'*{verb}*) echo "no {verb} today" >&2; exit 1;; ' for verb in refused)
        script = self.home / "bin" / "systemctl"
        script.parent.mkdir(exist_ok=True)
        script.write_text(
            f'#!/bin/sh\necho "$*" >> "{self.home}/asked"\ncase "$*" in {refusals} *) exit 0;; esac\n', encoding="utf-8"
        )
        script.chmod(0o755)


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    """Give this process another home, whose PATH has only the systemctl of the test."""
    monkeypatch.delenv("TOCSIN_SOCKET", raising=False)
    monkeypatch.delenv("TOCSIN_STATE", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/nowhere")
    monkeypatch.chdir(tmp_path)
    return User(tmp_path)


class TestInstall:
    """Writing the units."""

    def test_it_writes_them_and_lets_systemd_listen(self, user: User) -> None:
        """The command is this interpreter's, with the choices that were made, and the state's folder by its whole name."""
        user.systemd("is-active")
        words = ("--service", "https://push.example", "--state", "mine", "--idle-exit", "never", "--unifiedpush")
        code, output, errors = call("agent", "install", *words)
        assert (code, errors) == (0, "")
        assert [line.split()[-1] for line in output.splitlines()[:2]] == list(map(str, user.units))
        listening, running = (path.read_text(encoding="utf-8") for path in user.units)
        assert "ListenStream=%t/tocsin/agent.sock\n" in listening
        shown = f'"{sys.executable}" "-P" "-m" "tocsin" "agent" "--state" "{user.home}/mine"'
        assert (
            f'ExecStart=:{shown} "--service" "https://push.example" "--idle-exit" "never" "--unifiedpush"\n' in running
        )
        units = f"{SOCKET_UNIT} {SERVICE_UNIT}"
        assert user.asked[-3:] == [
            f"--user {each}" for each in ("daemon-reload", f"enable {units}", f"restart {units}")
        ]

    def test_where_systemd_does_not_answer_it_says_what_is_left(self, user: User) -> None:
        """In a container, or without a session."""
        user.systemd("--user")
        code, output, errors = call("agent", "--service", "http://127.0.0.1:8080", "install", "--json")
        assert (code, errors) == (0, "")
        assert json.loads(output) == {"written": list(map(str, user.units)), "next": NEXT}
        assert '"--service" "http://127.0.0.1:8080"' in user.units[1].read_text(encoding="utf-8")

    def test_what_systemd_refuses_is_shown(self, user: User) -> None:
        """The units stay, for another try."""
        user.systemd("is-active", "enable")
        code, output, errors = call("agent", "install")
        assert code == 1
        assert "no enable today" in errors
        assert NEXT in output

    def test_where_there_is_no_systemd_it_says_how_else_to_start_it(self, user: User) -> None:
        """And writes nothing."""
        code, output, errors = call("agent", "install", "--state", "a b")
        assert (code, output) == (1, "")
        assert (
            f"this system has no systemd: let what starts your session start 'tocsin agent --state '{user.home}/a b''"
            in errors
        )
        assert not any(path.exists() for path in user.units)

    @pytest.mark.parametrize("how", ["text", "link"])
    def test_a_unit_that_was_written_by_hand_stays(self, user: User, how: str) -> None:
        """Unless it is to be overwritten; a link is how systemd masks a unit."""
        user.systemd("is-active")
        unit = user.units[1]
        unit.parent.mkdir(parents=True)
        if how == "text":
            unit.write_text("[Service]\n", encoding="utf-8")
        else:
            unit.symlink_to("/dev/null")
        code, _, errors = call("agent", "install")
        assert (code, f"{unit} was not written by 'tocsin agent install'; --force overwrites it" in errors) == (1, True)
        assert not user.units[0].exists()
        assert call("agent", "install", "--force")[0] == 0
        assert is_ours(unit.read_text(encoding="utf-8"))

    def test_an_agent_that_runs_by_hand_is_not_robbed_of_its_socket(self, user: User) -> None:
        """Systemd would put its own in the place of it."""
        user.systemd("is-active")
        (user.home / "tocsin").mkdir()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(user.home / "tocsin" / "agent.sock"))
            listener.listen()
            code, _, errors = call("agent", "install")
            assert (code, "already: end it, then try again" in errors) == (1, True)
            assert not user.units[0].exists()
            user.systemd()  # which says that it is what listens there
            assert call("agent", "install")[0] == 0

    def test_another_socket_may_be_named(self, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
        """As apps find it."""
        user.systemd("is-active")
        monkeypatch.setenv("TOCSIN_SOCKET", "100%.sock")
        assert call("agent", "install")[0] == 0
        assert f"ListenStream={user.home}/100%%.sock\n" in user.units[0].read_text(encoding="utf-8")
        assert call("agent", "install", "--socket", "mine.sock")[0] == 0
        assert f"ListenStream={user.home}/mine.sock\n" in user.units[0].read_text(encoding="utf-8")

    def test_a_service_that_is_no_url_is_refused(self, user: User) -> None:
        """Before anything is written."""
        user.systemd("is-active")
        assert call("agent", "install", "--service", "push.example")[0] == 1
        assert not user.units[0].exists()


class TestUninstall:
    """Removing them."""

    def test_it_lets_systemd_stop_and_removes_them(self, user: User) -> None:
        """In this order."""
        user.systemd("is-active")
        call("agent", "install")
        code, output, errors = call("agent", "uninstall")
        assert (code, errors) == (0, "")
        assert [line.split()[-1] for line in output.splitlines()] == list(map(str, user.units))
        assert not any(path.exists() for path in user.units)
        assert user.asked[-2:] == [f"--user disable --now {SOCKET_UNIT} {SERVICE_UNIT}", "--user daemon-reload"]

    def test_what_was_written_by_hand_stays(self, user: User) -> None:
        """And is named."""
        user.systemd("is-active")
        call("agent", "install")
        user.units[1].write_text("[Service]\n", encoding="utf-8")
        code, output, errors = call("agent", "uninstall", "--json")
        assert (code, json.loads(output)) == (1, {"removed": [str(user.units[0])], "next": None})
        assert f"{user.units[1]} was not written by" in errors
        assert user.units[1].exists()

    def test_where_nothing_is_installed_there_is_nothing_to_do(self, user: User) -> None:
        """It says so."""
        code, output, _ = call("agent", "uninstall")
        assert (code, output) == (0, f"nothing is installed in {user.units[0].parent}\n")
        assert not os.path.lexists(user.home / "config")
