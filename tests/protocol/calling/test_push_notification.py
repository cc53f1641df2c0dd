"""The push of a call: read in each form that senders write, refused in words, and never anything else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.protocol.calling.jwts import jwt, part
from tocsin.protocol.calling.push_notification import PushEventType, PushNotificationDetails, write_push
from tocsin.protocol.calling.raw_id import MAX_RAW_ID, read_raw_id
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.messages.calling import MAX_CALL_NAME
from tocsin.protocol.values import MAX_PAYLOAD

CALL = "3f2a9c1e-5b6d-4e7f-8a90-b1c2d3e4f506"
FLAT: dict[str, Any] = {
    "eventId": 107,
    "cp": "c2VjcmV0IQ==",
    "callId": CALL,
    "recipientId": "8:acs:contoso_bob",
    "callerId": "8:acs:contoso_ann",
    "displayName": "Ann",
    "videoCall": "false",
}
READ = PushNotificationDetails(
    PushEventType.INCOMING_CALL,
    107,
    CALL,
    read_raw_id("8:acs:contoso_ann"),
    read_raw_id("8:acs:contoso_bob"),
    "Ann",
    has_incoming_video=False,
    context="c2VjcmV0IQ==",
)
TEXTS = FLAT | {"eventId": "107"}
parse = PushNotificationDetails.parse


def with_changes(**changes: Any) -> dict[str, Any]:
    """Return the fields of a push with others among them; those that are None are left out."""
    return {name: value for name, value in (FLAT | changes).items() if value is not None}


@pytest.mark.parametrize(
    "push",
    [
        FLAT,
        TEXTS,
        {"aps": {}, "data": FLAT},
        {"aps": {}, "data": TEXTS},
        {"data": FLAT},
        {"aps": {}, **FLAT},
        MappingProxyType(FLAT),
        {"aps": MappingProxyType({}), "data": MappingProxyType(TEXTS)},
        json.dumps(FLAT),
        json.dumps({"aps": {}, "data": FLAT}),
        json.dumps(TEXTS).encode(),
        b"\xef\xbb\xbf" + json.dumps(FLAT).encode(),
        "\ufeff" + json.dumps(FLAT, indent=2),
    ],
)
def test_each_form_says_the_same(push: str | bytes | Mapping[str, Any]) -> None:
    """Fields beside each other or in ``data``, numbers as numbers or texts; as text, as bytes, or as what an app has read."""
    assert parse(push) == READ


def test_a_context_alone_is_a_call() -> None:
    """The event of an incoming call names its caller's context in a JWT; which call it is, only the service knows."""
    push = {"incomingCallContext": jwt({"cc": "c2VjcmV0IQ==", "iss": "x"})}
    read = PushNotificationDetails(PushEventType.INCOMING_CALL, 107, context="c2VjcmV0IQ==")
    assert parse(push) == parse(json.dumps(push)) == parse({"aps": {}, "data": push}) == read


@pytest.mark.parametrize("name", ["callId", "correlationId"])
def test_a_context_may_say_which_call_it_is_of(name: str) -> None:
    """In lower case, as any UUID."""
    assert parse({"incomingCallContext": jwt({"cc": "AAAA", name: CALL.upper()})}).call_id == CALL


@pytest.mark.parametrize("claims", [{"cc": "QQ=="}, {"cc": "QUI="}, {"cc": "QUJD"}])
@pytest.mark.parametrize("padding", ["", "=", "=="])
def test_a_context_is_found_whatever_its_length(claims: dict[str, str], padding: str) -> None:
    """Neither the sender's padding of the middle part nor its absence matters."""
    head, middle, signature = jwt(claims).split(".")
    assert parse({"incomingCallContext": f"{head}.{middle}{padding}.{signature}"}).context == claims["cc"]


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (5, "incomingCallContext must be text"),
        (None, "incomingCallContext must be text"),
        ("", "incomingCallContext is no JWT, which has three parts"),
        ("s3cret", "incomingCallContext is no JWT, which has three parts"),
        ("a.s3cret!.c", "the middle one is no base64url"),
        (f"a.{part(b'{s3cret')}.c", "the middle part is no JSON that is read"),
        (jwt(["s3cret"]), "the middle part is no JSON object"),
        (jwt({"xx": "s3cret"}), "its claim cc must be base64"),
        (jwt({"cc": None}), "its claim cc must be base64"),
        (jwt({"cc": 5}), "its claim cc must be base64"),
        (jwt({"cc": ""}), "its claim cc must be base64"),
        (jwt({"cc": "s3cret!!"}), "its claim cc must be base64"),
        (jwt({"cc": "s3cre"}), "its claim cc must be base64"),
        (jwt({"cc": "ü"}), "its claim cc must be base64"),
        (jwt({"cc": "AAAA", "callId": 5}), "the call id of incomingCallContext must be text"),
        (jwt({"cc": "AAAA", "callId": "\n"}), "the call id of incomingCallContext is a UUID"),
    ],
)
def test_what_is_no_context_is_refused_without_showing_it(token: Any, words: str) -> None:
    """It is as good as a key to the call."""
    with pytest.raises(InvalidArgument) as caught:
        parse({"incomingCallContext": token})
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("kind", PushEventType)
@pytest.mark.parametrize("write", [int, str])
def test_each_kind_has_its_number(kind: PushEventType, write: Any) -> None:
    """As a number, or as its digits."""
    read = parse(with_changes(eventId=write(int(kind))))
    assert (read.event_type, read.event_id) == (kind, int(kind))


