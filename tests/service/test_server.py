"""The push service as a whole."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import anyio
import pytest
from aiohttp import ClientError, ClientSession
from anyio.lowlevel import checkpoint
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.frames import CloseCode

from tests.service.world import KEY, dial, on_disk, open_world
from tocsin.protocol.errors import PlatformUnavailable, StateUnavailable
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.sqlite_hub_store import SqliteHubStore
from tocsin.service.server import open_service


async def test_the_service_says_where_it_is(tmp_path: Path) -> None:
    """All URLs are those of the port that it listens on."""
    async with open_service(tmp_path) as service:
        base = f"127.0.0.1:{service.port}"
        assert service.url == f"http://{base}"
        assert service.device_url == f"ws://{base}/device"
        assert service.token_url == f"http://{base}/accesstoken.srf"
        assert service.aad_token_url == f"http://{base}/common/oauth2/v2.0/token"
        assert service.port_changed_from is None


async def test_a_proxy_may_stand_before_the_service(tmp_path: Path) -> None:
    """With a public URL, devices and senders are sent there."""
    settings = ServiceSettings(public_url="https://push.example.org/")
    async with open_service(tmp_path, settings) as service:
        assert service.url == "https://push.example.org"
        assert service.device_url == "wss://push.example.org/device"


async def test_everything_outlives_a_restart(tmp_path: Path) -> None:
    """Port, ids, tokens and channels are the same after it: a sender need not notice."""
    async with open_world(tmp_path) as before:
        pass
    async with open_service(tmp_path, now=before.clock) as service, ClientSession() as http:
        assert service.port == before.service.port
        assert service.port_changed_from is None
        assert (await service.register("contoso")).remote_id == before.app.remote_id
        before.http = http
        assert (await before.post()).status == 200


async def test_nothing_is_answered_before_all_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that fails at the last moment of a start ends a service that has told no balancer that it is ready."""
    reads, answered = anyio.Event(), anyio.Event()

    async def fail(_: object) -> int:
        reads.set()
        with anyio.move_on_after(0.2):  # a request that was there before is answered at once, if at all
            await answered.wait()
        raise StateUnavailable("the store cannot be read")

    async with open_service(tmp_path) as service:
        port = service.port
    monkeypatch.setattr(SqliteHubStore, "last_number", fail)

    async def ask() -> None:
        await reads.wait()
        with suppress(ClientError):  # it hangs up
            async with ClientSession() as http, http.get(f"http://127.0.0.1:{port}/readyz"):
                answered.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        with pytest.raises(StateUnavailable, match="the store cannot be read"):
            async with open_service(tmp_path):
                pass
        tasks.cancel_scope.cancel()
    assert reads.is_set()
    assert not answered.is_set()


async def test_a_lost_port_is_told(tmp_path: Path) -> None:
    """Where another program has the port of the last time, the service takes another, says so, and remembers that one."""
    async with open_service(tmp_path) as service:
        port = service.port
    with socket.create_server(("127.0.0.1", port)):
        async with open_service(tmp_path) as service:
            assert service.port != port
            assert service.port_changed_from == port
            other = service.port
    async with open_service(tmp_path) as service:
        assert service.port == other
        assert service.port_changed_from is None


async def test_a_chosen_port_is_not_replaced(tmp_path: Path) -> None:
    """Where another program has the port that the operator chose, the service does not start, and says why."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PlatformUnavailable, match=f"port {port} on 127.0.0.1 is in use by another program"):
            async with open_service(tmp_path, ServiceSettings(port=port)):
                pass


async def test_a_corrupt_store_is_told(tmp_path: Path) -> None:
    """The service does not start on it, and says why."""
    (tmp_path / "service.db").write_bytes(b"x" * 8192)
    with pytest.raises(StateUnavailable, match="corrupt"):
        async with open_service(tmp_path):
            pass


async def test_an_error_in_the_callers_block_comes_out_as_itself(tmp_path: Path) -> None:
    """The service's task group wraps no error of the block, not even an exception group."""
    with pytest.raises(LookupError, match="mine"):
        async with open_service(tmp_path):
            raise LookupError("mine")
    mine = ExceptionGroup("mine", [LookupError()])
    with pytest.raises(ExceptionGroup) as raised:
        async with open_service(tmp_path):
            raise mine
    assert raised.value is mine


