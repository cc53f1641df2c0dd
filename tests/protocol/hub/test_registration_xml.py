"""Registrations as Atom entries: what real clients send is read, and what is answered is read by them."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.errors import ProtocolViolation
from tocsin.protocol.hub.descriptions import BodyTemplate, RegistrationDescription
from tocsin.protocol.hub.hub_refused import HubRefused
from tocsin.protocol.hub.registration_answer import read_registration_answer, read_registrations_answer
from tocsin.protocol.hub.registration_xml import (
    ATOM,
    CONNECT,
    METADATA,
    read_registration,
    write_registration,
    write_registration_request,
    write_registrations,
)
from tocsin.protocol.xml_tree import MAX_BYTES

URI = "https://127.0.0.1:8443/w/?token=AwYAAA%2bk8x+Yg%3d%3d&x=1"
XML_URI = URI.replace("&", "&amp;")
HUB = "https://127.0.0.1:8443/Hub"
NATIVE = RegistrationDescription("1", URI, ("a", "b"))
TOAST = '<toast><visual><binding template="ToastText01"><text id="1">$(name) &amp; &lt;x&gt;</text></binding></visual></toast>'
SCHEMA = 'xmlns:i="http://www.w3.org/2001/XMLSchema-instance"'


def entry(content: str) -> str:
    """Write an entry around a description, as azure-sb does."""
    return (
        '<?xml version="1.0" encoding="utf-8" standalone="yes"?><entry xmlns="http://www.w3.org/2005/Atom">'
        f'<updated>2026-11-29T13:15:01.680Z</updated><content type="application/xml">{content}</content></entry>'
    )


def described(inside: str, kind: str = "Windows") -> str:
    """Write an entry as @azure/notification-hubs does."""
    name = f"{kind}RegistrationDescription"
    return entry(f'<{name} xmlns="{CONNECT}" {SCHEMA}>{inside}</{name}>')


def typed(kind: str, inside: str) -> str:
    """Write an entry as azure-sb and .NET do."""
    name = "RegistrationDescription"
    return entry(f'<{name} {SCHEMA} i:type="{kind}" xmlns="{CONNECT}">{inside}</{name}>')


HEADERS = "<WnsHeaders><WnsHeader><Header>X-WNS-Type</Header><Value>wns/toast</Value></WnsHeader></WnsHeaders>"
MADE_OF_HEADERS = (("X-WNS-Type", "wns/toast"),)

SENT = {
    "the documents'": (
        described(f"\n  <Tags>a,b</Tags>\n <ChannelUri>\n{XML_URI}\n</ChannelUri>\n "),
        NATIVE,
    ),
    "@azure/notification-hubs, native": (
        described(
            "<Tags>a,b</Tags><PushVariables>{&quot;n&quot;:&quot;v&quot;}</PushVariables>"
            f"<ChannelUri>{XML_URI}</ChannelUri>"
        ),
        evolve(NATIVE, variables=(("n", "v"),)),
    ),
    "@azure/notification-hubs, template": (
        described(
            f"<Tags>a,b</Tags><ChannelUri>{XML_URI}</ChannelUri><BodyTemplate><![CDATA[{TOAST}]]></BodyTemplate>"
            f"<TemplateName>t</TemplateName>{HEADERS}",
            "WindowsTemplate",
        ),
        evolve(NATIVE, template=BodyTemplate("t", TOAST, MADE_OF_HEADERS)),
    ),
    "azure-sb, native": (
        typed("WindowsRegistrationDescription", f"<Tags>a,b</Tags><ChannelUri>{XML_URI}</ChannelUri>"),
        NATIVE,
    ),
    "azure-sb, native that ends": (
        typed(
            "WindowsRegistrationDescription",
            f"<ExpirationTime>2027-01-15T08:00:00.000Z</ExpirationTime><ChannelUri>{XML_URI}</ChannelUri>",
        ),
        evolve(NATIVE, tags=(), expires=1_800_000_000.0),
    ),
    "azure-sb, template": (
        typed(
            "WindowsTemplateRegistrationDescription",
            f'<Tags>a</Tags><ChannelUri>{XML_URI}</ChannelUri><BodyTemplate><![CDATA[{{"a":"$(b)"}}]]></BodyTemplate>'
            "<WnsHeaders><WnsHeader><Header>X-WNS-Type</Header><Value>wns/raw</Value></WnsHeader>"
            "<WnsHeader><Header>X-WNS-Cache-Policy</Header><Value>cache</Value></WnsHeader></WnsHeaders>",
        ),
        RegistrationDescription(
            "1",
            URI,
            ("a",),
            template=BodyTemplate("", '{"a":"$(b)"}', (("X-WNS-Type", "wns/raw"), ("X-WNS-Cache-Policy", "cache"))),
        ),
    ),
    ".NET, template": (
        entry(
            f'<RegistrationDescription {SCHEMA} i:type="WindowsTemplateRegistrationDescription" xmlns="{CONNECT}">'
            f'<RegistrationId i:nil="true" /><Tags>a,b</Tags><ChannelUri>{XML_URI}</ChannelUri>'
            f"<BodyTemplate><![CDATA[{TOAST}]]></BodyTemplate>{HEADERS}"
            '<TemplateName i:nil="true" /></RegistrationDescription>'
        ),
        evolve(NATIVE, template=BodyTemplate("", TOAST, MADE_OF_HEADERS)),
    ),
    "a body that is escaped": (
        described(
            f"<ChannelUri>{XML_URI}</ChannelUri><BodyTemplate>&lt;toast/&gt;</BodyTemplate>{HEADERS}",
            "WindowsTemplate",
        ),
        RegistrationDescription("1", URI, template=BodyTemplate("", "<toast/>", MADE_OF_HEADERS)),
    ),
    "with prefixes and what is not known": (
        (
            f'<a:entry xmlns:a="{ATOM}" xmlns:s="{CONNECT}" {SCHEMA.replace("xmlns:i", "xmlns:j")}><a:title/><a:content>'
            '<s:RegistrationDescription j:type="s:WindowsRegistrationDescription"><s:New><s:Deep/></s:New>'
            f"<s:ETag>7</s:ETag><s:RegistrationId>9</s:RegistrationId><s:Tags/><s:ChannelUri>{XML_URI}</s:ChannelUri>"
            "<s:SecondaryTileName>tile</s:SecondaryTileName></s:RegistrationDescription></a:content></a:entry>"
        ),
        RegistrationDescription("1", URI, secondary_tile="tile"),
    ),
}


@pytest.mark.parametrize("client", SENT)
def test_what_clients_send_is_read(client: str) -> None:
    """In each of the three forms; the channel's URI byte by byte, and the id that the path says."""
    body, registration = SENT[client]
    assert read_registration(body.encode(), "1") == registration


