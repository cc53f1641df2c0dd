"""Installations as JSON."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.hub.descriptions import BodyTemplate, Installation, SecondaryTile
from tocsin.protocol.hub.hub_refused import HubRefused
from tocsin.protocol.hub.installation_json import read_installation, restore_installation, write_installation

URI = "https://wns2-par02p.notify.windows.com/?token=AwYAAAD%2fQ"
WHOLE: dict[str, Any] = {
    "installationId": "i1",
    "userId": "alice",
    "platform": "wns",
    "pushChannel": URI,
    "pushChannelExpired": True,
    "expirationTime": "2030-01-01T00:00:00Z",
    "lastUpdate": "2026-01-01T00:00:00Z",
    "tags": ["a", "b", "a"],
    "pushVariables": {"city": "Paris"},
    "templates": {"t": {"body": "<toast/>", "headers": {"X-WNS-Type": "wns/toast"}, "tags": ["c"], "expiry": "x"}},
    "secondaryTiles": {
        "tile": {
            "pushChannel": URI + "2",
            "tags": ["d"],
            "templates": {"u": {"body": "<tile/>", "headers": {"X-WNS-Type": "wns/tile"}}},
        }
    },
}
READ = Installation(
    id="i1",
    channel_uri=URI,
    user_id="alice",
    tags=("a", "b"),
    expires=1_893_456_000.0,
    variables=(("city", "Paris"),),
    templates=(BodyTemplate("t", "<toast/>", (("X-WNS-Type", "wns/toast"),), ("c",)),),
    tiles={"tile": SecondaryTile(URI + "2", ("d",), (BodyTemplate("u", "<tile/>", (("X-WNS-Type", "wns/tile"),)),))},
)
TEMPLATE = WHOLE["templates"]["t"]
LEAST = {"installationId": "i1", "platform": "wns", "pushChannel": URI}


def put(**changes: Any) -> str:
    """Write the least installation with some members more or others; those that are None are left out."""
    return json.dumps({name: value for name, value in (LEAST | changes).items() if value is not None})


def test_all_of_an_installation_is_read() -> None:
    """What is not known is passed over, and whether the channel has expired is not for the client to say."""
    assert read_installation(json.dumps(WHOLE), "i1") == READ


def test_names_of_members_are_read_in_any_case() -> None:
    """The documents have ``userID`` where the libraries have ``userId``."""
    members = {"InstallationId": "i1", "PLATFORM": "WNS", "pushchannel": URI, "userID": "bob", "Tags": ["x"]}
    assert read_installation(b"\xef\xbb\xbf" + json.dumps(members).encode(), "i1") == Installation(
        "i1", URI, "bob", ("x",)
    )


def test_the_least_has_a_channel_and_a_platform() -> None:
    """The id is in the path already, and what is null counts as left out."""
    body = put(installationId=None)[:-1] + ', "tags": null, "templates": null, "userId": null, "expirationTime": null}'
    assert read_installation(body, "i1") == Installation("i1", URI)


def test_what_is_kept_comes_back_whole() -> None:
    """Expired channels are still expired, and everything else is as it was."""
    kept = evolve(READ, expired=True, tiles={"tile": evolve(READ.tiles["tile"], expired=True)})
    assert restore_installation(write_installation(kept)) == kept
    assert restore_installation(write_installation(READ)) == READ


NAMES = st.text(st.characters(codec="utf-8").filter(str.isprintable), min_size=1, max_size=20)
TAGS = st.lists(st.from_regex(r"[-_@#.:a-z0-9]{1,120}", fullmatch=True), max_size=5, unique=True).map(tuple)
TEXTS = st.text(max_size=60)
PAIRS = st.dictionaries(NAMES, TEXTS, max_size=3).map(lambda pairs: tuple(pairs.items()))
URIS = st.from_regex(r"https?://h/[!-~]{0,60}", fullmatch=True)
BODIES = st.sampled_from(["<toast/>", "<tile a='$(x)'>ä\n</tile>", '{"a": "$(b)", "c": [1]}'])
HEADERS = st.dictionaries(
    st.from_regex("[A-Z][a-z-]{1,20}", fullmatch=True),
    st.from_regex("[ -~]?[a-z]{1,20}", fullmatch=True).filter(lambda text: text[0] not in "$.#%{"),
    max_size=2,
).map(lambda headers: (("X-WNS-Type", "wns/toast"), *headers.items()))
TEMPLATES = st.dictionaries(NAMES, st.tuples(BODIES, HEADERS, TAGS), max_size=3).map(
    lambda each: tuple(BodyTemplate(name, *template) for name, template in each.items())
)
INSTALLATIONS = st.builds(
    Installation,
    NAMES.filter(lambda name: "}" not in name),
    URIS,
    st.just("") | NAMES.filter(lambda name: "}" not in name),
    TAGS,
    st.booleans(),
    st.none() | st.integers(-62_000_000_000, 253_402_000_000).map(float),
    PAIRS,
    TEMPLATES,
    st.dictionaries(NAMES, st.builds(SecondaryTile, URIS, TAGS, TEMPLATES, st.booleans()), max_size=3),
)


@given(INSTALLATIONS)
def test_what_is_written_is_read_as_the_same(installation: Installation) -> None:
    """Every installation, with texts in it as they were, character by character."""
    assert restore_installation(write_installation(installation)) == installation


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "no JSON"),
        (b"\xff\xfe", "no UTF-8"),
        ("[]", "The installation must be a JSON object, not a list"),
        ("null", "not null"),
        (put()[:-1] + ', "tags": ["a"], "tags": ["b"]}', "'tags' twice"),
        (put(tags=["a"])[:-1] + ', "Tags": ["b"]}', "differ in case only"),
        (put(installationId="other"), "they must be the same"),
        (put(installationId=5), "installationId must be a text, not a number"),
        (put(platform=None), 'platform must be "wns"'),
        (put(platform="apns"), "not 'apns'"),
        (put(pushChannel=None), "pushChannel must be a text, not null"),
        (put(pushChannel=["x"]), "pushChannel must be a text, not a list"),
        (put(pushChannel="channel"), "begins with https://"),
        (put(pushChannel="https://h/ x"), "no blank"),
        (put(pushChannel="https://h/\n"), "no blank"),
        (put(pushChannel="https://h/" + "x" * 3000), "2048 are taken"),
        (put(userId="a}b"), "cannot stand in the tag"),
        (put(userId="a\nb"), "printable"),
        (put(userId="x" * 1000), "cannot stand in the tag"),
        (put(tags="a"), "tags must be a list"),
        (put(tags=[1]), "tags must be a text, not a number"),
        (put(tags=["a b"]), "no tag"),
        (put(tags=["$UserId:{x}"]), "begins with $"),
        (put(tags=[str(number) for number in range(61)]), "60"),
        (put(expirationTime="tomorrow"), "expirationTime must be a time such as"),
        (put(expirationTime=5), "not a number"),
        (put(pushVariables={"a": 1}), "pushVariables/a must be a text"),
        (put(pushVariables=[]), "pushVariables must be a JSON object"),
        (put(pushVariables={"": "x"}), "1 to 120 printable"),
        (put(pushVariables={"x" * 121: "x"}), "1 to 120 printable"),
        (put(pushVariables={str(number): "" for number in range(61)}), "60 are allowed"),
        (put(templates={"t": {}}), "templates/t/body must be a text, not null"),
        (put(templates={"t": "x"}), "templates/t must be a JSON object, not a text"),
        (put(templates={"t": {"body": "", "headers": ["x"]}}), "templates/t/headers must be a JSON object"),
        (put(templates={"t": TEMPLATE | {"tags": ["a,b"]}}), "no tag"),
        (put(templates={"t": {"body": "<toast/>"}}), "In templates/t: The template has no header X-WNS-Type"),
        (put(templates={"t": TEMPLATE | {"body": "<toast>$(</toast>"}}), "In templates/t: "),
        (put(templates={"t": TEMPLATE | {"headers": {"X-WNS-Type": "wns/raw\r\nA: b"}}}), "one line"),
        (put(secondaryTiles={"t": {}}), "secondaryTiles/t/pushChannel must be a text"),
        (put(secondaryTiles={"t": None}), "secondaryTiles/t must be a JSON object"),
        (
            put(
                secondaryTiles={
                    f"t{n}": {"pushChannel": URI, "templates": {str(m): TEMPLATE for m in range(51)}} for n in (1, 2)
                }
            ),
            "100 templates at most",
        ),
        (put(userId="\ud800"), "half of a character"),
        (put(pushVariables={"\x1b[31m": 1}), "printable"),
        ("[" * 60_000, "nested too deep"),
        ('{"a": ' + "9" * 5000 + "}", "too many digits"),
        ('{"a": NaN}', "NaN"),
        ('{"a": 1e999}', "too great"),
    ],
)
def test_what_is_no_installation_is_refused_in_words(body: str | bytes, words: str) -> None:
    """The sentence says which part of it, of what kind that is, and what would be right; it never shows a channel's URI."""
    with pytest.raises(HubRefused, match=re.escape(words)) as refused:
        read_installation(body, "i1")
    assert refused.value.status == 400
    assert refused.value.detail.isprintable()
    assert len(refused.value.detail) < 500
    assert "token" not in refused.value.detail


def test_no_more_is_read_than_the_bound() -> None:
    """A document that is too long is not even parsed; one that is written longer than it was read is refused as well."""
    with pytest.raises(HubRefused, match="65536") as refused:
        read_installation("[" * 65_537, "i1")
    assert refused.value.status == 413
    body = put(pushVariables={"x": "y" * (65_536 - len(put(pushVariables={"x": ""})))})
    assert len(body) == 65_536
    with pytest.raises(HubRefused, match="An installation has 65536 bytes at most"):
        read_installation(body, "i1")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*WHOLE, "t"]), inner, max_size=5),
    )
)
def test_no_json_makes_it_fail_otherwise(document: Any) -> None:
    """Whatever a client puts, it is an installation or it is refused."""
    for whole in (document, LEAST | document if isinstance(document, dict) else document):
        try:
            installation = read_installation(json.dumps(whole), "i1")
        except HubRefused as refused:
            assert refused.status == 400  # noqa: PT017  # it is one of the two that may happen
        else:
            assert restore_installation(write_installation(installation)) == installation
