"""What is of asyncio alone: its own cancellation, which goes through anyio's shields, and handlers that end their tasks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import anyio
import pytest

from tests.calling.playing import CALL, RINGS, PlayedService, agent_of, ended
from tests.calling.test_incoming import accepted, ring
from tests.helpers import PATIENCE
from tocsin.calling import IncomingCallReceivedEventArgs
from tocsin.protocol.messages.calling import AcceptCall, CallPhase, HangUpCall


async def test_an_accept_whose_time_is_over_hangs_up(tmp_path: Path) -> None:
    """Such as that of asyncio.timeout."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        incoming = await ring(service, agent)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await incoming.accept()
        await service.expect(AcceptCall)
        assert (await service.expect(HangUpCall)).call == CALL


async def test_a_cancelled_program_leaves_in_order(tmp_path: Path) -> None:
    """Calls are hung up, however often it is cancelled meanwhile."""
    service = PlayedService()
    called = asyncio.Event()

    async def live() -> None:
        async with agent_of(service, tmp_path) as agent:
            await accepted(service, await ring(service, agent))
            called.set()
            await asyncio.sleep(3600)

    program = asyncio.create_task(live())
    async with asyncio.timeout(PATIENCE):
        await called.wait()
        program.cancel()
        asked = await service.expect(HangUpCall)
        program.cancel()
        await service.answer(asked, ended(0, 0, here=True))
        with pytest.raises(asyncio.CancelledError):
            await program


async def test_a_handler_that_cancels_its_task_ends_nothing_else(tmp_path: Path) -> None:
    """It is called for the next call all the same."""
    service = PlayedService()
    rung: list[str] = []

    async def give_up(args: IncomingCallReceivedEventArgs) -> None:
        rung.append(args.incoming_call.id)
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    async with agent_of(service, tmp_path) as agent:
        agent.incoming_call_received.add(give_up)
        for number in range(3):
            await ring(service, agent, f"call-{number}")
        assert rung == ["call-0", "call-1", "call-2"]


async def test_a_call_is_accepted_in_the_handler_that_hears_of_it(tmp_path: Path) -> None:
    """While it waits for that and for the end of the call, it is called for the next one."""
    service = PlayedService()
    done = asyncio.Event()
    rung: list[str] = []

    async def accept(args: IncomingCallReceivedEventArgs) -> None:
        rung.append(args.incoming_call.id)
        if args.incoming_call.id == CALL:
            call = await args.incoming_call.accept()
            done.set()
            await call.wait_until_ended()

    async with agent_of(service, tmp_path) as agent:
        agent.incoming_call_received.add(accept)
        await service.send(RINGS)
        asked = await service.expect(AcceptCall)
        await service.answer(asked, RINGS, phase=CallPhase.CONNECTING, here=True)
        with anyio.fail_after(PATIENCE):
            await done.wait()
        assert [call.id for call in agent.calls] == [CALL]
        await ring(service, agent, "another")
        assert rung == [CALL, "another"]
