"""Channel requests, as an app sees them."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import anyio
import pytest
from anyio.lowlevel import checkpoint

from tests.world import REMOTE_ID, world
from tocsin.api.operation import PushNotificationCreateChannelStatus as Progress
from tocsin.api.questions import MAX_LISTENERS
from tocsin.protocol.errors import Busy, InvalidArgument, OperationCanceled
from tocsin.protocol.hresult import HResult
from tocsin.protocol.messages import ChannelGranted, ChannelRefused, RequestChannel
from tocsin.protocol.platform.retry_schedule import RetryPolicy
from tocsin.protocol.values import PushNotificationChannelStatus as Status

FAST = RetryPolicy(first=0.01, increment=0.01, longest=0.05, jitter=0)
IN_PROGRESS = Progress(0, Status.IN_PROGRESS, 0)


async def test_a_request_reports_progress_once_and_succeeds(tmp_path: Path) -> None:
    """Without a failure there is one progress, then the result."""
    async with world(tmp_path) as w:
        operation = w.manager.create_channel(UUID(REMOTE_ID))
        request = await w.service.grant()
        assert (request.app, request.remote_id, request.known_uri) == ("contoso.mail", REMOTE_ID, "")
        result = await operation
        assert (result.status, result.extended_error) == (Status.COMPLETED_SUCCESS, 0)
        assert [progress async for progress in operation] == [IN_PROGRESS]
        assert await operation is result


@pytest.mark.parametrize("remote_id", ["", "mail", UUID(int=0), "00000000-0000-0000-0000-000000000000", None, 7])
async def test_a_remote_id_that_is_no_guid_is_refused(tmp_path: Path, remote_id: str) -> None:
    """The null GUID and everything that is none raise E_INVALIDARG at once."""
    async with world(tmp_path, connect=False) as w:
        with pytest.raises(InvalidArgument) as refused:
            w.manager.create_channel(remote_id)
        assert refused.value.hresult == HResult.E_INVALIDARG


async def test_a_request_made_before_the_connection_is_up_waits_for_it(tmp_path: Path) -> None:
    """An app need not know whether the device is connected yet."""
    async with world(tmp_path, connect=False) as w:
        operation = w.manager.create_channel(REMOTE_ID)
        await w.service.accept()
        await w.service.grant()
        assert (await operation).status is Status.COMPLETED_SUCCESS


async def test_retryable_refusals_are_retried_and_counted(tmp_path: Path) -> None:
    """Each retry is reported before its wait, with the error that it is for."""
    async with world(tmp_path, retries=FAST) as w:
        operation = w.manager.create_channel(REMOTE_ID)
        for _ in range(2):
            request = await w.service.expect(RequestChannel)
            await w.service.send(ChannelRefused(request.request, HResult.WNP_E_BIND_USER_BUSY, "busy", None))
        await w.service.grant()
        assert (await operation).status is Status.COMPLETED_SUCCESS
        assert [progress async for progress in operation] == [
            IN_PROGRESS,
            Progress(HResult.WNP_E_BIND_USER_BUSY, Status.IN_PROGRESS_RETRY, 1),
            Progress(HResult.WNP_E_BIND_USER_BUSY, Status.IN_PROGRESS_RETRY, 2),
        ]


async def test_a_sixth_failure_is_a_failed_result(tmp_path: Path) -> None:
    """When the attempts are used up, the last error is the result's, and nothing is raised."""
    async with world(tmp_path, retries=FAST) as w:
        operation = w.manager.create_channel(REMOTE_ID)
        for _ in range(6):
            request = await w.service.expect(RequestChannel)
            await w.service.send(ChannelRefused(request.request, HResult.ERROR_TIMEOUT, "too slow", None))
        result = await operation
        assert (result.channel, result.status) == (None, Status.COMPLETED_FAILURE)
        assert result.extended_error == HResult.ERROR_TIMEOUT
        assert str(result) == "no channel: too slow [ERROR_TIMEOUT (0x800705B4)]"
        assert [progress.retry_count async for progress in operation] == [0, 1, 2, 3, 4, 5]


