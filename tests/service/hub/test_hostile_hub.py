"""What comes to a hub that none of its clients means well: refused in words, within bounds, and nothing is half done."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.service.hub.hub_world import ENTRY, RAW, WINDOWS, HubWorld, entry, open_hub
from tests.service.hub.rows import last_piece
from tests.service.world import Answer, connected, ending, exchange, read_raw
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.hub.hub_refused import HubRefused
from tocsin.protocol.hub.hub_request import read_hub_request
from tocsin.protocol.hub.rights import Right
from tocsin.service.hub import hub_sender, messages
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.sqlite_hub_store import SqliteHubStore

QUICK = 2.0
"""Seconds that no refusal takes, on whatever machine."""


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[HubWorld]:
    """Run a service with a hub, which has bodies of a second."""
    async with open_hub(tmp_path, ServiceSettings.private(body_timeout=1.0)) as hub:
        yield hub


async def refused(hub: HubWorld, method: str, path: str, body: bytes | str = b"", **headers: str) -> Answer:
    """Ask what has to be refused; see that it is, in XML, soon, and that what is kept stays as it was."""
    before = await kept(hub)
    with anyio.fail_after(QUICK):
        answer = await hub.ask(method, path, body, right=Right.MANAGE, **headers)
    assert 400 <= answer.status < 500, (answer.status, answer.text)
    found = re.fullmatch(
        "<[?]xml[^>]*><Error><Code>([0-9]+)</Code><Detail>(.+)</Detail></Error>", answer.text, re.DOTALL
    )
    assert found, answer.text
    assert int(found[1]) == answer.status
    assert len(found[2]) < 1_000
    assert await kept(hub) == before
    return answer


async def kept(hub: HubWorld) -> object:
    """Tell how much the hub keeps."""
    known = hub.world.service.hubs.named("contoso")
    assert known is not None
    return await hub.world.service.hubs.counts(known)


def described(more: str) -> str:
    """Write an entry with something in its description."""
    return entry("https://127.0.0.1/w/?token=x", more=more)


DOCTYPE = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
BOMBS = {
    "entities": entry("https://x/?token=x")
    .replace("<entry", f"{DOCTYPE}<entry", 1)
    .replace("</content>", "&b;</content>"),
    "an outer entity": entry("https://x/?token=x").replace(
        "<entry", '<!DOCTYPE x SYSTEM "file:///etc/passwd"><entry', 1
    ),
    "an entity that is not there": described("&lol;"),
    "deep": described("<a>" * 5_000 + "</a>" * 5_000),
    "many elements": described("<a/>" * 9_000),
    "many attributes": described("<a " + " ".join(f'a{number}=""' for number in range(4_000)) + "/>"),
    "an attribute of two megabytes": described(f'<a b="{"x" * 2_000_000}"/>'),
    "a name without end": described(f"<SecondaryTileName>{'x' * 60_000}</SecondaryTileName>"),
    "never closed": "<entry>" * 9_000,
    "no XML": "x" * 65_000,
    "nothing": "",
    "half a character": b"<entry>\xff\xfe</entry>",
    "another encoding": '<?xml version="1.0" encoding="utf-7"?><entry/>'.encode("utf-16"),
    "a control character": described("<Tags>a\x00b</Tags>"),
    "two channels": described("<ChannelUri>https://x/?token=y</ChannelUri>"),
    "a tag that is none": entry("https://x/?token=x", "a b"),
    "many tags": entry("https://x/?token=x", *(f"t{number}" for number in range(61))),
    "a tag of the hub's own": entry("https://x/?token=x", "$InstallationId:{other}"),
    "a channel of no service": entry("https://evil.example/"),
    "a channel with two tokens": entry("https://127.0.0.1/w/?token=a&token=b"),
    "a channel that is no URI": entry("javascript:alert(1)//?token=x"),
    "another platform": entry("https://x/?token=x", kind="AppleRegistrationDescription"),
}


@pytest.mark.parametrize("body", BOMBS.values(), ids=list(BOMBS))
async def test_no_entry_blows_up(hub: HubWorld, body: str | bytes) -> None:
    """Posted or put."""
    id_ = last_piece((await hub.ask("POST", "registrationids")).headers["Location"])
    for method, path in (("POST", "registrations"), ("PUT", f"registrations/{id_}")):
        await refused(hub, method, path, body, **ENTRY)


URI = "https://127.0.0.1/w/?token=x"
DOCUMENT = {"platform": "wns", "pushChannel": URI}
INSTALLATIONS: dict[str, str | bytes] = {
    "deep": "[" * 60_000,
    "deep in a member": json.dumps(DOCUMENT)[:-1] + ',"x":' + "[" * 30_000,
    "a list": "[]",
    "a long number": json.dumps(DOCUMENT)[:-1] + ',"x":' + "9" * 9_000 + "}",
    "no number": json.dumps(DOCUMENT)[:-1] + ',"x":NaN}',
    "a name twice": json.dumps(DOCUMENT)[:-1] + ',"platform":"wns"}',
    "a name twice in another case": json.dumps(DOCUMENT)[:-1] + ',"Platform":"wns"}',
    "half a character": json.dumps(DOCUMENT)[:-1] + ',"userId":"\\ud800"}',
    "no UTF-8": b'{"platform":"\xff"}',
    "nothing": "",
    "many templates": json.dumps(DOCUMENT | {"templates": {str(number): {} for number in range(61)}}),
    "a template that cannot be read": json.dumps(
        DOCUMENT | {"templates": {"t": {"body": "<toast>$(", "headers": {"X-WNS-Type": "wns/toast"}}}}
    ),
    "a header that has lines": json.dumps(
        DOCUMENT | {"templates": {"t": {"body": "<toast/>", "headers": {"X-WNS-Type": "wns/toast\r\nX: y"}}}}
    ),
    "a user with a brace": json.dumps(DOCUMENT | {"userId": "a}||b"}),
    "a date that is none": json.dumps(DOCUMENT | {"expirationTime": "2027-02-30T00:00:00Z"}),
    "a channel of no service": json.dumps(DOCUMENT | {"pushChannel": "https://evil.example/"}),
    "too long": json.dumps(DOCUMENT | {"x": "y" * 70_000}),
}


@pytest.mark.parametrize("body", INSTALLATIONS.values(), ids=list(INSTALLATIONS))
async def test_no_document_blows_up(hub: HubWorld, body: str | bytes) -> None:
    """Nothing of an installation is kept."""
    await refused(hub, "PUT", "installations/i", body)
    assert (await hub.ask("GET", "installations/i")).status == 404


PATCHES = [
    [{"op": "replace", "path": "/installationId", "value": "other"}],
    [{"op": "replace", "path": "/pushChannelExpired", "value": False}],
    [{"op": "add", "path": "/../tags", "value": "x"}],
    [{"op": "add", "path": "/tags/-/x", "value": "x"}],
    [{"op": "add", "path": "/__proto__/x", "value": "x"}],
    [{"op": "add", "path": "", "value": {}}],
    [{"op": "add", "path": "tags", "value": "x"}],
    [{"op": "add", "path": "/~2", "value": "x"}],
    [{"op": "add", "path": "/" + "a/" * 900, "value": "x"}],
    [{"op": "remove", "path": "/templates/none"}],
    [{"op": "remove", "path": "/pushChannel"}],
    [{"op": "test", "path": "/tags", "value": "x"}],
    [{"op": "move", "from": "/tags", "path": "/userId"}],
    [{"op": "replace", "path": "/pushChannel", "value": "https://evil.example/"}],
    [{"op": "replace", "path": "/tags", "value": "[" * 10_000}],
    [{"op": "add", "path": "/tags", "value": "x"}] * 101,
    [{"op": "add", "path": "/tags", "value": [f"t{number}" for number in range(61)]}],
    {"op": "add", "path": "/tags", "value": "x"},
    [[]],
    [],
]


@pytest.mark.parametrize("patch", PATCHES, ids=range(len(PATCHES)))
async def test_no_patch_leads_out_of_its_document(hub: HubWorld, patch: object) -> None:
    """Nor is what stands before the fault done."""
    assert (await hub.ask("PUT", "installations/i", json.dumps(DOCUMENT))).status == 200
    before = (await hub.ask("GET", "installations/i")).text
    good: list[object] = [{"op": "add", "path": "/userId", "value": "ann"}]
    for body in (patch, good + patch if isinstance(patch, list) and patch else patch):
        await refused(hub, "PATCH", "installations/i", json.dumps(body))
    answer = await hub.ask("GET", "installations/i")
    assert (answer.text, answer.headers["ETag"]) == (before, 'W/"1"')


EXPRESSIONS = {
    "brackets": "(" * 60_000,
    "brackets around a tag": "(" * 20_000 + "a" + ")" * 20_000,
    "nots": "!" * 60_000 + "a",
    "tags": " || ".join(f"t{number}" for number in range(8_000)),
    "a long tag": "a" * 60_000,
    "a brace that is open": "$UserId:{" + "a" * 60_000,
    "half an operator": "a & b",
    "words": "a AND b",
    "letters that are none": "\u00a0\u00ad",
}


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=list(EXPRESSIONS))
async def test_no_tag_expression_blows_up(hub: HubWorld, expression: str) -> None:
    """It is refused by the hub, or by the web server where the header is too long for it."""
    head = f"POST /contoso/messages HTTP/1.1\r\nHost: x\r\nAuthorization: {hub.signature()}\r\nContent-Length: 1\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in RAW.items())
    request = f"{head}ServiceBusNotification-Tags: {expression}\r\n\r\nx".encode()
    before = await kept(hub)
    with anyio.fail_after(QUICK):
        async with connected(hub.world.service.port) as (reader, writer):
            writer.write(request)
            status, _, body = await read_raw(reader)
    assert status in {400, 431}, body
    assert len(body) < 1_000
    assert await kept(hub) == before


async def test_a_batch_of_a_million_devices_is_refused(hub: HubWorld) -> None:
    """By its length, or by the number of its channels; none of them gets anything."""
    for uris in (
        "[" + ",".join(['"x"'] * 250_000) + "]",
        json.dumps([URI] * 1_000_000),
        json.dumps([f"{URI}{n}" for n in range(1_001)]),
    ):
        body = (
            "--b\r\nContent-Disposition: inline; name=notification\r\n\r\nx\r\n--b\r\n"
            f"Content-Disposition: inline; name=devices\r\n\r\n{uris}\r\n--b--"
        )
        answer = await refused(
            hub, "POST", "messages/$batch?direct", body, **RAW | {"Content-Type": "multipart/mixed; boundary=b"}
        )
        assert answer.status == 413


SENT: dict[str, tuple[str, bytes, dict[str, str]]] = {
    "a type that is none": ("messages", b"x", WINDOWS | {"X-WNS-Type": "wns/nothing"}),
    "a toast that is none": ("messages", b"x", WINDOWS | {"X-WNS-Type": "wns/toast", "X-WNS-Tag": "x" * 99}),
    "a time to live that is none": ("messages", b"x", RAW | {"X-WNS-TTL": "soon"}),
    "a document type": ("messages", f"{DOCTYPE}<toast>&b;</toast>".encode(), WINDOWS),
    "a template message of half a character": (
        "messages",
        b'{"a":"\\ud800"}',
        {"ServiceBusNotification-Format": "template"},
    ),
    "a template message that is deep": (
        "messages",
        b'{"a":' + b"[" * 60_000,
        {"ServiceBusNotification-Format": "template"},
    ),
    "a template message of lists": ("messages", b'{"a":[]}', {"ServiceBusNotification-Format": "template"}),
    "a template message to one channel": (
        "messages?direct",
        b"{}",
        {"ServiceBusNotification-Format": "template", "ServiceBusNotification-DeviceHandle": URI},
    ),
    "a channel of no service": (
        "messages?direct",
        b"x",
        RAW | {"ServiceBusNotification-DeviceHandle": "https://evil.example/"},
    ),
    "a channel that is none": ("messages?direct", b"x", RAW | {"ServiceBusNotification-DeviceHandle": "x" * 9_000}),
    "a flag that is none": ("messages?direct=maybe", b"x", RAW),
    "later, in the last year": (
        "schedulednotifications",
        b"x",
        RAW | {"ServiceBusNotification-ScheduleTime": "9999-12-31T00:00:00"},
    ),
    "later, long ago": (
        "schedulednotifications",
        b"x",
        RAW | {"ServiceBusNotification-ScheduleTime": "2026-01-15T08:00:00"},
    ),
    "later, too late": (
        "schedulednotifications",
        b"x",
        RAW | {"ServiceBusNotification-ScheduleTime": "2027-01-22T08:00:01"},
    ),
}


@pytest.mark.parametrize(("path", "body", "headers"), SENT.values(), ids=list(SENT))
async def test_what_cannot_be_sent_is_not_accepted(
    hub: HubWorld, path: str, body: bytes, headers: dict[str, str]
) -> None:
    """Its sender is told at once."""
    await refused(hub, "POST", path, body, **headers)


ODD_IDS = [
    "..",
    "%2e%2e",
    "%2F",
    "a%2Fb",
    "%00",
    "%0d%0aX:y",
    "%ff",
    "'",
    "%22",
    "<x>",
    "%F0%9F%98%80",
    "x" * 256,
    "x" * 257,
    "x" * 9_000,
    "%",
    "%zz",
    "a;b",
]


@pytest.mark.parametrize("id_", ODD_IDS, ids=range(len(ODD_IDS)))
async def test_an_id_may_be_anything(hub: HubWorld, id_: str) -> None:
    """It is found, not found or refused, and in none of the headers."""
    for method, path in (
        ("GET", "registrations"),
        ("PUT", "registrations"),
        ("DELETE", "registrations"),
        ("GET", "messages"),
        ("DELETE", "schedulednotifications"),
        ("GET", "installations"),
    ):
        answer = await refused(hub, method, f"{path}/{id_}", entry(URI) if method == "PUT" else "")
        assert answer.status in {400, 404, 410}
    put = await hub.ask("PUT", f"installations/{id_}", json.dumps(DOCUMENT))
    got = await hub.ask("GET", f"installations/{id_}")
    assert (put.status, got.status) in {(200, 200), (400, 400), (400, 404), (404, 404)}, (put.text, got.text)
    assert "y" not in {put.headers.get("X"), got.headers.get("X")}


@pytest.mark.parametrize("token", ["-1", "x", "9" * 19, "1" * 5_000, "%00", "1%27%20OR%201=1", "%D9%A1", "0x10", "1.5"])
async def test_a_continuation_token_may_be_anything(hub: HubWorld, token: str) -> None:
    """What is none of ours is refused."""
    answer = await refused(hub, "GET", f"registrations?continuationtoken={token}")
    assert "x-ms-continuationtoken" in answer.text


QUERIES = [
    "$top=0",
    "$top=-1",
    "$top=x",
    "$top=1e3",
    "$top=",
    "$skip=1",
    "$filter=x",
    "$filter=Tags%20eq%20'a'",
    "$filter=ChannelUri%20eq%20'x'",
    "%ff",
    "&".join(["a=b"] * 99),
]


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
async def test_a_query_that_is_none_is_refused(hub: HubWorld, query: str) -> None:
    """Rather than answered with another list than was asked for."""
    await refused(hub, "GET", f"registrations?{query}")


def request(hub: HubWorld, line: str, *more: str, body: bytes = b"") -> bytes:
    """Write a request by hand."""
    lines = [f"{line} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: {hub.signature()}", *more]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


PATHS = {
    "/contoso%2Fmessages/x": 404,
    "/contoso/%6Dessages/x": 404,
    "//contoso/messages/x": 404,
    "/contoso//messages//x": 404,
    "/./contoso/messages/x": 404,
    "/contoso/../contoso/messages/x": 404,
    "/contoso/messages/x/../../registrations": 404,
    "/contoso/messages/%c0%af": 400,
    "/contoso/\xff/x": 400,
    "/%63ontoso/messages/x": 404,
    "/contoso": 501,
    "/contoso/": 501,
    "/contoso/messages/x#/../..": 404,
}


@pytest.mark.parametrize(("path", "status"), PATHS.items(), ids=list(PATHS))
async def test_a_path_leads_to_what_it_says_only(hub: HubWorld, path: str, status: int) -> None:
    """Whatever is escaped in it, or doubled."""
    assert (await hub.register(hub.world.uri)).status == 200
    ((answered, _, body),) = await exchange(hub.world.service, request(hub, f"GET {path}"))
    assert answered in {status, 400}, body
    assert b"<entry" not in body


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PROPFIND", "PATCH", "get"])
async def test_a_method_that_is_not_taken_is_told_which_are(hub: HubWorld, method: str) -> None:
    """With ``Allow``; an answer to HEAD has no body, so that the next one is read where it begins."""
    for path, allowed in (("registrations", "GET, POST"), ("tags/a/registrations", "GET"), ("messages/$batch", "POST")):
        async with connected(hub.world.service.port) as (reader, writer):
            writer.write(request(hub, f"{method} /contoso/{path}"))
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 400 " in head.split(b"\r\n")[0]:  # no method of HTTP
                continue
            assert head.startswith(b"HTTP/1.1 405 ")
            assert f"\r\nallow: {allowed}\r\n".encode() in head.lower().replace(
                allowed.lower().encode(), allowed.encode()
            )
            if method == "HEAD":
                writer.write(request(hub, "GET /contoso/messages/x", "Connection: close"))
                assert (await ending(reader)).startswith(b"HTTP/1.1 404 ")


async def test_a_body_may_come_in_chunks(hub: HubWorld) -> None:
    """Without a length; too many of them are refused when they are too many, and a new request is read where it begins."""
    body = entry(hub.world.uri).encode()
    chunked = (
        b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in (body[:7], body[7:])) + b"0\r\n\r\n"
    )
    post = request(hub, "POST /contoso/registrations", "Transfer-Encoding: chunked", body=chunked)
    answers = await exchange(hub.world.service, post, request(hub, "GET /contoso/registrations"))
    assert [status for status, _, _ in answers] == [200, 200]
    assert answers[1][2].count(b"<entry") == 1
    async with connected(hub.world.service.port) as (reader, writer):
        writer.write(request(hub, "POST /contoso/registrations", "Transfer-Encoding: chunked"))
        writer.writelines([b"4000\r\n" + b"x" * 0x4000 + b"\r\n"] * 5)
        status, headers, told = await read_raw(reader)
    assert (status, headers["connection"]) == (413, "close")
    assert b"65536 bytes at most" in told


async def test_a_body_that_does_not_come_is_not_waited_for(hub: HubWorld) -> None:
    """408 after a while, and nothing is kept of what came; a length that is too much is refused before it is read."""
    before = await kept(hub)
    async with connected(hub.world.service.port) as (reader, writer):
        writer.write(request(hub, "POST /contoso/registrations", "Content-Length: 900", body=entry(URI).encode()[:400]))
        status, headers, body = await read_raw(reader)
        assert (status, headers["connection"]) == (408, "close")
        assert b"<Code>408</Code>" in body
    async with connected(hub.world.service.port) as (_, writer):
        writer.write(request(hub, "POST /contoso/registrations", "Content-Length: 900", body=entry(URI).encode()[:400]))
        writer.write_eof()
    async with connected(hub.world.service.port) as (reader, writer):
        writer.write(request(hub, "POST /contoso/registrations", "Content-Length: 99999999", body=b"x" * 70_000))
        assert (await read_raw(reader))[0] == 413
    assert await kept(hub) == before


async def test_what_is_refused_before_its_body_is_read_does_not_stop_the_connection(hub: HubWorld) -> None:
    """The next request on it is answered."""
    wrong = request(hub, "POST /contoso/messages", "Content-Length: 60000", body=b"x" * 60_000).replace(
        b"skn=", b"skn=x"
    )
    answers = await exchange(hub.world.service, wrong, request(hub, "GET /contoso/messages/x"))
    assert [status for status, _, _ in answers] == [401, 404]


async def test_headers_cannot_be_smuggled(hub: HubWorld) -> None:
    """Neither in what goes through, nor by what is given back: ids, tags, tracking ids."""
    for line in ("X-WNS-Tag: a\rX-Evil: b", "X-WNS-Group: a\x00b", "X-WNS-Tag: a\n X-Evil: b"):
        post = request(
            hub,
            "POST /contoso/messages",
            "ServiceBusNotification-Format: windows",
            "X-WNS-Type: wns/raw",
            line,
            "Content-Length: 1",
            body=b"x",
        )
        async with connected(hub.world.service.port) as (reader, writer):
            writer.write(post)
            assert (await read_raw(reader))[0] == 400
    odd = {"TrackingId": "a b\tc\xff", "Host": "evil.example:7"}
    answer = await hub.ask("POST", "registrationids", right=Right.MANAGE, **odd)
    assert re.fullmatch("[0-9a-f-]{36}", answer.headers["TrackingId"])
    assert answer.status == 401 or "evil" not in answer.headers["Location"]
    long = await hub.ask("GET", "messages/x", right=Right.MANAGE, TrackingId="x" * 129)
    assert len(long.headers["TrackingId"]) == 36


async def test_repeated_headers_do_not_choose(hub: HubWorld) -> None:
    """Two expressions, types or signatures are none."""
    for line in ("ServiceBusNotification-Tags: a", "X-WNS-Type: wns/raw", "ServiceBusNotification-Format: windows"):
        lines = [
            "ServiceBusNotification-Format: windows",
            "X-WNS-Type: wns/raw",
            "ServiceBusNotification-Tags: b",
            line,
        ]
        post = request(hub, "POST /contoso/messages", *lines, "Content-Length: 1", body=b"x")
        ((status, _, _),) = await exchange(hub.world.service, post)
        assert status == 400, line
    twice = request(hub, "GET /contoso/registrations", f"Authorization: {hub.signature()}")
    ((status, _, _),) = await exchange(hub.world.service, twice)
    assert status == 401


async def test_tags_beyond_ascii_are_found_however_they_are_encoded(hub: HubWorld) -> None:
    """A header is ISO 8859-1 to some clients, UTF-8 to others; the entry of a registration says which it is."""
    assert (await hub.register(hub.world.uri, "m\u00fcnchen")).status == 200
    for tag in (b"m\xfcnchen", b"m\xc3\xbcnchen"):
        lines = request(
            hub,
            "POST /contoso/messages?test",
            *(f"{name}: {value}" for name, value in RAW.items()),
            "Content-Length: 1",
        )
        post = lines[:-2] + b"ServiceBusNotification-Tags: " + tag + b"\r\n\r\nx"
        ((status, _, body),) = await exchange(hub.world.service, post)
        assert (status, body.count(b"<RegistrationResult>")) == (201, 1)


async def test_a_time_that_has_just_passed_is_now(hub: HubWorld) -> None:
    """A client cuts off the fraction of a second, and its clock may be behind."""
    for time, status in (("2027-01-15T07:59:59", 201), ("2027-01-15T07:58:01", 201), ("2027-01-15T07:57:59", 400)):
        headers = RAW | {"ServiceBusNotification-ScheduleTime": time}
        assert (await hub.ask("POST", "schedulednotifications", b"x", right=Right.SEND, **headers)).status == status


async def test_a_hub_that_goes_while_a_body_comes_takes_nothing(hub: HubWorld) -> None:
    """The client is told that there is none."""
    body = entry(URI).encode()
    async with connected(hub.world.service.port) as (reader, writer):
        head = request(hub, "POST /contoso/registrations", f"Content-Length: {len(body)}", "Expect: 100-continue")
        writer.write(head)
        assert b"100 Continue" in await reader.readuntil(b"\r\n\r\n")
        await hub.world.service.hubs.remove("contoso")
        writer.write(body)
        assert (await read_raw(reader))[0] == 404


async def test_a_test_that_was_sent_is_answered_though_it_cannot_be_kept(
    hub: HubWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never 5xx for what has been sent: clients would send it again."""

    async def fail(*_: object) -> None:
        raise StateUnavailable("the disk is full")

    await hub.register(hub.world.uri, "a")
    monkeypatch.setattr(SqliteHubStore, "add_message", fail)
    answer = await hub.ask("POST", "messages?test", b"x", right=Right.SEND, **RAW)
    assert (answer.status, "<RegistrationResult>" in answer.text) == (201, True)
    later = await hub.send(b"x", "a")
    assert (later.status, int(later.headers["Retry-After"]) >= 1) == (503, True)


