"""Sender libraries of Web Push as they were published, against ``tocsin serve --dev-tls``: an app gets what each has encrypted.

They are installed from PyPI and npm in the versions that the files in ``web_push_senders/`` lock, so only with
``SENDERS_OF_OTHERS=1``, as ``.ci/run`` sets it; then nothing is skipped. Each has a program there that uses it as its own
documentation shows, with its own TTL, and trusts the service's authority by a variable of its environment.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import frozen

import tocsin
from tests.cli.test_serve import serving
from tests.e2e.installed import NODE, install_node, install_python, run
from tests.processes import PATIENCE
from tocsin.protocol.webpush.base64url import encode
from tocsin.webpush.vapid_keys import VapidKey

pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("SENDERS_OF_OTHERS"),
        reason="installs sender libraries: set SENDERS_OF_OTHERS=1 to have them tried",
    )
]

PROGRAMS = Path(__file__).parent / "web_push_senders"
KEY, OTHER = VapidKey.generate(), VapidKey.generate()

Report = list[dict[str, Any]]
Run = Callable[[str, list[dict[str, Any]]], Report]
"""Runs a program, which is told what to push, and returns what it reports of each push."""


@frozen
class Service:
    """A service, and the file with the certificate that clients are to trust."""

    url: str
    authority: str


@pytest.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Run one for all libraries; the devices of this process trust it as a person has it trusted."""
    async with serving(tmp_path_factory.mktemp("service"), "--dev-tls") as served:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSL_CERT_FILE", served.first["ca"])
            yield Service(served.first["url"], served.first["ca"])


@pytest.fixture(scope="module")
def send(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Install all libraries, and return what runs a program with one of them."""
    python = install_python(tmp_path_factory.mktemp("python"), PROGRAMS)
    trusting = {"REQUESTS_CA_BUNDLE": service.authority, "SSL_CERT_FILE": service.authority}
    of_node = install_node(tmp_path_factory.mktemp("node"), PROGRAMS) | {"NODE_EXTRA_CA_CERTS": service.authority}

    def send_all(program: str, pushes: list[dict[str, Any]]) -> Report:
        runner, environment = (str(NODE), of_node) if program.endswith(".js") else (python, trusting)
        printed = run([runner, str(PROGRAMS / program), json.dumps(pushes)], environment)
        return [json.loads(line) for line in printed.splitlines()]

    return send_all


TOO_LARGE = (413, "The body has 4097 bytes")


@frozen
class Library:
    """What a sender library can do."""

    program: str
    largest: dict[str, int]
    """The codings that it knows, and the bytes of the largest message that is let in with each."""
    beyond: tuple[int | None, str] = TOO_LARGE
    """What it reports of a message with a byte more: a status, or that it does not send it, and words."""
    least: int = 0
    """Bytes of the smallest message that it sends."""
    anonymous: bool = False
    """Whether it sends without a key, too."""
    bodies: tuple[int, int] | None = None
    """Bytes that the bodies have at least, and that the largest of them has; None where it does not show them."""


LIBRARIES = [
    Library("from_pywebpush.py", {"aes128gcm": 3_993, "aesgcm": 4_078}, anonymous=True, bodies=(0, 4_096)),
    Library("from_web_push.js", {"aes128gcm": 3_993, "aesgcm": 4_078}, anonymous=True),
    Library("from_webpush_rs.py", {"aes128gcm": 3_052}, (None, "maximum payload size"), least=1),
    Library("from_block65.js", {"aes128gcm": 3_993}, (None, "the maximum is 3993"), bodies=(4_096, 4_096)),
    Library("from_pushforge.js", {"aesgcm": 4_076}, (None, "Maximum size is 4076 bytes"), least=1, bodies=(19, 4_094)),
]


@frozen
class Push:
    """A message, and what is to become of it."""

    to: str
    key: VapidKey | None
    coding: str
    text: str = "7"
    status: int | None = 201
    words: str = ""

    def told(self, subscriptions: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the library's program is told of it."""
        key = None if self.key is None else _as_json(self.key)
        return {"to": subscriptions[self.to], "key": key, "coding": self.coding, "text": self.text}


def _as_json(key: VapidKey) -> dict[str, Any]:
    """Write a key as the libraries want it: numbers in base64url, and as a JSON web key."""
    x, y = encode(key.public_key[1:33]), encode(key.public_key[33:])
    jwk = {"kty": "EC", "crv": "P-256", "x": x, "y": y, "d": key.text()}
    return {"public": key.application_server_key, "private": key.text(), "jwk": jwk}


def text_of(size: int) -> str:
    """Return a text of so many bytes; it is JSON where there are any, since a library writes that."""
    return "7" * size if size < 2 else f'"é{"x" * (size - 4)}"'


def pushes_of(library: Library) -> list[Push]:
    """Return what a library is to send."""
    pushes = []
    for coding, largest in library.largest.items():
        for size in (*range(library.least, 2), largest):
            pushes.append(Push("any", None if library.anonymous else KEY, coding, text_of(size)))
            pushes.append(Push("ours", KEY, coding, text_of(size)))
        pushes.append(Push("ours", KEY, coding, text_of(largest + 1), *library.beyond))
        pushes.append(Push("ours", OTHER, coding, status=403, words="another than the subscription was made for"))
        pushes.append(Push("gone", KEY, coding, status=410, words="was ended"))
        if library.anonymous:
            pushes.append(Push("ours", None, coding, status=401, words="one application server alone"))
    return pushes


@pytest.mark.parametrize("library", LIBRARIES, ids=[library.program for library in LIBRARIES])
async def test_what_a_library_sends_comes_as_plaintext(
    service: Service, send: Run, tmp_path: Path, library: Library
) -> None:
    """From the empty message to the largest, in each coding, with a key and without; what is refused, it reports."""
    pushes = pushes_of(library)
    accepted = [push for push in pushes if push.status == 201]
    give, take = anyio.create_memory_object_stream[tuple[str, str]](math.inf)

    def got(name: str, args: tocsin.PushNotificationReceivedEventArgs) -> None:
        args.handled = True
        give.send_nowait((name, args.text))

    async with tocsin.embedded("contoso.mail", tmp_path, service.url, sensors=()) as manager:
        gone = await manager.create_web_push_subscription(KEY.public_key)
        await gone.close()
        ours = await manager.create_web_push_subscription(KEY.public_key)
        every = await manager.create_web_push_subscription()
        subscriptions = {"gone": gone.as_json(), "ours": ours.as_json(), "any": every.as_json()}
        told = [push.told(subscriptions) for push in pushes]
        with give, take, ours.push_received(partial(got, "ours")), every.push_received(partial(got, "any")):
            report = await anyio.to_thread.run_sync(send, library.program, told)
            for push, line in zip(pushes, report, strict=True):
                reported = line["status"], push.words in line.get("words", push.words)
                assert reported == (push.status, True), (push, line)
            with anyio.fail_after(PATIENCE):
                arrived = [await take.receive() for _ in accepted]
    assert sorted(arrived) == sorted((push.to, push.text) for push in accepted)
    if library.bodies is not None:
        bodies = [line["bytes"] for line in report if line["status"] == 201]
        least, largest = library.bodies
        assert (min(bodies) >= least, max(bodies)) == (True, largest)
