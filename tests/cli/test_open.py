"""``tocsin open``: which page is opened, and what is said where none can be."""

from __future__ import annotations

import json
import sys
import webbrowser
from functools import partial
from importlib import import_module
from pathlib import Path

import anyio
import pytest

from tests.processes import call
from tocsin.api.embedded import embedded
from tocsin.transport.control_socket import Answer, serving_control


async def in_thread(*arguments: str) -> tuple[int, str, str]:
    """Run ``tocsin open`` beside the test's event loop."""
    return await anyio.to_thread.run_sync(partial(call, "open", *arguments))


def opening(monkeypatch: pytest.MonkeyPatch, opened: list[str], *, works: bool) -> None:
    """Have a browser that notes what it opens, or none."""

    def note(address: str) -> bool:
        opened.append(address)
        return works

    monkeypatch.setattr(webbrowser, "open", note)


async def test_a_service_has_a_page_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is opened and nothing printed, or printed and nothing opened; where there is no browser it is said, and printed."""
    opened: list[str] = []
    opening(monkeypatch, opened, works=True)
    async with embedded("contoso.mail", tmp_path, sensors=()) as manager:
        assert manager.registration is not None
        page = manager.registration.page_url
        state = ("--state", str(tmp_path))
        assert await in_thread(*state) == (0, "", "")
        assert opened == [page]
        assert await in_thread(*state, "--print") == (0, f"{page}\n", "")
        code, output, errors = await in_thread(*state, "--json")
        assert (code, json.loads(output), errors, opened) == (0, {"event": "page", "url": page}, "", [page])
        opening(monkeypatch, opened, works=False)
        code, output, errors = await in_thread(*state)
        assert (code, output) == (0, f"{page}\n")
        assert errors == "tocsin open: there is no browser here that can be opened; open this address in yours:\n"

        def none(_: str) -> bool:
            raise webbrowser.Error("could not locate runnable browser")

        monkeypatch.setattr(webbrowser, "open", none)
        assert await in_thread(*state) == (0, f"{page}\n", errors)


async def test_a_service_without_a_page_is_told_of(tmp_path: Path) -> None:
    """In words that say which setting it is."""

    async def perform(_: Answer) -> Answer:
        return {"kind": "service", "url": "https://push.example", "page": None}

    async with serving_control(tmp_path, perform, "service"):
        code, output, errors = await in_thread("--state", str(tmp_path))
    assert (code, output) == (1, "")
    assert "the push service at https://push.example shows no page: it is turned off (page), or it" in errors
    assert "page_token" in errors


async def test_what_has_no_page_says_so(tmp_path: Path) -> None:
    """A calling service is none that can be looked at."""

    async def perform(_: Answer) -> Answer:
        return {"kind": "calling service"}

    async with serving_control(tmp_path, perform, "calling service"):
        assert await in_thread("--state", str(tmp_path)) == (1, "", "tocsin open: this calling service has no page\n")


async def test_an_agent_needs_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is named."""

    async def perform(_: Answer) -> Answer:
        return {"kind": "agent"}

    monkeypatch.setattr("tocsin.cli.platform_page", import_module("tocsin.cli.platform_page"))  # it is imported anew
    for name in [name for name in sys.modules if name.startswith("tocsin.cli.platform_page")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette.requests", None)
    async with serving_control(tmp_path, perform, "agent"):
        code, output, errors = await in_thread("--state", str(tmp_path))
    assert (code, output) == (1, "")
    assert errors == (
        "tocsin open: the page of this agent needs the package starlette.requests: pip install 'tocsin[service]'\n"
    )


def test_a_url_is_opened_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one slash at its end; what is none of a service is refused."""
    opened: list[str] = []
    opening(monkeypatch, opened, works=True)
    for url in ("https://push.example", "https://push.example/"):
        assert call("open", "--url", url) == (0, "", "")
    assert opened == ["https://push.example/"] * 2
    code, _, errors = call("open", "--url", "push.example")
    assert (code, "a push service is a URL such as https://push.example" in errors) == (1, True)


def test_where_nothing_runs_it_is_said(tmp_path: Path) -> None:
    """With what to name."""
    code, output, errors = call("open", "--state", str(tmp_path))
    assert (code, output) == (1, "")
    assert errors == (
        f"tocsin open: no agent, no program and no service runs on {tmp_path};"
        " name the state folder with --state, or a service's --url\n"
    )
