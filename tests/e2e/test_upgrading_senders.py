"""Senders that offer HTTP/2 over plain HTTP: the JDK's own client, which does so as it comes, and ``curl --http2``."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tocsin.testing import LocalWns

PROGRAM = Path(__file__).parent / "senders" / "Push.java"


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603  # ours
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _form(wns: LocalWns) -> str:
    return urlencode(
        {
            "grant_type": "client_credentials",
            "client_id": wns.client_id,
            "client_secret": wns.client_secret,
            "scope": "notify.windows.com",
        }
    )


def _curl() -> str | None:
    """Return a curl that knows HTTP/2."""
    curl = shutil.which("curl")
    return curl if curl is not None and "HTTP2" in _run([curl, "--version"]) else None


@pytest.mark.skipif(shutil.which("javac") is None, reason="runs a Java program: needs a JDK, of version 11 or newer")
def test_the_client_of_the_jdk(wns: LocalWns) -> None:
    """It gets its token, and each of its bodies arrives, once, in order."""
    java = shutil.which("java")
    assert java is not None
    command = [java, "-XX:TieredStopAtLevel=1", str(PROGRAM), wns.channel_uri, wns.token_url, _form(wns)]
    assert _run(command).splitlines() == ["200 HTTP_2", *["200 received"] * 5]
    assert [push.text for push in wns.pushes] == [f"from Java {number}" for number in range(5)]


@pytest.mark.skipif(_curl() is None, reason="needs a curl that was built with HTTP/2")
@pytest.mark.parametrize("version", ["--http2", "--http1.1", "--http1.0"])
def test_curl(wns: LocalWns, version: str) -> None:
    """Its body arrives, whatever it offers, and its next one over the same connection too."""
    curl = _curl()
    assert curl is not None
    token = _run([curl, "-sS", version, "-d", _form(wns), wns.token_url]).split('"access_token":"')[1].split('"')[0]
    headers = {"Authorization": f"Bearer {token}", "X-WNS-Type": "wns/raw", "Content-Type": "application/octet-stream"}
    options = [each for name, value in headers.items() for each in ("-H", f"{name}: {value}")]
    shown = ["-o", "-", "-w", "%{http_code} %header{x-wns-status}\n"]
    first = ["-sS", version, *options, *shown, "--data-binary", "one", wns.channel_uri]
    second = ["-sS", version, *options, *shown, "--data-binary", "two", wns.channel_uri]
    assert _run([curl, *first, "--next", *second]) == "200 received\n" * 2
    assert [push.text for push in wns.pushes] == ["one", "two"]


@pytest.mark.skipif(_curl() is None, reason="needs a curl that was built with HTTP/2")
def test_http_2_without_asking_is_refused(wns: LocalWns) -> None:
    """Who begins with HTTP/2 right away is told in words what is spoken here; nothing arrives."""
    curl = _curl()
    assert curl is not None
    command = [curl, "-sS", "--http2-prior-knowledge", "--data-binary", "body", wns.channel_uri]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603  # ours
    assert done.returncode != 0
    assert wns.pushes == []
