"""The examples in the docstrings of public names: they run as they stand."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import tocsin
from tests.actors.shelling import PlayedDesktop
from tests.client.web_push_server import push_server
from tocsin.testing import received

EXAMPLES = {
    name: dedent(found[1])
    for name in tocsin.__all__
    if (
        found := re.search(
            r"^ *Example::\n\n((?: *\n|    .+\n)+?)(?=:\w+|\Z)",
            f"{inspect.getdoc(getattr(tocsin, name))}\n",
            re.MULTILINE,
        )
    )
}

HAVE_ONE = {
    *("embedded", "run", "PushNotificationManager", "CreateChannelOperation", "PushNotificationChannel"),
    *(
        "PushNotificationReceivedEventArgs",
        "Deferral",
        "Conditions",
        "ToastNotifier",
        "Badge",
        "WnsClient",
        "WebPushClient",
    ),
    "WebPushSubscription",
    *("ToastContentBuilder", "ToastArguments", "PushNotificationActivationInfo", "RetryPolicy", "SendPolicy"),
}
"""What a program begins with, and what it makes itself."""


def test_what_a_program_begins_with_has_an_example() -> None:
    """Where ``help()`` and editors show it."""
    assert set(EXAMPLES) == HAVE_ONE


def start_of(example: str, names: dict[str, Any]) -> Callable[[], Awaitable[None] | None]:
    """Return what runs an example with these names, which may be awaited."""
    code = compile(example, "example", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    return lambda: eval(code, names)  # noqa: S307  # it is ours


@pytest.mark.parametrize("name", sorted(HAVE_ONE - {"run"}))
async def test_an_example_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a program that has what is named in it; a handler that it defines is called, too."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vapid.pem").write_text(tocsin.VapidKey.generate().pem(), encoding="ascii")
    with push_server() as push_service:
        async with tocsin.embedded("contoso.mail", "./state", desktop=PlayedDesktop()) as manager:
            assert manager.registration is not None
            names: dict[str, Any] = {
                "tocsin": tocsin,
                "asyncio": asyncio,
                "json": json,
                "manager": manager,
                "subscription": push_service.subscription,
                "channel": await manager.open_channel(),
                "client_id": manager.registration.client_id,
                "client_secret": manager.registration.client_secret,
            }
            running = start_of(EXAMPLES[name], names)()
            if running is not None:
                await running
            if "on_push" in names:
                args = received(b'{"subject": "mail"}')
                returned = names["on_push"](args)
                if returned is not None:
                    await returned
                else:
                    assert args.handled


def test_the_example_of_a_program_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has an event loop of its own."""
    monkeypatch.chdir(tmp_path)
    start_of(EXAMPLES["run"], {"tocsin": tocsin})()
    assert len(capsys.readouterr().out.strip()) == 36
