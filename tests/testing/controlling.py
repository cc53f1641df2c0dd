"""A client of ``/_tocsin/``, as simple as those of other languages."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import ClientSession
from attrs import define

from tests.processes import Sender
from tocsin.testing.http_control import PREFIX
from tocsin.testing.twin import Twin


@define
class Control:
    """A client of the twin, as simple as those of other languages."""

    http: ClientSession
    url: str
    twin: Twin

    async def ask(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Ask, and return the status and what the JSON of the answer says."""
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        async with self.http.request(method, self.url + PREFIX + path, data=data, headers=headers) as answer:
            assert answer.content_type == f"application/{'' if answer.status == 200 else 'problem+'}json"
            return answer.status, await answer.json()

    async def do(self, method: str, path: str, body: object = None) -> Any:
        """Ask for what is done."""
        status, content = await self.ask(method, path, body)
        assert status == 200, content
        return content

    async def sender(self) -> Sender:
        """Sign in."""
        about = await self.do("GET", "/")
        made = Sender(self.http, about | {"uri": about["channel_uri"]})
        await made.sign_in()
        return made
