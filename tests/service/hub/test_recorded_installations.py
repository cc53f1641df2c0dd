"""What unmodified clients send of installations, each in its own spelling, and what they need to get for it."""

from __future__ import annotations

from tests.service.hub.hub_world import HubWorld
from tests.service.hub.rows import Row, check, rows
from tocsin.protocol.hub.rights import Right

PUT = "PUT /contoso/installations/<new>?api-version=2020-06"
PATCH = "PATCH /contoso/installations/<installation>?api-version=2020-06"
GET = "GET /contoso/installations/<installation>?api-version=2020-06"
DOCUMENT = '{"installationId":"<new>","platform":"wns","pushChannel":"<uri>","tags":["news"]}'
FULL = (
    '{"installationId":"<new>","userId":"ann","platform":"WNS","pushChannel":"<uri>","pushChannelExpired":false,'
    '"expirationTime":"2027-02-01T00:00:00.000Z","tags":["a"],"pushVariables":{},"unknown":1,'
    '"templates":{"t":{"body":"<toast/>","headers":{"X-WNS-Type":"wns/toast"},"tags":[]}},'
    '"secondaryTiles":{"tile":{"pushChannel":"<uri>","tags":[],"templates":{}}}}'
)
TWO = '[{"op":"add","path":"/tags","value":"storms"},{"op":"replace","path":"/userId","value":"bob"}]'
JSON = {"Content-Type": "application/json"}
NONE = {"Content-Type": ""}
XML = "application/xml.*"

INSTALLATIONS = [
    Row("put as JSON", PUT, 200, body=DOCUMENT, headers=JSON, empty=True, right=Right.LISTEN),
    Row("put with an empty Content-Type", PUT, 200, body=DOCUMENT, headers=NONE, empty=True),
    Row("put without a Content-Type", PUT, 200, body=DOCUMENT, empty=True),
    Row("put in another encoding of the header", PUT, 200, body=DOCUMENT, headers={"Content-Encoding": "utf-8"}, empty=True),
    Row("put with all that it can have", PUT, 200, body=FULL, headers=JSON, empty=True),
    Row("put without its id, which the path has", PUT, 200, body=DOCUMENT.replace('"installationId":"<new>",', "")),
    Row("put under another id", PUT, 400, {"Content-Type": XML}, ("<Detail>installationId is",), DOCUMENT.replace("<new>", "x")),
    Row("put in any case of the path", "PUT /CONTOSO/Installations/<new>/", 200, body=DOCUMENT, empty=True),
    Row("put of another platform", PUT, 400, {"Content-Type": XML}, ("wns",), DOCUMENT.replace("wns", "apns")),
    Row("got as JSON", GET, 200, {"Content-Type": "application/json.*"}, (
        '"installationId":"<installation>"', '"pushChannel":"<uri>"', '"platform":"wns"', '"tags":."a".', '"userId":"ann"',
    ), headers=JSON, right=Right.LISTEN),
    Row("got with an empty Content-Type", GET, 200, {"Content-Type": "application/json.*"}, headers=NONE),
    Row("changed as JSON", PATCH, 200, body=TWO, headers=JSON, empty=True, right=Right.LISTEN),
    Row("changed as JSON Patch", PATCH, 200, body=TWO, headers={"Content-Type": "application/json-patch+json"}, empty=True),
    Row("changed with an empty Content-Type", PATCH, 200, body=TWO, headers=NONE, empty=True),
    Row("changed without a Content-Type", PATCH, 200, body=TWO, empty=True),
    Row("changed as its readme shows", PATCH, 200, body='[{"op":"add","path":"/tags","value":"x"},{"op":"add","path":"/userId","value":"y"}]', empty=True),
    Row("removed", "DELETE /contoso/installations/<installation>?api-version=2020-06", 204, {"Content-Length": "[(]none[)]"}, empty=True, right=Right.LISTEN),
    Row("removed where it is not there", "DELETE /contoso/installations/nothing", 204, empty=True),
    Row("got where it is not there", "GET /contoso/installations/nothing", 404, {"Content-Type": XML}, ("<Code>404</Code>.*There is no installation",)),
    Row("changed where it is not there", "PATCH /contoso/installations/nothing", 404, {"Content-Type": XML}, ("<Code>404</Code>",), TWO),
    Row("its parts have the tag of its id", "GET /contoso/tags/$InstallationId:{<installation>}/registrations", 200, {}, (
        "<ChannelUri><uri></ChannelUri>", "<Tags>a,[$]InstallationId:{<installation>},[$]UserId:{ann}</Tags>",
    )),
    Row("its parts have the tag of its user", "GET /contoso/tags/%24UserId%3A%7Bann%7D/registrations", 200, {}, ("[$]InstallationId:{<installation>}",),
        headers={"x-for": "<installation>"}),
]  # fmt: skip


@rows(INSTALLATIONS)
async def test_a_client_keeps_an_installation_as_it_is_used_to(shared: HubWorld, row: Row) -> None:
    """The status is exactly the one that it looks for, and what it takes for a document only where there is one."""
    await check(shared, row)