CHANNEL = f"<ChannelUri>{XML_URI}</ChannelUri>"
BODY = "<BodyTemplate>x</BodyTemplate>"


def template(inside: str) -> str:
    """Write an entry of a template."""
    return described(CHANNEL + inside, "WindowsTemplate")


REFUSED = {
    "": "The entry of a registration cannot be read: it is empty.",
    "{}": "cannot be read: it is no XML",
    "<!DOCTYPE a [<!ENTITY b 'c'><!ENTITY d '&b;&b;'>]><a>&d;</a>": "it has a document type",
    "<!DOCTYPE a SYSTEM 'file:///etc/hostname'><a/>": "it has a document type",
    "<entry>" * 500: "nested more than 32 deep",
    f"<entry>{'<a/>' * 5_000}</entry>": "more than 1000 elements",
    f"<entry>{'x' * MAX_BYTES}</entry>": f"{MAX_BYTES} are read at most",
    "<feed/>": "A registration is an Atom entry, not 'feed'.",
    "<entry/>": "The entry has no content with a WindowsRegistrationDescription or a",
    "<entry><content>text</content></entry>": "The entry has no content with a Windows",
    described("<DeviceToken>A</DeviceToken>", "Apple"): "not 'AppleRegistrationDescription'.",
    typed("GcmRegistrationDescription", ""): "This hub sends to Windows: a registration is a WindowsRegistration",
    described("", ""): "not 'RegistrationDescription'.",
    described("<Tags>a</Tags>"): "ChannelUri is the URI of a channel, which begins with https://",
    described("<ChannelUri>https://a b/</ChannelUri>"): "ChannelUri is the URI of a channel",
    described("<ChannelUri>javascript:s3cret</ChannelUri>"): "ChannelUri is the URI of a channel",
    described(f"<ChannelUri>https://{'s3cret' * 500}/</ChannelUri>"): "ChannelUri has 3009 characters; 2048 are taken",
    described(CHANNEL + CHANNEL): "ChannelUri stands there 2 times",
    described(CHANNEL + "<Tags>a,b c</Tags>"): "'b c' is no tag.",
    described(CHANNEL + "<Tags>$InstallationId:{1}</Tags>"): "begins with $",
    described(CHANNEL + f"<Tags>{','.join(map(str, range(61)))}</Tags>"): "more than 60 tags",
    described(CHANNEL + "<ExpirationTime>soon</ExpirationTime>"): "ExpirationTime is 'soon': it is no date and time",
    described(CHANNEL + "<PushVariables>[]</PushVariables>"): "PushVariables is a JSON object whose values are texts",
    described(CHANNEL + '<PushVariables>{"a":1}</PushVariables>'): "PushVariables is a JSON object whose values are",
    described(CHANNEL + "<PushVariables>{</PushVariables>"): "PushVariables is no JSON",
    described(CHANNEL + f"<PushVariables>{'[' * 30_000}</PushVariables>"): "brackets are nested too deep",
    described(
        CHANNEL + "<PushVariables>{" + ",".join(f'"{n}":""' for n in range(61)) + "}</PushVariables>"
    ): "PushVariables has 61 variables; 60 are allowed.",
    described(CHANNEL + f"<SecondaryTileName>{'t' * 65}</SecondaryTileName>"): "SecondaryTileName has up to 64",
    template(HEADERS): "has a BodyTemplate, which is not empty.",
    template("<BodyTemplate> </BodyTemplate>" + HEADERS): "has a BodyTemplate, which is not empty.",
    template(BODY): "WnsHeaders lacks X-WNS-Type",
    template(BODY + "<WnsHeaders/>"): "WnsHeaders lacks X-WNS-Type",
    template(BODY + HEADERS + HEADERS.replace("X-WNS", "x-wns")): "WnsHeaders has a header twice",
    template(BODY + HEADERS.replace("X-WNS-Type", "a b")): "WnsHeaders has a header that none can be: 'a b'",
    template(BODY + HEADERS.replace("wns/toast", "a&#10;b")): "WnsHeaders has a header that none can be",
    template(BODY + HEADERS.replace("wns/toast", "")): "WnsHeaders has a header that none can be",
    template(
        BODY
        + "<WnsHeaders>"
        + "".join(f"<WnsHeader><Header>a{n}</Header></WnsHeader>" for n in range(33))
        + "</WnsHeaders>"
    ): "WnsHeaders has 33 headers; 32 are allowed.",
    template(BODY + HEADERS + f"<TemplateName>{'t' * 201}</TemplateName>"): "TemplateName has up to 200 printable",
}


