"""Posts to a channel over real sockets: in pieces or whole, in their turn, and without a task where nothing has to wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import frozen

from tests.service.world import Device, World, connected, dial, open_world, read_raw
from tocsin.protocol.messages import Acknowledge, ChannelsRevoked, Payload, RevokeChannels, Suspended
from tocsin.protocol.values import MAX_PAYLOAD
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.channel_directory import ChannelDirectory, ChannelFault
from tocsin.service.registry.service_store import ChannelRow
from tocsin.service.senders.dispatch import Dispatcher
from tocsin.service.senders.wns_exchange import WnsExchange
from tocsin.service.web.answering_side import AnsweringSide
from tocsin.service.web.shared_state import MOST

DEFAULTS = {"content-type": "application/octet-stream", "x-wns-type": "wns/raw"}
TOAST = {"content-type": "text/xml", "x-wns-type": "wns/toast"}


@frozen
class Sender:
    """A sender's connection, with a device at the other end; ``tasks`` are those that requests have made."""

    world: World
    device: Device
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    tasks: list[str]

    def post(self, body: bytes, headers: dict[str, str] = DEFAULTS) -> None:
        """Send a post in one piece."""
        self.writer.write(self.request(body, headers))

    def request(self, body: bytes, headers: dict[str, str] = DEFAULTS) -> bytes:
        """Write a post."""
        target = self.world.uri.removeprefix(self.world.service.url)
        lines = [f"POST {target} HTTP/1.1", "Host: h", f"Content-Length: {len(body)}"]
        lines += [
            f"{name}: {value}" for name, value in {"Authorization": f"Bearer {self.world.token}", **headers}.items()
        ]
        return "\r\n".join((*lines, "", "")).encode() + body

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Read an answer."""
        return await read_raw(self.reader)


def watch(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the name of each task that answering a request makes."""
    tasks: list[str] = []
    start = AnsweringSide.start

    def watched(self: AnsweringSide, work: Coroutine[Any, Any, None]) -> None:
        tasks.append(repr(work))
        start(self, work)

    monkeypatch.setattr(AnsweringSide, "start", watched)
    return tasks


@asynccontextmanager
async def sending(
    state: Path, monkeypatch: pytest.MonkeyPatch, settings: ServiceSettings | None = None
) -> AsyncIterator[Sender]:
    """Run a service with a device that is there, and note the tasks that requests make."""
    async with (
        open_world(state, settings) as world,
        dial(world.service) as device,
        connected(world.service.port) as (reader, writer),
    ):
        await device.greet()
        yield Sender(world, device, reader, writer, watch(monkeypatch))


@pytest.fixture
async def sender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sender]:
    """Give a sender to a device that is there."""
    async with sending(tmp_path, monkeypatch) as sender:
        yield sender


async def test_a_post_that_comes_whole_is_answered_as_any_other(sender: Sender) -> None:
    """The answers of a post in one piece and of one in two differ in their ids only, and both are counted."""
    answers = []
    for pieces in (1, 2):
        request = sender.request(b"body", {**DEFAULTS, "x-wns-requestforstatus": "true", "ms-cv": "A" * 22 + ".0"})
        sender.writer.write(request[:-4] if pieces == 2 else request)
        if pieces == 2:
            await anyio.wait_all_tasks_blocked()
            sender.writer.write(b"body")
        assert (await sender.device.acknowledge()).body == b"body"
        answers.append(await sender.answer())
    assert sender.tasks == []
    (status, headers, text), (other_status, others, other_text) = answers
    assert (status, text) == (other_status, other_text) == (200, b"")
    own = {"x-wns-msg-id", "x-wns-debug-trace", "date"}
    assert {name: value for name, value in headers.items() if name not in own} == {
        name: value for name, value in others.items() if name not in own
    }
    assert headers.keys() == others.keys()
    assert headers["x-wns-deviceconnectionstatus"] == "connected"
    assert sender.world.service.report().counters["received"] == 2


