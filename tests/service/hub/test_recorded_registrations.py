"""What unmodified clients send to register, each in its own spelling, and what they need to get for it."""

from __future__ import annotations

import re

import pytest

from tests.service.hub.hub_world import ENTRY, HubWorld, entry
from tests.service.hub.rows import ENTRY_OF, TEMPLATE_OF, XSI_ENTRY_OF, Row, check, rows
from tocsin.protocol.hub.rights import Right

ATOM = re.escape("application/atom+xml") + ".*"
ID = "[0-9]{19}-[0-9]{19}-[0-9]+"
KEPT = {
    "ETag": 'W/"1"',
    "Content-Type": ATOM,
    "Content-Location": f"https://127.0.0.1:[0-9]+/contoso/registrations/{ID}",
}
CHANGED = KEPT | {"ETag": 'W/"2"'}
ENTRY_TEXT = (
    "<WindowsRegistrationDescription [^>]*xmlns=",
    "<ETag>1</ETag>",
    "<ExpirationTime>20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z</ExpirationTime>",
    f"<RegistrationId>{ID}</RegistrationId>",
    "<Tags>news,sport</Tags>",
    "<ChannelUri><uri></ChannelUri>",
)
ERROR = re.escape("application/xml") + ".*"
NOT_THERE = ("<Error[^>]*><Code>404</Code><Detail>There is no registration with this id.</Detail></Error>",)
BODY_ETAG = entry("<uri>", "news", "sport", more="").replace("<ChannelUri>", "<ETag>1</ETag><ChannelUri>")
OTHER_ORDER = (
    '<a:entry xmlns:a="http://www.w3.org/2005/Atom"><a:id/><a:content><n:WindowsRegistrationDescription'
    ' xmlns:n="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"><n:ChannelUri><uri></n:ChannelUri>'
    "<n:PnsCredentialName>x</n:PnsCredentialName><n:RegistrationId>7</n:RegistrationId><n:ExpirationTime>"
    "9999-12-31T23:59:59.999</n:ExpirationTime><n:Tags>news,sport</n:Tags></n:WindowsRegistrationDescription></a:content></a:entry>"
)
VARIABLES = entry("<uri>", more="<PushVariables>{&quot;name&quot;:&quot;Ann&quot;}</PushVariables>")