def test_the_numbers_are_those_of_the_sdk() -> None:
    """Five kinds."""
    assert {kind.name: int(kind) for kind in PushEventType} == {
        "NONE": 0,
        "INCOMING_CALL": 107,
        "INCOMING_GROUP_CALL": 109,
        "STOP_RINGING": 110,
        "INCOMING_PSTN_CALL": 111,
    }


@pytest.mark.parametrize("event_id", [1, 108, "112", 999_999_999])
def test_a_kind_that_is_not_known_is_read_all_the_same(event_id: int | str) -> None:
    """With its number, and with what can be understood of it."""
    read = parse(with_changes(eventId=event_id))
    assert (read.event_type, read.event_id, read.call_id) == (None, int(event_id), CALL)


def test_of_a_kind_that_is_not_known_what_cannot_be_read_stays_as_it_is() -> None:
    """Its fields may be of other kinds than those of today."""
    left = {"callId": 5, "callerId": {"rawId": "8:acs:contoso_ann"}, "videoCall": "perhaps", "cp": ["x"], "more": [1]}
    read = parse(with_changes(eventId=200, **left))
    assert read == PushNotificationDetails(
        None, 200, recipient=read_raw_id("8:acs:contoso_bob"), display_name="Ann", other=left
    )
    assert parse({"eventId": 200}) == PushNotificationDetails(None, 200)


def test_what_else_a_push_has_is_kept() -> None:
    """Beside the fields, also beside ``data``; and ``aps`` where there is something in it."""
    more = {"ttl": 60, "nested": {"a": [None, 1.5]}, "aps": {"alert": "Ann"}}
    assert parse(FLAT | more).other == more
    assert parse({"ttl": 60, "aps": {"alert": "Ann"}, "data": FLAT | {"nested": {"a": [None, 1.5]}}}).other == more
    assert parse(FLAT | {"data": {"callId": "x"}}).other == {"data": {"callId": "x"}}
    assert parse(FLAT | {"incomingCallContext": "x"}).other == {"incomingCallContext": "x"}


@pytest.mark.parametrize(
    ("video", "read"),
    [("true", True), ("True", True), ("TRUE", True), (True, True), ("false", False), ("False", False), (False, False)],
)
def test_video_is_a_word_or_a_truth(video: str | bool, read: bool) -> None:
    """Senders write it as text; some languages begin it with a capital."""
    assert parse(with_changes(videoCall=video)).has_incoming_video is read