async def test_a_critical_refusal_is_a_failed_result_at_once(tmp_path: Path) -> None:
    """An error that no wait mends is not retried."""
    async with world(tmp_path) as w:
        operation = w.manager.create_channel(REMOTE_ID)
        request = await w.service.expect(RequestChannel)
        await w.service.send(ChannelRefused(request.request, HResult.WPN_E_INVALID_APP, "unknown app", None))
        result = await operation
        assert (result.status, result.extended_error) == (Status.COMPLETED_FAILURE, HResult.WPN_E_INVALID_APP)
        assert [progress async for progress in operation] == [IN_PROGRESS]


async def test_requests_for_the_same_app_are_joined(tmp_path: Path) -> None:
    """Two requests in flight ask the service once, and both get the channel."""
    async with world(tmp_path) as w:
        first, second = w.manager.create_channel(REMOTE_ID), w.manager.create_channel(REMOTE_ID)
        await w.service.grant()
        results = [await first, await second]
        assert [result.channel.uri for result in results if result.channel] == ["http://push.test/w/?token=c1"] * 2


async def test_requests_for_different_apps_are_not_joined(tmp_path: Path) -> None:
    """Each remote id has its own channel."""
    async with world(tmp_path) as w:
        first = w.manager.create_channel(REMOTE_ID)
        second = w.manager.create_channel("f80e541e-3606-48fb-935e-118a3c5f41f5")
        await w.service.grant("c1")
        await w.service.grant("c2")
        one, two = (await first).channel, (await second).channel
        assert one is not None
        assert two is not None
        assert one.uri != two.uri


async def test_a_cancelled_operation_ends_at_once(tmp_path: Path) -> None:
    """Awaiting it raises an error, its progress ends, and the late answer of the service has no effect."""
    async with world(tmp_path) as w:
        operation = w.manager.create_channel(REMOTE_ID)
        request = await w.service.expect(RequestChannel)
        operation.cancel()
        operation.cancel()
        with pytest.raises(OperationCanceled) as canceled:
            await operation
        assert canceled.value.hresult == HResult.ERROR_CANCELLED
        assert len([progress async for progress in operation]) <= 1
        await w.service.send(ChannelGranted(request.request, "c1", "http://push.test/", 4e9, 3e9))
        assert (await w.channel("c2")).uri == "http://push.test/w/?token=c2"


async def test_cancelling_one_of_two_joined_requests_leaves_the_other(tmp_path: Path) -> None:
    """The other operation still gets the channel."""
    async with world(tmp_path) as w:
        first, second = w.manager.create_channel(REMOTE_ID), w.manager.create_channel(REMOTE_ID)
        first.cancel()
        await w.service.grant()
        assert (await second).status is Status.COMPLETED_SUCCESS


async def test_a_lost_connection_is_a_retryable_failure(tmp_path: Path) -> None:
    """A request that was out when the connection broke is made again on the next one."""
    async with world(tmp_path, retries=FAST) as w:
        operation = w.manager.create_channel(REMOTE_ID)
        await w.service.expect(RequestChannel)
        await w.service.cut()
        await w.service.accept()
        await w.service.grant()
        assert (await operation).status is Status.COMPLETED_SUCCESS
        retries = [progress.extended_error async for progress in operation if progress.retry_count]
        assert retries == [HResult.WNP_E_RECONNECTING]


async def test_the_known_channel_is_named_in_the_next_request(tmp_path: Path) -> None:
    """After a restart the service is shown the channel that the device holds, so that it may give the same."""
    async with world(tmp_path) as w:
        await w.channel()
    async with world(tmp_path) as w:
        operation = w.manager.create_channel(REMOTE_ID)
        request = await w.service.grant()
        assert request.known_uri == "http://push.test/w/?token=c1"
        assert (await operation).status is Status.COMPLETED_SUCCESS


async def test_progress_can_be_watched_while_it_comes(tmp_path: Path) -> None:
    """An iteration that began early sees each progress when it is made, and ends with the result."""
    async with world(tmp_path) as w:
        operation = w.manager.create_channel(REMOTE_ID)
        seen: list[Progress] = []

        async def watch() -> None:
            seen.extend([progress async for progress in operation])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await w.service.grant()
        assert seen == [IN_PROGRESS]


