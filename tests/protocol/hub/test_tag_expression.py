"""Tag expressions: they match what Python would say, they name the tags to look for, and what cannot be read is refused."""

from __future__ import annotations

import re
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.hub.hub_refused import HubRefused
from tocsin.protocol.hub.tag_expression import (
    MAX_EXPRESSION,
    MAX_EXPRESSION_DEPTH,
    MOST_MIXED,
    MOST_ORED,
    HasAll,
    HasAny,
    HasNot,
    HasTag,
    TagExpression,
    read_tag_expression,
)
from tocsin.protocol.hub.tag_rules import MAX_TAG

NAMES = ["a", "b", "c:d", "#e", "$UserId:{x && (y}", "$InstallationId:{1,2}"]
TAG_SETS = st.frozensets(st.sampled_from([*NAMES, "other"]))
SPACES = st.sampled_from(["", " ", "  ", "\t"])


def bracketed(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Put expressions into brackets, with white space."""
    return st.builds(lambda text, left, right: f"({left}{text}{right})", texts, SPACES, SPACES)


def larger(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Join expressions by what there is, with brackets and without."""
    joined = st.builds(
        lambda left, space, operator, right: f"{left}{space}{operator}{space}{right}",
        texts,
        SPACES,
        st.sampled_from(["&&", "||"]),
        texts,
    )
    return joined | bracketed(joined) | bracketed(texts) | texts.map("!({})".format)


EXPRESSIONS = st.recursive(st.sampled_from([*NAMES, *map("!{}".format, NAMES)]), larger, max_leaves=MOST_MIXED)
"""Texts of expressions; ``max_leaves`` keeps them within the smallest bound."""


def reference(text: str, tags: frozenset[str]) -> bool:
    """Let Python say what an expression is of some tags."""
    names = "|".join(re.escape(name) for name in NAMES)

    def word(found: re.Match[str]) -> str:
        return {"&&": " and ", "||": " or ", "!": " not "}.get(found[0]) or f"({found[0]!r} in tags)"

    return bool(eval(re.sub(rf"{names}|&&|\|\||!", word, text).strip(), {"tags": tags}))  # noqa: S307  # of NAMES only


@given(EXPRESSIONS, TAG_SETS)
def test_an_expression_matches_what_python_would_say(text: str, tags: frozenset[str]) -> None:
    """Python's ``and``, ``or`` and ``not`` bind as these do."""
    assert read_tag_expression(text).matches(tags) is reference(text, tags)


@given(EXPRESSIONS, TAG_SETS, st.dictionaries(st.sampled_from(NAMES), st.integers(0, 9)))
def test_what_matches_has_one_of_the_drivers(text: str, tags: frozenset[str], weights: dict[str, int]) -> None:
    """So nothing is missed where only their registrations are looked through, whatever they weigh."""
    expression = read_tag_expression(text)
    for drivers in (expression.drivers(), expression.drivers(lambda tag: weights.get(tag, 1))):
        if expression.matches(tags):
            assert drivers is None or drivers & tags
        assert (drivers is None) is expression.matches(frozenset())
        assert (drivers or frozenset()) <= expression.tags


@given(EXPRESSIONS)
def test_what_is_written_is_read_as_the_same_expression(text: str) -> None:
    """With the brackets that it needs, and no others."""
    expression = read_tag_expression(text)
    written = expression.text
    assert read_tag_expression(written) == expression
    assert read_tag_expression(written).text == written


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("news", HasTag("news")),
        ("((news))", HasTag("news")),
        ("a || b && c", HasAny((HasTag("a"), HasAll((HasTag("b"), HasTag("c")))))),
        ("(a||b)&&c", HasAll((HasAny((HasTag("a"), HasTag("b"))), HasTag("c")))),
        ("a||(b||c)", HasAny((HasTag("a"), HasTag("b"), HasTag("c")))),
        ("!a && b", HasAll((HasNot(HasTag("a")), HasTag("b")))),
        ("!!a", HasNot(HasNot(HasTag("a")))),
        (
            "(follows_RedSox || follows_Cardinals) && location_Boston",
            HasAll((HasAny((HasTag("follows_RedSox"), HasTag("follows_Cardinals"))), HasTag("location_Boston"))),
        ),
        ("$userid:{a || b}", HasTag("$UserId:{a || b}")),
        ("$InstallationId:{(}&&x", HasAll((HasTag("$InstallationId:{(}"), HasTag("x")))),
        ("user:ann@contoso.com", HasTag("user:ann@contoso.com")),
    ],
)
def test_expressions_are_read_as_they_are_meant(text: str, expression: TagExpression) -> None:
    """``!`` before ``&&`` before ``||``; what stands in braces belongs to the tag."""
    assert read_tag_expression(text) == expression


@pytest.mark.parametrize(
    ("text", "drivers"),
    [
        ("a", {"a"}),
        ("a || b", {"a", "b"}),
        ("a && (b || c)", {"a"}),
        ("(b || c) && a", {"a"}),
        ("a && !b", {"a"}),
        ("(a || b) && !c", {"a", "b"}),
        ("!a", None),
        ("a || !b", None),
        ("(a || !b) && c", {"c"}),
        ("!!a", {"a"}),
        ("!(!a && !b)", {"a", "b"}),
        ("!(!a || b)", {"a"}),
        ("!(a || b)", None),
    ],
)
def test_drivers_are_the_fewest_tags_to_look_for(text: str, drivers: set[str] | None) -> None:
    """None where what has no tag at all may match."""
    assert read_tag_expression(text).drivers() == (None if drivers is None else frozenset(drivers))


