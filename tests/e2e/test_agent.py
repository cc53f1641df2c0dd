"""A real agent, real apps that it starts, and pushes over HTTP."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from tests.e2e.agents import Agent, in_process, running_agent, start_agent
from tocsin.protocol.platform.launches import CLAIM_ARGUMENTS, LaunchPurpose

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="an app's command line is read from /proc")

CLSID = "d2a4b7f0-2f6c-4f0e-9a55-0c8f0f7a3e11"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Processes and sockets: on asyncio."""
    return "asyncio"


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """Run one agent for all tests that let it live."""
    with running_agent(tmp_path_factory.mktemp("agent")) as found:
        yield found


class TestLaunch:
    """A push for an app that is not running."""

    async def test_it_starts_the_app_for_one_payload_after_the_other(self, agent: Agent) -> None:
        """What is pushed meanwhile waits; it arrives as it was sent, and not on the command line."""
        bodies = [b"\x00\xff binary '$(exit)'\n", b" ", b"the third"]
        await agent.install("mail", "--work", "0.1")
        await agent.push("mail", *bodies)
        journal = agent.journal("mail")
        done = await journal.wait_for("done", 3)
        await journal.wait_for("left", 4)
        began = journal.events("began")
        assert journal.payloads("began") == journal.payloads("done") == bodies
        assert [each["attempt"] for each in began] == [1, 1, 1]
        assert len({each["pid"] for each in began}) == 3
        assert all(end["at"] <= next_begin["at"] for end, next_begin in zip(done, began[1:], strict=False))
        starts = [each["at"] for each in journal.events("started")[1:]]
        assert all(
            begin["at"] - start < 1 for start, begin in zip(starts, began, strict=True)
        )  # a claim waits for nothing
        first, *launched = (list(map(bytes.fromhex, each["words"])) for each in journal.events("started"))
        for words in launched:
            assert words[:-1] == first
            assert words[-1].startswith(CLAIM_ARGUMENTS[LaunchPurpose.PUSH].encode())
            assert not any(body in words[-1] for body in bodies)

    async def test_a_process_that_lives_on_and_has_a_handler_does_the_rest(self, agent: Agent) -> None:
        """One process is launched, and handles all, one after the other."""
        bodies = [b"1", b"2", b"3"]
        await agent.install("staying", "--work", "0.2", "--stays", "0.5")
        await agent.push("staying", *bodies)
        journal = agent.journal("staying")
        done = await journal.wait_for("done", 3)
        began = journal.events("began")
        assert journal.payloads() == bodies
        assert len({each["pid"] for each in began}) == 1
        assert began[0]["pid"] != journal.events("ready")[0]["pid"]
        assert all(end["at"] <= next_begin["at"] for end, next_begin in zip(done, began[1:], strict=False))


class TestForget:
    """``tocsin agent forget``."""

    async def test_an_app_is_removed_and_its_payloads_die(self, agent: Agent) -> None:
        """What it had is said; it is not woken any more, and is not known the second time."""
        await agent.install("gone", "--work", "0.5")
        await agent.push("gone", b"1", b"2")
        journal = agent.journal("gone")
        await journal.wait_for("began")
        command = ("agent", "forget", "gone", "--state", str(agent.state))
        code, output, errors = await in_process(*command)
        assert (code, output, errors) == (0, "gone was removed: 1 channel, 0 requests, 1 activator, 1 session\n", "")
        assert [each["reason"] for each in await agent.until_dead("gone")] == ["uninstall"]
        assert journal.payloads("began") == journal.payloads("done") == [b"1"]
        code, _, errors = await in_process(*command)
        assert (code, errors.count("knows no app 'gone'")) == (1, 1)


class TestLogOff:
    """The session of the user ends."""

    async def test_work_ends_and_the_rest_waits_for_the_next_log_on(self, tmp_path: Path) -> None:
        """By SIGHUP: none is begun any more, and what waits is done once."""
        agent = start_agent(tmp_path)
        try:
            await agent.install("mail", "--work", "0.3")
            await agent.push("mail", b"1", b"2")
            journal = agent.journal("mail")
            await journal.wait_for("began")
            agent.process.send_signal(signal.SIGHUP)
            assert await anyio.to_thread.run_sync(agent.process.wait, 10) == 0
            assert journal.payloads() == journal.payloads("began") == [b"1"]
        finally:
            agent.die()
        with running_agent(tmp_path):
            await journal.wait_for("done", 2)
        assert journal.payloads() == journal.payloads("began") == [b"1", b"2"]


