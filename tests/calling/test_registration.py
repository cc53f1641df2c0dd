"""The registration of a device for pushes: made, renewed, and made again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio.testing

from tests.calling.playing import CHANNEL, PlayedService, agent_of
from tests.calling.test_incoming import failure_of
from tocsin.calling import CallAgentOptions, CommonCallAgent
from tocsin.protocol.errors import (
    Busy,
    InvalidArgument,
    OperationCanceled,
    PlatformUnavailable,
    TimedOut,
)
from tocsin.protocol.messages.calling import (
    CallDone,
    CallPushRegistered,
    CallRefused,
    RegisterForCallPush,
    UnregisterFromCallPush,
)

OTHER = "https://push.test/w/?token=c2"
HOUR = 3600.0


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


async def registered(
    service: PlayedService, agent: CommonCallAgent, uri: str = CHANNEL, granted: float = 24 * HOUR
) -> RegisterForCallPush:
    """Register a channel, which the service grants."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(agent.register_for_push_notification, uri)
        asked = await service.expect(RegisterForCallPush)
        await service.send(CallPushRegistered(asked.request, granted))
    return asked


async def test_a_channel_is_registered_and_renewed_long_before_its_time_is_over(tmp_path: Path) -> None:
    """For as long as the app has asked for; what counts is what the service grants."""
    service = PlayedService()
    options = CallAgentOptions(push_notification_ttl=timedelta(days=25))
    async with agent_of(service, tmp_path, options=options) as agent:
        asked = await registered(service, agent, granted=10 * HOUR)
        assert (asked.uri, asked.ttl) == (CHANNEL, 25 * 24 * HOUR)
        began = anyio.current_time()
        again = await service.expect(RegisterForCallPush)
        assert anyio.current_time() - began == pytest.approx(8 * HOUR)
        assert (again.uri, again.ttl) == (asked.uri, asked.ttl)


async def test_a_registration_is_made_again_on_each_connection(tmp_path: Path) -> None:
    """The service may have forgotten it."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        await registered(service, agent)
        await service.cut()
        await service.accept()
        again = await service.expect(RegisterForCallPush)
        assert again.uri == CHANNEL
        await service.send(CallPushRegistered(again.request, HOUR))


async def test_a_refused_registration_is_raised_and_not_renewed(tmp_path: Path) -> None:
    """By the class of the service's error."""
    service = PlayedService()
    failures: list[Exception] = []
    async with agent_of(service, tmp_path) as agent:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(failure_of, lambda: agent.register_for_push_notification(CHANNEL), failures)
            asked = await service.expect(RegisterForCallPush)
            await service.send(CallRefused(asked.request, "InvalidArgument", "not a channel of ours", 0x80070057))
        (failure,) = failures
        assert isinstance(failure, InvalidArgument)
        await service.cut()
        await service.accept()
        await service.silent(24 * HOUR)


async def test_a_renewal_that_fails_is_logged_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was granted before holds meanwhile."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        await registered(service, agent, granted=HOUR)
        for _ in range(3):
            asked = await service.expect(RegisterForCallPush)
            await service.send(CallRefused(asked.request, "Busy", "later, please", 0))
        asked = await service.expect(RegisterForCallPush)
        assert anyio.current_time() < HOUR
        await service.send(CallPushRegistered(asked.request, HOUR))
        await anyio.sleep(0.1)
    assert caplog.text.count("later, please") == 1


