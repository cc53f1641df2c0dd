"""The page of a real ``tocsin serve``, used in a real Chromium by who has a mouse, who has none, and who has no JavaScript."""

from __future__ import annotations

import hashlib
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

import tocsin
from tests.cli.test_serve import ok, serving
from tests.e2e.chromium import GATES, Look, Report, report_of

pytestmark = [*GATES]

TOKEN = "correct horse battery staple"  # noqa: S105 - a case


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Let Chromium do all steps once."""
    return report_of(tmp_path_factory, "page", _use)


async def _use(folder: Path, look: Look) -> str:
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
        }
        with channel.push_received(lambda args: setattr(args, "handled", True)):
            return await look("page.js", told)


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