class TestTwoProcesses:
    """A packaged app: Process A registers the trigger, Process B serves the class."""

    def manifest(self, agent: Agent, app: str, *options: str) -> tuple[str, ...]:
        """Write the manifest of an app, and return the options for its processes."""
        path = agent.folder / f"{app}.toml"
        options = ("--manifest", str(path), *options)
        command = json.dumps(agent.words(app, "--role", "class", *options))
        path.write_text(f'family_name = "{app}"\n[com]\n"{CLSID}" = {command}\n', encoding="utf-8")
        return options

    async def test_a_first_b_is_launched_by_the_manifest(self, agent: Agent) -> None:
        """A has the trigger and no handler; the process that was launched serves the class from then on."""
        options = self.manifest(agent, "packaged", "--stays", "30")
        async with agent.app("packaged", "--role", "trigger", *options) as a:
            await agent.push("packaged", b"1")
            await agent.journal("packaged").wait_for("done")
            await agent.push("packaged", b"2")
            done = await agent.journal("packaged").wait_for("done", 2)
            assert len({each["pid"] for each in done}) == 1
            assert done[0]["pid"] != a.pid
            os.kill(done[0]["pid"], signal.SIGTERM)

    @pytest.mark.parametrize("order", [("trigger", "class"), ("class", "trigger")], ids="-".join)
    async def test_both_alive_and_either_first(self, agent: Agent, order: tuple[str, str]) -> None:
        """B does the work, and nothing is launched."""
        app = f"both.{order[0]}"
        options = self.manifest(agent, app, "--stays", "30")
        async with (
            agent.app(app, "--role", order[0], *options) as first,
            agent.app(app, "--role", order[1], *options, ready=2) as second,
        ):
            await agent.push(app, b"1", b"2")
            done = await agent.journal(app).wait_for("done", 2)
            b = first if order[0] == "class" else second
            assert {each["pid"] for each in done} == {b.pid}
            assert len(agent.journal(app).events("started")) == 2


class TestSeveral:
    """Several apps, and several processes of one."""

    async def test_a_slow_app_delays_no_other(self, agent: Agent) -> None:
        """Two processes of one app and another app work while a handler does not return."""
        async with (
            agent.app("slow", "--work", "30", "--stays", "30"),
            agent.app("fast", "--stays", "30"),
            agent.app("fast", "--stays", "30", ready=2),
            agent.app("other", "--stays", "30"),
        ):
            await agent.push("slow", b"1", b"2")
            await agent.journal("slow").wait_for("began")
            bodies = [b"%d" % number for number in range(20)]
            with anyio.fail_after(5):
                await agent.push("fast", *bodies)
                await agent.push("other", *bodies)
                for app in ("fast", "other"):
                    await agent.journal(app).wait_for("done", 20)
                    assert agent.journal(app).payloads() == bodies
            assert agent.journal("slow").payloads("began") == [b"1"]
            assert not agent.journal("slow").events("done")
            await agent.forget("slow")  # or its work would be begun again, and go on behind the test