@pytest.mark.parametrize("empty", [{}, dict.fromkeys(FLAT, ""), dict.fromkeys(FLAT)])
def test_what_is_missing_empty_or_null_is_left_out(empty: dict[str, Any]) -> None:
    """But for the event, and the call that it is about."""
    push = empty | {"eventId": 107, "callId": "c"}
    assert parse(push) == PushNotificationDetails(PushEventType.INCOMING_CALL, 107, "c")


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "Ann"),
        ({"displayName": ""}, "8:acs:contoso_ann"),
        ({"displayName": " \n\u202e"}, "8:acs:contoso_ann"),
        ({"displayName": None}, "8:acs:contoso_ann"),
        ({"displayName": None, "callerId": "4:+4930123456"}, "4:+4930123456"),
        ({"displayName": None, "callerId": None}, ""),
    ],
)
def test_a_caller_without_a_name_has_its_raw_id(changes: dict[str, Any], name: str) -> None:
    """A user who rings without either is nameless."""
    assert parse(with_changes(**changes)).caller_name == name


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("Ann  \t O'Hara", "Ann O'Hara"),
        ("Ann\r\nis not calling", "Ann is not calling"),
        ("\x1b[31mAnn\x00", "[31mAnn"),
        ("Ann \u202egnp.exe", "Ann gnp.exe"),
        ("Grüße 👩\u200d👧 \u0646\u0627", "Grüße 👩\u200d👧 \u0646\u0627"),
        ("x" * 1_000, "x" * MAX_CALL_NAME),
        ("x" * (MAX_CALL_NAME - 1) + " y", "x" * (MAX_CALL_NAME - 1)),
    ],
)
def test_a_name_is_one_line_that_can_be_shown(sent: str, read: str) -> None:
    """A caller chooses it, and it is shown where the user decides."""
    assert parse(with_changes(displayName=sent)).display_name == read


def test_an_id_is_the_same_in_any_case() -> None:
    """A second push of a call may be written by another."""
    assert parse(with_changes(callId=CALL.upper())).call_id == CALL
    assert parse(with_changes(callId="Call-1")).call_id == "Call-1"


@pytest.mark.parametrize("event_id", [107, 109, 110, 111])
def test_what_is_about_a_call_names_it(event_id: int) -> None:
    """By its id or its context; a push of no event, or of one that is not known, need not."""
    assert parse({"eventId": event_id, "callId": "c"}).call_id == "c"
    assert parse({"eventId": event_id, "cp": "AAAA"}).context == "AAAA"
    with pytest.raises(InvalidArgument, match="names no call: it must have a callId, or a cp"):
        parse({"eventId": event_id})
    assert parse({"eventId": 0}) == PushNotificationDetails(PushEventType.NONE, 0)


LOOP: dict[str, Any] = {}
LOOP["loop"] = LOOP
DEEP: dict[str, Any] = {}
for _ in range(100_000):  # too deep for every Python: 3.13 writes some thousands
    DEEP = {"a": DEEP}

REFUSED: list[tuple[Any, str]] = [
    ("", "the push notification is no JSON"),
    ("<toast/>", "the push notification is no JSON"),
    (b"\xff\xfe", "the push notification is no UTF-8"),
    ("\ud800", "the push notification is no UTF-8"),
    ("[]", 'must be a JSON object, such as {"eventId": 107'),
    ("107", "must be a JSON object"),
    ("null", "must be a JSON object"),
    ("{}", "has no eventId: it must be a number such as 107"),
    ({"data": {}}, "has no eventId"),
    ({"data": "x"}, "has no eventId"),
    ({"eventId": None}, "has no eventId"),
    ({"eventId": True}, "has the eventId True"),
    ({"eventId": 107.0}, "has the eventId 107.0"),
    ({"eventId": -1}, "has the eventId -1"),
    ({"eventId": 10**9}, "has the eventId 1000000000"),
    ({"eventId": 10**400}, "has the eventId 1"),
    ({"eventId": ""}, "has the eventId ''"),
    ({"eventId": "call"}, "has the eventId 'call'"),
    ({"eventId": "1_0"}, "has the eventId '1_0'"),
    ({"eventId": " 107"}, "has the eventId ' 107'"),
    ({"eventId": "\u0661\u0660\u0667"}, "has the eventId"),
    ({"eventId": "9" * 400}, "has the eventId '9999"),
    ({"eventId": [107]}, "has the eventId [107]"),
    (with_changes(callId=5), "callId must be text, not int"),
    (with_changes(callId="x" * 65), "callId is a UUID, or 1 to 64 printable characters"),
    (with_changes(callId="a\x1bb"), "callId is a UUID, or 1 to 64 printable characters"),
    (with_changes(callerId=5), "callerId must be text"),
    (with_changes(callerId={"rawId": "8:acs:a_b"}), "callerId must be text, not dict"),
    (with_changes(callerId="a b"), "callerId is such as 8:acs:contoso_ann"),
    (with_changes(recipientId="x" * 300), "recipientId is such as 8:acs:contoso_ann"),
    (with_changes(displayName=5), "displayName must be text"),
    (with_changes(videoCall="yes"), 'videoCall must be "true" or "false", not \'yes\''),
    (with_changes(videoCall=1), 'videoCall must be "true" or "false", not 1'),
    (with_changes(cp=5), "cp must be text"),
    (with_changes(cp="a\nb"), "cp must be printable"),
    (with_changes(more="\ud800"), "no UTF-8"),
    (with_changes(more=float("nan")), "has NaN, which JSON has not"),
    (with_changes(more="x" * 5_000), "has more than 5000 bytes"),
    (with_changes(more="ü" * 2_500), "has more than 5000 bytes"),
    (with_changes(more=b"x"), "has what JSON cannot express: a value of bytes"),
    (with_changes(more={(1, 2): 3}), "has what JSON cannot express"),
    (with_changes(more=10**5_000), "has what JSON cannot express"),
    (with_changes(more=LOOP), "has what JSON cannot express: Circular reference"),
    (with_changes(more=DEEP), "has what JSON cannot express"),
    (json.dumps(FLAT)[:-1] + ', "callId": "x"}', "has 'callId' twice in one object"),
    (json.dumps(FLAT)[:-1] + ', "more": "\\ud800"}', "has half of a character"),
    (json.dumps(FLAT)[:-1] + ', "more": Infinity}', "has Infinity, which JSON has not"),
    (json.dumps(FLAT)[:-1] + ', "more": 1e999}', "which is too great"),
    (json.dumps(FLAT)[:-1] + f', "more": {"9" * 4_500}}}', "a number with too many digits"),
    (json.dumps(FLAT)[:-1] + f', "more": {"[" * 2_000}{"]" * 2_000}}}', "nested too deep"),
    (json.dumps(FLAT)[:-1] + f', "more": {"[" * 64}{"]" * 64}}}', "nested too deep, 64 at most"),
    (json.dumps(FLAT) + " " * 5_000, "has more than 5000 bytes"),
    ("{" * 5_001, "has more than 5000 bytes"),
    (None, "the push notification must be text or bytes or Mapping, not NoneType"),
    (107, "the push notification must be"),
    ([FLAT], "the push notification must be"),
    (bytearray(b"{}"), "the push notification must be"),
]


