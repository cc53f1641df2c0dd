"""The agent's connection: when it comes back, with which token, and what its app hears of that."""

from __future__ import annotations

import logging
from datetime import timedelta
from math import inf
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio.testing
from attrs import evolve

from tests.calling.playing import ANN, BOB, CALL, RINGS, TEAMS, PlayedService, agent_of, client_of, connected, token
from tests.calling.test_incoming import accepted, ring
from tocsin.calling import CallAgentOptions, CallState, CallTokenCredential, ConnectionState, DisconnectedReason
from tocsin.calling.call_token_credential import REFRESH_TIMEOUT
from tocsin.calling.device_id import DeviceId
from tocsin.protocol.errors import InvalidArgument, PlatformUnavailable
from tocsin.protocol.messages.calling import (
    CALLING_VERSION,
    CallDone,
    CallHello,
    CallRefused,
    CallWelcome,
    RenewCallToken,
)

UP, DOWN, TRYING = ConnectionState.CONNECTED, ConnectionState.DISCONNECTED, ConnectionState.CONNECTING
ISSUE, NO_TOKEN = DisconnectedReason.CONNECTION_ISSUE, DisconnectedReason.INVALID_TOKEN
NONE = DisconnectedReason.NONE


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class Refresher:
    """What an app gets tokens with: each time the next, or an error."""

    def __init__(self, *results: str | Exception) -> None:
        self.results = list(results)
        self.asked: list[float] = []

    async def __call__(self) -> str:
        """Return a token."""
        self.asked.append(anyio.current_time())
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        if isinstance(result, Exception):
            raise result
        return result


async def test_an_agent_says_who_it_is(tmp_path: Path) -> None:
    """The token, the device's id, its name, and whether it is rung by pushes only."""
    service = PlayedService()
    given = token()
    async with client_of(service, tmp_path) as client, anyio.create_task_group() as tasks:
        options = CallAgentOptions("Bob", disable_internal_push_for_incoming_call=True)
        tasks.start_soon(client.create_call_agent, CallTokenCredential(given), options)
        hello = await service.accept(patience=float("inf"))
    device = DeviceId(tmp_path, "contoso.phone").read_or_make()
    assert hello == CallHello(CALLING_VERSION, given, device, "Bob", quiet=True, open_calls=())


