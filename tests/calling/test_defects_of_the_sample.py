"""What is wrong with the sample of Azure's page on push notifications for calling on Windows, and cannot happen here: one test a number.

The tenth is about the page's text, and so its test is about ours.
"""

from __future__ import annotations

import ast
import inspect
import re
import runpy
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

import tocsin
from tests.calling.answering import OTHER, AnsweringService, agent_of, client_of
from tests.calling.phones import MISSED, RINGS_ON, WatchedDesktop, phone
from tests.calling.playing import CALL, push
from tests.helpers import payload
from tests.world import REMOTE_ID, Gathered, world
from tocsin.calling import (
    AnswerFailedEventArgs,
    CallAcceptedEventArgs,
    CallEnded,
    ChannelRegistration,
    IncomingCall,
    PushOutcome,
    RegistrationFailedEventArgs,
)
from tocsin.protocol.calling.end_reason import ANSWERED_ELSEWHERE, CANCELLED
from tocsin.protocol.hresult import HResult
from tocsin.protocol.messages import ChannelRefused, ChannelsRevoked, RequestChannel
from tocsin.protocol.messages.calling import AcceptCall, RegisterForCallPush, RejectCall, UnregisterFromCallPush

PHONE = Path(__file__).parents[2] / "examples" / "phone" / "phone.py"
PAGES = Path(__file__).parents[2] / "docs"


async def test_1_a_handler_that_waits_is_an_async_function(tmp_path: Path) -> None:
    """The sample awaits in a function that is not async, which does not compile. Ours does, and each kind of handler is taken.

    One that is async is waited for before ``handled`` is read; one that would never run, as it has a yield, is refused.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compile(PHONE.read_text(), PHONE, "exec")
    assert inspect.iscoroutinefunction(runpy.run_path(str(PHONE))["main"])

    seen = Gathered()
    service = AnsweringService()
    async with world(tmp_path) as w, client_of(service, tmp_path) as client:
        await agent_of(client)
        await service.ring()
        channel = await w.channel()

        async def waits(args: tocsin.PushNotificationReceivedEventArgs) -> None:
            seen.add(await client.handle_push_notification(args.payload))
            args.handled = True

        def never_runs(_args: tocsin.PushNotificationReceivedEventArgs) -> Any:
            yield

        with pytest.raises(tocsin.InvalidArgument, match="yield"):
            channel.add_push_received(never_runs)
        with channel.push_received(waits), channel.push_received(lambda args: seen.add(args.id)):
            await w.service.send(payload("A", push().encode()))
            await seen.wait_for(2)
    assert seen.items == [PushOutcome.DUPLICATE, "A"]


async def test_2_a_push_that_the_foreground_has_handled_does_no_background_work(tmp_path: Path) -> None:
    """And where it is not said to be handled, and so comes twice, the call rings once."""
    rings, foreground, background = Gathered(), Gathered(), Gathered()
    service = AnsweringService()
    async with world(tmp_path) as w, client_of(service, tmp_path) as client:
        await agent_of(client)
        client.incoming_call_received.add(rings.add)
        channel = await w.channel()

        async def on_push(args: tocsin.PushNotificationReceivedEventArgs) -> None:
            foreground.add(await client.handle_push_notification(args.payload))
            args.handled = args.id == "A"

        async def on_background(args: tocsin.BackgroundActivatedEventArgs) -> None:
            background.add(await client.handle_push_notification(args.task_instance.trigger_details.payload))

        await w.manager.on_background_activated(on_background)
        with channel.push_received(on_push):
            for id_, call in (("A", CALL), ("B", OTHER)):
                service.know(call)
                await w.service.send(payload(id_, push(call=call).encode()))
            await background.wait_for(1)
    assert foreground.items == [PushOutcome.RINGS] * 2
    assert background.items == [PushOutcome.DUPLICATE]
    assert len(rings.items) == 2


async def test_3_a_click_that_starts_the_app_is_not_lost(tmp_path: Path) -> None:
    """Though there is neither an agent nor a call when it comes, let alone a page."""
    desktop, service = WatchedDesktop(), AnsweringService()
    async with phone(tmp_path, desktop, service) as p:
        await p.agent()
        await service.ring()
        await desktop.until(RINGS_ON)
    desktop.click("Accept")  # while nothing runs that could hear it, so it comes with the next start
    async with phone(tmp_path, desktop, service) as p:
        await desktop.until(RINGS_ON)
        desktop.click("Accept")
        await desktop.until()
        await p.agent()
        await p.told.wait_for(1)
        assert isinstance(p.told.items[0], CallAcceptedEventArgs)


async def test_4_accepting_a_call_that_is_gone_says_so(tmp_path: Path) -> None:
    """In words, with the reason, and to the app where it was a click; there is no call that is None."""
    async with phone(tmp_path) as p:
        agent = await p.agent()
        await p.service.ring()
        await p.desktop.until(RINGS_ON)
        (incoming,) = agent.incoming_calls
        await p.service.end(CANCELLED)
        await p.desktop.until(MISSED)
        for answer in (incoming.accept, incoming.reject):
            with pytest.raises(CallEnded, match="hung up before the call was answered") as ended:
                await answer()
            assert ended.value.reason == (487, 0)
        click = tocsin.ToastNotificationActivatedEventArgs(
            f"action=accept;callId={CALL}", {}, tocsin.ToastActivationType.FOREGROUND, CALL, "calls", 1, 1
        )
        assert await p.bell.handle_click(click)
        await p.told.wait_for(1)
        (args,) = p.told.items
        assert isinstance(args, AnswerFailedEventArgs)
        assert args.has_gone


async def test_5_a_second_call_does_not_take_the_place_of_the_first(tmp_path: Path) -> None:
    """Each has a toast whose buttons name it, so that an answer is about the call that the user means."""
    async with phone(tmp_path) as p:
        agent = await p.agent()
        await p.service.ring()
        await p.service.ring(OTHER, "Bob")
        await p.desktop.until(RINGS_ON, "Bob is calling you.")
        assert [each.id for each in agent.incoming_calls] == [CALL, OTHER]
        p.desktop.click("Accept")
        p.desktop.click("Decline", "Bob is calling you.")
        await p.told.wait_for(2)
    assert [each.call for each in p.service.asked if isinstance(each, AcceptCall)] == [CALL]
    assert [each.call for each in p.service.asked if isinstance(each, RejectCall)] == [OTHER]


async def test_6_the_toast_does_not_ring_on_when_the_call_does_not(tmp_path: Path) -> None:
    """It is removed by the report over the connection, and by the push that stops the ringing."""
    async with phone(tmp_path) as p:
        agent = await p.agent()
        await p.service.ring()
        await p.service.ring(OTHER, "Bob")
        await p.desktop.until(RINGS_ON, "Bob is calling you.")
        await p.service.end(ANSWERED_ELSEWHERE)
        await p.desktop.until("Bob is calling you.")
        p.service.end_unheard(ANSWERED_ELSEWHERE, OTHER)
        assert await agent.handle_push_notification(push(110, OTHER)) is PushOutcome.ANSWERED_ELSEWHERE
        await p.desktop.until()
        assert await p.kept() == []


async def test_7_a_channel_is_registered_anew_renewed_and_unregistered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its URI changes, before the registration's time is over, and when the app says so."""
    monkeypatch.setattr("tocsin.protocol.calling.push_registration.SOONEST_RENEWAL", 0.0)
    service = AnsweringService()
    service.granted = 0.05  # seconds: an agent renews at 80 % of what the service grants
    async with world(tmp_path) as w, client_of(service, tmp_path) as client:
        agent = await agent_of(client)
        async with ChannelRegistration(w.manager, agent, remote_id=REMOTE_ID) as registration:
            await w.service.grant("c1")
            await service.until(lambda: len(service.about(RegisterForCallPush)) >= 3)
            service.granted = 86_400.0
            await w.service.send(ChannelsRevoked(0, ("c1",)))
            await w.service.grant("c2")
            await service.until(lambda: service.uris[-1].endswith("c2"))
            await registration.unregister()
    assert {uri.partition("token=")[2] for uri in service.uris} == {"c1", "c2"}
    assert len(service.about(UnregisterFromCallPush)) == 1


