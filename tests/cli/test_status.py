"""``tocsin status``: what it says of an agent's desktop and machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import asdict

from tests.processes import call
from tocsin.cli import status
from tocsin.cli.host_lines import host_lines
from tocsin.protocol.platform.host_facts import HostFacts
from tocsin.protocol.platform.host_record import HostRecord
from tocsin.protocol.platform.host_standing import SensorStanding, host_report
from tocsin.shell.desktop import DesktopStanding


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (DesktopStanding("dunst", "1.9.0", ":1.4", actions=True), "dunst 1.9.0"),
        (DesktopStanding("terminal\x1b", daemon="d"), "terminal\\x1b, without buttons"),
        (DesktopStanding(), "not looked for before the first toast"),
        (DesktopStanding(fault="no session bus"), "none: no session bus"),
    ],
)
def test_it_is_said_what_shows_toasts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, standing: DesktopStanding, words: str
) -> None:
    """By name where it is known, or why there is none; an agent without a desktop says nothing of one."""
    answer: dict[str, Any] = {"status": "ok", "causes": {}, "desktop": asdict(standing)}

    async def ask(_folder: Path, _request: dict[str, str]) -> dict[str, Any]:
        return answer

    monkeypatch.setattr(status, "ask", ask)
    code, output, errors = call("status", "--state", str(tmp_path))
    assert (code, errors) == (0, "")
    (line,) = [line for line in output.splitlines() if line.split()[0] == "desktop"]
    assert line == f"  {'desktop':<20} {words}"
    told = json.loads(call("status", "--json", "--state", str(tmp_path))[1])
    assert told["desktop"]["fault"] == standing.fault
    del answer["desktop"]
    assert "desktop" not in call("status", "--state", str(tmp_path))[1]


def test_a_registration_of_unifiedpush_is_shown_by_what_forget_takes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With what was dropped of its pushes; an earlier agent says the name of its app alone."""
    row: dict[str, Any] = {"id": "unifiedpush:a.B:0", "app": "a.B", "since": "then", "waiting": ""}
    row |= {"unreadable": 1, "missed": 2}
    rows = [row, {"app": "a.C", "since": "now"}]
    answer = {"status": "ok", "causes": {}, "unifiedpush": {"bus": "is there", "registrations": rows}}

    async def ask(_folder: Path, _request: dict[str, str]) -> dict[str, Any]:
        return answer

    monkeypatch.setattr(status, "ask", ask)
    code, output, errors = call("status", "--state", str(tmp_path))
    assert (code, errors) == (0, "")
    dropped = "1 push dropped that it cannot read, 2 pushes with TTL 0 dropped while it was not there or took none"
    assert output.splitlines()[-2:] == [
        f"  unifiedpush:a.B:0    registered by UnifiedPush since then, {dropped}",
        "  a.C                  registered by UnifiedPush since now",
    ]


def test_it_is_said_what_is_known_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Which sensor tells what, what apps have said, what is assumed in place of what is unknown."""
    facts = HostFacts(on_battery=False, metered=True)
    sensors = [SensorStanding("upower", "the bus\x1b", facts), SensorStanding("logind", "no system bus", HostFacts())]
    record = HostRecord(facts=facts, said={"energy_saver": True})
    answer = {"status": "ok", "causes": {}, "host": host_report(sensors, record)}

    async def ask(_folder: Path, _request: dict[str, str]) -> dict[str, Any]:
        return answer

    monkeypatch.setattr(status, "ask", ask)
    code, output, errors = call("status", "--state", str(tmp_path))
    assert (code, errors) == (0, "")
    assert output.splitlines()[1:] == [
        "  sensor upower        the bus\\x1b; tells on battery: no, metered: yes",
        "  sensor logind        no system bus; tells nothing",
        "  told by sensors      free network available: no, screen on or plugged: yes",
        "  said by apps         energy saver: yes",
        (
            "  assumed              user present: yes, internet available: yes, session connected: yes,"
            " background work cost high: no"
        ),
        "  unknown              battery low, power saver, session connected, user present, internet",
    ]
    assert json.loads(call("status", "--json", "--state", str(tmp_path))[1])["host"] == answer["host"]
    answer["host"] = host_report([SensorStanding("power profiles", "a bus", HostFacts())], HostRecord())
    lines = call("status", "--state", str(tmp_path))[1].splitlines()[1:]
    assert [line[24:].split()[0] for line in lines] == ["a", "user", "on"]  # in one column, however long a name is
    answer["host"] = host_report([], HostRecord())
    lines = call("status", "--state", str(tmp_path))[1].splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["sensors", "assumed", "unknown"]


@pytest.mark.parametrize(
    "host",
    [
        [],
        {"sensors": 1},
        {"sensors": [1]},
        {"sensors": [{"name": "a", "standing": "", "tells": 1}]},
        {"sensors": [], "told": "x", "said": {}, "assumed": {}, "unknown": []},
        {"sensors": [], "told": {}, "said": {}, "assumed": {}, "unknown": 1},
    ],
)
def test_an_answer_of_another_form_is_no_health_report(monkeypatch: pytest.MonkeyPatch, host: object) -> None:
    """A server that makes it up is called what it is."""
    with pytest.raises((LookupError, TypeError)):
        host_lines(host)
    answer = json.dumps({"status": "ok", "causes": {}, "host": host}).encode()
    monkeypatch.setattr(status, "_fetch", lambda *_: answer)
    code, _, errors = call("status", "--url", "http://127.0.0.1:1")
    assert code != 0
    assert errors.rstrip().endswith("is no push service of ours")


def test_the_nodes_of_a_service_are_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each in a line; how many devices another has is not known."""
    nodes: list[dict[str, Any]] = [
        {"node": "here-1", "address": "10.0.0.1:7", "version": "1.0", "state": "serving", "lease": 7, "renewed": 0.0},
        {
            "node": "there\x1b",
            "address": "10.0.0.2:7",
            "version": "1.1",
            "state": "draining",
            "lease": 12,
            "renewed": 0.4,
        },
    ]
    nodes[0]["devices"], nodes[1]["devices"] = 3, None
    answer: dict[str, Any] = {"status": "ok", "causes": {}, "nodes": nodes}

    async def ask(_folder: Path, _request: dict[str, str]) -> dict[str, Any]:
        return answer

    monkeypatch.setattr(status, "ask", ask)
    code, output, errors = call("status", "--state", str(tmp_path))
    assert (code, errors) == (0, "")
    assert output.splitlines()[1:] == [
        "",
        "NODE       ADDRESS     VERSION  STATE     DEVICES  LEASE  RENEWED",
        "here-1     10.0.0.1:7  1.0      serving   3        7      0.0 s ago",
        "there\\x1b  10.0.0.2:7  1.1      draining           12     0.4 s ago",
    ]
    assert json.loads(call("status", "--json", "--state", str(tmp_path))[1])["nodes"] == nodes