@pytest.mark.parametrize("body", REFUSED)
def test_what_is_no_registration_is_refused_in_words(body: str) -> None:
    """With 400, a sentence, and none of the channel's URI."""
    with pytest.raises(HubRefused) as refused:
        read_registration(body.encode(), "1")
    assert refused.value.status == 400
    assert REFUSED[body] in refused.value.detail
    assert "s3cret" not in refused.value.detail
    assert refused.value.detail.endswith(".")
    assert len(refused.value.detail) < 400


def test_an_entry_is_written_as_clients_read_it() -> None:
    """Elements in the order of .NET, without white space, the root by its specific name, and what is missing left out."""
    full = RegistrationDescription(
        "9",
        URI,
        ("a", "$InstallationId:{i}"),
        3,
        1_800_000_000.5,
        BodyTemplate("t", "<toast>]]>&</toast>", MADE_OF_HEADERS),
        (("n", "é"),),
        "tile",
    )
    assert write_registration(full, HUB, 1_795_958_101.68).decode() == (
        f'<?xml version="1.0" encoding="utf-8"?><entry xmlns="{ATOM}" xmlns:m="{METADATA}" m:etag="W/&quot;3&quot;">'
        f'<id>{HUB}/registrations/9</id><title type="text">9</title><updated>2026-11-29T13:15:01.680Z</updated>'
        '<content type="application/xml"><WindowsTemplateRegistrationDescription'
        f' {SCHEMA} xmlns="{CONNECT}"><ETag>3</ETag><ExpirationTime>2027-01-15T08:00:00.500Z</ExpirationTime>'
        "<RegistrationId>9</RegistrationId><Tags>a,$InstallationId:{i}</Tags>"
        f'<PushVariables>{{"n": "é"}}</PushVariables><ChannelUri>{XML_URI}</ChannelUri>'
        "<SecondaryTileName>tile</SecondaryTileName><BodyTemplate><![CDATA[<toast>]]]]><![CDATA[>&</toast>]]></BodyTemplate>"
        f"{HEADERS}<TemplateName>t</TemplateName></WindowsTemplateRegistrationDescription></content></entry>"
    )
    plain = write_registration(RegistrationDescription("9", URI), HUB, 0.0).decode()
    assert "<ExpirationTime>9999-12-31T23:59:59.999Z</ExpirationTime><RegistrationId>9</RegistrationId><Chan" in plain
    assert "<WindowsRegistrationDescription " in plain
    assert "Tags" not in plain


