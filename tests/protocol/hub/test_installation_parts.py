"""What an installation stands for."""

from __future__ import annotations

from attrs import evolve

from tests.protocol.hub.test_installation_json import READ, URI
from tocsin.protocol.hub.installation_parts import parts_of


def test_it_stands_for_its_channel_its_templates_and_those_of_its_tiles() -> None:
    """Each has the channel, the variables and the end of what it belongs to."""
    parts = parts_of(READ, etag=7)
    assert [(part.secondary_tile, part.template and part.template.name) for part in parts] == [
        ("", None),
        ("", "t"),
        ("tile", None),
        ("tile", "u"),
    ]
    assert [part.channel_uri for part in parts] == [URI, URI, URI + "2", URI + "2"]
    assert {(part.installation, part.etag, part.expires, part.variables) for part in parts} == {
        ("i1", 7, READ.expires, READ.variables)
    }


def test_each_part_has_the_tags_by_which_senders_choose_it() -> None:
    """Those of the installation, its id and user, of its tile and its template, and the template's name."""
    every = {"a", "b", "$InstallationId:{i1}", "$UserId:{alice}"}
    assert [set(part.tags) - every for part in parts_of(READ)] == [set(), {"c", "t"}, {"d"}, {"d", "u"}]
    assert all(every < {*part.tags, "more"} for part in parts_of(READ))
    (native, *_) = parts_of(evolve(READ, user_id=""))
    assert native.tags == ("a", "b", "$InstallationId:{i1}")


def test_a_template_whose_name_is_no_tag_has_none_of_it() -> None:
    """Names of templates may be any text, and tags may not."""
    named = evolve(READ, templates=(evolve(READ.templates[0], name="my template"),), tiles={})
    assert set(parts_of(named)[1].tags) == {"a", "b", "c", "$InstallationId:{i1}", "$UserId:{alice}"}


def test_ids_are_the_same_every_time_and_never_those_of_others() -> None:
    """Whatever the names are, so that what is kept can be told from what is new."""
    parts = parts_of(READ)
    assert [part.id for part in parts] == [part.id for part in parts_of(evolve(READ, tags=(), expires=None))]
    others = [
        *parts_of(evolve(READ, id="i2")),
        *parts_of(evolve(READ, tiles={"til": READ.tiles["tile"]}, templates=(evolve(READ.templates[0], name="eu"),))),
        *parts_of(evolve(READ, id="i1\0tile")),
    ]
    ids = {part.id for part in parts}
    assert len(ids) == 4
    assert [part.id in ids for part in others].count(True) == 1, "only the native part of the same installation"


def test_what_has_expired_has_no_parts() -> None:
    """A tile goes by itself, and so does the app's own channel."""
    assert [part.secondary_tile for part in parts_of(evolve(READ, expired=True))] == ["tile", "tile"]
    gone = evolve(READ, tiles={"tile": evolve(READ.tiles["tile"], expired=True)})
    assert [part.secondary_tile for part in parts_of(gone)] == ["", ""]