async def test_without_a_service_there_is_an_agent_that_keeps_trying(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It says why; the waits grow to ten seconds, and the log says each cause once."""
    service = PlayedService()
    service.reachable = False
    states: list[tuple[ConnectionState, DisconnectedReason]] = []
    async with client_of(service, tmp_path) as client:
        agent = await client.create_call_agent(CallTokenCredential(token()))
        assert (agent.connection_state, agent.connection_reason) == (DOWN, ISSUE)
        assert "the service is away" in agent.connection_trouble
        agent.connection_state_changed.add(lambda args: states.append((args.state, args.reason)))
        await anyio.sleep(600)
        assert 60 <= service.dials <= 90
        assert [record.levelno for record in caplog.records if record.levelno >= logging.WARNING] == [logging.WARNING]
        service.reachable = True
        await service.accept()
        await anyio.sleep(0.1)
        assert states[-1] == (UP, NONE)
        assert not agent.connection_trouble
        await anyio.sleep(60)
    assert states[-1] == (DOWN, DisconnectedReason.DISPOSED)
    assert "again, and it lasts" in caplog.text


async def test_a_lost_connection_comes_back_with_what_is_open(tmp_path: Path) -> None:
    """The service is told of the calls that ring here and those that go on."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        call = await accepted(service, await ring(service, agent))
        other = await ring(service, agent, "00000000-0000-0000-0000-000000000002")
        await service.cut()
        hello = await service.accept()
        assert set(hello.open_calls) == {call.id, other.id}
        assert call.state is CallState.CONNECTED
        assert other.is_ringing


@pytest.mark.parametrize(
    "nonsense", [b"\xc1", b"", b"\x92\x01\x02", b"\x91\xcc\x8c"], ids=["no msgpack", "empty", "other", "cut"]
)
async def test_a_service_that_breaks_the_protocol_is_left_and_tried_again(tmp_path: Path, nonsense: bytes) -> None:
    """Also where what it sends is a message that is not for agents, or answers nothing."""
    service = PlayedService()
    async with agent_of(service, tmp_path):
        if nonsense:
            await service.send_bytes(nonsense)
            await service.cut_off()
            await service.accept()
        await service.send(CallDone(77))
        await service.cut_off()
        await service.accept()
        await service.send(CallWelcome(CALLING_VERSION, BOB, 5.0))
        await service.cut_off()
        await service.accept()


async def test_an_agent_of_another_user_or_version_is_not_welcome(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A service that mixes users up, speaks another version, or does not greet, counts as away."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        for welcome in (
            CallWelcome(CALLING_VERSION, ANN, 60.0),
            CallWelcome(CALLING_VERSION + 1, BOB, 60.0),
            CallDone(1),
        ):
            await service.cut()
            await service.accept(welcome=False)
            await service.send(welcome)
            await service.cut_off()
            await anyio.sleep(0.1)
            assert agent.connection_state is not UP
        await service.accept(welcome=False)
        began = anyio.current_time()
        await service.cut_off()
        assert anyio.current_time() - began == pytest.approx(10)
        await service.accept()
        assert agent.connection_state is UP
    assert "another user" in caplog.text


async def test_an_agent_that_was_displaced_does_not_come_back(tmp_path: Path) -> None:
    """Two processes would take turns for ever; what is asked of it says so."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        await service.send(CallRefused(0, "IllegalCall", "another process of this device has connected", 0x8000000E))
        await anyio.sleep(600)
        assert service.dials == 1
        assert (agent.connection_state, agent.connection_reason) == (DOWN, DisconnectedReason.REPLACED)
        with pytest.raises(PlatformUnavailable, match="another process of this device"):
            await agent.start_call(ANN)
        with pytest.raises(PlatformUnavailable, match="another process of this device"):
            await agent.register_for_push_notification("https://push.test/w/?token=c1")
        assert anyio.current_time() < 610


async def test_a_token_is_renewed_before_it_expires(tmp_path: Path) -> None:
    """Over the open connection; the next connection begins with it."""
    service = PlayedService()
    service.token_left = 3600.0
    fresh = token()
    refresher = Refresher(fresh)
    async with agent_of(service, tmp_path, CallTokenCredential(token(), refresher)):
        renewal = await service.expect(RenewCallToken)
        assert renewal.token == fresh
        assert 0 < refresher.asked[0] <= 3600 - 240
        await service.send(CallDone(renewal.request))
        await service.cut()
        assert (await service.accept()).token == fresh


async def test_a_token_may_come_as_it_is_in_a_file(tmp_path: Path) -> None:
    """The blanks around it are no part of it, and no service takes them for one."""
    service = PlayedService()
    first, second = token(), token()
    async with client_of(service, tmp_path) as client, anyio.create_task_group() as tasks:
        credential = CallTokenCredential(f" {first}\n", Refresher(f"{second}\n"))
        tasks.start_soon(client.create_call_agent, credential)
        assert (await service.accept(patience=inf)).token == first
        await service.send(CallRefused(0, "SenderNotAllowed", "the token has expired", 0x80070005))
        assert (await service.accept()).token == second


async def test_without_a_refresher_or_the_wish_nothing_is_renewed(tmp_path: Path) -> None:
    """The service ends the connection when the token does; only then is a refresher asked that is not to be proactive."""
    service = PlayedService()
    service.token_left = 600.0
    refresher = Refresher(token())
    credential = CallTokenCredential(token(), refresher, refresh_proactively=False)
    async with agent_of(service, tmp_path, credential) as agent:
        await service.silent(590)
        assert not refresher.asked
        await service.send(CallRefused(0, "SenderNotAllowed", "the token has expired", 0x80070005))
        assert (await service.accept()).token == refresher.results[0]
        assert len(refresher.asked) == 1
        assert agent.connection_state is UP


async def test_a_refresher_that_fails_is_logged_once_and_asked_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection stays meanwhile."""
    service = PlayedService()
    service.token_left = 3600.0
    fresh = token()
    refresher = Refresher(OSError("no network"), OSError("no network"), OSError("no network"), fresh)
    async with agent_of(service, tmp_path, CallTokenCredential(token(), refresher)) as agent:
        renewal = await service.expect(RenewCallToken)
        assert renewal.token == fresh
        assert len(refresher.asked) == 4
        assert agent.connection_state is UP
        assert anyio.current_time() < 3600
    assert [record.levelno for record in caplog.records if "no network" in record.getMessage()].count(
        logging.WARNING
    ) == 1


async def test_when_the_token_ends_and_there_is_no_other_the_calls_end(tmp_path: Path) -> None:
    """With the reason of an app that has no valid token."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        call = await accepted(service, await ring(service, agent))
        other = await ring(service, agent, "00000000-0000-0000-0000-000000000002")
        await service.send(CallRefused(0, "SenderNotAllowed", "the token has expired", 0x80070005))
        reason = await call.wait_until_ended()
        assert (reason.code, reason.subcode) == (495, 4507)
        assert other.call_end_reason == reason
        assert (agent.connection_state, agent.connection_reason) == (DOWN, NO_TOKEN)
        await anyio.sleep(600)
        assert service.dials == 1
        assert not agent.calls
        assert not agent.incoming_calls


@pytest.mark.parametrize("result", [5, None, "", "no token", token(ANN), token(expires=1.0)])
async def test_what_a_refresher_returns_must_be_a_token_of_the_same_user(
    tmp_path: Path, result: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Anything else is as good as none; the token is not shown."""
    service = PlayedService()
    service.token_left = 3600.0
    async with agent_of(service, tmp_path, CallTokenCredential(token(), Refresher(result))) as agent:
        await service.silent(3500)
        assert agent.connection_state is UP
    assert "there is no fresh call token" in caplog.text
    assert not result or str(result) == "5" or str(result) not in caplog.text or result == "no token"


async def test_a_refresher_that_hangs_is_cut_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """After a minute; and one that is no coroutine function, or cancels its own scope, harms nothing."""
    service = PlayedService()
    service.token_left = 1200.0

    async def hang() -> str:
        await anyio.sleep(REFRESH_TIMEOUT * 2)
        return ""

    async with agent_of(service, tmp_path, CallTokenCredential(token(), hang)) as agent:
        await service.silent(1190)
        assert agent.connection_state is UP
    assert "not returned within 60 s" in caplog.text


async def test_an_expired_token_is_refreshed_before_the_agent_begins(tmp_path: Path) -> None:
    """Where there is a refresher; its failure is raised."""
    service = PlayedService()
    async with client_of(service, tmp_path) as client:
        with pytest.raises(InvalidArgument, match="expired") as caught:
            await client.create_call_agent(CallTokenCredential(token(expires=1.0)))
        assert caught.value.hresult == 0x80070057
        failing = CallTokenCredential("", Refresher(OSError("no network")))
        with pytest.raises(PlatformUnavailable, match="no network"):
            await client.create_call_agent(failing)
        fresh = token()
        agent = await connected(service, client, CallTokenCredential("", Refresher(fresh)))
        assert agent.user.raw_id == BOB


async def test_a_token_that_the_service_refuses_is_an_invalid_argument(tmp_path: Path) -> None:
    """There is no agent then, and another one can be made."""
    service = PlayedService()
    failures: list[InvalidArgument] = []
    async with client_of(service, tmp_path) as client:

        async def create() -> None:
            try:
                await client.create_call_agent(CallTokenCredential(token()))
            except InvalidArgument as failure:
                failures.append(failure)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(create)
            await service.accept(welcome=False, patience=float("inf"))
            await service.send(CallRefused(0, "SenderNotAllowed", "not one of ours", 0x80070005))
        (failure,) = failures
        assert "not one of ours" in str(failure)
        assert failure.hresult == 0x80070057
        assert client.call_agent is None
        await connected(service, client)
        assert client.call_agent is not None


async def test_each_kind_of_user_has_a_kind_of_agent(tmp_path: Path) -> None:
    """A token of the other kind is refused, with the name of what is right; Teams users register for a day at most."""
    service = PlayedService()
    teams = CallTokenCredential(token(TEAMS, kind="teams"))
    async with client_of(service, tmp_path) as client:
        with pytest.raises(InvalidArgument, match="create_teams_call_agent") as caught:
            await client.create_call_agent(teams)
        assert caught.value.hresult == 0x80070057
        with pytest.raises(InvalidArgument, match="create_call_agent"):
            await client.create_teams_call_agent(CallTokenCredential(token()))
        with pytest.raises(InvalidArgument, match="TTL"):
            await client.create_teams_call_agent(teams, CallAgentOptions(push_notification_ttl=timedelta(days=25)))
        service.user = TEAMS
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.create_teams_call_agent, teams)
            await service.accept(patience=float("inf"))
        assert type(client.call_agent).__name__ == "TeamsCallAgent"


def test_no_token_is_shown() -> None:
    """Neither by its credential nor by the error for one that is none."""
    secret = token()
    assert secret not in repr(CallTokenCredential(secret))
    for wrong in (secret + ".more", "a.b", "", 5):
        with pytest.raises(InvalidArgument) as caught:
            CallTokenCredential(wrong)  # type: ignore[arg-type]
        assert not wrong or str(wrong) == "5" or str(wrong) not in str(caught.value)
    with pytest.raises(InvalidArgument):
        CallTokenCredential(secret, "no function")  # type: ignore[arg-type]


async def test_calls_of_the_past_connection_are_not_mixed_up(tmp_path: Path) -> None:
    """What the service tells right behind its welcome is heard."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        await service.cut()
        await service.accept(welcome=False)
        await service.send(CallWelcome(CALLING_VERSION, BOB, 60.0), RINGS, evolve(RINGS, peer_name="Ann Lee"))
        await anyio.sleep(0.1)
        incoming = agent.find_incoming_call(CALL)
        assert incoming is not None
        assert incoming.caller_info.shown == "Ann Lee"
