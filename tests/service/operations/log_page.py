"""The example of log lines in ``docs/operating.md``, of a service that has just run: ``python -m tests.service.operations.log_page``."""

from __future__ import annotations

import asyncio
import io
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.service.world import World, open_world
from tocsin.protocol.values import TOKEN_LIFETIME
from tocsin.service.operations.logs import JsonLogFormatter, TextLines
from tocsin.service.operations.settings import ServiceSettings

_ALWAYS = (  # what is another each time
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"), "2026-11-30T07:15:42"),
    (re.compile(r"\.\d{3}Z"), ".180Z"),
    (re.compile(r'(?<= in )\d+(?= s)|(?<="seconds": )\d+'), "60"),
)
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_IDS = ("6f1c2a5e-3f0b-4a53-9d8e-2b7c41f0a9d6", "b07d5c1e-92a4-4f6e-8c35-d1e6f0a48b27")


@contextmanager
def lines_of(as_json: bool) -> Iterator[list[str]]:  # it is a case
    """Give a list in which the lines are at the end that operators are to read, as a service writes them."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLogFormatter() if as_json else TextLines())
    handler.addFilter(lambda record: hasattr(record, "fields"))
    logger, lines = logging.getLogger("tocsin.service"), list[str]()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        lines += stream.getvalue().splitlines()


async def live(state: Path) -> World:
    """Let a service live: apps come, and a device, senders are refused, and an app goes."""
    async with open_world(state, ServiceSettings(trusted_proxies=("127.0.0.1",)), app="contoso.mail") as world:
        proxied = {"X-Forwarded-For": "203.0.113.7"}
        for _ in range(3):
            await world.post(headers={"Authorization": "Bearer made-up", **proxied})
        await world.post(headers={"X-WNS-Type": "wns/roast", **proxied})
        world.clock.time += TOKEN_LIFETIME
        for _ in range(12):
            await world.post(headers=proxied)
        await world.post(headers={"X-Forwarded-For": "2001:db8::5"})
        apps = world.service.registrations
        await apps.rotate("contoso.mail")
        await apps.add("fabrikam.chat")
        await apps.remove("fabrikam.chat")
        form = {"grant_type": "client_credentials", "scope": "notify.windows.com", "client_secret": "wrong"}
        form["client_id"] = world.app.client_id
        await world.http.post(world.service.token_url, data=form, headers=proxied)
    return world


def example(lines: list[str]) -> str:
    """Return the lines as they would be of one moment and two apps of always the same ids."""
    text = "\n".join(lines)
    for pattern, always in _ALWAYS:
        text = pattern.sub(always, text)
    found = list(dict.fromkeys(each[0] for each in _ID.finditer(text)))
    for id_, always in zip(found, _IDS, strict=True):
        text = text.replace(id_, always)
    return text


def main() -> None:
    """Print both."""
    for as_json in (False, True):
        with TemporaryDirectory() as state, lines_of(as_json) as lines:
            asyncio.run(live(Path(state)))
        print(example(lines), end="\n\n")  # noqa: T201 - it is to be pasted


if __name__ == "__main__":
    main()