REGISTRATIONS = [
    Row(
        "an entry is posted",
        "POST /contoso/registrations?api-version=2015-01",
        200,
        KEPT,
        ENTRY_TEXT,
        ENTRY_OF,
        ENTRY,
        Right.LISTEN,
    ),
    Row(
        "a collection ends with a slash",
        "POST /contoso/registrations/?api-version=2015-04",
        200,
        KEPT,
        ENTRY_TEXT,
        ENTRY_OF,
    ),
    Row("a path is in any case", "POST /Contoso/Registrations?api-version=2016-07", 200, KEPT, ENTRY_TEXT, ENTRY_OF),
    Row("no api-version is asked for", "POST /contoso/registrations", 200, KEPT, ENTRY_TEXT, ENTRY_OF),
    Row(
        "an api-version of tomorrow will do",
        "POST /contoso/registrations?api-version=2031-12",
        200,
        KEPT,
        body=ENTRY_OF,
    ),
    Row("no Content-Type is needed", "POST /contoso/registrations", 200, KEPT, body=ENTRY_OF, headers={}),
    Row(
        "an empty Content-Type is no fault",
        "POST /contoso/registrations",
        200,
        KEPT,
        body=ENTRY_OF,
        headers={"Content-Type": ""},
    ),
    Row(
        "Content-Encoding may be utf-8",
        "POST /contoso/registrations",
        200,
        KEPT,
        body=ENTRY_OF,
        headers={"Content-Encoding": "utf-8"},
    ),
    Row(
        "a template is posted",
        "POST /contoso/registrations",
        200,
        KEPT,
        (
            "<WindowsTemplateRegistrationDescription [^>]*xmlns=",
            "<BodyTemplate>(<!.CDATA.)?.*toast.*message",
            "<WnsHeader><Header>X-WNS-Type</Header><Value>wns/toast</Value></WnsHeader>",
            "<TemplateName>t1</TemplateName>",
        ),
        TEMPLATE_OF,
    ),
    Row(
        "the kind is an attribute, the answer names it",
        "POST /contoso/registrations",
        200,
        KEPT,
        (
            "<WindowsRegistrationDescription [^>]*xmlns=",
            "<Tags>news</Tags>",
        ),
        XSI_ENTRY_OF,
        lacks=("i:type",),
    ),
    Row(
        "prefixes, order and elements that are not known do not count",
        "POST /contoso/registrations",
        200,
        KEPT,
        ENTRY_TEXT,
        OTHER_ORDER,
    ),
    Row(
        "no tags are no element",
        "POST /contoso/registrations",
        200,
        KEPT,
        ("<ChannelUri>",),
        entry("<uri>"),
        lacks=("<Tags", "<PushVariables", "<TemplateName", "<WnsHeaders", "<SecondaryTileName"),
    ),
    Row(
        "push variables come back",
        "POST /contoso/registrations",
        200,
        KEPT,
        ("<PushVariables>.*name.*Ann.*</PushVariables>",),
        VARIABLES,
    ),
    Row(
        "elements of an answer have no prefix",
        "POST /contoso/registrations",
        200,
        KEPT,
        ("^<[?]xml", "<entry xmlns=", "<content"),
        ENTRY_OF,
        lacks=("<[a-z0-9]+:", "</[a-z0-9]+:"),
    ),
    Row(
        "an id is given out",
        "POST /contoso/registrationids?api-version=2020-06",
        201,
        {"Location": f"https://127[.]0[.]0[.]1:[0-9]+/contoso/registrationids/{ID}"},
        empty=True,
        right=Right.LISTEN,
    ),
    Row(
        "an id is asked for in another case",
        "POST /contoso/registrationIDs?api-version=2020-06",
        201,
        {"Location": f"https://[^/]+/contoso/registrationids/{ID}"},
        headers={"Content-Type": ENTRY["Content-Type"]},
        empty=True,
    ),
    Row(
        "a Location is made of the service's URL",
        "POST /contoso/registrationids",
        201,
        {"Location": f"https://127[.]0[.]0[.]1:[0-9]+/contoso/registrationids/{ID}"},
        headers={"Host": "127.0.0.1"},
    ),
    Row(
        "a new id is put without If-Match",
        "PUT /contoso/registrations/<new>?api-version=2020-06",
        200,
        KEPT,
        ENTRY_TEXT,
        ENTRY_OF,
        right=Right.LISTEN,
    ),
    Row(
        "what is there is put without If-Match",
        "PUT /contoso/registrations/<id>",
        200,
        CHANGED,
        ("<ETag>2</ETag>",),
        ENTRY_OF,
    ),
    Row(
        "If-Match is the bare number in quotes",
        "PUT /contoso/registrations/<id>",
        200,
        CHANGED,
        body=ENTRY_OF,
        headers={"If-Match": '"1"'},
    ),
    Row(
        "If-Match is as ETag has it",
        "PUT /contoso/registrations/<id>",
        200,
        CHANGED,
        body=ENTRY_OF,
        headers={"If-Match": 'W/"1"'},
    ),
    Row(
        "If-Match is a star, and the body has an ETag",
        "PUT /contoso/registrations/<id>",
        200,
        CHANGED,
        ("<ETag>2</ETag>",),
        BODY_ETAG,
        {"if-match": "*", "content-type": ""},
    ),
    Row(
        "If-Match is that of an older one",
        "PUT /contoso/registrations/<id>",
        412,
        {"Content-Type": ERROR},
        ("<Code>412</Code>",),
        ENTRY_OF,
        {"If-Match": '"7"'},
    ),
    Row(
        "an id that is gone is told so",
        "PUT /contoso/registrations/0000000000000000001-0000000000000000002-1",
        410,
        {"Content-Type": ERROR},
        ("<Code>410</Code>", "registrationids"),
        ENTRY_OF,
    ),
    Row(
        "an id that none was given is gone", "PUT /contoso/registrations/mine", 410, {}, ("<Code>410</Code>",), ENTRY_OF
    ),
    Row(
        "a registration is got",
        "GET /contoso/registrations/<id>?api-version=2020-06",
        200,
        KEPT,
        ("<RegistrationId><id></RegistrationId>",),
        headers={"Content-Type": "application/xml"},
        right=Right.LISTEN,
    ),
    Row("a registration is got by a slash at the end", "GET /contoso/registrations/<id>/", 200, KEPT),
    Row(
        "a registration that is not there",
        "GET /contoso/registrations/1-2-3",
        404,
        {"Content-Type": ERROR, "TrackingId": ".+"},
        NOT_THERE,
    ),
    Row(
        "removed without If-Match",
        "DELETE /contoso/registrations/<id>?api-version=2020-06",
        200,
        empty=True,
        right=Right.LISTEN,
    ),
    Row("removed with a star", "DELETE /contoso/registrations/<id>", 200, headers={"If-Match": "*"}, empty=True),
    Row("removed with a bare ETag", "DELETE /contoso/registrations/<id>", 200, headers={"If-Match": '"1"'}, empty=True),
    Row(
        "not removed where it was changed",
        "DELETE /contoso/registrations/<id>",
        412,
        {},
        ("<Code>412</Code>",),
        headers={"If-Match": '"2"'},
    ),
    Row(
        "not removed where it is not there",
        "DELETE /contoso/registrations/1-2-3",
        404,
        {},
        NOT_THERE,
        headers={"If-Match": "*"},
    ),
    Row(
        "all are listed",
        "GET /contoso/registrations?api-version=2020-06&$top=10",
        200,
        {"Content-Type": ATOM},
        ("<feed xmlns=.*<entry[ >].*<ChannelUri><uri></ChannelUri>",),
    ),
    Row(
        "a list may be in $top escaped, before the version",
        "GET /contoso/registrations?%24top=1&api-version=2016-07",
        200,
        {"x-ms-continuationtoken": ".+"},
        ("<feed.*<entry[ >]",),
        lacks=("<entry[ >].*<entry[ >]",),
    ),
    Row(
        "a list may have a slash before its query",
        "GET /contoso/registrations/?%24top=1",
        200,
        {"Content-Type": ATOM},
        ("<entry[ >]",),
    ),
    Row(
        "a tag has a list",
        "GET /contoso/tags/of-a-row/registrations?api-version=2020-06",
        200,
        {"Content-Type": ATOM},
        ("<Tags>of-a-row</Tags>",),
        headers={"x-for": "<id>"},
    ),
    Row(
        "a tag that none has has an empty list",
        "GET /contoso/tags/nothing/registrations",
        200,
        {"x-ms-continuationtoken": "[(]none[)]"},
        ("<feed",),
        lacks=("<entry",),
    ),
    Row(
        "a channel is looked for, form-encoded and its URI escaped once more",
        "GET /contoso/registrations?api-version=2020-06&%24filter=ChannelUri+eq+%27<twice>%27",
        200,
        {},
        ("<ChannelUri><uri></ChannelUri>",),
        headers={"x-for": "<id>"},
        right=Right.LISTEN,
    ),
    Row(
        "a channel is looked for, escaped once",
        "GET /contoso/registrations/?%24filter=ChannelUri%20eq%20%27<quoted>%27",
        200,
        {},
        ("<ChannelUri><uri></ChannelUri>",),
        headers={"x-for": "<id>"},
        right=Right.LISTEN,
    ),
    Row(
        "a channel is looked for, with a bare $ and quotes",
        "GET /contoso/registrations?$filter=ChannelUri%20eq%20'<quoted>'",
        200,
        {},
        ("<ChannelUri><uri></ChannelUri>",),
        headers={"x-for": "<id>"},
    ),
    Row(
        "a channel that none has has an empty list",
        "GET /contoso/registrations?$filter=ChannelUri%20eq%20'https%3A%2F%2Fx.example%2F'",
        200,
        {},
        ("<feed",),
        lacks=("<entry",),
    ),
    Row(
        "a tracking id comes back",
        "GET /contoso/registrations/1-2-3",
        404,
        {"TrackingId": "of-the-client.7"},
        headers={"TrackingId": "of-the-client.7"},
    ),
    Row(
        "the feedback container is not there",
        "GET /contoso/feedbackcontainer?api-version=2020-06",
        501,
        {"Content-Type": ERROR},
        ("<Detail>There is no feedback container.*messages/{id}",),
    ),
    Row("jobs are not there", "GET /contoso/jobs", 501, {"Content-Type": ERROR}, ("<Detail>There are no jobs",)),
]