async def test_what_waits_is_bounded(hub: HubWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many messages are scheduled, and no more; where too many wait to be sent, the client is told when to come again."""
    monkeypatch.setattr(messages, "MAX_SCHEDULED", 1)
    at = RAW | {"ServiceBusNotification-ScheduleTime": "2027-01-15T09:00:00"}
    first = await hub.ask("POST", "schedulednotifications", b"x", right=Right.SEND, **at)
    assert (await refused(hub, "POST", "schedulednotifications", b"x", **at)).status == 403
    assert (await hub.ask("DELETE", f"schedulednotifications/{last_piece(first.headers['Location'])}")).status == 200
    assert (await hub.ask("POST", "schedulednotifications", b"x", right=Right.SEND, **at)).status == 201
    monkeypatch.setattr(hub_sender, "MAX_WAITING", -1)
    full = await refused(hub, "POST", "messages", b"x", **RAW)
    assert (full.status, int(full.headers["Retry-After"]) >= 1) == (429, True)


async def test_no_key_and_no_channel_is_told(hub: HubWorld, caplog: pytest.LogCaptureFixture) -> None:
    """Neither by an answer to one that has not sent it, nor by a log, also where a request is refused or fails."""
    caplog.set_level(logging.DEBUG)
    uri = hub.world.uri
    token = uri.rpartition("=")[2]
    await hub.register(uri, "a")
    asked = [
        ("GET", f"registrations?$filter=ChannelUri%20eq%20'{quote(uri, safe='')}'%20x", b""),
        ("POST", "registrations", entry(uri, "a b").encode()),
        ("POST", "registrations", entry(uri, more=f"<ChannelUri>{uri}</ChannelUri>").encode()),
        ("PUT", "installations/i", json.dumps({"platform": "wns", "pushChannel": f"{uri} x"}).encode()),
        ("PUT", "installations/i", json.dumps({"platform": "apns", "pushChannel": uri}).encode()),
        ("POST", "messages", b"x"),
    ]
    texts = [(await refused(hub, method, path, body)).text for method, path, body in asked]
    handle = RAW | {"ServiceBusNotification-DeviceHandle": f"{uri}&token=x"}
    texts.append((await refused(hub, "POST", "messages?direct", b"x", **handle)).text)
    told = await hub.send(b"x", "a")
    texts += [told.text, (await hub.ask("GET", f"messages/{last_piece(told.headers['Location'])}")).text]
    for text in (*texts, caplog.text):
        assert token not in text
        assert not [key for key in hub.keys.keys.values() if key in text]


async def test_channels_are_posted_to_as_before(hub: HubWorld) -> None:
    """Hubs change nothing of the way of other senders, by the express lane or not."""
    world = hub.world
    async with world.http.get(world.service.url + "/w/") as got:
        assert got.status in {404, 405}
    for headers in ({}, {"X-Other": "makes it no express"}):
        answer = await world.post(b"x", headers)
        assert (answer.status, answer.headers["X-WNS-Status"]) == (200, "dropped")
    assert (await world.post(b"x", {"Authorization": "Bearer none"})).status == 401
    assert (await hub.request("POST", "/w/messages?token=x", b"x", {})).headers.get("TrackingId") is None
    assert "access_token" in await world.ask_token()
    assert world.service.report().counters["dropped"] == 2


@given(
    st.text(max_size=40),
    st.text(max_size=60),
    st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "X"]),
    st.text(max_size=20),
)
def test_whatever_is_asked_is_read_or_refused(path: str, query: str, method: str, token: str) -> None:
    """Nothing else is raised by what stands in a request's line."""
    for asked in (path, f"/contoso/registrations/{path}", f"/contoso/{path}/x", f"/contoso/tags/{path}/registrations"):
        try:
            read = read_hub_request(method, asked, query, token)
        except HubRefused as wrong:
            assert wrong.detail.endswith((".", "..."))  # noqa: PT017
        else:
            assert read.hub
