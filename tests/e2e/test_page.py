"""The page of a real ``tocsin serve``, used in a real Chromium by who has a mouse, who has none, and who has no JavaScript.

Playwright and axe-core are installed from npm in the versions that ``page/package-lock.json`` locks, so only with
``SENDERS_OF_OTHERS=1``, as ``.ci/run`` sets it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

import tocsin
from tests.cli.test_serve import ok, serving
from tests.e2e.installed import NODE, install_node, run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

GATES = (
    pytest.mark.skipif(
        not os.environ.get("SENDERS_OF_OTHERS"),
        reason="installs Playwright and axe-core from npm: set SENDERS_OF_OTHERS=1 to have the page tried",
    ),
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: Debian's package is chromium, .ci/run installs it"),
)
"""What has to be there for a browser."""

pytestmark = [*GATES]

PROGRAMS = Path(__file__).parent / "page"
TOKEN = "correct horse battery staple"  # noqa: S105 - a case
PICTURES = os.environ.get("PAGE_PICTURES", "")  # the folder for pictures of the page, where they are wanted

Report = dict[str, list[dict[str, Any]]]
"""What each step has found, by its name."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Let Chromium do all steps once."""
    environment = install_node(tmp_path_factory.mktemp("node"), PROGRAMS)
    found: Report = {}
    for line in anyio.run(_use, tmp_path_factory.mktemp("page"), environment).splitlines():
        step = json.loads(line)
        found.setdefault(step["step"], []).append(step)
    return found


async def _use(folder: Path, environment: dict[str, str]) -> str:
    """Run a service with an app whose device is there, and one with a token; return what the program reports."""
    (folder / "locked.toml").write_text(f'page_token = "{TOKEN}"', encoding="utf-8")
    async with AsyncExitStack() as stack:
        url = (await stack.enter_async_context(serving(folder / "service"))).first["url"]
        locked = serving(folder / "other", "--config", str(folder / "locked.toml"))
        app = await ok("app", "add", "contoso.mail", "--state", str(folder / "service"))
        manager = await stack.enter_async_context(tocsin.embedded("contoso.mail", folder / "app", service=url))
        channel = (await manager.create_channel(app["remote_id"])).channel
        assert channel is not None
        told = {
            "url": url,
            "channel": hashlib.sha256(channel.uri.partition("token=")[2].encode()).hexdigest()[:16],
            "locked": (await stack.enter_async_context(locked)).first["url"],
            "token": TOKEN,
            "chromium": CHROMIUM,
            "pictures": PICTURES,
        }
        command = [str(NODE), str(PROGRAMS / "page.js"), json.dumps(told)]
        with channel.push_received(lambda args: setattr(args, "handled", True)):
            return await anyio.to_thread.run_sync(partial(run, command, environment))


def test_nothing_goes_wrong_in_the_browser(report: Report) -> None:
    """No error of the script, nothing that the policy has kept out; a refused token is the one answer that is told as one."""
    errors = [each["words"] for each in report.get("error", ())]
    assert [words for words in errors if "401" not in words] == []


def test_a_push_sent_from_the_form_appears(report: Report) -> None:
    """With its answer beside the form, which has the focus then, and as a row of the list."""
    (step,) = report["sends"]
    assert step["answer"].split()[:4] == ["Answer", "received", "200", "OK"]
    assert step["row"].split("\t")[1:4] == ["received", "contoso.mail", "toast"]
    assert step["focused"] == "answer"


def test_a_refused_one_shows_its_reason(report: Report) -> None:
    """At the form and in the list; the page was not left for it."""
    (step,) = report["is_refused"]
    for where in ("answer", "row"):
        assert "X-WNS-Tag must be 1 to 16 letters and digits" in step[where]
    assert "400 Bad Request" in step["answer"]
    assert step["url"].endswith("/")


def test_the_list_can_be_paused(report: Report) -> None:
    """What comes meanwhile is counted, and shown when it goes on."""
    assert report["pauses"][0]["came"] == 0


def test_axe_finds_no_barrier(report: Report) -> None:
    """In light and in dark, on a wide screen and on a phone's, which nothing is wider than."""
    assert len(report["has_no_barriers"]) == 4
    for step in report["has_no_barriers"]:
        assert (step["barriers"], step["wide"]) == ([], 0), (step["colorScheme"], step["width"])


def test_all_is_done_by_keyboard(report: Report) -> None:
    """The first Tab offers the form; where the focus is, is seen."""
    (step,) = report["needs_no_mouse"]
    assert (step["first"], step["seen"]) == ("Skip to the form that sends", "solid")
    assert "received" in step["answer"]


def test_the_page_is_whole_without_javascript(report: Report) -> None:
    """It says of which moment it is, has the list, and sends."""
    (step,) = report["needs_no_script"]
    assert step["moment"].startswith("As of ")
    assert step["rows"] >= 3
    assert "received" in step["answer"]
    assert step["body"] == "no script"


def test_the_token_opens_the_page(report: Report) -> None:
    """A wrong one does not; no script reads the cookie; who logs out is asked again."""
    (step,) = report["asks_for_the_token"]
    assert (step["barriers"], step["cookies"], step["heading"]) == ([], "", "Tocsin push service")