async def test_without_a_connection_nothing_is_registered(tmp_path: Path) -> None:
    """The agent waits for one for 30 seconds; what was registered before stays as it is."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        await registered(service, agent)
        service.reachable = False
        await service.cut()
        await anyio.sleep(0.1)
        began = anyio.current_time()
        with pytest.raises(PlatformUnavailable, match="away"):
            await agent.register_for_push_notification(OTHER)
        with pytest.raises(PlatformUnavailable, match="away"):
            await agent.unregister_push_notification()
        assert anyio.current_time() - began == pytest.approx(60)
        service.reachable = True
        await service.accept()
        assert (await service.expect(RegisterForCallPush)).uri == CHANNEL


async def test_a_registration_waits_for_a_connection(tmp_path: Path) -> None:
    """That comes within 30 seconds."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        service.reachable = False
        await service.cut()
        await anyio.sleep(0.1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(agent.register_for_push_notification, CHANNEL)
            await anyio.sleep(10)
            service.reachable = True
            await service.accept()
            asked = await service.expect(RegisterForCallPush)
            await service.send(CallPushRegistered(asked.request, HOUR))


async def test_a_service_that_does_not_answer_is_waited_for_30_seconds(tmp_path: Path) -> None:
    """Then nothing is known of it."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        with pytest.raises(TimedOut):
            await agent.register_for_push_notification(CHANNEL)
        assert anyio.current_time() >= 30


async def test_a_channel_that_has_another_uri_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    """Also while that is being registered: then both are told by the answer to the second."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent, anyio.create_task_group() as tasks:
        tasks.start_soon(agent.register_for_push_notification, CHANNEL)
        first = await service.expect(RegisterForCallPush)
        tasks.start_soon(agent.register_for_push_notification, OTHER)
        second = await service.expect(RegisterForCallPush)
        assert (first.uri, second.uri) == (CHANNEL, OTHER)
        await service.send(CallPushRegistered(first.request, HOUR))
        await anyio.sleep(1)
        await service.send(CallPushRegistered(second.request, HOUR))
        again = await service.expect(RegisterForCallPush)
        assert again.uri == OTHER


@pytest.mark.parametrize("every_device", [False, True])
async def test_a_registration_is_given_up(tmp_path: Path, every_device: bool) -> None:  # as pytest calls it
    """On this device, or on all of the user; nothing is renewed then."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        await registered(service, agent)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: agent.unregister_push_notification(every_device=every_device))
            asked = await service.expect(UnregisterFromCallPush)
            assert asked.every_device is every_device
            await service.send(CallDone(asked.request))
        await service.silent(48 * HOUR)


async def test_who_registers_is_told_that_another_has_given_it_up(tmp_path: Path) -> None:
    """The last wish counts."""
    service = PlayedService()
    failures: list[Exception] = []
    async with agent_of(service, tmp_path) as agent:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(failure_of, lambda: agent.register_for_push_notification(CHANNEL), failures)
            await service.expect(RegisterForCallPush)
            tasks.start_soon(agent.unregister_push_notification)
            asked = await service.expect(UnregisterFromCallPush)
            await service.send(CallDone(asked.request))
        assert [type(failure) for failure in failures] == [OperationCanceled]


async def test_a_service_that_is_busy_says_so(tmp_path: Path) -> None:
    """Its error is raised, and a later call can do better."""
    service = PlayedService()
    failures: list[Exception] = []
    async with agent_of(service, tmp_path) as agent:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(failure_of, lambda: agent.register_for_push_notification(CHANNEL), failures)
            asked = await service.expect(RegisterForCallPush)
            await service.send(CallRefused(asked.request, "Busy", "later, please", 0))
        assert [type(failure) for failure in failures] == [Busy]
        await registered(service, agent)


async def test_a_channel_is_named_by_its_uri(tmp_path: Path) -> None:
    """What cannot be one is refused before the service is asked, and not shown."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        for wrong in ("", "secret channel", "ftp://secret", 5, None):
            with pytest.raises(InvalidArgument) as caught:
                await agent.register_for_push_notification(wrong)  # type: ignore[arg-type]
            assert "secret" not in str(caught.value)
        await service.silent()


async def test_an_agent_that_is_disposed_leaves_none_waiting(tmp_path: Path) -> None:
    """Those that wait for the service's word are told."""
    service = PlayedService()
    failures: list[Exception] = []
    async with agent_of(service, tmp_path) as agent:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(failure_of, lambda: agent.register_for_push_notification(CHANNEL), failures)
            await service.expect(RegisterForCallPush)
            await agent.dispose()
        (failure,) = failures
        assert isinstance(failure, PlatformUnavailable)
        assert "disposed" in str(failure)
        with pytest.raises(PlatformUnavailable, match="disposed"):
            await agent.register_for_push_notification(CHANNEL)
    assert anyio.current_time() < 5