async def test_of_a_body_that_is_too_long_the_rest_is_not_kept(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    """While its channel is looked up it is not refused yet, and a sender may have sent a MiB; then it is."""
    found, may_look = anyio.Event(), anyio.Event()
    kept: list[int] = []
    find_all, take = ChannelDirectory.find_all, WnsExchange.take

    async def wait(self: ChannelDirectory, tokens: Sequence[str]) -> list[ChannelRow | ChannelFault]:
        found.set()
        await may_look.wait()
        return await find_all(self, tokens)

    def watch(self: WnsExchange, part: bytes) -> None:
        take(self, part)
        kept.append(len(self._body))
        if len(kept) == 12:
            may_look.set()

    monkeypatch.setattr(ChannelDirectory, "known", lambda *_: None)
    monkeypatch.setattr(ChannelDirectory, "find_all", wait)
    monkeypatch.setattr(WnsExchange, "take", watch)
    head, _, body = sender.request(bytes(1_000_000)).partition(b"\r\n\r\n")
    sender.writer.write(head + b"\r\n\r\n")
    await found.wait()
    sender.writer.write(body)
    status, _, _ = await sender.answer()
    assert status == 413
    assert MAX_PAYLOAD < max(kept) <= MAX_PAYLOAD + MOST


async def test_posts_sent_ahead_are_answered_in_order(sender: Sender) -> None:
    """Each has its turn when the one before it is answered."""
    sender.writer.write(b"".join(sender.request(b"%d" % number) for number in range(3)))
    for number in range(3):
        payload = await sender.device.acknowledge()
        assert payload.body == b"%d" % number
        status, headers, _ = await sender.answer()
        assert (status, headers["x-wns-msg-id"]) == (200, payload.id)
    assert sender.tasks == []


@pytest.mark.parametrize(
    ("headers", "outcome", "waits"),
    [(DEFAULTS, "dropped", 1), (TOAST, "received", 2)],
    ids=["raw", "toast"],
)
async def test_what_the_device_left_behind_is_stored_or_dropped(
    sender: Sender, headers: dict[str, str], outcome: str, waits: int
) -> None:
    """Where the device leaves before it acknowledges, what may wait is stored, and the sender hears what became of it."""
    sender.post(b"body", headers)
    await sender.device.receive(Payload)
    await sender.device.socket.close()
    status, told, _ = await sender.answer()
    assert (status, told["x-wns-status"]) == (200, outcome)
    sender.post(b"body", headers)
    status, told, _ = await sender.answer()
    assert (status, told["x-wns-status"]) == (200, outcome)
    assert len(sender.tasks) == waits  # for the store: what was pushed and may not be stored does not


async def test_what_speaks_against_a_post_is_said(sender: Sender) -> None:
    """A wrong header, a wrong token and a device that can store nothing: each leaves the connection in step."""
    sender.post(b"body", {**DEFAULTS, "x-wns-ttl": "soon"})
    assert (await sender.answer())[0] == 400
    sender.post(b"body", {**DEFAULTS, "Authorization": "Bearer no"})
    assert (await sender.answer())[0] == 401
    await sender.device.send(Suspended(suspended=True))
    await sender.device.channel(sender.world.app.remote_id)  # whose answer shows that the service has heard it
    sender.post(b"body")
    assert (await sender.answer())[0] == 503


async def test_posts_are_throttled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has come is counted for the channel and the app."""
    settings = ServiceSettings(channel_rate=0.001, channel_burst=1, app_rate=0.001, app_burst=2)
    async with sending(tmp_path, monkeypatch, settings) as sender:
        sender.post(b"1")
        await sender.device.acknowledge()
        assert (await sender.answer())[0] == 200
        sender.post(b"2")
        status, headers, _ = await sender.answer()
        assert (status, headers["x-wns-status"]) == (406, "channelthrottled")


async def test_a_stopping_service_waits_for_posts(tmp_path: Path) -> None:
    """A post that is with the device when the service stops is answered still, and is the connection's last."""
    async with AsyncExitStack() as peers:
        async with open_world(tmp_path) as world:
            device = await peers.enter_async_context(dial(world.service))
            reader, writer = await peers.enter_async_context(connected(world.service.port))
            await device.greet()
            writer.write(Sender(world, device, reader, writer, []).request(b"body"))
            payload = await device.receive(Payload)
            await device.send(Acknowledge((payload.id,)))
        assert (await read_raw(reader))[0] == 200
        assert await reader.read() == b""


async def test_a_sender_that_leaves_takes_nothing_back(sender: Sender) -> None:
    """The payload is with the device; the service has lost nothing but its reader."""
    sender.post(b"body")
    payload = await sender.device.receive(Payload)
    sender.writer.close()
    await sender.writer.wait_closed()
    await sender.device.send(Acknowledge((payload.id,)))
    async with connected(sender.world.service.port) as (reader, writer):
        writer.write(sender.request(b"again"))
        assert (await sender.device.acknowledge()).body == b"again"
        assert (await read_raw(reader))[0] == 200


@pytest.mark.parametrize(
    ("owner", "where", "is_known"),
    [
        (WnsExchange, "__init__", True),
        (WnsExchange, "complete", True),
        (WnsExchange, "_admit", False),
        (Dispatcher, "admit_all", False),
    ],
)
async def test_a_defect_of_ours_is_answered_for(  # noqa: PLR0917  # fixtures and cases
    sender: Sender,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    owner: type,
    where: str,
    is_known: bool,
) -> None:
    """With 500, at whatever point it is; it is logged once, and the next connection is served."""

    def fail(*_: object) -> bool:
        raise RuntimeError("a defect")

    request = sender.request(b"body")
    if not is_known:
        request = request.replace(b"/w/?token=", b"/w/?token=x")
    with monkeypatch.context() as patch:
        patch.setattr(owner, where, fail)
        for _ in range(2):
            async with connected(sender.world.service.port) as (reader, writer):
                writer.write(request)
                status, headers, body = await read_raw(reader)
                assert (status, headers["connection"], body) == (500, "close", b"Internal Server Error")
                assert await reader.read() == b""
    assert caplog.text.count("RuntimeError: a defect") == 1
    sender.post(b"body")
    await sender.device.acknowledge()
    assert (await sender.answer())[0] == 200


async def test_posts_with_the_same_headers_go_on_as_the_first(sender: Sender) -> None:
    """Known headers change nothing: bodies of the same and of another length are delivered, and answered with their ids."""
    ids = set()
    for body in (b"one", b"two", b"three", b"six"):
        sender.post(body)
        payload = await sender.device.acknowledge()
        status, headers, _ = await sender.answer()
        assert (payload.body, status, headers["x-wns-msg-id"]) == (body, 200, payload.id)
        ids.add(payload.id)
    assert (len(ids), sender.tasks) == (4, [])
    assert sender.world.service.report().counters["received"] == 4


async def test_what_stands_where_a_header_is_due_is_no_post(sender: Sender) -> None:
    """A post with known headers that comes while those of another request are open is a part of that request."""
    sender.post(b"body")
    await sender.device.acknowledge()
    assert (await sender.answer())[0] == 200
    async with connected(sender.world.service.port) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nX-Open: ")
        await anyio.wait_all_tasks_blocked()
        writer.write(sender.request(b"body"))
        status, headers, _ = await read_raw(reader)
        assert (status, headers.get("x-wns-msg-id")) == (200, None)


async def test_what_says_nothing_changes_nothing(sender: Sender) -> None:
    """A header that no rule knows may be another in each request, and come in any order and number."""
    for number in range(3):
        sender.post(b"body", {"traceparent": f"00-{number:032x}-1", "x-other": "y" * number, **DEFAULTS})
        payload = await sender.device.acknowledge()
        status, headers, _ = await sender.answer()
        assert (status, headers["x-wns-msg-id"]) == (200, payload.id)
    assert sender.tasks == []


async def test_known_headers_give_no_right_that_has_ended(sender: Sender) -> None:
    """The channel and the app are looked up for each post: what was revoked or removed since is refused, as ever."""
    sender.post(b"body")
    await sender.device.acknowledge()
    assert (await sender.answer())[0] == 200
    await sender.device.send(RevokeChannels(1, "app"))
    await sender.device.receive(ChannelsRevoked)
    sender.post(b"body")
    assert (await sender.answer())[0] == 410