async def test_leaving_takes_less_than_a_second(tmp_path: Path) -> None:
    """Neither devices nor senders that are connected hold it up."""
    async with AsyncExitStack() as others, open_world(tmp_path) as world:
        http = await others.enter_async_context(ClientSession())
        await (await http.get(world.service.url)).text()
        device = await others.enter_async_context(dial(world.service))
        await device.greet()
        before = anyio.current_time()
    assert anyio.current_time() - before < 1


async def test_a_cancelled_service_closes_in_order(tmp_path: Path) -> None:
    """Cancellation from outside closes devices as going away, and frees the port."""
    devices, ports = [], []
    async with AsyncExitStack() as others:
        with anyio.CancelScope() as scope:
            async with open_service(tmp_path) as service:
                ports.append(service.port)
                devices.append(await others.enter_async_context(dial(service)))
                await devices[0].greet()
                scope.cancel()
                await anyio.sleep_forever()
        assert await devices[0].closed() == (CloseCode.GOING_AWAY, "the service is stopping")
    async with open_service(tmp_path) as service:
        assert [service.port] == ports


async def test_a_service_that_is_cancelled_while_it_opens_leaves_nothing(tmp_path: Path) -> None:
    """At whatever point the cancellation comes, the port is free and the store whole."""
    for steps in (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024):
        async with anyio.create_task_group() as group:
            group.start_soon(_cancel_after, steps, group.cancel_scope)
            async with open_service(tmp_path):
                await anyio.sleep_forever()
    async with open_service(tmp_path) as service:
        assert service.port_changed_from is None


async def _cancel_after(steps: int, scope: anyio.CancelScope) -> None:
    for _ in range(steps):
        await checkpoint()
    scope.cancel()


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/nowhere", 404, "Nothing is here"),
        ("/favicon.ico", 404, "Nothing is here"),
        ("/device", 426, "Devices connect here"),
    ],
)
async def test_what_is_not_served_is_said_in_words(tmp_path: Path, path: str, status: int, words: str) -> None:
    """A request that is not served is answered with a sentence that says what this is, or what connects here."""
    async with open_service(tmp_path) as service, ClientSession() as http, http.get(service.url + path) as response:
        assert response.status == status
        assert (await response.text()).startswith(words)


async def test_a_websocket_elsewhere_is_refused(tmp_path: Path) -> None:
    """Devices connect to one path; elsewhere the offer is passed over, and the request answered as any other."""
    async with open_service(tmp_path) as service:
        with pytest.raises(InvalidStatus) as refused:
            await connect(service.device_url.replace("/device", "/w/?token=secret"))
        assert refused.value.response.status_code == 405


async def test_secrets_are_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With everything of ours logged, no secret of a whole conversation is among it."""
    for name in ("tocsin", "asyncio"):
        caplog.set_level(1, name)
    async with open_world(tmp_path) as world:
        async with dial(world.service) as device:
            await device.greet()
            await device.socket.send(b"\x00")
            await device.closed()
        await world.post()
        uri = world.uri.replace("http", "ws")
        with pytest.raises(InvalidStatus):
            await connect(uri)
    token = world.uri.partition("token=")[2]
    told = "".join(record.getMessage() for record in caplog.records if record.name.startswith("tocsin"))
    assert "closed with 1002" in told
    for secret in (KEY, token, world.token, world.app.client_secret):
        assert secret not in told
        assert secret.encode() not in on_disk(tmp_path)


def test_importing_the_package_does_not_import_the_service() -> None:
    """An app that embeds no service needs no web server."""
    program = (
        "import sys, tocsin; print([n for n in sys.modules if n.startswith(('httptools', 'starlette', 'tocsin.serv'))])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603 - ours
    assert result.stdout.strip() == "[]"
