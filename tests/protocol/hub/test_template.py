"""Templates: expressions at their places, everything else byte by byte, and nothing that a value can break out of."""

from __future__ import annotations

import json
import re
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.hub.hub_refused import HubRefused
from tocsin.protocol.hub.template import (
    MAX_REFERENCES,
    MAX_RENDERED,
    MAX_TEMPLATE,
    MAX_TEMPLATE_HEADER,
    MAX_TEMPLATE_HEADERS,
    Template,
    read_template,
)
from tocsin.protocol.xml_tree import XmlElement, parse_xml, write_xml

TOAST = (("X-WNS-Type", "wns/toast"),)
PROPERTIES = {
    "message": "Tom & <Jerry>",
    "Title": "This is the title line",
    "badge": "40",
    "half": "1.50",
    "quotes": '"it\'s"',
    "url": "a b/é?&",
    "empty": "",
}
VALUES = st.text(max_size=20) | st.text("<>&\"'$(){}\\\n\r\t\0\ud800]", max_size=20)


def xml(body: str) -> Template:
    """Read a template of a toast."""
    return read_template(body, TOAST)


@pytest.mark.parametrize(
    ("body", "made"),
    [
        ("<t>$(message)</t>", "<t>Tom &amp; &lt;Jerry&gt;</t>"),
        ("<t>$( MESSAGE )</t>", "<t>Tom &amp; &lt;Jerry&gt;</t>"),
        ("<t>$(nothing)</t>", "<t></t>"),
        ("<t>$(empty:{x})</t>", "<t></t>"),
        ("<t>$(nothing:{Hello, (you)})</t>", "<t>Hello, (you)</t>"),
        (r"<t>$(nothing:{\{a\}\\}, 3)</t>", "<t>{a}</t>"),
        ("<t>$(title, 7)</t>", "<t>This is</t>"),
        ("<t>$(title, 99)</t>", "<t>This is the title line</t>"),
        ("<t>$(title, 0)</t>", "<t></t>"),
        ("<t>.(title, 20)</t>", "<t>This is the title...</t>"),
        ("<t>.(title,22)</t>", "<t>This is the title line</t>"),
        ("<t>.(title, 2)</t>", "<t>..</t>"),
        ("<t>%(url)</t>", "<t>a%20b%2F%C3%A9%3F%26</t>"),
        ("<t>#(badge)</t>", "<t>40</t>"),
        ("<t>{'Hi, ' + $(message)}</t>", "<t>Hi, Tom &amp; &lt;Jerry&gt;</t>"),
        ("<t>{ \"Hi, \"+$(badge) + ' - ' + .(title, 7) }</t>", "<t>Hi, 40 - This...</t>"),
        ("<t>{'it''s ' + \"\"\"\" + ''}</t>", "<t>it's \"</t>"),
        ("<t>{'a &lt; b &#38; ' + $(badge)}</t>", "<t>a &lt; b &amp; 40</t>"),
        ("<t>$(badge) + $(half)</t>", "<t>401.50</t>"),
        ("<t>&#36;(badge)</t>", "<t>40</t>"),
        ("<t><![CDATA[$(message)]]></t>", "<t>Tom &amp; &lt;Jerry&gt;</t>"),
        ("<t>{'#464646'}</t>", "<t>#464646</t>"),
        ('<t a="$(quotes)"/>', '<t a="&quot;it&#39;s&quot;"/>'),
        ("<t a='$(quotes)' b = \"%(url)\">x</t>", "<t a='&quot;it&#39;s&quot;' b = \"a%20b%2F%C3%A9%3F%26\">x</t>"),
        ("<t a=\"{'a=' + $(badge) + '&amp;b=&quot;'}\"></t>", '<t a="a=40&amp;b=&quot;"></t>'),
        ("<t>\n  <a>$(badge)</a> text <b>$(half)</b>\n</t>\n", "<t>\n  <a>40</a> text <b>1.50</b>\n</t>\n"),
        ("<?xml version='1.0'?><!-- $(no) --><t><a/><!-- $(no) -->\r\n<b>$(badge)</b></t>", None),
        ("\ufeff<t>$(badge)</t>", "\ufeff<t>40</t>"),
        ('{"alert": "$(message)"}', '{"alert": "Tom & <Jerry>"}'),
        ('{"alert":"$(quotes)","b" : "%(url)" }', '{"alert":"\\"it\'s\\"","b" : "a%20b%2F%C3%A9%3F%26" }'),
        ('{"badge":"#(badge)","half":"#(half)"}', '{"badge":40,"half":1.50}'),
        ('{"badge":"{#(badge)}","text":"#(title)"}', '{"badge":"40","text":"This is the title line"}'),
        ('{"a":["$(badge)", 1.0e5, null, true, "x"], "b":{}}', '{"a":["40", 1.0e5, null, true, "x"], "b":{}}'),
        ('{"a":"\\u0024(badge)","b":"{\'\\"\' + $(badge)}"}', '{"a":"40","b":"\\"40"}'),
    ],
)
def test_expressions_make_what_the_documents_say(body: str, made: str | None) -> None:
    """And everything else of the body stays as it was."""
    assert xml(body).render(PROPERTIES) == (body.replace("$(badge)", "40") if made is None else made)


