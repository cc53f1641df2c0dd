"""``tocsin open`` beside a real agent: served until Ctrl-C, and used in a real Chromium.

The browser needs Playwright and axe-core, as in ``test_page.py``.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession, CookieJar

from tests.e2e.agents import Agent, running_agent
from tests.e2e.chromium import GATES, Look, Report, report_of
from tests.processes import Listening, running

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the agent runs on POSIX systems")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Processes and sockets: on asyncio."""
    return "asyncio"


@asynccontextmanager
async def opened(agent: Agent) -> AsyncIterator[Listening]:
    """Run ``tocsin open`` until the block is left."""
    async with running("open", "--json", "--state", str(agent.state)) as command:
        yield command


async def test_the_page_is_there_until_ctrl_c(tmp_path: Path) -> None:
    """It outlives the agent, and says so; the command ends in order."""
    with running_agent(tmp_path) as agent:
        await agent.install("contoso.mail")
        async with opened(agent) as command, ClientSession(cookie_jar=CookieJar(unsafe=True)) as http:
            url = str(command.first["url"])
            async with http.get(url) as page:
                text = await page.text()
            assert (page.status, str(page.url)) == (200, url.partition("_tocsin")[0])
            assert [words in text for words in ("Tocsin agent", "contoso.mail", str(agent.process.pid))] == [True] * 3
            uri = agent.journal("contoso.mail").events("ready")[0]["uri"]
            assert uri.partition("token=")[2] not in text
            agent.stop()
            async with http.get(page.url) as page:
                assert f"nothing runs on {agent.state} any more" in await page.text()
            command.process.send_signal(signal.SIGINT)
            assert await command.wait() == 0
            errors = (await command.errors()).splitlines()
    assert errors[-1] == "tocsin open: stopping; once more ends it at once"
    assert len(errors) == 2


def in_browser(test: Callable[[Report], None]) -> Callable[[Report], None]:
    """Run a test only where there is a browser."""
    for gate in GATES:
        test = gate(test)
    return test


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Let Chromium do all steps once."""
    return report_of(tmp_path_factory, "open", _use)


async def _use(folder: Path, look: Look) -> str:
    """Run an agent with an app that runs and one that does not; return what the program reports."""
    with running_agent(folder) as agent:
        await agent.install("contoso.calendar")
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(agent.app("contoso.mail", "--stays", "120"))
            command = await stack.enter_async_context(opened(agent))
            told = {
                "address": command.first["url"],
                "mail": agent.journal("contoso.mail").events("ready")[0],
                "calendar": agent.journal("contoso.calendar").events("ready")[0],
            }
            return await look("opened.js", told)


@in_browser
def test_the_address_lets_one_browser_in(report: Report) -> None:
    """To the page itself, by a cookie that no script reads; another browser is told what to do."""
    (step,) = report["is_let_in"]
    assert (step["url"].count("/"), step["url"][-1], step["cookies"]) == (3, "/", "")
    assert step["heading"] == "Tocsin agent"
    (step,) = report["lets_no_other_in"]
    assert (step["answers"], "run 'tocsin open' again" in step["words"]) == ([403, 403], True)


@in_browser
def test_outcomes_are_shown_as_they_come(report: Report) -> None:
    """With their reasons; and apps, whether they run or would be started."""
    (step,) = report["shows_outcomes"]
    assert step["handled"].split("\t")[1:4] == ["handled", "contoso.mail", "raw"]
    assert step["dead"].split("\t")[1:4] == ["dead", "contoso.mail", "toast"]
    assert "unreadable" in step["dead"].split("\t")[4]
    assert step["launched"].split("\t")[1:4] == ["launched", "contoso.calendar", "raw"]
    assert "contoso.mail\t1 connected" in step["apps"]


@in_browser
def test_axe_finds_no_barrier(report: Report) -> None:
    """In light and in dark, on a wide screen and on a phone's, which nothing is wider than; the policy kept nothing out."""
    assert len(report["has_no_barriers"]) == 4
    for step in report["has_no_barriers"]:
        assert (step["barriers"], step["wide"]) == ([], 0), (step["colorScheme"], step["width"])
    assert report.get("error", []) == []


@in_browser
def test_the_keyboard_is_led_to_what_came(report: Report) -> None:
    """By the first link."""
    (step,) = report["needs_no_mouse"]
    assert (step["first"], step["next"]) == ("Skip to what came lately", "pause")