def test_a_feed_holds_an_entry_for_each() -> None:
    """Or none."""
    registrations = [evolve(NATIVE, id=str(number)) for number in range(3)]
    feed = ET.fromstring(write_registrations(registrations, HUB, 0.0))  # noqa: S314  # our own
    found = feed.findall(f"{{{ATOM}}}entry/{{{ATOM}}}content/*/{{{CONNECT}}}RegistrationId")
    assert [each.text for each in found] == ["0", "1", "2"]
    assert read_registrations_answer(write_registrations(registrations, HUB, 0.0)) == registrations
    assert read_registrations_answer(write_registrations([], HUB, 0.0)) == []


def test_a_whole_page_of_long_registrations_is_read() -> None:
    """A hundred with 60 tags and a long template each."""
    long = RegistrationDescription(
        "1",
        URI,
        tuple(f"{number:0120}" for number in range(60)),
        template=BodyTemplate("t", "<" * 5_000, MADE_OF_HEADERS),
    )
    page = [evolve(long, id=str(number)) for number in range(100)]
    written = write_registrations(page, HUB, 0.0)
    assert read_registrations_answer(written) == page
    assert written.count(b"&") < 1_000  # a client gives up at the thousandth


def test_what_another_hub_answers_is_read_or_refused() -> None:
    """Registrations of other kinds are passed over; what cannot be is a violation, with the reason."""
    other = "<entry><content><AppleRegistrationDescription/></content></entry><other/><entry/>"
    ours = write_registration(NATIVE, HUB, 0.0).partition(b"?>")[2].decode()
    assert read_registrations_answer(f"<feed>{other}{ours}</feed>".encode()) == [NATIVE]
    answer = described(f"<ETag>x</ETag><RegistrationId> 7 </RegistrationId><Tags>a, b</Tags>{CHANNEL}").encode()
    assert read_registration_answer(answer) == evolve(NATIVE, id="7")
    for body, words in {
        b"<a>": "the hub's answer is no Atom entry: it is no XML",
        b"<html/>": "the hub's answer is no Atom entry, but 'html'",
        b"<entry/>": "the hub's answer has no WindowsRegistrationDescription",
        described(CHANNEL).encode(): "a registration without a RegistrationId",
        described("<RegistrationId>1</RegistrationId>").encode(): "cannot be read: ChannelUri is the URI of a channel",
    }.items():
        with pytest.raises(ProtocolViolation, match=words):
            read_registration_answer(body)
    with pytest.raises(ProtocolViolation, match="the hub's answer is no Atom feed, but 'entry'"):
        read_registrations_answer(b"<entry/>")


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=30).filter(
    lambda text: "\ufffe" not in text and "\uffff" not in text
)
TAGS = st.lists(st.from_regex(r"[-_@#.:A-Za-z0-9]{1,20}", fullmatch=True), max_size=5, unique=True).map(tuple)
TEMPLATES = st.builds(
    BodyTemplate,
    st.from_regex(r"[a-z]{0,9}", fullmatch=True),
    TEXTS.map("<{}".format),
    st.just(MADE_OF_HEADERS),
)
REGISTRATIONS = st.builds(
    RegistrationDescription,
    st.from_regex(r"[0-9]{1,9}-[0-9]{1,9}", fullmatch=True),
    st.from_regex(r"https://[a-z]{1,9}/[!-~]{0,40}", fullmatch=True),
    TAGS,
    st.integers(1, 10**9),
    st.none() | st.integers(0, 10**10).map(float),
    st.none() | TEMPLATES,
    st.dictionaries(TEXTS, TEXTS, max_size=3).map(lambda found: tuple(found.items())),
    st.from_regex(r"[a-z]{0,9}", fullmatch=True),
)


@given(REGISTRATIONS)
def test_what_is_written_is_read(registration: RegistrationDescription) -> None:
    """By an app of the answer, and by a hub of the request, which has neither id nor ETag."""
    assert read_registration_answer(write_registration(registration, HUB, 0.0)) == registration
    assert read_registration(write_registration_request(registration), registration.id) == (
        evolve(registration, etag=1, expires=None)
    )


@given(st.text(max_size=20))
def test_an_answer_is_xml_whatever_is_kept(text: str) -> None:
    """As of an installation, whose JSON may hold characters that XML cannot."""
    kept = evolve(NATIVE, id=text, secondary_tile=text, template=BodyTemplate(text, text, ((text, text),)))
    ET.fromstring(write_registration(evolve(kept, variables=((text, text),)), HUB, 0.0))  # noqa: S314  # our own


@given(st.binary(max_size=120))
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    """By no other error."""
    for sent in (body, b"<entry><content><WindowsRegistrationDescription>" + body):
        with pytest.raises(HubRefused):
            read_registration(sent, "1")
