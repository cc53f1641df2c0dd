"""A hub's client that has nothing but the JDK, as docs/hub.md shows it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import anyio
import pytest

from tests.e2e.installed import run
from tests.e2e.served_hub import open_served_hub

PROGRAM = Path(__file__).parent / "hub_clients" / "Hub.java"


@pytest.mark.skipif(shutil.which("javac") is None, reason="runs a Java program: needs a JDK, of version 11 or newer")
async def test_the_jdk_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It trusts the authority by a file, registers, and pushes to a tag: each step is answered, and both arrive."""
    java = shutil.which("java")
    assert java is not None
    async with open_served_hub(tmp_path, monkeypatch) as hub:
        told = [hub.connection_string, hub.name, hub.uris[0], hub.authority]
        command = [java, "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8", str(PROGRAM), *told]
        report = list(map(json.loads, (await anyio.to_thread.run_sync(run, command)).splitlines()))
        assert [(line["step"], line["status"]) for line in report] == [
            ("registration made", 200),
            ("toast sent", 201),
            ("raw sent", 201),
            ("toast concluded", 200),
            ("raw concluded", 200),
            ("registration deleted", 200),
        ]
        toast = '<toast><visual><binding template="ToastText01"><text id="1">Grüße</text></binding></visual></toast>'
        assert await hub.arrived() == [[("raw", b"from Java"), ("toast", toast.encode())], []]