@pytest.mark.parametrize(("push", "words"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_push_of_a_call_is_refused_in_words(push: Any, words: str) -> None:
    """In one short line, which does not show the context."""
    with pytest.raises(InvalidArgument) as caught:
        parse(push)
    said = str(caught.value)
    assert words in said
    assert said.isprintable()
    assert len(said) < 400
    assert FLAT["cp"] not in said


def test_a_push_does_not_show_its_secrets() -> None:
    """The context lets in who has it, and what else there is may do so, too."""
    shown = repr(parse(FLAT | {"token": "s3cret"}))
    assert "Ann" in shown
    assert FLAT["cp"] not in shown
    assert "s3cret" not in shown


def test_a_push_is_a_value() -> None:
    """Equal to another of the same fields, and a key of a mapping; what was given may change."""
    more: dict[str, Any] = {"a": [1]}
    read = parse(FLAT | {"more": more})
    more["a"].append(2)
    assert read.other == {"more": {"a": [1]}}
    assert {read: 1}[parse(FLAT | {"more": {"a": [1]}})] == 1


@pytest.mark.parametrize(
    ("kind", "event_id"), [(PushEventType.INCOMING_CALL, 110), (None, 107), (PushEventType.NONE, 5)]
)
def test_a_kind_has_its_own_number_only(kind: PushEventType | None, event_id: int) -> None:
    """A push that is built by hand cannot say two things."""
    with pytest.raises(InvalidArgument, match=f"the event id {event_id} is not that of"):
        PushNotificationDetails(kind, event_id, "c")


def test_a_push_is_written_with_its_fields_beside_each_other() -> None:
    """As the service sends it, in UTF-8; what is empty is left out."""
    assert json.loads(write_push(READ)) == FLAT
    stop = PushNotificationDetails(PushEventType.STOP_RINGING, 110, "c", has_incoming_video=True, other={"b": [1]})
    assert json.loads(write_push(stop)) == {"eventId": 110, "callId": "c", "videoCall": "true", "b": [1]}
    assert "Grüße 🔔".encode() in write_push(parse(with_changes(displayName="Grüße 🔔")))


@pytest.mark.parametrize("letter", ["x", "ü", "🔔", '"', "\\", "👩\u200d"])
@pytest.mark.parametrize("room", [0, 1, 2, 3, 4, 5, 100, 500, 2_000])
def test_a_long_name_is_cut_at_a_character(letter: str, room: int) -> None:
    """As little as is needed, so that the push has 5,000 bytes at most."""
    bare = PushNotificationDetails(PushEventType.INCOMING_CALL, 107, "c", context="x")
    least = len(write_push(bare)) + len(',"displayName":""') - 1
    named = PushNotificationDetails(
        PushEventType.INCOMING_CALL, 107, "c", display_name=letter * 500, context="x" * (MAX_PAYLOAD - least - room)
    )
    written = write_push(named)
    assert len(written) <= MAX_PAYLOAD
    read = parse(written)
    assert read.context == named.context
    assert named.display_name.startswith(read.display_name)
    if read.display_name != named.display_name:
        assert MAX_PAYLOAD - len(written) < 4 + len(',"displayName":""')


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"more": "x" * MAX_PAYLOAD}, "a service takes 5000 at most"),
        ({"more": float("inf")}, "has what JSON cannot express"),
        ({"more": "\ud800"}, "has what JSON cannot express"),
        ({"more": b"x"}, "has what JSON cannot express"),
        ({"more": LOOP}, "has what JSON cannot express"),
        ({"more": DEEP}, "has what JSON cannot express"),
    ],
)
def test_what_cannot_be_sent_is_not_written(other: dict[str, Any], words: str) -> None:
    """It is refused in words."""
    with pytest.raises(InvalidArgument, match=words):
        write_push(PushNotificationDetails(PushEventType.INCOMING_CALL, 107, "c", other=other))


