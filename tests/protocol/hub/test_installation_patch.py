"""What clients change of installations."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.hub.test_installation_json import INSTALLATIONS, READ, URI
from tocsin.protocol.hub.descriptions import BodyTemplate, Installation, SecondaryTile
from tocsin.protocol.hub.hub_refused import HubRefused
from tocsin.protocol.hub.installation_json import document_of, installation_of
from tocsin.protocol.hub.installation_patch import MAX_OPERATIONS, patch_installation

BARE = Installation("i1", URI)
NEWS = {"body": "<toast/>", "headers": {"X-WNS-Type": "wns/toast"}}
T = READ.templates[0]
TILE = READ.tiles["tile"]


def add(path: str, value: Any) -> dict[str, Any]:
    """Write an operation that adds."""
    return {"op": "add", "path": path, "value": value}


def replace(path: str, value: Any) -> dict[str, Any]:
    """Write an operation that replaces."""
    return {"op": "replace", "path": path, "value": value}


def remove(path: str) -> dict[str, Any]:
    """Write an operation that removes."""
    return {"op": "remove", "path": path}


def patched(installation: Installation, *operations: Any) -> Installation:
    """Patch an installation."""
    return patch_installation(installation, json.dumps(operations).encode())


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (add("/pushChannel", "https://h/new"), evolve(READ, channel_uri="https://h/new")),
        (replace("/pushchannel", "https://h/new"), evolve(READ, channel_uri="https://h/new")),
        (add("/userId", "Bob"), evolve(READ, user_id="Bob")),
        (replace("/userId", "Bob"), evolve(READ, user_id="Bob")),
        (remove("/userId"), evolve(READ, user_id="")),
        (add("/expirationTime", "1970-01-01T00:01:00Z"), evolve(READ, expires=60.0)),
        (remove("/expirationTime"), evolve(READ, expires=None)),
        (add("/tags", "news"), evolve(READ, tags=("a", "b", "news"))),
        (add("/tags", "a"), READ),
        (add("/tags", ["b", "news"]), evolve(READ, tags=("a", "b", "news"))),
        (add("/tags", '["b", "news"]'), evolve(READ, tags=("a", "b", "news"))),
        (add("/tags/-", "news"), evolve(READ, tags=("a", "b", "news"))),
        (add("/tags/0", "news"), evolve(READ, tags=("news", "a", "b"))),
        (replace("/tags", ["news"]), evolve(READ, tags=("news",))),
        (replace("/tags", "news"), evolve(READ, tags=("news",))),
        (replace("/tags", []), evolve(READ, tags=())),
        (replace("/tags/b", "news"), evolve(READ, tags=("a", "news"))),
        (replace("/tags/0", "news"), evolve(READ, tags=("news", "b"))),
        (remove("/tags"), evolve(READ, tags=())),
        (remove("/tags/a"), evolve(READ, tags=("b",))),
        (remove("/tags/1"), evolve(READ, tags=("a",))),
        (add("/pushVariables/city", "Rome"), evolve(READ, variables=(("city", "Rome"),))),
        (add("/pushVariables/x~1y~0", "1"), evolve(READ, variables=(("city", "Paris"), ("x/y~", "1")))),
        (add("/pushVariables", {"a": "b"}), evolve(READ, variables=(("a", "b"),))),
        (remove("/pushVariables/city"), evolve(READ, variables=())),
        (add("/templates/t", NEWS), evolve(READ, templates=(evolve(T, tags=()),))),
        (add("/templates/n", NEWS), evolve(READ, templates=(T, BodyTemplate("n", "<toast/>", T.headers)))),
        (replace("/templates/t", json.dumps(NEWS)), evolve(READ, templates=(evolve(T, tags=()),))),
        (replace("/templates", {"n": NEWS}), evolve(READ, templates=(BodyTemplate("n", "<toast/>", T.headers),))),
        (remove("/templates/t"), evolve(READ, templates=())),
        (remove("/templates"), evolve(READ, templates=())),
        (add("/templates/t/body", "<b/>"), evolve(READ, templates=(evolve(T, body="<b/>"),))),
        (replace("/Templates/t/Body", "<b/>"), evolve(READ, templates=(evolve(T, body="<b/>"),))),
        (
            add("/templates/t/headers", '{"X-WNS-Type": "x"}'),
            evolve(READ, templates=(evolve(T, headers=(("X-WNS-Type", "x"),)),)),
        ),
        (
            add("/templates/t/headers/X-WNS-Type", "wns/raw"),
            evolve(READ, templates=(evolve(T, headers=(("X-WNS-Type", "wns/raw"),)),)),
        ),
        (add("/templates/t/tags", "d"), evolve(READ, templates=(evolve(T, tags=("c", "d")),))),
        (remove("/templates/t/tags/c"), evolve(READ, templates=(evolve(T, tags=()),))),
        (
            add("/secondaryTiles/tile/pushChannel", "https://h/t"),
            evolve(READ, tiles={"tile": evolve(TILE, channel_uri="https://h/t")}),
        ),
        (add("/secondaryTiles/tile/tags", "x"), evolve(READ, tiles={"tile": evolve(TILE, tags=("d", "x"))})),
        (
            add("/secondaryTiles/tile/templates/u/body", "<x/>"),
            evolve(READ, tiles={"tile": evolve(TILE, templates=(evolve(TILE.templates[0], body="<x/>"),))}),
        ),
        (remove("/secondaryTiles/tile/templates/u"), evolve(READ, tiles={"tile": evolve(TILE, templates=())})),
        (add("/secondaryTiles/n", {"pushChannel": URI}), evolve(READ, tiles={"tile": TILE, "n": SecondaryTile(URI)})),
        (
            add("/secondaryTiles", '{"n": {"pushChannel": "https://h"}}'),
            evolve(READ, tiles={"n": SecondaryTile("https://h")}),
        ),
        (remove("/secondaryTiles/tile"), evolve(READ, tiles={})),
        ({"op": "Remove", "path": "/userId", "value": None, "from": "/x"}, evolve(READ, user_id="")),
    ],
)
def test_each_operation_does_what_the_documents_say(operation: dict[str, Any], expected: Installation) -> None:
    """In the order of the table of "Update an installation", with the values of .NET, which are texts."""
    assert patched(READ, operation) == expected


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (add("/userId", "Bob"), evolve(BARE, user_id="Bob")),
        (replace("/userId", "Bob"), evolve(BARE, user_id="Bob")),
        (add("/tags", "news"), evolve(BARE, tags=("news",))),
        (replace("/tags", "news"), evolve(BARE, tags=("news",))),
        (add("/tags/-", "news"), evolve(BARE, tags=("news",))),
        (add("/pushVariables/a", "b"), evolve(BARE, variables=(("a", "b"),))),
        (add("/templates/n", NEWS), evolve(BARE, templates=(BodyTemplate("n", "<toast/>", T.headers),))),
        (add("/secondaryTiles/n", {"pushChannel": URI}), evolve(BARE, tiles={"n": SecondaryTile(URI)})),
    ],
)
def test_the_first_entry_makes_its_place(operation: dict[str, Any], expected: Installation) -> None:
    """An installation that has none yet takes the first tag, variable, template and tile."""
    assert patched(BARE, operation) == expected


def test_operations_build_on_each_other() -> None:
    """As those of a client that does not know what is there: the tags go, and come again one by one."""
    assert patched(READ, remove("/tags"), add("/tags", "x"), add("/tags", "y")).tags == ("x", "y")
    made = patched(
        BARE,
        add("/templates/n", {"Body": "x"}),
        add("/templates/n/body", "<y/>"),
        add("/templates/n/headers/X-WNS-Type", "wns/b"),
    )
    assert made.templates == (BodyTemplate("n", "<y/>", (("X-WNS-Type", "wns/b"),)),)


def test_a_new_channel_is_not_expired() -> None:
    """What is not changed is as expired as it was, and a client cannot say otherwise."""
    gone = evolve(READ, expired=True, tiles={"tile": evolve(TILE, expired=True)})
    assert patched(gone, add("/tags", "x")) == evolve(gone, tags=("a", "b", "x"))
    assert not patched(gone, add("/pushChannel", "https://h/new")).expired
    tiles = {
        "tile": {"pushChannel": URI + "2", "pushChannelExpired": False},
        "n": {"pushChannel": URI, "pushChannelExpired": True},
    }
    assert {name: tile.expired for name, tile in patched(gone, replace("/secondaryTiles", tiles)).tiles.items()} == {
        "tile": True,
        "n": False,
    }


REFUSED = [
    ({}, "A patch is a JSON list"),
    ([], "A patch is a JSON list"),
    (["x"], "Each operation of a patch"),
    ([{"path": "/tags"}], "The op of a patch is"),
    ([{"op": "move", "path": "/tags", "from": "/x"}], "not 'move'"),
    ([{"op": ["add"], "path": "/tags"}], "The op of a patch is"),
    ([{"op": "add", "value": "x"}], "begins with /"),
    ([add("tags", "x")], "begins with /"),
    ([add("", {})], "begins with /"),
    ([add("/" + "x" * 2000, "x")], "begins with /"),
    ([{"op": "add", "path": "/tags"}], "has a value"),
    ([add("/", "x")], "leads out of"),
    ([add("/tags/", "x")], "leads out of"),
    ([add("//tags", "x")], "leads out of"),
    ([add("/tags/a/b", "x")], "leads out of"),
    ([add("/tags/3", "x")], "leads out of"),
    ([add("/tags/01", "x")], "leads out of"),
    ([add("/userId/x", "x")], "leads out of"),
    ([add("/installationId", "x")], "leads out of"),
    ([add("/platform", "wns")], "leads out of"),
    ([add("/pushChannelExpired", value=False)], "leads out of"),
    ([add("/__class__", "x")], "leads out of"),
    ([add("/../hub", "x")], "leads out of"),
    ([add("/templates/t/expiry", "x")], "leads out of"),
    ([add("/templates/t/body/x", "x")], "leads out of"),
    ([add("/secondaryTiles/tile/pushChannelExpired", value=True)], "leads out of"),
    ([add("/tags/~2", "x")], "~0"),
    ([add("/tags/x~", "x")], "~0"),
    ([remove("/tags/none")], "There is nothing at '/tags/none' to remove"),
    ([remove("/tags/9")], "There is nothing"),
    ([replace("/tags/none", "x")], "to replace"),
    ([remove("/templates/none")], "There is nothing"),
    ([replace("/templates/none", NEWS)], "There is nothing"),
    ([add("/templates/none/body", "x")], "There is nothing"),
    ([add("/templates/none/tags", "x")], "There is nothing"),
    ([add("/secondaryTiles/none/pushChannel", URI)], "There is nothing"),
    ([remove("/userId"), remove("/userId")], "There is nothing"),
    ([remove("/pushChannel")], "pushChannel must be a text"),
    ([add("/pushChannel", "no URI")], "begins with https://"),
    ([add("/pushChannel", {"a": 1})], "pushChannel must be a text, not an object"),
    ([add("/tags", "a,b")], "no tag"),
    ([add("/tags", 5)], "is a tag, or a list"),
    ([add("/tags", {"a": "b"})], "is a tag, or a list"),
    ([add("/tags", '["a"')], "is no JSON"),
    ([add("/tags", [str(number) for number in range(60)])], "more than 60"),
    ([add("/templates", 5)], "templates must be a JSON object"),
    ([add("/templates", 5), add("/templates/t", NEWS)], "leads out of"),
    ([add("/templates/t", "x")], "is no JSON"),
    ([remove("/templates/t/body")], "templates/t/body must be a text"),
    ([add("/secondaryTiles/tile", {"tags": "x"}), add("/secondaryTiles/tile/tags", "y")], "leads out of"),
    ([add("/pushVariables/x", "y" * 30_000), add("/pushVariables/z", "y" * 30_000)] * 2, "65536"),
    ([add("/userId", "x")] * (MAX_OPERATIONS + 1), "100 are read"),
]


@pytest.mark.parametrize(("patch", "words"), REFUSED)
def test_what_cannot_be_done_is_refused_in_words(patch: Any, words: str) -> None:
    """Paths outside of the document, operations that hubs have not, and what would leave no installation behind."""
    with pytest.raises(HubRefused, match=re.escape(words)) as refused:
        patch_installation(READ, json.dumps(patch).encode())
    assert refused.value.status in {400, 413}
    assert refused.value.detail.isprintable()


@pytest.mark.parametrize("patch", [patch for patch, _ in REFUSED if isinstance(patch, list)])
def test_nothing_is_half_done(patch: Any) -> None:
    """What was right before the operation that is wrong is not done either."""
    before = document_of(READ)
    with pytest.raises(HubRefused):
        patch_installation(
            READ, json.dumps([add("/userId", "first"), *patch][: MAX_OPERATIONS + 1]).encode() if patch else b"[]"
        )
    assert document_of(READ) == before


STEPS = st.sampled_from(
    [
        "tags",
        "templates",
        "t",
        "body",
        "headers",
        "secondaryTiles",
        "tile",
        "pushChannel",
        "a",
        "0",
        "-",
        "userId",
        "",
        "~1",
    ]
)
VALUES = st.recursive(
    st.none() | st.text(max_size=5) | st.integers(0, 3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["body", "tags", "t", "pushChannel", "templates"]), inner, max_size=3)
    ),
)
OPERATIONS = st.fixed_dictionaries(
    {
        "op": st.sampled_from(["add", "replace", "remove"]),
        "path": st.lists(STEPS, max_size=5).map(lambda steps: "/" + "/".join(steps)),
        "value": VALUES | VALUES.map(json.dumps),
    }
)


@given(INSTALLATIONS | st.just(READ), st.lists(OPERATIONS, min_size=1, max_size=5))
def test_no_patch_makes_it_fail_otherwise(installation: Installation, operations: list[dict[str, Any]]) -> None:
    """Whatever a client sends, there is an installation that could have been put, or it is refused."""
    try:
        result = patched(installation, *operations)
    except HubRefused:
        return
    unexpired = evolve(
        result, expired=False, tiles={name: evolve(tile, expired=False) for name, tile in result.tiles.items()}
    )
    assert installation_of(document_of(result), result.id) == unexpired
