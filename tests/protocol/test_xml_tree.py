"""XML as a tree: what is read and written is the same tree, and what is hostile is refused with a reason."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.errors import UnreadableContent
from tocsin.protocol.xml_tree import (
    MAX_ATTRIBUTES,
    MAX_BYTES,
    MAX_DEPTH,
    MAX_ELEMENTS,
    CDataText,
    XmlElement,
    as_xml_attribute,
    as_xml_text,
    check_xml_text,
    parse_xml,
    write_xml,
    xml_text,
)

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,8}", fullmatch=True)
CHARACTERS = st.characters(codec="utf-8").filter(
    lambda each: each in "\t\n\r" or (each >= " " and each not in "\ufffe\uffff")
)
TEXTS = st.text(CHARACTERS, max_size=12)


def merged(children: list[XmlElement | str]) -> tuple[XmlElement | str, ...]:
    """Put texts together that follow each other, as they are read."""
    together: list[XmlElement | str] = []
    for child in children:
        if isinstance(child, str) and together and isinstance(together[-1], str):
            together[-1] += child
        elif child != "":
            together.append(child)
    return tuple(together)


def element(children: st.SearchStrategy[list[XmlElement | str]]) -> st.SearchStrategy[XmlElement]:
    """Build an element with such children."""
    attributes = st.dictionaries(NAMES, TEXTS, max_size=3).map(lambda found: tuple(found.items()))
    return st.builds(XmlElement, NAMES, attributes, children.map(merged))


TREES = st.recursive(element(st.just([])), lambda inner: element(st.lists(inner | TEXTS, max_size=4)), max_leaves=12)


@given(TREES)
def test_what_is_written_is_read_as_the_same_tree(tree: XmlElement) -> None:
    """With whatever texts, in any encoding that it may come in."""
    xml = write_xml(tree)
    assert parse_xml(xml.encode()) == tree
    assert parse_xml(f'<?xml version="1.0" encoding="utf-16"?>{xml}'.encode()) == tree
    assert parse_xml(b"\xef\xbb\xbf" + xml.encode()) == tree
    assert parse_xml(f'<?xml version="1.0" encoding="utf-16"?>{xml}'.encode("utf-16")) == tree
    assert write_xml(parse_xml(xml.encode())) == xml


@given(st.lists(TEXTS | st.sampled_from(["]]>", "]]", ">", "<![CDATA[", "&", "\r"])).map("".join))
def test_a_text_in_a_section_is_read_as_the_same(text: str) -> None:
    """Whatever is in it, the section's own end included."""
    xml = write_xml(XmlElement("a", (), (CDataText(text),) if text else ()))
    assert parse_xml(xml.encode()).text == text
    assert ("&lt;" in xml) == ("<" in text and "\r" in text)


def test_what_says_nothing_is_left_out() -> None:
    """Comments, processing instructions and the white space around the document."""
    body = b"\n <?xml version='1.0'?><!-- x --><a>1<?pi x?>2<!-- y -->3<![CDATA[<4>]]></a>\n"
    assert parse_xml(body) == XmlElement("a", (), ("123<4>",))
    assert parse_xml("<?xml version='1.0' encoding='iso-8859-1'?><a>é</a>".encode("latin-1")).text == "é"


def test_the_tree_is_asked_for_what_is_in_it() -> None:
    """By name, next below or however deep."""
    tree = parse_xml(b'<a x="1" y=""><b><c/></b>t<c z="2"/></a>')
    assert (tree.get("x"), tree.get("q"), tree.get("q", "-"), tree.has("y"), tree.has("q")) == (
        "1",
        "",
        "-",
        True,
        False,
    )
    assert [each.get("z") for each in tree.find("c")] == ["", "2"]
    assert [each.name for each in tree.elements()] == ["b", "c"]
    assert (tree.first("b") is not None, tree.first("d"), tree.text) == (True, None, "t")


