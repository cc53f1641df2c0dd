"""How clients sign, each in its own way, and what is signed by none that may."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from hmac import digest
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.service.hub.hub_world import RAW, HubWorld, entry, open_hub
from tests.service.world import Answer
from tocsin.protocol.hub.rights import KEY_NAMES, Right
from tocsin.service.operations.settings import ServiceSettings

PATH = "/contoso/messages?api-version=2020-06"
Sign = Callable[[HubWorld], str]


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[HubWorld]:
    """Run a service whose hub may be changed."""
    async with open_hub(tmp_path) as hub:
        yield hub


def key_of(hub: HubWorld, right: Right = Right.SEND) -> str:
    """Return a key of the hub."""
    return hub.keys.keys[right]


def signed(
    hub: HubWorld, sr: str, *, lasts: float = 300, right: Right = Right.SEND, form: str = "", key: str = ""
) -> str:
    """Sign what stands for the audience as it is."""
    se = str(int(hub.world.clock.time + lasts))
    made = b64encode(digest((key or key_of(hub, right)).encode(), f"{sr}\n{se}".encode(), sha256)).decode()
    form = form or "SharedAccessSignature sr={sr}&sig={sig}&se={se}&skn={skn}"
    return form.format(sr=sr, sig=quote(made, safe=""), loose=quote(made), se=se, skn=KEY_NAMES[right])


def url(hub: HubWorld, path: str = "") -> str:
    """Return a URL as clients make it of an endpoint: https, whatever the service speaks."""
    return f"https://127.0.0.1:{hub.world.service.port}{path}"


def small(text: str) -> str:
    """Escape, with small letters for hexadecimal digits."""
    return quote(text.lower(), safe="").lower()


async def send(hub: HubWorld, authorization: str, path: str = PATH, method: str = "POST") -> Answer:
    """Send a raw notification with that signature."""
    return await hub.request(method, path, b"x", RAW | {"Authorization": authorization} if authorization else RAW)


GOOD: dict[str, Sign] = {
    "root, capitals in hex": lambda hub: signed(hub, quote(url(hub, "/"), safe="")),
    "root without a slash": lambda hub: signed(hub, quote(url(hub), safe="")),
    "hub, small hex, a slash in the signature": lambda hub: signed(
        hub, small(url(hub, "/contoso")), form="SharedAccessSignature sr={sr}&sig={loose}&se={se}&skn={skn}"
    ),
    "whole URL with its query, other order": lambda hub: signed(
        hub, small(url(hub, PATH)), form="SharedAccessSignature sig={sig}&se={se}&skn={skn}&sr={sr}"
    ),
    "http, no port, a slash at the end": lambda hub: signed(hub, small("http://127.0.0.1/contoso/")),
    "the hub in another case": lambda hub: signed(hub, small(url(hub, "/CONTOSO"))),
    "another port": lambda hub: signed(hub, small("https://127.0.0.1:1/contoso")),
    "quotes and brackets that are not escaped": lambda hub: signed(
        hub, small(url(hub, PATH)) + "%26$filter=channeluri%20eq%20'(!*~)'"
    ),
    "a name of the scheme in small letters": lambda hub: signed(
        hub, small(url(hub)), form="sharedaccesssignature sr={sr}&sig={sig}&se={se}&skn={skn}"
    ),
    "a clock that is two minutes behind": lambda hub: signed(hub, small(url(hub)), lasts=-119),
    "for good": lambda hub: signed(hub, small(url(hub)), lasts=10**9),
    "the manager's key": lambda hub: signed(hub, small(url(hub)), right=Right.MANAGE),
}
BAD: dict[str, tuple[int, str, Sign]] = {
    "nothing": (401, "has no Authorization", lambda _: ""),
    "another scheme": (401, "not of this kind", lambda hub: f"Bearer {hub.world.token}"),
    "no signature": (401, "lacks sig", lambda hub: signed(hub, "x", form="SharedAccessSignature sr={sr}&se={se}&skn={skn}")),
    "a field twice": (401, "twice", lambda hub: signed(hub, small(url(hub))) + "&se=9999999999"),
    "a later end than was signed": (
        401,
        "was not made with the hub's key",
        lambda hub: signed(hub, small(url(hub))).replace("&se=", "&se=9"),
    ),
    "another key": (401, "was not made with the hub's key", lambda hub: signed(hub, small(url(hub)), key="x" * 44)),
    "the bytes that the key stands for": (
        401,
        "was not made with the hub's key",
        lambda hub: signed(hub, small(url(hub)), key=key_of(hub)[:-1]),
    ),
    "a name of no key": (
        401,
        "has no key named",
        lambda hub: signed(hub, small(url(hub))).replace("skn=Default", "skn=Other"),
    ),
    "expired": (401, "has expired 121 s ago", lambda hub: signed(hub, small(url(hub)), lasts=-121)),
    "an end that is no number": (
        401,
        "whole seconds",
        lambda hub: signed(hub, small(url(hub)), form="SharedAccessSignature sr={sr}&sig={sig}&se=soon&skn={skn}"),
    ),
    "another hub": (401, "another host or path", lambda hub: signed(hub, small(url(hub, "/fabrikam")))),
    "a name that begins the same": (401, "another host or path", lambda hub: signed(hub, small(url(hub, "/contos")))),
    "another room of the hub": (401, "another host or path", lambda hub: signed(hub, small(url(hub, "/contoso/installations")))),
    "a longer path": (401, "another host or path", lambda hub: signed(hub, small(url(hub, "/contoso/messages/x")))),
    "another host": (401, "another host or path", lambda hub: signed(hub, small("https://evil.example/contoso"))),
    "a host as a user": (401, "another host or path", lambda hub: signed(hub, small("https://127.0.0.1@evil.example/"))),
    "no host": (401, "another host or path", lambda hub: signed(hub, small("/contoso"))),
    "dots that lead out and in again": (
        401,
        "another host or path",
        lambda hub: signed(hub, small(url(hub, "/fabrikam/../contoso"))),
    ),
    "a long one": (401, "more than", lambda hub: signed(hub, small(url(hub)) + "x" * 17_000)),
    "the right of an app": (403, "The key allows listen, and this needs send", lambda hub: signed(hub, small(url(hub)), right=Right.LISTEN)),
}  # fmt: skip


@pytest.mark.parametrize("sign", GOOD.values(), ids=list(GOOD))
async def test_each_way_of_signing_is_known(shared: HubWorld, sign: Sign) -> None:
    """What was signed is taken as it was sent, and compared by host and path."""
    assert (await send(shared, sign(shared))).status == 201


@pytest.mark.parametrize(("status", "words", "sign"), BAD.values(), ids=list(BAD))
async def test_what_is_not_signed_so_is_refused(tmp_path: Path, status: int, words: str, sign: Sign) -> None:
    """In a sentence, with an id by which it is found again; no key is shown, and the connection can be used again."""
    async with open_hub(tmp_path) as hub:
        answer = await send(hub, sign(hub))
        assert answer.status == status, answer.text
        assert f"<Code>{status}</Code>" in answer.text
        assert words in answer.text
        assert answer.headers["TrackingId"]
        assert answer.headers["Content-Type"].startswith("application/xml")
        assert (status == 401) == ("WWW-Authenticate" in answer.headers)
        assert not [key for key in hub.keys.keys.values() if key in answer.text + str(answer.headers)]
        assert (await send(hub, hub.signature(Right.SEND))).status == 201


NEEDS = {
    "POST registrations": Right.LISTEN,
    "POST registrationids": Right.LISTEN,
    "PUT registrations/1": Right.LISTEN,
    "GET registrations/1": Right.LISTEN,
    "DELETE registrations/1": Right.LISTEN,
    "GET registrations?$filter=ChannelUri%20eq%20'https://x.example/'": Right.LISTEN,
    "GET registrations": Right.MANAGE,
    "GET registrations/?$top=1": Right.MANAGE,
    "GET tags/a/registrations": Right.MANAGE,
    "PUT installations/1": Right.LISTEN,
    "GET installations/1": Right.LISTEN,
    "PATCH installations/1": Right.LISTEN,
    "DELETE installations/1": Right.LISTEN,
    "POST messages": Right.SEND,
    "POST messages?direct": Right.SEND,
    "POST messages?test": Right.SEND,
    "POST messages/$batch?direct": Right.SEND,
    "GET messages/1": Right.SEND,
    "POST schedulednotifications": Right.SEND,
    "DELETE schedulednotifications/1": Right.SEND,
}


@pytest.mark.parametrize("right", Right)
@pytest.mark.parametrize("request_", NEEDS)
async def test_each_operation_needs_its_right(shared: HubWorld, request_: str, right: Right) -> None:
    """A key without it is refused with 403, whatever the body; one that manages has them all."""
    method, path = request_.split(" ")
    answer = await shared.ask(method, path, right=right)
    may = right in {NEEDS[request_], Right.MANAGE}
    assert (answer.status == 403) != may, answer.text
    assert may or f"this needs {NEEDS[request_]}" in answer.text


async def test_an_old_key_is_good_for_a_day(hub: HubWorld) -> None:
    """After that, its signatures are none; a key of a right that was not rotated stays."""
    old = {right: signed(hub, small(url(hub)), right=right, lasts=10**6) for right in (Right.SEND, Right.MANAGE)}
    hub.keys = await hub.world.service.hubs.rotate("contoso", [Right.SEND])
    assert (await send(hub, old[Right.SEND])).status == 201
    assert (await send(hub, signed(hub, small(url(hub))))).status == 201
    hub.world.clock.time += 24 * 3600 + 1
    assert (await send(hub, old[Right.SEND])).status == 401
    assert (await send(hub, old[Right.MANAGE])).status == 201
    assert (await send(hub, signed(hub, small(url(hub))))).status == 201


async def test_what_was_signed_for_a_hub_is_none_of_the_next_of_its_name(hub: HubWorld) -> None:
    """Removed, the hub is not there; made anew, it has other keys and nothing of the old."""
    old = hub.signature()
    assert (await hub.register(hub.world.uri, "a")).status == 200
    await hub.world.service.hubs.remove("contoso")
    gone = await send(hub, old)
    assert (gone.status, "There is no hub" in gone.text) == (404, True)
    hub.keys = await hub.world.service.hubs.add("contoso")
    assert (await send(hub, old)).status == 401
    assert "<entry" not in (await hub.ask("GET", "registrations")).text


async def test_a_key_of_one_hub_opens_no_other(hub: HubWorld) -> None:
    """Nor does a signature for the endpoint that both have."""
    await hub.world.service.hubs.add("fabrikam")
    for path in ("/", "/fabrikam", "/fabrikam/messages"):
        answer = await send(hub, signed(hub, small(url(hub, path))), "/fabrikam/messages")
        assert (answer.status, "was not made with" in answer.text) == (401, True)


async def test_an_address_that_guesses_has_to_wait(tmp_path: Path) -> None:
    """With the time to wait, for that hub alone; what is signed well in between does not help."""
    settings = ServiceSettings(secret_rate=0.001, secret_burst=2)
    async with open_hub(tmp_path, settings) as hub:
        await hub.world.service.hubs.add("fabrikam")
        wrong = signed(hub, small(url(hub)), key="wrong")
        assert [(await send(hub, wrong)).status for _ in range(3)] == [401, 401, 429]
        right = await send(hub, hub.signature(Right.SEND))
        assert right.status == 429
        assert int(right.headers["Retry-After"]) >= 1
        assert (await send(hub, wrong, "/fabrikam/messages")).status == 401


async def test_an_address_that_asks_too_often_has_to_wait(tmp_path: Path) -> None:
    """429 with Retry-After, in XML, whatever is asked for."""
    async with open_hub(tmp_path, ServiceSettings(address_rate=0.1, address_burst=2)) as hub:
        answers = [await hub.register(hub.world.uri) for _ in range(3)]
        assert answers[-1].status == 429
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 10
        assert "<Code>429</Code>" in answers[-1].text


async def test_an_unknown_hub_is_told_in_xml(shared: HubWorld) -> None:
    """For each of its rooms, so that clients can show the words; whatever is no path of a hub is answered as before."""
    for path in ("registrations", "Messages/", "installations/1", "tags/a/registrations", "feedbackcontainer", "jobs"):
        answer = await shared.request("GET", f"/nothing/{path}", b"", {})
        assert answer.status in {404, 405, 501}, path
        assert answer.headers["Content-Type"].startswith("application/xml"), path
    assert (await shared.request("GET", "/nothing/here", b"", {})).headers["Content-Type"].startswith("text/plain")


async def test_a_hub_is_known_in_any_case_of_its_name(shared: HubWorld) -> None:
    """What it answers has its name as it was given."""
    headers = {"Authorization": shared.signature()}
    answer = await shared.request("POST", "/CONTOSO/registrations", entry(shared.world.uri), headers)
    assert "/contoso/registrations/" in answer.headers["Content-Location"]