@pytest.mark.parametrize(
    ("value", "made"),
    [("0", "0"), ("12", "12"), ("1.5e-3", "1.5e-3"), ("1E+9", "1E+9")]
    + [(text, json.dumps(text)) for text in ("", "01", "-1", "1.", ".5", "NaN", "1e", "1 ", "1\n", "true", "0x1", "٣")],
)
def test_a_number_is_what_the_documents_say(value: str, made: str) -> None:
    """What is none stays a text, so that the JSON can be read whatever is sent."""
    assert json.loads(xml('{"a":"#(n)"}').render({"n": value})) == json.loads(f'{{"a":{made}}}')


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("", "XML, which begins with <, or a JSON object"),
        ("$(message)", "XML, which begins with <, or a JSON object"),
        ("[1]", "XML, which begins with <, or a JSON object"),
        ("<t>", "is no XML"),
        ("<b $(property)/>", "is no XML"),
        ("<!DOCTYPE t [<!ENTITY a 'b'>]><t>&a;</t>", "document type"),
        ("{'a': 1}", "is no JSON"),
        ('{"a": NaN}', "has NaN, which JSON has not"),
        ('{"a": 1,}', "is no JSON"),
        (
            "<t>Hi $(name)</t>",
            r"'\$\(name\)' beside other text, in <t>\. Join them in braces, as in {'text ' \+ \$\(name\)}",
        ),
        ("<t> $(name)</t>", "beside other text"),
        ("<t>$(name) </t>", "or its end should stand at character 8"),
        ("<t>$(name), hello</t>", "or its end should stand at character 8"),
        ('<t a="x.(name, 3)"/>', "beside other text, in the attribute a of <t>"),
        ("<t>$(name)<b/></t>", "cannot stand beside <b>: it is the whole text of an element"),
        ("<t><b/>$(name)</t>", "cannot stand beside <t>"),
        ('{"$(name)": 1}', "cannot stand in a name of JSON: it is a whole value"),
        ('{"a": "x $(name)"}', "beside other text, in its JSON at character 7"),
        ('<t a="#464646"/>', r"'#464646', in the attribute a of <t>, .* a \( should follow the #.* is written {'...'}"),
        ('<t launch=\'{"type":"toast"}\'/>', "or its end should stand at character 8"),
        ("<t>{0}</t>", "should stand at character 2"),
        ("<t>{}</t>", "should stand at character 2"),
        ("<t>{</t>", "a } should end it"),
        ("<t>{'a'} b</t>", "a } should end it"),
        ("<t>{$(a) $(b)}</t>", "or its end should stand at character 6"),
        ("<t>{$(a) +}</t>", "a 'text' should stand at character 8"),
        ("<t>{'a + $(b)}</t>", "the ' that ends a text is missing"),
        ("<t>{#(a) + 'b'}</t>", r"#\(name\) is not joined with others"),
        ("<t>$</t>", r"a \( should follow the \$"),
        ("<t>$body</t>", r"a \( should follow the \$"),
        ("<t>$()</t>", "the name of a property"),
        ("<t>$(a-b)</t>", r"a \) should stand at character 4"),
        ("<t>$(ä)</t>", "the name of a property"),
        ("<t>$(" + "a" * 121 + ")</t>", "the name of a property: 1 to 120"),
        ("<t>$(a</t>", r"a \) should stand at character 4"),
        ("<t>$(a, x)</t>", "a whole number of characters should follow the comma"),
        ("<t>$(a, -1)</t>", "a whole number of characters should follow the comma"),
        ("<t>$(a, 9999999999)</t>", r"a \) should stand"),
        ("<t>$(a:{b)</t>", "a default value is written as in"),
        ("<t>$(a:b)</t>", "a default value is written as in"),
        ("<t>.(a)</t>", r"a length is needed, as in \.\(name, 20\)"),
        ("<t>%(a, 3)</t>", r"%\(name\) takes no length"),
        ("<t>#(a, 3)</t>", r"#\(name\) takes no length"),
        ("<t>\ud800</t>", "half of a surrogate pair"),
        (f"<t>{'x' * MAX_TEMPLATE}</t>", "has 16391 bytes; 16384 are allowed at most"),
        (f"<t>{'<a>$(a)</a>' * (MAX_REFERENCES + 1)}</t>", "refers to properties more than 100 times"),
        (f"<t>{{{'+'.join(['$(a)'] * (MAX_REFERENCES + 1))}}}</t>", "refers to properties more than 100 times"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(body: str, why: str) -> None:
    """In a printable sentence of bounded length, which names the expression and says what would be right."""
    with pytest.raises(HubRefused, match=re.compile(why)) as refused:
        xml(body)
    assert refused.value.status == 400
    assert refused.value.detail.isprintable()
    assert len(refused.value.detail) < 600


@given(VALUES, VALUES, st.integers(0, 30))
def test_no_value_breaks_out_of_xml(first: str, second: str, length: int) -> None:
    """It is read as the text that it was, apart from characters that XML does not know."""
    known = [
        re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", each) for each in (first, second)
    ]
    template = xml(f"<t a='$(one)' b=\"$(two)\"><c>$(one)</c><d>{{'[' + $(two) + ']'}}</d><e>$(one, {length})</e></t>")
    made = parse_xml(template.render({"one": first, "Two": second}).encode())
    assert (made.get("a"), made.get("b")) == tuple(known)
    assert [child.text for child in made.elements()] == [known[0], f"[{known[1]}]", known[0][:length]]


@given(VALUES, VALUES)
def test_no_value_breaks_out_of_json(first: str, second: str) -> None:
    """It is read as the text that it was, and what is made can be encoded."""
    made = xml('{"a":"$(one)","b":["{\'[\' + $(two)}","#(one)"]}').render({"one": first}, {"two": second})
    known = [re.sub("[\ud800-\udfff]", "\ufffd", each) for each in (first, second)]
    loaded = json.loads(made.encode())
    assert loaded["a"] == known[0]
    assert loaded["b"][0] == f"[{known[1]}"
    assert loaded["b"][1] == known[0] or str(loaded["b"][1])


PLAIN = st.text(st.characters(codec="ascii", exclude_characters="(", min_codepoint=32), max_size=12).filter(
    lambda text: text[:1] not in ("$", ".", "%", "#", "{")
)
TREES = st.recursive(
    st.builds(XmlElement, st.sampled_from("abc"), st.tuples(st.tuples(st.just("n"), PLAIN))),
    lambda inner: st.builds(
        lambda name, children, text: XmlElement(name, (), tuple(children) or ((text,) if text else ())),
        st.sampled_from("abc"),
        st.lists(inner, max_size=3),
        PLAIN,
    ),
    max_leaves=6,
)


@given(TREES, st.lists(st.sampled_from(["<!-- > $(x) -->", "<?a $(b)?>", "\n", ""]), min_size=1, max_size=3))
def test_what_has_no_expression_stays_as_it_was(tree: XmlElement, outside: list[str]) -> None:
    """Byte by byte, also comments and processing instructions."""
    body = f"<t>{''.join(outside)}{write_xml(tree)}{''.join(outside)}</t>"
    assert xml(body).render({"x": "no", "b": "no"}) == body
    text = json.dumps({"a": [write_xml(tree).replace("(", ""), None, 1.5]}, indent=1)
    assert xml(text).render({}) == text


def test_a_property_comes_before_a_variable_of_the_registration() -> None:
    """And a default value last; names are compared without regard to case."""
    template = xml("<t>$(a:{default})</t>")
    assert template.render({"A": "message"}, {"a": "variable"}) == "<t>message</t>"
    assert template.render({}, {"A": "variable"}) == "<t>variable</t>"
    assert template.render({}, {}) == template.render({}) == "<t>default</t>"


def test_headers_are_made_too() -> None:
    """On one line, whatever is sent, and without those that come out empty."""
    template = read_template("<t/>", (*TOAST, ("X-WNS-Tag", "$(tag)"), ("X-WNS-Group", "{'g' + $(group)}")))
    made = template.render_headers({"tag": "a\r\nX-WNS-Type: wns/raw\0\x85b"}, {"group": "1"})
    assert made == (*TOAST, ("X-WNS-Tag", "a X-WNS-Type: wns/raw b"), ("X-WNS-Group", "g1"))
    assert template.render_headers({}) == (*TOAST, ("X-WNS-Group", "g"))
    assert len(template.render_headers({"tag": "x" * 9_999})[1][1]) == MAX_TEMPLATE_HEADER


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ([], "has no header X-WNS-Type: wns/toast"),
        ([("X-WNS-Tag", "a")], "has no header X-WNS-Type"),
        ([("X-WNS-Type", "")], "should have a value of one line"),
        ([("X-WNS-Type", "a\r\nb")], "should have a value of one line"),
        ([("X-WNS-Type", "x" * (MAX_TEMPLATE_HEADER + 1))], "of 1 to 512 characters"),
        ([*TOAST, ("x-wns-type", "wns/raw")], "has the header x-wns-type twice"),
        ([*TOAST, ("a b", "c")], "'a b' is no name of a header"),
        ([*TOAST, ("X-WNS-Tag", "a $(b)")], r"beside other text, in the header X-WNS-Tag"),
        ([*TOAST, *((f"X-{number}", "a") for number in range(MAX_TEMPLATE_HEADERS))], "has more than 32 headers"),
    ],
)
def test_headers_that_are_none_are_refused(headers: list[tuple[str, str]], why: str) -> None:
    """The type is needed, as the documents say."""
    with pytest.raises(HubRefused, match=why) as refused:
        read_template("<t/>", headers)
    assert refused.value.status == 400