HOSTILE = {
    "empty": (b"", "it is empty"),
    "blank": (b" \n", "it is empty"),
    "no XML": (b"Hello", "it is no XML: syntax error"),
    "cut off": (b"<toast><visual>", "it is no XML: no element found|it is no XML: unclosed"),
    "two roots": (b"<a/><b/>", "junk after document element"),
    "same attribute twice": (b'<a x="1" x="2"/>', "duplicate attribute"),
    "control character": (b"<a>\x01</a>", "it is no XML"),
    "no character": (b"<a>&#0;</a>", "it is no XML"),
    "unknown entity": (b"<a>&nbsp;</a>", "undefined entity"),
    "document type": (b"<!DOCTYPE a><a/>", "it has a document type"),
    "entity": (b'<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>', "it has a document type"),
    "external entity": (b'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd"><a/>', "it has a document type"),
    "nesting": (b"<a>" * 1700, f"nested more than {MAX_DEPTH} deep"),
    "elements": (b"<a>" + b"<b/>" * MAX_ELEMENTS + b"</a>", f"more than {MAX_ELEMENTS} elements"),
    "attributes": (
        b"<a " + b" ".join(b"a%d=''" % n for n in range(MAX_ATTRIBUTES + 1)) + b"/>",
        f"more than {MAX_ATTRIBUTES} attributes",
    ),
    "ten thousand attributes": (
        b"<a " + b" ".join(b"a%d=''" % n for n in range(10_000)) + b"/>",
        "bytes; 65536 are read at most",
    ),
    "size": (b"<a>" + b"x" * MAX_BYTES + b"</a>", f"{MAX_BYTES} are read at most"),
    "unknown encoding": (b"<?xml version='1.0' encoding='klingon'?><a>\xff</a>", "unknown encoding"),
    "wrong encoding": (b"<?xml version='1.0' encoding='us-ascii'?><a>\xff</a>", "it is no XML"),
    "half a character": ("<a>x</a>".encode("utf-16")[:-1], "it is no XML"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_hostile_is_refused_in_a_moment(name: str) -> None:
    """In a sentence, and with no more memory than it is worth."""
    body, words = HOSTILE[name]
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableContent, match=words) as refused:
            parse_xml(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000
    assert len(str(refused.value)) < 300
    start = time.perf_counter()
    for _ in range(3):
        with pytest.raises(UnreadableContent):
            parse_xml(body)
    assert time.perf_counter() - start < 1.0  # far above what it takes: each is refused before it is read to its end


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    """By no other error."""
    try:
        tree = parse_xml(body)
    except UnreadableContent:
        return
    assert parse_xml(write_xml(tree).encode()) == tree


def test_a_text_that_xml_cannot_hold_is_refused() -> None:
    """It says which character, and where it was to stand."""
    assert check_xml_text("a\tb\nc☃🔔", "a toast") == "a\tb\nc☃🔔"
    for text in ("\x00", "a\x1b[2J", "\ud800", "￿"):
        with pytest.raises(UnreadableContent, match="a toast cannot hold the character"):
            check_xml_text(text, "a toast")


@given(st.text(max_size=20) | st.text("<>&\"'\r\n\t\0\x1f\ud800\uffff]", max_size=20))
def test_any_text_can_stand_in_xml(text: str) -> None:
    """It is read again as it was; what XML does not know has become U+FFFD."""
    known = "".join(
        each if each in "\t\n\r" or (each >= " " and not "\ud800" <= each <= "\udfff") else "\ufffd" for each in text
    )
    known = known.replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")
    assert parse_xml(f"<a>{as_xml_text(text)}</a>".encode()).text == known
    for quote in "\"'":
        assert parse_xml(f"<a b={quote}{as_xml_attribute(text)}{quote}/>".encode()).get("b") == known


def test_what_xml_cannot_hold_is_replaced() -> None:
    """Character by character; all others stay."""
    assert xml_text("a\tb\nc☃🔔") == "a\tb\nc☃🔔"
    assert xml_text("\x00a\x1b[2J\ud800\uffff") == "\ufffda\ufffd[2J\ufffd\ufffd"


def test_a_caller_may_set_bounds_of_its_own() -> None:
    """Wider or narrower ones."""
    body = b"<a>" + b"<b/>" * MAX_ELEMENTS + b"</a>"
    assert len(parse_xml(body, max_elements=MAX_ELEMENTS + 1).children) == MAX_ELEMENTS
    assert parse_xml(b"<a>" + b"x" * MAX_BYTES + b"</a>", max_bytes=2 * MAX_BYTES).text == "x" * MAX_BYTES
    with pytest.raises(UnreadableContent, match="it has 4 bytes; 3 are read at most"):
        parse_xml(b"<a/>", max_bytes=3)