class TestDeath:
    """Processes that are killed in the middle."""

    async def test_an_app_that_is_killed_gets_the_payload_again(self, agent: Agent) -> None:
        """It is launched anew, and sees that it is the second attempt."""
        await agent.install("killed", "--work", "0.5")
        await agent.push("killed", b"1")
        journal = agent.journal("killed")
        (began,) = await journal.wait_for("began")
        os.kill(began["pid"], signal.SIGKILL)
        (done,) = await journal.wait_for("done")
        assert [each["attempt"] for each in journal.events("began")] == [1, 2]
        assert done["pid"] != began["pid"]

    async def test_a_payload_that_kills_three_processes_is_given_up(self, agent: Agent) -> None:
        """It is a dead letter that says so; another payload has its turn meanwhile."""
        await agent.install("loop", "--deadly", b"poison".hex())
        await agent.push("loop", b"poison", b"food")
        journal = agent.journal("loop")
        (letter,) = await agent.until_dead("loop")
        assert journal.payloads("done") == [b"food"]
        attempts = [each["attempt"] for each in journal.events("began") if each["payload"] == b"poison".hex()]
        assert attempts == [1, 2, 3]
        assert (letter["reason"], letter["attempt"]) == ("crash_loop", 3)
        retry = await in_process("dead-letters", "retry", letter["id"][:8], "--state", str(agent.state))
        assert retry == (0, f"{letter['id']} is a payload again, behind those that wait\n", "")
        (again,) = await agent.until_dead("loop")  # its deaths are counted from the start, its attempts are not
        assert (again["id"], again["reason"], again["attempt"]) == (letter["id"], "crash_loop", 6)

    async def test_an_app_that_stands_still_is_waited_for(self, tmp_path: Path) -> None:
        """No second process begins what it has in hand, also where it comes back later than an app at work does."""
        agent = start_agent(tmp_path)
        try:
            async with agent.app("slow", "--work", "0.8", "--stays", "30") as slow:
                await agent.push("slow", b"1")
                await agent.journal("slow").wait_for("began")
                slow.send_signal(signal.SIGSTOP)
                agent.die()
                agent = start_agent(tmp_path)
                await agent.push("slow", b"2")
                await anyio.sleep(2)
                slow.send_signal(signal.SIGCONT)
                assert {each["pid"] for each in await agent.journal("slow").wait_for("done", 2)} == {slow.pid}
                assert agent.journal("slow").payloads("began") == [b"1", b"2"]
        finally:
            agent.stop()

    async def test_an_app_that_is_back_is_not_started_again(self, tmp_path: Path) -> None:
        """It had nothing in hand: what waits for it is its handler's, and no second process is started for that."""
        agent = start_agent(tmp_path)
        try:
            async with agent.app("idle", "--stays", "30") as idle:
                idle.send_signal(signal.SIGSTOP)
                agent.die()
                agent = start_agent(tmp_path)
                await agent.push("idle", b"1")
                idle.send_signal(signal.SIGCONT)
                (done,) = await agent.journal("idle").wait_for("done")
                assert done["pid"] == idle.pid
                await anyio.sleep(1)  # another process would have said that it was started
                assert len(agent.journal("idle").events("started")) == 1
        finally:
            agent.stop()

    async def test_a_launched_process_brings_its_report_to_the_next_agent(self, tmp_path: Path) -> None:
        """Also where that comes a while after its work is done: it is not begun again."""
        agent = start_agent(tmp_path)
        try:
            await agent.install("brief", "--work", "0.2")
            await agent.push("brief", b"1")
            await agent.journal("brief").wait_for("began")
            agent.die()
            await agent.journal("brief").wait_for("done")
            await anyio.sleep(1.5)  # an app that was not launched would have left by then
            agent = start_agent(tmp_path)
            await agent.push("brief", b"2")
            await agent.journal("brief").wait_for("done", 2)
            assert agent.journal("brief").payloads("began") == [b"1", b"2"]
        finally:
            agent.stop()

    async def test_an_agent_that_is_killed_loses_nothing(self, tmp_path: Path) -> None:
        """Handlers go on, their outcomes count with the next agent, and a push launches what was registered with the first."""
        agent = start_agent(tmp_path)
        try:
            await agent.install("launched", "--work", "2.6")
            async with agent.app("living", "--work", "0.8", "--stays", "30") as living:
                await agent.push("living", b"1")
                await agent.push("launched", b"1")
                await agent.journal("living").wait_for("began")
                await agent.journal("launched").wait_for("began")
                agent.die()
                agent = start_agent(tmp_path)
                await agent.push("living", b"2")
                await agent.push("launched", b"2")
                assert {each["pid"] for each in await agent.journal("living").wait_for("done", 2)} == {living.pid}
                (done,) = await agent.journal("launched").wait_for("done")
                first, second = await agent.journal("launched").wait_for("began", 2)
                assert first["pid"] == done["pid"] != second["pid"]
                for app in ("living", "launched"):
                    assert agent.journal(app).payloads("began") == [b"1", b"2"]
                    assert not await agent.dead_letters(app)
                await agent.forget("launched")
        finally:
            agent.stop()
