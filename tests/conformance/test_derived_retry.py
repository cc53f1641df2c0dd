"""D1 to D4: how a channel request is retried, in virtual time, without jitter."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
import trio.testing

from tests.conformance.cases import case
from tests.conformance.virtual import open_requests
from tests.world import REMOTE_ID
from tocsin.api.operation import PushNotificationCreateChannelStatus as Progress
from tocsin.protocol.errors import OperationCanceled
from tocsin.protocol.hresult import HResult
from tocsin.protocol.values import PushNotificationChannelStatus as Status

RETRYABLE = [
    pytest.param(0x800705B4, id="ERROR_TIMEOUT"),
    pytest.param(0x880403E8, id="WNP_E_NOT_CONNECTED"),
    pytest.param(0x880403E9, id="WNP_E_RECONNECTING"),
    pytest.param(0x880403FE, id="WNP_E_BIND_USER_BUSY"),
    pytest.param(0x803E0103, id="WPN_E_OUTSTANDING_CHANNEL_REQUEST"),
    pytest.param(0x800706BA, id="RPC_S_SERVER_UNAVAILABLE"),
]
CRITICAL = [
    pytest.param(0x80070057, id="E_INVALIDARG"),
    pytest.param(0x80004005, id="E_FAIL"),
    pytest.param(0x80070005, id="E_ACCESSDENIED"),
    pytest.param(0x800704C6, id="ERROR_NO_NETWORK"),
    pytest.param(0x803E0102, id="WPN_E_INVALID_APP"),
    pytest.param(0x803E0105, id="WPN_E_PLATFORM_UNAVAILABLE"),
    pytest.param(0x803E0109, id="WPN_E_CLOUD_DISABLED"),
    pytest.param(0x803E0110, id="WPN_E_CLOUD_INCAPABLE"),
    pytest.param(0x800706BE, id="RPC_S_CALL_FAILED"),
]
IN_PROGRESS = Progress(0, Status.IN_PROGRESS, 0)
ATTEMPTS = [0, 60, 180, 360, 600, 900]
"""Seconds from the first attempt to each: 60 + 120 + 180 + 240 + 300 in all."""


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


def retry(hresult: int, count: int) -> Progress:
    """Build the progress before a wait."""
    return Progress(hresult, Status.IN_PROGRESS_RETRY, count)


@case("D1")
@pytest.mark.parametrize("hresult", RETRYABLE)
async def test_a_retryable_failure_is_reported_and_tried_again(hresult: int) -> None:
    """Progress is InProgress with no error, then InProgressRetry with the failure's; a minute later all is well."""
    async with open_requests() as requests:
        operation = requests.manager.create_channel(REMOTE_ID)
        assert [await requests.refuse(hresult), await requests.grant()] == [0, 60]
        result = await operation
        assert (result.status, result.extended_error) == (Status.COMPLETED_SUCCESS, HResult.S_OK)
        assert [progress async for progress in operation] == [IN_PROGRESS, retry(hresult, 1)]
    assert list(requests.store.kept) == ["c1"]


@case("D2")
@pytest.mark.parametrize("hresult", RETRYABLE)
async def test_six_attempts_take_fifteen_minutes_and_end_with_the_last_failure(hresult: int) -> None:
    """Each retry is reported before its wait, and the sixth failure is the result: nothing is raised."""
    seen: list[tuple[float, Progress]] = []
    async with open_requests() as requests, anyio.create_task_group() as tasks:
        operation = requests.manager.create_channel(REMOTE_ID)
        tasks.start_soon(requests.watch, operation, seen)
        assert [await requests.refuse(hresult) for _ in ATTEMPTS] == ATTEMPTS
        result = await operation
        assert requests.now() == 900
        assert (result.channel, result.status, result.extended_error) == (None, Status.COMPLETED_FAILURE, hresult)
        await requests.nobody_asks(1000)
    assert seen == [(0, IN_PROGRESS), *((ATTEMPTS[n - 1], retry(hresult, n)) for n in range(1, 6))]
    assert (requests.store.kept, requests.store.waiting) == ({}, {})


@case("D2")
async def test_the_sixth_attempt_may_still_succeed() -> None:
    """After five failures and fifteen minutes a channel is a channel."""
    async with open_requests() as requests:
        operation = requests.manager.create_channel(REMOTE_ID)
        for _ in range(5):
            await requests.refuse(HResult.ERROR_TIMEOUT)
        assert await requests.grant() == 900
        assert (await operation).status is Status.COMPLETED_SUCCESS


@case("D3")
@pytest.mark.parametrize("hresult", CRITICAL)
async def test_a_critical_failure_ends_the_request_at_once(hresult: int) -> None:
    """It is a failed result after the first attempt, and no wait was reported."""
    async with open_requests() as requests:
        operation = requests.manager.create_channel(REMOTE_ID)
        await requests.refuse(hresult)
        result = await operation
        assert requests.now() == 0
        assert (result.channel, result.status, result.extended_error) == (None, Status.COMPLETED_FAILURE, hresult)
        assert [progress async for progress in operation] == [IN_PROGRESS]
        await requests.nobody_asks(1000)


@case("D3")
async def test_a_critical_failure_ends_the_retries_too() -> None:
    """After a retryable failure, a critical one is the last."""
    async with open_requests() as requests:
        operation = requests.manager.create_channel(REMOTE_ID)
        await requests.refuse(HResult.WNP_E_BIND_USER_BUSY)
        await requests.refuse(HResult.WPN_E_INVALID_APP)
        assert (await operation).extended_error == HResult.WPN_E_INVALID_APP
        assert requests.now() == 60


@case("D4")
async def test_cancelling_during_a_wait_ends_the_request_at_once() -> None:
    """Awaiting it raises OperationCanceled now and not at the end of the wait, and the service is not asked again."""
    async with open_requests() as requests:
        operation = requests.manager.create_channel(REMOTE_ID)
        await requests.refuse(HResult.ERROR_TIMEOUT)
        await requests.nobody_asks(30)
        operation.cancel()
        with pytest.raises(OperationCanceled) as canceled:
            await operation
        assert requests.now() == 30
        assert canceled.value.hresult == HResult.ERROR_CANCELLED
        assert [progress async for progress in operation] == [IN_PROGRESS, retry(HResult.ERROR_TIMEOUT, 1)]
        await requests.nobody_asks(1000)
        assert requests.store.waiting == {}
        again = requests.manager.create_channel(REMOTE_ID)
        await requests.grant()
        assert (await again).status is Status.COMPLETED_SUCCESS
