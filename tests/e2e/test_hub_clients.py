"""Clients of Azure Notification Hubs as they were published, against a hub of ``tocsin serve --dev-tls``.

They are installed from PyPI and npm in the versions that the files in ``hub_clients/`` lock, so only with
``SENDERS_OF_OTHERS=1``, as ``.ci/run`` sets it; then nothing is skipped. Each has a program there that uses it as its own
documentation shows, is told a connection string, and trusts the service's authority by a variable of its environment.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.e2e.installed import NODE, install_node, install_python, run
from tests.e2e.served_hub import ServedHub, open_served_hub

pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("SENDERS_OF_OTHERS"),
        reason="installs clients of others: set SENDERS_OF_OTHERS=1 to have them tried",
    )
]

PROGRAMS = Path(__file__).parent / "hub_clients"

Report = dict[str, list[dict[str, Any]]]
"""What each step returned, by its name: several bear the same one."""

Run = Callable[[ServedHub, str], Report]


@pytest.fixture(scope="module")
def in_python(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Install the clients for Python, and return what runs a program with them."""
    python = install_python(tmp_path_factory.mktemp("python"), PROGRAMS)

    def run_trusting(hub: ServedHub, program: str) -> Report:
        trusting = {"REQUESTS_CA_BUNDLE": hub.authority, "SSL_CERT_FILE": hub.authority}
        return _report(run([python, str(PROGRAMS / program), _told(hub)], trusting))

    return run_trusting


