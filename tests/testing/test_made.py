"""Args and channels that a unit test makes: real ones, with a say in what happens to them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

import tocsin
from tocsin.testing import MadeArgs, channel, clicked, received

Args = tocsin.PushNotificationReceivedEventArgs
EXPIRATION = datetime(2027, 3, 1, 12, tzinfo=UTC)


def test_args_are_real_and_say_what_they_were_made_with() -> None:
    """As a handler reads them; all but the payload has a default."""
    args = received(b"hello", id="A", type="toast", attempt=3, tag="t", group="g")
    assert isinstance(args, tocsin.PushNotificationReceivedEventArgs)
    assert (args.payload, args.id, args.type, args.attempt) == (b"hello", "A", tocsin.NotificationType.TOAST, 3)
    assert (args.tag, args.group) == ("t", "g")
    plain = received(b"\xff")
    assert (plain.tag, plain.group) == ("", "")
    assert (plain.payload, plain.type, plain.attempt, plain.handled) == (b"\xff", tocsin.NotificationType.RAW, 1, False)
    assert received().payload == b""
    assert "attempt 3" in repr(args)


def test_a_click_is_what_its_handler_gets() -> None:
    """The arguments may be written as those of a button are; all has a default."""
    args = clicked(tocsin.ToastArguments(action="like"), {"answer": "Yes"}, tag="t", group="g", id=7, attempt=2)
    assert isinstance(args, tocsin.ToastNotificationActivatedEventArgs)
    assert (dict(args.arguments), dict(args.user_input)) == ({"action": "like"}, {"answer": "Yes"})
    assert (args.tag, args.group, args.id, args.attempt) == ("t", "g", 7, 2)
    plain = clicked("a=b", activation_type=tocsin.ToastActivationType.BACKGROUND)
    assert (plain.argument, plain.user_input, plain.id) == ("a=b", {}, 1)
    assert plain.activation_type is tocsin.ToastActivationType.BACKGROUND


@pytest.mark.parametrize(
    "make",
    [
        lambda: clicked(7),  # type: ignore[arg-type]  # it is wrong on purpose
        lambda: clicked(user_input={"a": 1}),  # type: ignore[dict-item]  # as above
        lambda: clicked(tag=None),  # type: ignore[arg-type]  # as above
        lambda: clicked(id=0),
        lambda: clicked(attempt=0),
        lambda: clicked(activation_type=0),  # type: ignore[arg-type]  # as above
        lambda: received("text"),  # type: ignore[arg-type]  # it is wrong on purpose
        lambda: received(b"x" * 5001),
        lambda: received(id=""),
        lambda: received(type="tost"),
        lambda: received(attempt=0),
        lambda: received(tag="a b"),
        lambda: received(group="x" * 17),
        lambda: received(background=1),  # type: ignore[arg-type]  # as above
        lambda: channel(""),
        lambda: channel("https://a", 5),  # type: ignore[arg-type]  # as above
        lambda: channel("https://a", datetime(2027, 3, 1)),  # noqa: DTZ001  # as above
    ],
)
def test_what_no_platform_would_make_is_refused(make: Callable[[], Any]) -> None:
    """So that a test does not pass over what cannot come."""
    with pytest.raises(tocsin.InvalidArgument):
        make()


def test_a_sync_handler_needs_no_event_loop() -> None:
    """It is called, and what it has set is read."""

    def handler(args: Args) -> None:
        args.handled = args.payload == b"mine"

    mine, other = received(b"mine"), received(b"other")
    handler(mine)
    handler(other)
    assert (mine.handled, other.handled) == (True, False)


def test_background_work_has_no_say_in_handled() -> None:
    """Neither to read nor to set."""
    args = received(background=True)
    with pytest.raises(tocsin.IllegalCall):
        args.handled = True
    with pytest.raises(tocsin.IllegalCall):
        _ = args.handled


async def test_open_deferrals_are_named_until_they_are_completed() -> None:
    """By who has taken them; when none is open the work has ended, and none can be taken."""
    args = received()
    first, second = args.get_deferral(), args.get_deferral()
    assert len(args.open_deferrals) == 2
    assert "test_open_deferrals_are_named" in args.open_deferrals[0]
    assert "test_made.py" in args.open_deferrals[0]
    first.complete()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(args.completed)
        await anyio.wait_all_tasks_blocked()
        args.get_deferral().complete()
        second.complete()
    assert not args.open_deferrals
    with pytest.raises(tocsin.IllegalCall, match="ended"):
        args.get_deferral()


async def test_waiting_for_a_forgotten_deferral_ends_with_the_tests_patience() -> None:
    """It is still named then."""
    args = received()
    args.get_deferral()
    with anyio.move_on_after(0.01) as patience:
        await args.completed()
    assert patience.cancelled_caught
    assert len(args.open_deferrals) == 1


async def test_cancelling_calls_sync_and_async_handlers_once() -> None:
    """With the reason; those that are removed are not called, and a second time changes nothing."""
    args, told = received(), list[tuple[str, tocsin.CancellationReason]]()

    async def later(reason: tocsin.CancellationReason) -> None:
        await checkpoint()
        told.append(("async", reason))

    args.canceled(lambda reason: told.append(("sync", reason)))
    args.canceled(later)
    args.remove_canceled(args.canceled(lambda reason: told.append(("removed", reason))))
    await args.cancel(tocsin.CancellationReason.ABORT)
    await args.cancel()
    abort = tocsin.CancellationReason.ABORT
    assert (sorted(told), args.cancellation) == ([("async", abort), ("sync", abort)], abort)


async def test_a_canceled_handler_that_comes_late_is_waited_for() -> None:
    """When the test waits for the end of the work, also one that comes while it waits."""
    args, told = received(), list[str]()

    async def later(name: str, _: tocsin.CancellationReason) -> None:
        await checkpoint()
        told.append(name)
        if name == "first":
            args.canceled(partial(later, "second"))

    await args.cancel()
    args.canceled(partial(later, "first"))
    await args.completed()
    assert told == ["first", "second"]


async def test_what_a_canceled_handler_raises_fails_the_test() -> None:
    """Sync or async, early or late."""

    def fail(_: tocsin.CancellationReason) -> None:
        raise ValueError("at once")

    async def fail_later(_: tocsin.CancellationReason) -> None:
        await checkpoint()
        raise ValueError("after a wait")

    for handler, words in ((fail, "at once"), (fail_later, "after a wait")):
        args = received()
        args.canceled(handler)
        with pytest.raises(ValueError, match=words):
            await args.cancel()
        args.canceled(handler)
        with pytest.raises(ValueError, match=words):
            await args.completed()
    with pytest.raises(tocsin.InvalidArgument, match="reason"):
        await received().cancel("why")  # type: ignore[arg-type]  # it is wrong on purpose


def test_a_channel_is_a_real_one() -> None:
    """With the URI and the moment that it was made with; the default is 30 days from now."""
    made = channel("https://push.example/1", EXPIRATION)
    assert isinstance(made, tocsin.PushNotificationChannel)
    assert (made.uri, made.expiration_time) == ("https://push.example/1", EXPIRATION)
    left = channel().expiration_time - datetime.now(UTC)
    assert timedelta(days=29) < left <= timedelta(days=30)


async def test_a_push_calls_the_channels_handlers_in_order() -> None:
    """Sync and async, and tells whether the payload is handled when its deferrals are completed."""
    made, told = channel(), list[str]()

    async def second(args: Args) -> None:
        async with args.get_deferral():
            await checkpoint()
        told.append("second")
        args.handled = args.payload == b"mine"

    first = made.add_push_received(lambda _: told.append("first"))
    with made.push_received(second):
        assert await made.push(received(b"mine"))
        made.remove_push_received(first)
        assert not await made.push(received(b"other"))
    assert not await made.push(received(b"mine"))
    assert told == ["first", "second", "second"]
    with pytest.raises(tocsin.NotFound):
        made.remove_push_received(second)


async def test_what_a_handler_raises_fails_the_test() -> None:
    """As it is."""
    made = channel()

    def fail(_: Args) -> None:
        raise ValueError("why")

    made.add_push_received(fail)
    with pytest.raises(ValueError, match="why"):
        await made.push(received())


async def test_a_loop_over_payloads_gets_what_is_pushed() -> None:
    """Asking for the next handles a payload, leaving the loop does not, and closing ends it."""
    made, seen, handled, ended = channel(), list[bytes](), list[bool](), list[str]()

    async def app() -> None:
        try:
            async for args in made.payloads():
                seen.append(args.payload)
        except tocsin.ChannelClosed:
            ended.append("closed")

    async def leave() -> None:
        async for _ in made.payloads():
            break

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(app)
        await anyio.wait_all_tasks_blocked()
        handled.extend([await made.push(received(body)) for body in (b"1", b"2")])
        await made.close()
    assert (seen, handled, ended) == ([b"1", b"2"], [True, True], ["closed"])
    for call in (made.close, partial(made.push, received())):
        with pytest.raises(tocsin.ChannelClosed):
            await call()
    with pytest.raises(tocsin.ChannelClosed):
        made.add_push_received(print)
    made = channel()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(leave)
        await anyio.wait_all_tasks_blocked()
        args = received()
        tasks.start_soon(made.push, args)
    assert isinstance(args, MadeArgs)
    assert not args.handled


async def test_a_handlers_test_needs_no_service() -> None:
    """No web server is loaded for it, so ``tocsin[service]`` need not be installed."""
    script = "import sys, tocsin.testing as t; t.received(); t.channel(); print('httptools' in sys.modules, 'starlette' in sys.modules)"
    done = await anyio.run_process([sys.executable, "-c", script])
    assert done.stdout.split() == [b"False", b"False"]