async def test_a_pending_request_goes_on_after_a_restart(tmp_path: Path) -> None:
    """A wait for the next attempt outlives the process, and a request of the next one joins it where it was."""
    slow = RetryPolicy(first=0.3, increment=0.1, longest=1, jitter=0)
    async with world(tmp_path, retries=slow) as w:
        operation = w.manager.create_channel(REMOTE_ID)
        request = await w.service.expect(RequestChannel)
        await w.service.send(ChannelRefused(request.request, HResult.ERROR_TIMEOUT, "slow", None))
        async for progress in operation:
            if progress.retry_count == 1:
                break
    async with world(tmp_path, retries=slow) as w:
        operation = w.manager.create_channel(REMOTE_ID)
        await w.service.grant()
        assert (await operation).status is Status.COMPLETED_SUCCESS
        expected = Progress(HResult.ERROR_TIMEOUT, Status.IN_PROGRESS_RETRY, 1)
        assert [progress async for progress in operation] == [expected]


async def test_a_pending_request_that_nobody_asks_for_is_made_all_the_same(tmp_path: Path) -> None:
    """The device gets its channel even if the app does not come back for it at once."""
    quick = RetryPolicy(first=0.05, increment=0.1, longest=1, jitter=0)
    async with world(tmp_path, retries=quick) as w:
        operation = w.manager.create_channel(REMOTE_ID)
        request = await w.service.expect(RequestChannel)
        await w.service.send(ChannelRefused(request.request, HResult.ERROR_TIMEOUT, "slow", None))
        async for progress in operation:
            if progress.retry_count == 1:
                break
    async with world(tmp_path) as w:
        await w.service.grant("c7")
        operation = w.manager.create_channel(REMOTE_ID)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(w.service.grant, "c7")  # where the first grant was through before the app asked
            result = await operation
            tasks.cancel_scope.cancel()
        assert result.channel is not None
        assert result.channel.uri.endswith("c7")


async def test_a_request_that_is_cancelled_at_once_is_not_made_again(tmp_path: Path) -> None:
    """What takes it back does not overtake it: when the service fails, there is no other attempt."""
    async with world(tmp_path, retries=FAST) as w:
        operation = w.manager.create_channel(REMOTE_ID)
        operation.cancel()
        with pytest.raises(OperationCanceled):
            await operation
        request = await w.service.expect(RequestChannel)
        await w.service.send(ChannelRefused(request.request, HResult.WNP_E_BIND_USER_BUSY, "busy", None))
        other = w.manager.create_channel("f80e541e-3606-48fb-935e-118a3c5f41f5")
        request = await w.service.grant()
        assert request.remote_id.endswith("f5")
        assert (await other).channel is not None


async def test_operations_are_many_but_not_endless(tmp_path: Path) -> None:
    """A thousand may be under way; one more is refused, and finds room when one of them has ended."""
    async with world(tmp_path, connect=False) as w:
        operations = []
        for _ in range(MAX_LISTENERS):
            operations.append(w.manager.create_channel(REMOTE_ID))
            await checkpoint()
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(Busy, match="1024 channel requests are under way"):
            w.manager.create_channel(REMOTE_ID)
        operations[7].cancel()
        w.manager.create_channel(REMOTE_ID).cancel()
        await anyio.wait_all_tasks_blocked()
        w.manager.create_channel(REMOTE_ID)


async def test_a_request_that_finds_the_platform_busy_is_none(tmp_path: Path) -> None:
    """It takes no room among those that are under way."""
    async with world(tmp_path, connect=False) as w:
        mailbox = w.platform.actors["channel_requester"].mailbox
        for _ in range(mailbox.statistics().capacity):
            mailbox.send_frame_nowait(b"")
        with pytest.raises(Busy, match="mailbox"):
            w.manager.create_channel(REMOTE_ID)
        assert not w.manager._session.questions._listeners
        mailbox.purge()
