"""The image of ``packaging/Dockerfile`` as containers: reached, asked, stopped, and followed by another on its volume.

It needs the image ``tocsin``, as the head of that file builds it, and is skipped unless ``CONTAINER_TOOL`` says what runs
containers: ``CONTAINER_TOOL=docker pytest -n 0 tests/e2e/test_image.py``, or ``podman``.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import pytest
from attrs import define

import tocsin
from tests.processes import PATIENCE

TOOL = os.environ.get("CONTAINER_TOOL", "")
pytestmark = pytest.mark.skipif(not TOOL, reason="runs containers: build the image and set CONTAINER_TOOL=docker")

LOCKED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio, which the client needs."""
    return "asyncio"


def tool(*words: str) -> subprocess.CompletedProcess[str]:
    """Let the tool do something."""
    return subprocess.run([TOOL, *words], capture_output=True, text=True, check=False, timeout=60)  # noqa: S603  # the caller's own tool


def done(*words: str) -> str:
    """Let the tool do what it has to be able to, and return what it prints."""
    result = tool(*words)
    assert result.returncode == 0, result.stderr
    return result.stdout


@define
class Container:
    """One that runs."""

    name: str

    def do(self, *words: str) -> Any:
        """Run a command in it that prints an object."""
        return json.loads(done("exec", self.name, *words))

    def stop(self) -> int:
        """Stop it as an operator does, and return its exit code: 137 if it had to be killed."""
        done("stop", self.name)
        return int(done("inspect", "--format", "{{.State.ExitCode}}", self.name))


@contextmanager
def running(volume: str, port: int, *options: str) -> Iterator[Container]:
    """Run the image until the block is left; it listens when the block begins."""
    name = f"{volume}-{uuid4().hex[:8]}"
    where = ("-p", f"127.0.0.1:{port}:8080", "-e", f"TOCSIN_PUBLIC_URL=http://127.0.0.1:{port}")
    done("run", "-d", "--name", name, "-v", f"{volume}:/var/lib/tocsin", *where, *options, "tocsin")
    logs = subprocess.Popen([TOOL, "logs", "-f", name], stdout=subprocess.PIPE, text=True)  # noqa: S603  # the caller's own tool
    with logs, removed(name):
        assert logs.stdout is not None
        first = json.loads(logs.stdout.readline())
        assert (first["event"], first["url"]) == ("listening", f"http://127.0.0.1:{port}")
        yield Container(name)


@contextmanager
def removed(name: str) -> Iterator[None]:
    """Remove a container behind the block, which also ends those who follow its lines."""
    try:
        yield
    finally:
        done("rm", "-f", name)


@pytest.fixture
def volume() -> Iterator[str]:
    """Name a volume, which is removed behind the test."""
    name = f"tocsin-test-{uuid4().hex[:8]}"
    yield name
    done("volume", "rm", "-f", name)


@pytest.fixture
def port() -> int:
    """Find a port of this machine that is free."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        found: int = server.getsockname()[1]
        return found


async def test_a_channel_outlives_its_container(volume: str, port: int, tmp_path: Path) -> None:
    """A push from this machine reaches a device here, and so it does when a locked container has taken the first one's place."""
    with running(volume, port) as first:
        app = first.do("tocsin", "app", "add", "contoso.mail", "--json")
        platform = tocsin.embedded("contoso.mail", tmp_path / "state", f"http://127.0.0.1:{port}", sensors=())
        async with platform as manager, tocsin.WnsClient(app["client_id"], app["client_secret"]) as client:
            channel = await manager.open_channel(app["remote_id"])
            payloads = channel.payloads()
            assert (await client.send(channel.uri, b"one")).status == "received"
            assert (await anext(payloads)).payload == b"one"
            assert await anyio.to_thread.run_sync(first.stop) == 0
            with running(volume, port, *LOCKED):
                with anyio.fail_after(PATIENCE):
                    assert (await client.send(channel.uri, b"two", cache=True)).status in {"received", "stored"}
                    assert (await anext(payloads)).payload == b"two"


def test_what_the_health_check_asks_tells_the_truth(volume: str, port: int) -> None:
    """It is well where the service runs, as a user who is not root, and not where none does."""
    with running(volume, port) as container:
        (about,) = json.loads(done("inspect", container.name))
        assert container.do(*about["Config"]["Healthcheck"]["Test"][1:])["status"] == "ok"
        assert done("exec", container.name, "id", "-u").strip() == "10001"
    assert tool("run", "--rm", "--entrypoint", "tocsin", "tocsin", "status", "--json").returncode != 0


def test_a_folder_of_another_user_is_refused_in_words(tmp_path: Path) -> None:
    """A mounted folder that the image's user may not use ends the start, with the number of that user."""
    refused = tool("run", "--rm", "-v", f"{tmp_path}:/var/lib/tocsin", "tocsin")
    assert refused.returncode not in {0, 125}
    assert "10001" in refused.stdout + refused.stderr
