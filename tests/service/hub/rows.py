"""Rows of tables: a request as a client spells it, and what has to come back."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from urllib.parse import quote

import pytest
from attrs import Factory, frozen

from tests.service.hub.hub_world import ENTRY, RAW, HubWorld, entry
from tests.service.world import Answer
from tocsin.protocol.hub.rights import Right

SOON = {"ServiceBusNotification-ScheduleTime": "2027-01-15T08:00:05"}
"""Five seconds after the clock of these tests."""


@frozen
class Row:
    """A request and its answer.

    In path, headers and body ``<uri>`` stands for a channel's URI, ``<quoted>`` for the same in a query, ``<twice>`` escaped once
    more; ``<id>``, ``<tagged>``, ``<installation>``, ``<scheduled>`` and ``<message>`` for the id of one that is made for this row,
    ``<new>`` for an id that was given out. ``told`` are patterns of headers, ``text`` patterns that are in the body, ``empty``
    tells that there is none.
    """

    claim: str
    request: str
    status: int
    told: Mapping[str, str] = Factory(dict)
    text: tuple[str, ...] = ()
    body: str = ""
    headers: Mapping[str, str] = Factory(dict)
    right: Right = Right.MANAGE
    lacks: tuple[str, ...] = ()
    empty: bool = False


def rows(those: Iterable[Row]) -> pytest.MarkDecorator:
    """Run a test with each of these rows, by its claim."""
    return pytest.mark.parametrize("row", [pytest.param(row, id=row.claim) for row in those])


async def check(hub: HubWorld, row: Row) -> Answer:
    """Ask what a row asks, and hold the answer against it."""
    fill = await _filled(hub, row)
    method, path = fill(row.request).split(" ", 1)
    headers = {"Authorization": hub.signature(row.right)} | {name: fill(value) for name, value in row.headers.items()}
    answer = await hub.request(method, path, fill(row.body).encode(), headers)
    assert answer.status == row.status, answer.text
    for name, pattern in row.told.items():
        assert re.fullmatch(fill(pattern, re.escape), answer.headers.get(name, "(none)")), (name, dict(answer.headers))
    for pattern in row.text:
        assert re.search(fill(pattern, re.escape), answer.text, re.DOTALL), (pattern, answer.text)
    for pattern in row.lacks:
        assert not re.search(fill(pattern, re.escape), answer.text + str(dict(answer.headers))), (pattern, answer.text)
    assert not (row.empty and answer.text), answer.text
    return answer


async def _filled(hub: HubWorld, row: Row) -> Callable[..., str]:
    """Make what a row needs; return what puts it in."""
    uri = hub.world.uri
    known = {"uri": uri, "quoted": quote(uri, safe=""), "twice": quote(quote(uri, safe=""), safe="")}
    wanted = " ".join([row.request, row.body, *row.headers.values()])
    for name, make in _MAKERS.items():
        if f"<{name}>" in wanted:
            known[name] = await make(hub)

    def fill(text: str, escape: Callable[[str], str] = str) -> str:
        for name, value in known.items():
            text = text.replace(f"<{name}>", escape(value))
        return text

    return fill


def last_piece(url: str) -> str:
    """Return the last piece of a URL's path."""
    return url.partition("?")[0].rpartition("/")[2]


async def _registration(hub: HubWorld) -> str:
    return last_piece((await hub.register(hub.world.uri, "of-a-row")).headers["Content-Location"])


async def _new_id(hub: HubWorld) -> str:
    return last_piece((await hub.ask("POST", "registrationids")).headers["Location"])


async def _installation(hub: HubWorld) -> str:
    id_ = await _new_id(hub)
    body = f'{{"installationId":"{id_}","platform":"wns","pushChannel":"{hub.world.uri}","tags":["a"],"userId":"ann"}}'
    assert (await hub.ask("PUT", f"installations/{id_}", body)).status == 200
    return id_


async def _scheduled(hub: HubWorld) -> str:
    headers = RAW | SOON | {"ServiceBusNotification-Tags": "no-one"}
    return last_piece(
        (await hub.ask("POST", "schedulednotifications", b"x", right=Right.SEND, **headers)).headers["Location"]
    )


async def _message(hub: HubWorld) -> str:
    id_ = last_piece((await hub.send(b"x", "no-one")).headers["Location"])
    while "NoTargetFound" not in (await hub.ask("GET", f"messages/{id_}")).text:
        pass
    return id_


_MAKERS: dict[str, Callable[[HubWorld], Awaitable[str]]] = {
    "id": _registration,
    "new": _new_id,
    "installation": _installation,
    "scheduled": _scheduled,
    "message": _message,
}

ENTRY_OF = entry("<uri>", "news", "sport")
"""An entry as the documents have it."""

TEMPLATE_OF = entry(
    "<uri>",
    "news",
    kind="WindowsTemplateRegistrationDescription",
    more="<BodyTemplate><![CDATA[<toast><visual><binding template='ToastText01'><text id='1'>$(message)</text></binding>"
    "</visual></toast>]]></BodyTemplate><WnsHeaders><WnsHeader><Header>X-WNS-Type</Header><Value>wns/toast</Value>"
    "</WnsHeader></WnsHeaders><TemplateName>t1</TemplateName>",
)
"""An entry of a template."""

XSI_ENTRY_OF = entry("<uri>", "news", kind='RegistrationDescription i:type="WindowsRegistrationDescription"').replace(
    '</RegistrationDescription i:type="WindowsRegistrationDescription">', "</RegistrationDescription>"
)
"""An entry whose kind is an attribute."""

ENTRY_HEADERS = ENTRY
