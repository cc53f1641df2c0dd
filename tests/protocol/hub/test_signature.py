"""Shared access signatures: those of real clients are good, and forged, late and misdirected ones are refused in words."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from hmac import new
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.hub.hub_refused import HubRefused
from tocsin.protocol.hub.rights import KEY_NAMES, Right
from tocsin.protocol.hub.signature import (
    CLOCK_SKEW,
    MAX_HEADER,
    SharedAccessSignature,
    make_signature,
    read_signature,
    verify_signature,
)

KEY = "k3y+/="
NAME = "DefaultFullSharedAccessSignature"
KEYS = {NAME: [KEY]}

# Recorded from the clients themselves, whose key was KEY: where each was sent, and until when it is good.
RECORDED = {
    "azure-sb, a registration": (
        (
            "SharedAccessSignature sig=MHkMvY183PAzHnBdkbWtS%2Bj9nx0d1%2Bk68Jn1uddrcPI%3D&se=1795958402&skn="
            "DefaultFullSharedAccessSignature&sr=http%3a%2f%2f127.0.0.1%3a45837%2fhub%2fregistrations%3fapi-version%3d2016-07"
        ),
        "/Hub/registrations",
        1795958402,
    ),
    "azure-sb, a filter": (
        (
            "SharedAccessSignature sig=hLfB0v3JQU0ICzGB1f1BcitqpnoeX7XWpl9rxjAz3kA%3D&se=1795958402&skn=DefaultFullSharedAccess"
            "Signature&sr=http%3a%2f%2f127.0.0.1%3a45837%2fhub%2fregistrations%2f%3f%2524filter%3dchanneluri%2520eq%2520'https%25"
            "3a%252f%252f127.0.0.1%253a8443%252fw%252f%253ftoken%253dawyaaa%25252bk8x%252byg%25253d%25253d%2526x%253d1'%26%2524top"
            "%3d2%26api-version%3d2016-07"
        ),
        "/Hub/registrations/",
        1795958402,
    ),
    "@azure/notification-hubs": (
        (
            "SharedAccessSignature sr=https%3A%2F%2F127.0.0.1%3A1%2F&sig=wBdD7g9KUJDAbR%2Fj%2BT1jZ%2FkhovPo6jr2uI17VfXzpqo%3D&"
            "se=1795961701&skn=DefaultFullSharedAccessSignature"
        ),
        "/Hub/messages/$batch",
        1795961701,
    ),
}


@pytest.mark.parametrize("client", RECORDED)
def test_what_a_client_signed_is_good_until_its_end(client: str) -> None:
    """And some time longer, since its clock is not ours; then, with another key, or for another host it is not."""
    header, path, end = RECORDED[client]
    for wall in (0.0, end, end + CLOCK_SKEW):
        assert verify_signature(header, KEYS, ["127.0.0.1:8443"], path, wall) == NAME
    with pytest.raises(HubRefused, match="The signature has expired 121 s ago"):
        verify_signature(header, KEYS, ["127.0.0.1"], path, end + CLOCK_SKEW + 1)
    with pytest.raises(HubRefused, match=f"not made with the hub's key {NAME}"):
        verify_signature(header, {NAME: ["another"]}, ["127.0.0.1"], path, 0.0)
    with pytest.raises(HubRefused, match="for another host or path"):
        verify_signature(header, KEYS, ["127.0.0.2"], path, 0.0)


AUDIENCES = {
    "https://push.example": True,
    "https://push.example/": True,
    "sb://PUSH.example:9/hub": True,
    "http://push.example./hub/": True,
    "https://push.example/HUB/messages?api-version=2020-06&direct": True,
    "https://push.example/hub/messages/": True,
    "https://push.example/%68ub": True,
    "https://push.example//hub": True,
    "https://push.example/hub/messages/1": False,
    "https://push.example/hu": False,
    "https://push.example/hub2": False,
    "https://push.example/registrations": False,
    "https://example/hub": False,
    "https://push.example.evil/hub": False,
    "push.example/hub": False,
    "/hub": False,
    "https:///hub": False,
    "https://[/hub": False,
    "hub": False,
}


@pytest.mark.parametrize("audience", AUDIENCES)
@pytest.mark.parametrize("lower", [False, True])
def test_a_signature_covers_what_is_below_its_audience(audience: str, lower: bool) -> None:
    """By host and path; scheme, port, case and hexadecimal digits of either case make no difference, since ``sr`` is signed as sent."""
    resource = quote(audience, safe="")
    resource = resource.lower() if lower else resource
    header = signed(resource, "9")
    if AUDIENCES[audience]:
        assert verify_signature(header, KEYS, ["push.example"], "/hub/messages/", 0.0) == NAME
    else:
        with pytest.raises(HubRefused, match="for another host or path: its sr begins with the URL"):
            verify_signature(header, KEYS, ["push.example"], "/hub/messages/", 0.0)


def signed(resource: str, expires: str, key: str = KEY) -> str:
    """Sign as the documents say, by another way than the code."""
    signature = b64encode(new(key.encode(), f"{resource}\n{expires}".encode(), sha256).digest())
    return f"SharedAccessSignature sr={resource}&sig={quote(signature)}&se={expires}&skn={NAME}"


def test_the_hosts_of_the_service_may_be_several() -> None:
    """IPv6 among them."""
    header = make_signature("https://[::1]:8443/hub", NAME, KEY, 9)
    assert verify_signature(header, KEYS, ["push.example:1", "[::1]:9"], "/hub", 0.0) == NAME
    with pytest.raises(HubRefused):
        verify_signature(header, KEYS, ["push.example:x", "[::2]", "]["], "/hub", 0.0)


def test_while_a_key_is_replaced_both_are_good() -> None:
    """And a client has rights by the name of its key."""
    keys = {KEY_NAMES[Right.LISTEN]: ["old", "new"], KEY_NAMES[Right.SEND]: ["other"]}
    for key in ("old", "new"):
        header = make_signature("https://h/", KEY_NAMES[Right.LISTEN], key, 9)
        assert verify_signature(header, keys, ["h"], "/hub", 0.0) == KEY_NAMES[Right.LISTEN]
        stolen = header.replace(KEY_NAMES[Right.LISTEN], KEY_NAMES[Right.SEND])
        with pytest.raises(HubRefused, match="not made with the hub's key DefaultSend"):
            verify_signature(stolen, keys, ["h"], "/hub", 0.0)


REFUSED = {
    "": "The request has no Authorization: it is 'SharedAccessSignature sr=",
    "Bearer x": "Authorization is not of this kind",
    "SharedAccessSignature": "lacks sr and sig and se and skn",
    "SharedAccessSignature sr=a&sig=b&se=1": "lacks skn",
    "SharedAccessSignature sr=a&sig=&se=1&skn=b": "lacks sig",
    "SharedAccessSignature sr=a&sig=b&se=1&skn=c&sr=d": "has 'sr' twice",
    "SharedAccessSignature sr=a&sig=b&se=-1&skn=c": "se of Authorization is a time in whole seconds",
    "SharedAccessSignature sr=a&sig=b&se=1e9&skn=c": "se of Authorization is a time",
    "SharedAccessSignature sr=a&sig=b&se=٣&skn=c": "se of Authorization is a time",
    f"SharedAccessSignature sr=a&sig=b&se={'9' * 5_000}&skn=c": "se of Authorization is a time",
    "SharedAccessSignature sr=a&sig=b&se=1&skn=c": f"The hub has no key named 'c': it has {NAME}",
    f"SharedAccessSignature sr=a&sig=b&se=1&skn={NAME}": "not made with the hub's key",
    f"SharedAccessSignature sr=a&sig=%ff☃&se=1&skn={NAME}": "not made with the hub's key",
    f"SharedAccessSignature sr=\ud800&sig=\udcff&se=1&skn={NAME}": "not made with the hub's key",
    f"SharedAccessSignature sr={'a' * MAX_HEADER}": f"more than {MAX_HEADER} characters",
}


@pytest.mark.parametrize("header", REFUSED)
def test_what_is_no_signature_is_refused_in_words(header: str) -> None:
    """With 401, and without the signature or a key in the words."""
    with pytest.raises(HubRefused) as refused:
        verify_signature(header, KEYS, ["h"], "/hub", 0.0)
    assert (refused.value.status, REFUSED[header] in refused.value.detail) == (401, True), refused.value.detail
    assert KEY not in refused.value.detail
    assert len(refused.value.detail) < 300


def test_the_fields_may_come_in_any_order_and_with_others() -> None:
    """The word before them in any case."""
    read = read_signature("  sharedaccesssignature skn=a%20b&x=1&se=5&sig=c%2Bd+&sr=E%2f ")
    assert read == SharedAccessSignature("E%2f", "c+d+", "5", "a b")
    assert "E%2f" not in repr(read)
    assert "c+d" not in repr(read)


KEY_TEXTS = st.text(min_size=1, max_size=64).filter(lambda key: key.isprintable())
URLS = st.from_regex(r"https://[a-z0-9][a-z0-9.]{0,19}(:[0-9]{1,4})?(/[A-Za-z0-9:$%-]{0,12}){0,3}", fullmatch=True)


@given(URLS, st.text("aB:$ é", min_size=1, max_size=20), KEY_TEXTS, st.integers(0, 10**11))
def test_what_is_made_is_good_and_no_byte_of_it_may_differ(url: str, name: str, key: str, end: int) -> None:
    """Neither of the audience, nor of the end, nor of the signature."""
    header = make_signature(url, name, key, end)
    authority, _, path = url.removeprefix("https://").partition("/")
    assert verify_signature(header, {name: [key]}, [authority], f"/{path}/below", float(end)) == name
    for change in (header.replace("&se=", "&se=1"), header.replace("sr=", "sr=h"), header.replace("&sig=", "&sig=A")):
        with pytest.raises(HubRefused) as refused:
            verify_signature(change, {name: [key]}, [authority], f"/{path}/below", float(end))
        assert refused.value.status == 401
    with pytest.raises(HubRefused):
        verify_signature(header, {name: [key + "x"]}, [authority], f"/{path}", float(end))