def test_the_type_may_be_in_any_case() -> None:
    """As headers are."""
    assert read_template("<t/>", [("x-wns-type", "wns/toast")]).render_headers({}) == (("x-wns-type", "wns/toast"),)


def test_what_is_made_is_bounded() -> None:
    """However often a large property is used: it breaks off where no push service takes it."""
    template = xml(f"<t>{'<a>%(a)</a>' * MAX_REFERENCES}</t>")
    tracemalloc.start()
    made = template.render({"a": "é" * 60_000})
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(made) > MAX_RENDERED
    assert most < 2_000_000


@pytest.mark.parametrize(
    "body",
    [
        "<a>" * (MAX_TEMPLATE // 3),
        "<a>" + "<b/>" * 3_000 + "</a>",
        "<a " + " ".join(f"b{number}='$(a'" for number in range(900)) + "/>",
        f"<a>{'$(' * 8_000}</a>",
        f"<a>x{'$(a' * 5_000})</a>",
        f"<a>{{{'+'.join(['1'] * 8_000)}}}</a>",
        f"<a>{{{'+'.join(['()'] * 5_000)}}}</a>",
        "<a>{" + "'a'+" * 4_000 + "</a>",
        f"<a>{{'{chr(39) * 16_000}}}</a>",
        f"<a>$(a:{{{chr(92) * 16_000}</a>",
        f"<a>x$({' ' * 16_000}$(a)</a>",
        f"<a>$({' ' * 16_000}</a>",
        '{"a":' + "[" * 16_000 + "}",
        '{"a":' + "[" * 8_000 + "]" * 8_000 + "}",
        '{"' + '\\"' * 8_000 + "}",
        "{" + '"' * 16_000 + "}",
        '{"a":' + "9" * 16_000 + "x}",
        "<!--" * 4_000,
        "<a><![CDATA[" * 1_000,
        "<a b='" * 2_000,
        "<" * 16_000,
    ],
)
def test_a_hostile_template_costs_little(body: str) -> None:
    """It is refused in words, in bounded time."""
    started = time.perf_counter()
    with pytest.raises(HubRefused):
        xml(body)
    assert time.perf_counter() - started < 1


SCRAPS = st.lists(
    st.sampled_from(
        [
            "$(a)",
            ".(a, 3)",
            "%(a)",
            "#(a)",
            "{",
            "}",
            "'",
            '"',
            "+",
            "<t>",
            "</t>",
            "<a b='",
            "/>",
            ":",
            "[",
            "]",
            "<!--",
            "-->",
        ]
    )
    | st.text(max_size=3),
    max_size=12,
).map("".join)


@given(SCRAPS | SCRAPS.map("<t>{}</t>".format) | SCRAPS.map('{{"a":"{}"}}'.format), VALUES)
def test_any_body_is_a_template_or_refused(body: str, value: str) -> None:
    """No other error comes of it, nor of what is made of it, which is XML or JSON again."""
    try:
        template = xml(body)
    except HubRefused as refused:
        assert refused.status == 400  # noqa: PT017  # both ends are right
        return
    made = template.render({"a": value})
    if body.lstrip("\ufeff").strip().startswith("<"):
        assert parse_xml(made.encode()).name == "t"
    else:
        assert isinstance(json.loads(made.encode()), dict)