@pytest.fixture(scope="module")
def in_node(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Install the clients for Node.js, and return what runs a program with them."""
    environment = install_node(tmp_path_factory.mktemp("node"), PROGRAMS)

    def run_trusting(hub: ServedHub, program: str) -> Report:
        trusting = {"NODE_EXTRA_CA_CERTS": hub.authority}
        return _report(run([str(NODE), str(PROGRAMS / program), _told(hub)], environment | trusting))

    return run_trusting


@pytest.fixture
async def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ServedHub]:
    """Run a service with a hub, and two devices."""
    async with open_served_hub(tmp_path, monkeypatch) as served:
        yield served


def _told(hub: ServedHub) -> str:
    told = {"connection_string": hub.connection_string, "hub": hub.name, "uris": hub.uris, "tag": "news"}
    return json.dumps(told)


def _report(output: str) -> Report:
    report: Report = {}
    for line in map(json.loads, output.splitlines()):
        report.setdefault(line["step"], []).append(line)
    return report


def _refused(report: Report) -> dict[str, int]:
    """Return the steps that the client reports an error for, with its status."""
    errors = {name: line["error"] for name, lines in report.items() for line in lines if line["error"] is not None}
    return {name: error["status"] for name, error in errors.items()}


def _step(report: Report, name: str) -> dict[str, Any]:
    (line,) = report[name]
    return line


def _holds(line: dict[str, Any], **expected: object) -> bool:
    """Tell whether a step has returned these, whatever it has returned besides."""
    return line == line | expected


def _toast(text: str, attributes: str = "") -> tuple[str, bytes]:
    visual = f'<visual><binding template="ToastText01"><text id="1">{text}</text></binding></visual>'
    return ("toast", f"<toast{attributes}>{visual}</toast>".encode())


GREETING = _toast("$(message)")[1].decode()
TILE = ("tile", b'<tile><visual><binding template="TileSquareText04"><text id="1">two</text></binding></visual></tile>')


async def test_npm_azure_notification_hubs(in_node: Run, hub: ServedHub) -> None:
    """All that Microsoft's own client for JavaScript does for Windows: each step returns what it should, and all arrives."""
    report = await anyio.to_thread.run_sync(in_node, hub, "azure_notification_hubs.js")
    assert _refused(report) == {
        "registration got without one": 404,
        "installation got without one": 404,
        "feedback container": 501,
        "jobs": 501,
    }
    first, second = hub.uris
    step = partial(_step, report)
    id_ = step("registration id")["id"]
    native = {"kind": "Windows", "id": id_, "uri": first}
    assert _holds(step("registration put"), **native, etag="1", tags=["news", "first"])
    assert _holds(step("registration got"), **native, etag="1", tags=["news", "first"])
    updated = native | {"etag": "2", "tags": ["news", "first", "sport"]}
    assert _holds(step("registration updated"), **updated)
    made = step("template made")
    template = {"kind": "WindowsTemplate", "tags": ["news", "second"], "uri": second, "body": GREETING}
    of_windows = {"template": "greeting", "headers": {"X-WNS-Type": "wns/toast"}, "variables": {"town": "Łódź"}}
    assert _holds(made, **template, **of_windows, etag="1")
    both = [updated | {"expires": step("registration put")["expires"]}, _without(made, "step", "error")]
    assert _holds(step("all listed"), pages=[1, 1], found=both)
    assert _holds(step("listed by tag"), pages=[2], found=both)
    assert _holds(step("listed by channel"), pages=[1], found=both[:1])
    forecast = {"body": '{"text": "$(message)"}', "headers": {"X-WNS-Type": "wns/raw"}, "tags": ["forecasts"]}
    installation = {"installationId": "i-1", "platform": "wns", "pushChannel": second}
    got, again = step("installation got"), step("installation got again")
    assert _holds(got, **installation, userId="ann", tags=["weather"], templates={"forecast": forecast})
    assert again == got | {"step": again["step"], "userId": "bob", "tags": ["weather", "storms"]}
    sent = [name for name in report if name.endswith(("sent", "sent to all", "sent to one channel", "sent once more"))]
    assert len(sent) == 10
    for name in sent:
        assert step(name)["location"].endswith(f"/contoso/messages/{step(name)['id']}")
    result = {"applicationPlatform": "windows", "registrationId": id_, "outcome": "Success", "pnsHandle": first}
    assert _holds(step("test sent"), success=1, failure=0, results=[result], state="DetailedStateAvailable")
    state = step("state got")
    assert state["notificationId"] == step("sent once more")["id"]
    assert state["state"] in {"Enqueued", "Processing", "Completed"}
    badge = ("badge", b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?><badge value="7"/>')
    batch = ("raw", b"raw to a batch\r\n--nh")
    assert await hub.arrived() == [
        sorted(
            [
                badge,
                batch,
                _toast("Grüße", ' launch="mail"'),
                *_raws("raw to the first", "raw to all", "raw as a test"),
                *_raws("looked after", "sent on time", "sent to all on time"),
            ]
        ),
        sorted(
            [
                badge,
                batch,
                TILE,
                _toast('Tom &amp; "Ann"'),
                *_raws("raw to all", "raw to a channel", r'{"text": "Tom & \"Ann\""}'),
            ]
        ),
    ]


async def test_npm_azure_sb(in_node: Run, hub: ServedHub) -> None:
    """The client for JavaScript before it, which signs and escapes otherwise: each step, and all arrives."""
    report = await anyio.to_thread.run_sync(in_node, hub, "azure_sb.js")
    assert _refused(report) == {"registration got without one": 404, "installation got without one": 404}
    first, second = hub.uris
    step = partial(_step, report)
    native = {"kind": "WindowsRegistrationDescription", "id": step("registration id")["id"], "uri": first}
    assert _holds(step("registration put"), **native, etag="1", tags="news,first")
    assert _holds(step("registration updated"), **native, etag="2", tags="news,first,sport")
    header = {"WnsHeader": {"Header": "X-WNS-Type", "Value": "wns/toast"}}
    assert _holds(step("template made"), uri=second, tags="news,second", body=GREETING, headers=header)
    updated, made, template, raw = (
        _without(step(name), "step", "error")
        for name in ("registration updated", "registration made", "template made", "raw template made")
    )
    assert step("all listed")["found"] == [updated, made, template]  # it asks for three, and for no more pages
    assert raw["tags"] == "forecasts"
    assert step("listed by tag")["found"] == [updated, template]
    assert step("listed by channel")["found"] == [updated, made]
    assert _holds(step("installation got"), installationId="i-2", pushChannel=second, tags=["weather"])
    assert _holds(step("installation got again"), installationId="i-2", tags=["weather", "storms"])
    deleted = ("installation deleted", "template deleted", "registration deleted")
    assert [step(name)["status"] for name in deleted] == [204, 200, 200]
    sent = [name for name in report if name.endswith(("sent", "sent to all", "sent with headers"))]
    assert [step(name)["status"] for name in sent] == [201] * 7
    assert await hub.arrived() == [
        sorted(
            [
                ("badge", b'<badge value="7" version="1"/>'),
                _toast("Grüße"),
                *_raws("raw to the first", "raw to all", "with a time to live"),
            ]
        ),
        sorted([TILE, _toast('Tom &amp; "Ann"'), *_raws("raw to all", r'{"text": "Tom & \"Ann\""}')]),
    ]


async def test_pypi_azure_notification_hub_unofficial(in_python: Run, hub: ServedHub) -> None:
    """Installations, sends, tests and schedules of a client for Python: each step, and all arrives that is due."""
    report = await anyio.to_thread.run_sync(in_python, hub, "azure_notification_hub_unofficial.py")
    assert _refused(report) == {
        "sent to a wrong expression": 400,
        "schedule cancelled without one": 404,
        "state got without one": 404,
        "installation got without one": 404,
        "registration deleted without one": 404,
        "feedback container": 501,
    }
    assert "&amp;&amp; or || should stand before it" in _step(report, "sent to a wrong expression")["error"]["message"]
    first, _ = hub.uris
    got = _step(report, "installation got")["result"]
    assert _holds(got, installationId="i-1", pushChannel=first, tags=["news", "n1"])
    again = _step(report, "installation got again")["result"]
    assert again == got | {"tags": ["news", "n1", "sport"]}
    listed = _step(report, "all listed")["result"]
    assert [(each["ChannelUri"], each.get("TemplateName")) for each in listed] == [
        (uri, template) for uri in hub.uris for template in (None, "greeting")
    ]
    assert _step(report, "registration got")["result"] == listed[0] | {
        "updated": _step(report, "registration got")["result"]["updated"]
    }
    toast = _toast("Grüße", ' launch="mail"')[1].replace(b'"ToastText01"', b"'ToastText01'").replace(b'"1"', b"'1'")
    both = [("badge", b'<badge value="7"/>'), *_raws("raw to all", '{"text": "Ann"}')]
    assert await hub.arrived(scheduled=1) == [
        sorted([*both, ("toast", toast), *_raws("raw to the first", "raw as a test", "sent on time")]),
        sorted([*both, TILE]),
    ]


async def test_pypi_notificationhubs_rest_python(in_python: Run, in_node: Run, hub: ServedHub) -> None:
    """A client for Python that only sends, and names no type where it should: to what another has registered."""
    await anyio.to_thread.run_sync(in_node, hub, "azure_sb.js")  # leaves devices with the tag
    await hub.arrived()
    report = await anyio.to_thread.run_sync(in_python, hub, "notificationhubs_rest.py")
    wrong = _step(report, "text sent without a type")
    assert "400" in wrong["error"]
    assert [line["error"] for lines in report.values() for line in lines if line is not wrong] == [None] * 10
    assert "<Success>1</Success>" in _step(report, "test sent")["answer"]
    badge = ("badge", b'<badge value="7"/>')
    toasts = [_toast(text) for text in ("Grüße", "to a set", "to all", "on time", "as a test")]
    assert await hub.arrived() == [
        sorted([badge, TILE, _toast("Łódź", ' launch="mail"'), *toasts]),
        sorted([_toast("Tom &amp; Łucja"), _toast("to all"), _toast("to one")]),
    ]


def _raws(*texts: str) -> list[tuple[str, bytes]]:
    return [("raw", text.encode()) for text in texts]


def _without(line: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name not in names}