@rows(REGISTRATIONS)
async def test_a_client_registers_as_it_is_used_to(shared: HubWorld, row: Row) -> None:
    """The status is exactly the one that it looks for."""
    await check(shared, row)


@pytest.mark.parametrize("how", ["continuationtoken", "ContinuationToken", "header"])
async def test_a_list_is_gone_through_page_by_page(shared: HubWorld, how: str) -> None:
    """By the token of each answer, in the query or as a header; each comes once, and the last page has no token."""
    tag = f"paged-by-{how}"
    made = {(await shared.register(shared.world.uri, tag)).headers["Content-Location"] for _ in range(5)}
    seen: list[str] = []
    after, pages = "", 0
    while after != "(none)":
        query = f"&{how}={after}" if after and how != "header" else ""
        headers = {"x-ms-continuationtoken": after} if after and how == "header" else {}
        answer = await shared.ask("GET", f"tags/{tag}/registrations?$top=2{query}", right=Right.MANAGE, **headers)
        seen += re.findall("<RegistrationId>(.*?)</RegistrationId>", answer.text)
        after, pages = answer.headers.get("x-ms-continuationtoken", "(none)"), pages + 1
    assert (len(seen), pages) == (5, 3)
    assert set(seen) == {each.rpartition("/")[2] for each in made}


ODD_URI = "https://127.0.0.1/w/?token=a-b_c%2F&amp;x='%20"


async def test_a_channel_uri_comes_back_byte_by_byte(shared: HubWorld) -> None:
    """Whatever is in it that XML or a query would write in another way."""
    answer = await shared.ask(
        "POST", "registrations", entry("<uri>").replace("<uri>", ODD_URI), right=Right.LISTEN, **ENTRY
    )
    assert f"<ChannelUri>{ODD_URI}</ChannelUri>" in answer.text
