"""No peer and no file keeps the command waiting without end."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.test_terminal import type_in
from tests.processes import PATIENCE
from tocsin.cli import status


@contextmanager
def dripping() -> Iterator[str]:
    """Play a service that sends a header without end, byte by byte, until its peer leaves."""
    leave = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            stream, _ = server.accept()
            with stream:
                stream.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while not leave.wait(0.01):
                    stream.sendall(b"x")

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        leave.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_a_service_that_drips_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte is in time, and all of them are not."""
    monkeypatch.setattr(status, "TIMEOUT", 0.3)
    with dripping() as url:
        code, shown = type_in("utf-8", "status", "--url", url)
    assert (code, shown) == (1, f"tocsin status: the push service at {url} has not answered within 0.3 s\n")


@pytest.mark.parametrize(
    "command",
    [
        ("status", "--url", "https://127.0.0.1:1"),
        ("send", "https://127.0.0.1:1/w/?token=x", "x", "--client-id", "i", "--client-secret", "s"),
    ],
    ids=["status", "send"],
)
def test_authorities_that_are_a_pipe_are_refused(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL would wait for a writer; the variable is named."""
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "pipe"))
    code, shown = type_in("utf-8", *command)
    pipe = str(tmp_path / "pipe")
    words = f"SSL_CERT_FILE names {pipe!r}, which is no regular file: name one with certificates"
    assert (code, shown) == (1, f"tocsin {command[0]}: {words}\n")


def test_status_goes_by_the_proxy_that_all_go_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be used is told in the same words."""
    monkeypatch.setenv("https_proxy", "socks5://u:secret@127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    code, shown = type_in("utf-8", "status", "--url", "https://push.example")
    assert (code, "https_proxy names a SOCKS proxy" in shown, "secret" in shown) == (1, True, False)
