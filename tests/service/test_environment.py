"""What the environment says to other programs is not for the service."""

from __future__ import annotations

from pathlib import Path

import pytest

from tocsin.service.server import open_service


async def test_a_variable_of_the_web_servers_command_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A platform that sets WEB_CONCURRENCY to a word, as some do, used to keep every service from starting."""
    monkeypatch.setenv("WEB_CONCURRENCY", "auto")
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    async with open_service(tmp_path) as service:
        assert service.port
