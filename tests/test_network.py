"""What an error of a socket means."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest

from tocsin.network import cause_of, host_and_port, place_of, proxy_of
from tocsin.protocol.network.causes import ConnectionCause, explain


def tls(reason: str) -> ssl.SSLError:
    """Build an error as OpenSSL's are."""
    failure = ssl.SSLError(1, f"[SSL: {reason}]")
    failure.reason = reason
    return failure


@pytest.mark.parametrize(
    ("failure", "cause"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), ConnectionCause.HOST_UNKNOWN),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), ConnectionCause.HOST_UNKNOWN),
        (UnicodeError("label empty or too long"), ConnectionCause.HOST_UNKNOWN),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), ConnectionCause.REFUSED),
        (OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 1, 0, 0), [Errno 111] ..."), None),
        (TimeoutError(), ConnectionCause.TIMED_OUT),
        (OSError(errno.ETIMEDOUT, "timed out"), ConnectionCause.TIMED_OUT),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), ConnectionCause.UNREACHABLE),
        (OSError(errno.EHOSTUNREACH, "No route to host"), ConnectionCause.UNREACHABLE),
        (PermissionError(errno.EPERM, "Operation not permitted"), ConnectionCause.UNREACHABLE),
        (ConnectionResetError(errno.ECONNRESET, "reset"), ConnectionCause.LOST),
        (BrokenPipeError(errno.EPIPE, "broken pipe"), ConnectionCause.LOST),
        (EOFError(), ConnectionCause.LOST),
        (tls("WRONG_VERSION_NUMBER"), ConnectionCause.TLS_MISSING),
        (tls("RECORD_LAYER_FAILURE"), ConnectionCause.TLS_MISSING),
        (tls("TLSV1_ALERT_PROTOCOL_VERSION"), ConnectionCause.TLS_FAILED),
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), ConnectionCause.TLS_FAILED),
        (OSError(errno.EMFILE, "Too many open files"), ConnectionCause.UNEXPECTED),
        (OSError(), ConnectionCause.UNEXPECTED),
        (RuntimeError("?"), ConnectionCause.UNEXPECTED),
        (AssertionError(), ConnectionCause.UNEXPECTED),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_an_error_has_a_cause(failure: Exception, cause: ConnectionCause | None) -> None:
    """Every failure has a cause; an unforeseen one is explained in its own words."""
    found, detail = cause_of(failure)
    assert found is (cause or ConnectionCause.REFUSED)
    assert explain(found, "a:1", detail)
    if found is ConnectionCause.UNEXPECTED:
        assert (
            str(failure.strerror) if isinstance(failure, OSError) and failure.errno else type(failure).__name__
        ) in detail


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("ws://push.example/device", "push.example:80"),
        ("wss://u:secret@push.example/device?secret", "push.example:443"),
        ("https://[::1]:8443/", "[::1]:8443"),
        ("http://PUSH.example:8080/", "push.example:8080"),
    ],
)
def test_a_place_is_a_url_without_secrets(url: str, place: str) -> None:
    """Host and port only."""
    assert place_of(url) == place
    assert place.endswith(f":{host_and_port(url)[1]}")


def test_the_same_environment_is_read_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices (ws) and senders (http) that speak to one host go by one proxy."""
    monkeypatch.setenv("https_proxy", "http://tls:1")
    monkeypatch.setenv("http_proxy", "http://plain:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    found = {scheme: proxy_of(f"{scheme}://push.example/") for scheme in ("ws", "http", "wss", "https")}
    assert {scheme: proxy and proxy.host for scheme, proxy in found.items()} == {
        "ws": "plain", "http": "plain", "wss": "tls", "https": "tls"
    }  # fmt: skip
    assert proxy_of("wss://localhost/") is None
