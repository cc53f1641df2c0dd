"""Many requests at once: who waits for a connection, and what the wait is taken for."""

from __future__ import annotations

import asyncio
import sys

import anyio
import pytest

import tocsin
from tests.client.on_demand import on_demand
from tocsin.client import aio
from tocsin.client.aio import AioHttp, open_http
from tocsin.client.http import Unreachable


class Clock:
    """Moves the time of the event loop that runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        real = loop.time
        self._ahead = 0.0
        monkeypatch.setattr(loop, "time", lambda: real() + self._ahead)

    def advance(self, seconds: float) -> None:
        """Let that much time pass."""
        self._ahead += seconds


async def test_the_first_come_is_the_first_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a request comes at the moment at which a connection is free: others have waited for that one."""

    async def post_twice(name: str) -> None:
        for each in (name, f"{name}again"):
            await http.request("POST", service.uri(each), {}, b"body")

    monkeypatch.setattr(aio, "CONNECTIONS", 2)
    async with on_demand() as service, open_http() as http, anyio.create_task_group() as tasks:
        names = [*"abcdef"]
        for count, name in enumerate(names, 1):
            tasks.start_soon(post_twice, name)
            await service.has_come(min(count, 2))
        expected = names + [f"{name}again" for name in names]
        for answered, name in enumerate(expected):
            assert await service.has_come(min(answered + 2, len(expected))) == expected[: answered + 2]
            service.answer(name)


async def test_a_silent_service_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each host and port has a line of its own, and there is none left where none waits."""
    monkeypatch.setattr(aio, "CONNECTIONS", 1)
    async with (
        on_demand() as silent, on_demand() as other, open_http() as http, anyio.create_task_group() as tasks
    ):  # fmt: skip
        tasks.start_soon(http.request, "POST", silent.uri("a"), {}, b"body")
        tasks.start_soon(http.request, "POST", silent.uri("b"), {}, b"body")
        await silent.has_come(1)
        tasks.start_soon(http.request, "POST", other.uri("c"), {}, b"body")
        await other.has_come(1)
        other.answer("c")
        silent.answer("a")
        await silent.has_come(2)
        silent.answer("b")
    assert not http._lines


async def test_one_that_leaves_the_line_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled in line, or at the moment at which its turn has come."""

    async def first() -> None:
        await http.request("POST", service.uri("a"), {}, b"body")
        turn_has_come.cancel()

    monkeypatch.setattr(aio, "CONNECTIONS", 1)
    async with on_demand() as service, open_http() as http, asyncio.TaskGroup() as tasks:
        tasks.create_task(first())
        in_line, turn_has_come, _ = [
            tasks.create_task(http.request("POST", service.uri(name), {}, b"")) for name in "bcd"
        ]
        await service.has_come(1)
        in_line.cancel()
        service.answer("a")
        assert await service.has_come(2) == ["a", "d"]
        service.answer("d")


async def test_the_wait_in_line_is_not_the_services_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four that are answered after 29 seconds each are received at the first attempt; one that is not answered in 30 is not."""
    clock = Clock(monkeypatch)
    results: list[tocsin.SendResult] = []

    async def send(name: str) -> None:
        results.append(await client.send(service.uri(name), b"body"))

    monkeypatch.setattr(aio, "CONNECTIONS", 1)
    async with (
        on_demand() as service, tocsin.WnsClient("id", "secret") as client, anyio.create_task_group() as tasks
    ):  # fmt: skip
        for name in "abcd":
            tasks.start_soon(send, name)
        for count, name in enumerate("abcd", 1):
            await service.has_come(count)
            clock.advance(29)
            service.answer(name)
    assert [(result.received, result.attempts) for result in results] == [(True, 1)] * 4

    async with on_demand() as service, open_http() as http:
        silent = asyncio.ensure_future(http.request("POST", service.uri("e"), {}, b"body"))
        await service.has_come(1)
        clock.advance(31)
        with pytest.raises(Unreachable, match=r"did not answer in time \(within 30 s\)"):
            await silent


async def test_what_never_left_the_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """When its time is over: in words, and in the result; of what was on its way only that there was no answer."""
    clock = Clock(monkeypatch)
    ended: dict[str, tuple[str, bool]] = {}

    async def send(name: str) -> None:
        with pytest.raises(tocsin.ServiceUnavailable) as failed:
            await client.send(service.uri(name), b"body")
        ended[name] = str(failed.value), failed.value.result.sent

    monkeypatch.setattr(aio, "CONNECTIONS", 1)
    policy = tocsin.SendPolicy(total=20)
    async with (
        on_demand() as service, tocsin.WnsClient("id", "secret", policy=policy) as client, anyio.create_task_group() as tasks
    ):  # fmt: skip
        for name in "ab":
            tasks.start_soon(send, name)
        await service.has_come(1)
        clock.advance(21)
    words = "It was not sent, and has not arrived: it waited for its turn behind others, or for an access token."
    assert ended == {
        "a": ("it was not taken within 20 s: There was no answer.", True),
        "b": (f"it was not taken within 20 s: {words}", False),
    }
    assert service.came == ["a"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
async def test_half_of_the_files_are_left_to_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a process may open few, as by default on macOS."""
    import resource  # noqa: PLC0415  # not everywhere

    async def most(limit: int) -> int:
        with monkeypatch.context() as patch:
            patch.setattr(resource, "getrlimit", lambda _: (limit, limit))
            async with open_http() as http:
                assert isinstance(http, AioHttp)
                return http._connections

    limits = [1, 256, 1_024, 1_000_000, resource.RLIM_INFINITY]
    assert [await most(limit) for limit in limits] == [1, 128, aio.CONNECTIONS, aio.CONNECTIONS, aio.CONNECTIONS]