def test_drivers_are_the_lightest_where_weights_are_known() -> None:
    """A tag that is rare is looked for, not one that all registrations have."""
    weights = {"all": 100_000, "vip": 10, "gold": 20}
    assert read_tag_expression("all && vip").drivers(weights.__getitem__) == frozenset({"vip"})
    assert read_tag_expression("all && (vip || gold)").drivers(weights.__getitem__) == frozenset({"vip", "gold"})


@pytest.mark.parametrize(
    ("operator", "most"), [(" || ", MOST_ORED), (" && ", MOST_MIXED), (" && !", MOST_MIXED), (" || !", MOST_MIXED)]
)
def test_tags_are_as_many_as_the_documents_say(operator: str, most: int) -> None:
    """Twenty where only ``||`` joins them, ten where ``&&`` does, else six."""
    assert read_tag_expression(operator.join(["a"] * most)).tags == frozenset({"a"})
    with pytest.raises(HubRefused, match=rf"has {most + 1} tags; {most} are allowed at most"):
        read_tag_expression(operator.join(["a"] * (most + 1)))


def test_tags_that_are_joined_in_both_ways_are_six() -> None:
    """As the documents say."""
    assert read_tag_expression("(a || b || c || d || e) && f").tags == frozenset("abcdef")
    with pytest.raises(HubRefused, match=r"has 7 tags; 6 are allowed at most with && or !"):
        read_tag_expression("(a || b || c || d || e || f) && g")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty: name a tag"),
        (" \t ", "is empty"),
        ("a&b", "at character 2, '&b': it is written &&"),
        ("a | b", r"at character 3, '\| b': it is written \|\|"),
        ("a &&& b", "at character 5, '& b': it is written &&"),
        ("a ||", "at its end: a tag, ! or [(] should stand here"),
        ("|| a", "at character 1, .*: a tag, ! or [(] should stand here"),
        ("a && || b", "at character 6, .*: a tag, ! or [(] should stand here"),
        ("()", "at character 2, .*: a tag, ! or [(] should stand here"),
        ("!", "at its end: a tag"),
        ("a !b", "at character 3, '!b': && or || should stand before it"),
        ("(a", r"at its end: &&, \|\| or \) should stand here"),
        ("(a b)", r"at character 4, .*: &&, \|\| or \) should stand here"),
        ("a)", "at character 2, .*: no [(] stands before this"),
        ("a b", r"at character 3, 'b': && or \|\| should stand before it"),
        ("a(b)", r"at character 2, .*: && or \|\| should stand before it"),
        ("a, b", r"at character 2, ', b': tags are joined by && or \|\|"),
        ("a and b", "at character 3"),
        ("$a", "at character 1, .*: the special tags are .InstallationId"),
        ("a && $UserId:[x]", "at character 6, .*: the special tags are"),
        ("a || $UserId:{}", "at character 6, .*: '' cannot stand in the tag"),
        ("$UserId:{a", "at character 1, .*: the special tags are"),
        ("'a'", "at character 1, .*: it stands in no tag"),
        ("a\xa0&& b", "at character 2, .*: it stands in no tag"),
        ("a && \x1b[2J", r"at character 6, '\\x1b\[2J'"),
        ("a && " + "x" * (MAX_TAG + 1), "at character 6, .*: a tag has 121 characters; 120 are allowed at most"),
        ("!" * (MAX_EXPRESSION_DEPTH + 1) + "a", "at character 33, .*: brackets and ! are read 32 deep at most"),
        ("a" * (MAX_EXPRESSION + 1), "has 8193 characters; 8192 are read at most"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, why: str) -> None:
    """In one printable sentence, with what would be right."""
    with pytest.raises(HubRefused, match=why) as refused:
        read_tag_expression(text)
    assert refused.value.status == 400
    assert refused.value.detail.isprintable()
    assert len(refused.value.detail) < 500


@pytest.mark.parametrize(
    "text",
    [
        "(" * 65_536,
        "(" * MAX_EXPRESSION,
        "!" * MAX_EXPRESSION,
        "(!" * (MAX_EXPRESSION // 2),
        ")" * MAX_EXPRESSION,
        "a||" * (MAX_EXPRESSION // 3),
        "(a)||" * (MAX_EXPRESSION // 5),
        "$UserId:{" * (MAX_EXPRESSION // 9),
        " " * MAX_EXPRESSION,
        "a" + " " * (MAX_EXPRESSION - 2) + "&",
        "$" * MAX_EXPRESSION,
    ],
)
def test_a_hostile_expression_costs_little(text: str) -> None:
    """It is refused in words, in bounded time and memory."""
    tracemalloc.start()
    started = time.perf_counter()
    with pytest.raises(HubRefused):
        read_tag_expression(text)
    taken = time.perf_counter() - started
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 1
    assert most < 4_000_000


@pytest.mark.parametrize(
    "text", ["(" * MAX_EXPRESSION_DEPTH + "a" + ")" * MAX_EXPRESSION_DEPTH, "!" * MAX_EXPRESSION_DEPTH + "a"]
)
def test_what_is_as_deep_as_allowed_is_read(text: str) -> None:
    """And written, and asked."""
    expression = read_tag_expression(text)
    assert expression.matches(frozenset({"a"}))
    assert read_tag_expression(expression.text) == expression


@given(st.text(max_size=60) | st.text("ab&|!() ${}:UserId", max_size=60))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    """No other error comes of it."""
    try:
        expression = read_tag_expression(text)
    except HubRefused as refused:
        assert refused.status == 400  # noqa: PT017  # both ends are right
    else:
        assert read_tag_expression(expression.text) == expression
