"""The rules of tags: what a tag is, how lists are written, and whose the special ones are."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.hub.descriptions import MAX_TAGS
from tocsin.protocol.hub.hub_refused import HubRefused
from tocsin.protocol.hub.tag_rules import (
    MAX_SPECIAL_VALUE,
    MAX_TAG,
    MAX_TAG_LIST,
    check_special,
    check_tag,
    check_tags,
    installation_tag,
    read_tags,
    user_tag,
)

TAGS = st.from_regex(r"[-_@#.:\w]{1,20}", fullmatch=True)
SPECIAL = st.builds(
    lambda make, value: make(value),
    st.sampled_from([installation_tag, user_tag]),
    st.text(min_size=1, max_size=20).filter(lambda value: "}" not in value),
)


@pytest.mark.parametrize("tag", ["news", "a", "x" * MAX_TAG, "user:ann@contoso.com", "#1_a-b.c", "_", "äöü", "日本"])
def test_a_tag_is_letters_digits_and_six_signs(tag: str) -> None:
    """Also letters of other scripts than Latin."""
    assert check_tag(tag) == tag
    assert read_tags(f" {tag} ") == (tag,)


@pytest.mark.parametrize(
    "tag",
    ["", " ", "a b", "a,b", "a&b", "a|b", "!a", "(a)", "x" * (MAX_TAG + 1), "a\n", "a\0", "{a}", "$a", "a/b", "😀"],
)
def test_what_is_no_tag_is_refused_in_words(tag: str) -> None:
    """The sentence says what would be right, and shows nothing that a terminal would obey."""
    with pytest.raises(HubRefused, match=r"120 characters: letters, digits and _ @ # \. : - are allowed") as refused:
        check_tag(tag)
    assert refused.value.status == 400
    assert refused.value.detail.isprintable()


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("", ()),
        ("  ", ()),
        ("news", ("news",)),
        ("news,sports", ("news", "sports")),
        (" news ,\tsports\n", ("news", "sports")),
        ("b,a,b", ("b", "a")),
        ("News,news", ("News", "news")),
    ],
)
def test_a_list_is_tags_with_commas_between(text: str, tags: tuple[str, ...]) -> None:
    """Each tag is there once, in the order of the list; upper case is another tag than lower case."""
    assert read_tags(text) == tags


@pytest.mark.parametrize("text", ["a,,b", ",a", "a,", ",", "a b", "a;b", "$UserId:{a}", "x" * (MAX_TAG_LIST + 1)])
def test_a_list_with_something_else_in_it_is_refused(text: str) -> None:
    """Nothing of it is taken."""
    with pytest.raises(HubRefused) as refused:
        read_tags(text)
    assert refused.value.status == 400


def test_sixty_tags_are_the_most() -> None:
    """One that is named twice counts once."""
    most = [f"t{number}" for number in range(MAX_TAGS)]
    assert check_tags([*most, "t0"]) == tuple(most)
    assert read_tags(",".join(most)) == tuple(most)
    with pytest.raises(HubRefused, match="more than 60 tags"):
        check_tags([*most, "another"])
    with pytest.raises(HubRefused, match="more than 60 tags"):
        read_tags(",".join([*most, "another"]))


def test_special_tags_are_given_by_the_hub() -> None:
    """A client that gives itself one is refused: it would get what is for another."""
    for tag in ("$UserId:{ann}", "$InstallationId:{1}", "$other"):
        with pytest.raises(HubRefused, match=r"begins with \$: such tags are given by the hub itself"):
            check_tag(tag)
        with pytest.raises(HubRefused, match=r"begins with \$"):
            read_tags(f"a,{tag}")


def test_special_tags_are_read_where_the_hub_wrote_them() -> None:
    """Between their braces a comma is part of them, and the case of their names does not matter."""
    assert read_tags("$UserId:{a,b},c", special=True) == ("$UserId:{a,b}", "c")
    assert read_tags("c , $installationid:{X y} , d", special=True) == ("c", "$InstallationId:{X y}", "d")
    assert check_special("$USERID:{x}") == "$UserId:{x}"


@pytest.mark.parametrize(
    "text",
    [
        "$UserId:{a},$userid:{b}",
        "$InstallationId:{a},$InstallationId:{b}",
        "$UserId:{}",
        "$UserId:a",
        "$UserId:{a",
        "$UserId:{a}b",
        "$UserId:{a}}",
        "$Other:{a}",
        f"$UserId:{{{'x' * (MAX_SPECIAL_VALUE + 1)}}}",
    ],
)
def test_a_special_tag_of_another_form_is_refused(text: str) -> None:
    """Also two of one kind."""
    with pytest.raises(HubRefused) as refused:
        read_tags(text, special=True)
    assert refused.value.status == 400


@pytest.mark.parametrize("value", ["", "a}", "x" * (MAX_SPECIAL_VALUE + 1)])
def test_an_id_that_cannot_stand_in_a_tag_is_refused(value: str) -> None:
    """Else it would be another tag than it seems."""
    with pytest.raises(HubRefused, match="cannot stand in the tag"):
        user_tag(value)
    with pytest.raises(HubRefused, match="cannot stand in the tag"):
        installation_tag(value)


@given(st.lists(TAGS, max_size=8, unique=True), st.none() | SPECIAL)
def test_a_list_is_read_as_it_was_written(tags: list[str], special: str | None) -> None:
    """Whatever stands between the braces of a special tag."""
    assert read_tags(",".join(tags)) == tuple(tags)
    all_of_them = (*tags, special) if special else tuple(tags)
    assert read_tags(",".join(all_of_them), special=True) == all_of_them


@given(st.text(max_size=40) | st.text("$UserId:{},a \n", max_size=40))
def test_any_text_is_a_list_or_refused(text: str) -> None:
    """No other error comes of it, and what is read is tags only."""
    try:
        tags = read_tags(text)
    except HubRefused as refused:
        assert refused.status == 400  # noqa: PT017  # both ends are right
    else:
        assert check_tags(tags) == tags


@pytest.mark.parametrize(
    "text",
    [" " * 8_000, "a" + " " * 7_998 + "b", "," * 8_000, "$UserId:{" * 888, "$" * 8_000, "$UserId:{a}" + " " * 7_989],
)
def test_a_hostile_list_costs_little(text: str) -> None:
    """It is read once, however it goes on."""
    started = time.perf_counter()
    for special in (False, True):
        try:
            read_tags(text, special=special)
        except HubRefused:
            continue
    assert time.perf_counter() - started < 0.5