async def test_8_a_push_before_there_is_an_agent_is_kept(tmp_path: Path) -> None:
    """It rings when the agent is there, once."""
    rings: list[IncomingCall] = []
    service = AnsweringService()
    service.know()
    async with client_of(service, tmp_path) as client:
        client.incoming_call_received.add(lambda args: rings.append(args.incoming_call))
        for _ in range(2):
            assert await client.handle_push_notification(push()) is PushOutcome.KEPT
        await agent_of(client)
        assert await client.handle_push_notification(push()) is PushOutcome.DUPLICATE
        await anyio.wait_all_tasks_blocked()
    assert [each.id for each in rings] == [CALL]


async def test_9_a_channel_that_cannot_be_had_is_an_error_that_the_app_sees(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As an event, as the last error and in the log; not as a line that a debugger shows."""
    told = Gathered()
    async with world(tmp_path) as w, client_of(AnsweringService(), tmp_path) as client:
        registration = ChannelRegistration(w.manager, await agent_of(client), remote_id=REMOTE_ID)
        registration.failed.add(told.add)
        async with registration:
            request = await w.service.expect(RequestChannel)
            refusal = ChannelRefused(request.request, HResult.WPN_E_INVALID_APP, "the service knows no such app", None)
            await w.service.send(refusal)
            await told.wait_for(1)
            (args,) = told.items
            assert isinstance(args, RegistrationFailedEventArgs)
            assert args.error is registration.last_error
            assert args.error.hresult == HResult.WPN_E_INVALID_APP
    assert caplog.text.count("the service knows no such app") == 1


def steps_of(text: str) -> Iterator[list[int]]:
    """Find the numbers of the steps of each section, in their order; code is passed over."""
    for section in re.split(
        r"^#+ .*$", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE), flags=re.MULTILINE
    ):
        numbers = [int(number) for number in re.findall(r"^(\d+)\. ", section, re.MULTILINE)]
        if len(numbers) > 1:  # else a line of text begins with a number
            yield numbers


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
def test_10_the_steps_of_a_page_are_numbered_and_its_code_compiles(page: Path) -> None:
    """The sample's page has a step 3 twice and no step 2, calls a hub PNH, and has code that no compiler takes."""
    text = page.read_text(encoding="utf-8")
    last = 0
    for numbers in steps_of(text):
        first = numbers[0] if numbers[0] == last + 1 else 1  # a section may go on with the steps of the one before
        assert numbers == list(range(first, first + len(numbers)))
        last = numbers[-1]
    assert not re.search(r"\bPNH\b", text)
    for number, code in enumerate(re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)):
        compile(code, f"{page.name}, block {number + 1}", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_10_would_have_found_the_steps_of_the_sample() -> None:
    """Where code stands between them, too."""
    assert list(steps_of("# A\n1. a\n```\n7. no\n```\n3. b\n3. c\n## B\n64. is a number\n## C\n1. a\n2. b\n")) == [
        [1, 3, 3],
        [1, 2],
    ]