NAMES = [*FLAT, "aps", "data", "incomingCallContext"]
RAW_IDS = (
    st.sampled_from(["8:acs:contoso_ann", "4:+4930123456", "8:orgid:6b8f2c1e-0d47-4a51-9c3e-77aa00bb11cc"])
    | st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=MAX_RAW_ID)
).map(read_raw_id)
PLAIN = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9)
)
OTHER = st.dictionaries(
    st.text(max_size=9).filter(lambda name: name not in NAMES),
    st.recursive(
        PLAIN,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
        max_leaves=5,
    ),
    max_size=3,
)
CALL_IDS = st.uuids().map(str) | st.text("abc XYZ-ü🔔", min_size=1, max_size=64).filter(str.strip)
DETAILS = st.builds(
    lambda event_id, *fields: PushNotificationDetails(
        PushEventType(event_id) if event_id in set(PushEventType) else None, event_id, *fields
    ),
    st.sampled_from([0, 107, 109, 110, 111]) | st.integers(0, 999_999_999),
    CALL_IDS,
    st.none() | RAW_IDS,
    st.none() | RAW_IDS,
    st.text(st.characters(exclude_categories=[])),
    st.booleans(),
    st.text("ABCabc019+/=", max_size=100),
    OTHER,
)


@given(DETAILS)
def test_what_is_written_is_read_as_the_same(details: PushNotificationDetails) -> None:
    """Every push that is short enough, of each kind, with all that it has."""
    written = write_push(details)
    assert len(written) <= MAX_PAYLOAD
    assert parse(written) == parse({"data": json.loads(written)}) == details


NOISE = st.recursive(
    PLAIN
    | st.floats()
    | st.text(st.characters(exclude_categories=[]), max_size=9)
    | st.sampled_from([107, "107", 110, 200, "true", *FLAT.values(), jwt({"cc": "AAAA"}), jwt({"cc": 1})]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), inner, max_size=9)
        | st.dictionaries(st.integers() | st.booleans(), inner, max_size=2)
    ),
    max_leaves=30,
)


@given(
    st.binary(max_size=80)
    | st.text(st.characters(exclude_categories=[]), max_size=80)
    | NOISE
    | NOISE.map(json.dumps)
    | st.dictionaries(st.sampled_from(NAMES), NOISE, max_size=9)
    | st.dictionaries(st.sampled_from(NAMES), NOISE, max_size=9).map(lambda noise: json.dumps(FLAT | noise))
    | NOISE.map(lambda claims: {"incomingCallContext": jwt(claims)})
)
@example({"eventId": 200, "callId": "", "videoCall": "maybe", "displayName": "\ud800"})
def test_whatever_comes_is_a_push_or_is_refused(push: Any) -> None:
    """Nothing else is ever raised; and what was read can be written, unless it has grown too long, and is then the same."""
    try:
        details = parse(push)
    except InvalidArgument:
        return
    assert repr(details)
    assert details.event_type is None or details.event_type == details.event_id
    assert parse(write_push(details)) == details
