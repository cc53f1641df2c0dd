"""Why calls end: the whole table, pair by pair, and what is said of pairs that are not in it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.calling import end_reason as module
from tocsin.protocol.calling.end_reason import END_REASONS, Bell, CallEndReason, EndCategory, end_reason

SUCCESS, EXPECTED = EndCategory.SUCCESS, EndCategory.EXPECTED_ERROR
CLIENT, SERVER = EndCategory.UNEXPECTED_CLIENT_ERROR, EndCategory.UNEXPECTED_SERVER_ERROR

TABLE: dict[tuple[int, int], tuple[EndCategory, str]] = {
    (0, 0): (SUCCESS, "hung up"),
    (487, 0): (SUCCESS, "caller hung up before"),
    (487, 540487): (SUCCESS, "caller at a phone hung up before"),
    (603, 0): (SUCCESS, "declined"),
    (487, 10003): (SUCCESS, "accepted the call on another device"),
    (487, 10004): (EXPECTED, "did not answer in time"),
    (487, 10024): (SUCCESS, "declined on every device"),
    (0, 5003): (SUCCESS, "declined on every device"),
    (480, 10037): (EXPECTED, "no device that could ring"),
    (480, 10076): (EXPECTED, "registered, but none is online"),
    (480, 10077): (EXPECTED, "for pushes too, but none is online"),
    (480, 10078): (EXPECTED, "not registered, or cannot be reached"),
    (408, 10057): (EXPECTED, "did not finish setting up"),
    (408, 4506): (CLIENT, "timed out"),
    (401, 10009): (EXPECTED, "token is wrong or has expired"),
    (401, 71005): (EXPECTED, "mistake in what the app asked for"),
    (408, 10056): (CLIENT, "did not respond in time"),
    (0, 540000): (SUCCESS, "at a phone hung up"),
    (495, 4507): (CLIENT, "no valid token"),
    (496, 7): (EXPECTED, "lost the network"),
    (490, 4502): (CLIENT, "request failed because of the network"),
    (410, 3100): (CLIENT, "could not be set up: .* trouble with the network"),
    (410, 3101): (CLIENT, "was dropped"),
    (410, 3111): (CLIENT, "media that it offers"),
    (410, 3112): (EXPECTED, "network does not let it through"),
    (410, 301004): (CLIENT, "got through when the call was set up"),
    (410, 301005): (CLIENT, "got through no longer"),
    (0, 4097): (SUCCESS, "organiser ended"),
    (0, 4521): (EXPECTED, "closed without hanging up"),
    (0, 5000): (SUCCESS, "participant removed this user"),
    (0, 5300): (SUCCESS, "removed this user"),
    (0, 5317): (EXPECTED, "another role"),
    (0, 7000): (SUCCESS, "Call Automation or a bot"),
    (403, 5828): (CLIENT, "not invited"),
    (403, 5829): (CLIENT, "not open"),
    (403, 5830): (EXPECTED, "Only users of Communication Services"),
    (403, 510403): (EXPECTED, "spam"),
    (0, 560000): (SUCCESS, "at a phone, or its network"),
    (486, 560486): (SUCCESS, "busy"),
}
"""What is published of each pair: its category, and a word by which its meaning is recognised."""

SILENT = {
    (0, 0),
    (603, 0),
    (487, 10003),
    (487, 10024),
    (0, 5003),
    (410, 3101),
    (410, 301005),
    (0, 4521),
    (0, 5000),
    (0, 5300),
    (0, 5317),
    (403, 5828),
    (403, 5829),
    (403, 5830),
    (403, 510403),
    (486, 560486),
}
"""Answered, declined, or in the call before; or one that the user is spared or never rang for."""

CODES = {
    404: (CLIENT, "no such call"),
    408: (EXPECTED, "waited too long"),
    410: (CLIENT, "Sound and picture"),
    430: (CLIENT, "app of a participant could not be reached"),
    480: (EXPECTED, "not registered"),
    481: (CLIENT, "incoming call could not be handled"),
    490: (CLIENT, "trouble with its network"),
    491: (CLIENT, "trouble with its network"),
    496: (CLIENT, "trouble with its network"),
    497: (CLIENT, "trouble with its network"),
    498: (CLIENT, "trouble with its network"),
    500: (SERVER, "service has failed"),
    503: (SERVER, "service has failed"),
    504: (SERVER, "service has failed"),
}
"""What is published of codes alone."""


@pytest.mark.parametrize("pair", TABLE)
def test_a_pair_has_its_category_and_its_meaning(pair: tuple[int, int]) -> None:
    """As it is published, in words of ours."""
    category, word = TABLE[pair]
    reason = END_REASONS[pair]
    assert reason == end_reason(*pair)
    assert (reason.code, reason.subcode, reason.category) == (*pair, category)
    assert re.search(word, reason.meaning)
    assert str(reason) == f"{pair[0]}/{pair[1]}: {reason.meaning}"


@pytest.mark.parametrize("pair", TABLE)
def test_a_ring_that_the_user_did_not_end_was_missed(pair: tuple[int, int]) -> None:
    """Unless the reason says that it was answered or declined, or that the user was in the call, or is spared it."""
    assert END_REASONS[pair].bell is (Bell.SILENT if pair in SILENT else Bell.MISSED)


def test_the_table_has_no_other_pair() -> None:
    """And each meaning is one sentence, and no other's."""
    assert END_REASONS.keys() == TABLE.keys()
    meanings = [reason.meaning for reason in END_REASONS.values()]
    assert len(set(meanings)) == len(meanings)
    assert all(re.fullmatch(r"[A-Z][^.]+\.", meaning) for meaning in meanings)


@pytest.mark.parametrize("pair", [(487, 0), (487, 540487), (487, 10004)])
def test_a_call_that_rang_out_was_missed(pair: tuple[int, int]) -> None:
    """Its caller hung up, or it rang too long."""
    assert end_reason(*pair).bell is Bell.MISSED


@pytest.mark.parametrize("pair", [(487, 10003), (603, 0), (487, 10024), (0, 5003)])
def test_a_call_that_was_answered_elsewhere_or_declined_is_not_missed(pair: tuple[int, int]) -> None:
    """The bell stops without a word."""
    assert end_reason(*pair).bell is Bell.SILENT


def test_what_this_service_says_has_a_name() -> None:
    """Each named reason is that of its pair."""
    named = {name: value for name, value in vars(module).items() if isinstance(value, CallEndReason)}
    assert {name: (reason.code, reason.subcode) for name, reason in named.items()} == {
        "HUNG_UP": (0, 0),
        "CANCELLED": (487, 0),
        "DECLINED": (603, 0),
        "ANSWERED_ELSEWHERE": (487, 10003),
        "NOT_ANSWERED": (487, 10004),
        "NO_ENDPOINT": (480, 10037),
        "NOT_ONLINE": (480, 10077),
        "SETUP_FAILED": (408, 10057),
        "APP_CLOSED": (0, 4521),
        "REMOVED": (0, 5300),
        "TOKEN_INVALID": (495, 4507),
    }
    assert all(END_REASONS[reason.code, reason.subcode] is reason for reason in named.values())


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("subcode", [0, 1, 999_999])
def test_a_code_alone_has_a_meaning(code: int, subcode: int) -> None:
    """Also beside a subcode that is not known; both are kept."""
    category, word = CODES[code]
    reason = end_reason(code, subcode)
    assert (reason.code, reason.subcode, reason.category) == (code, subcode, category)
    assert re.search(word, reason.meaning)
    assert reason.bell is Bell.MISSED


@pytest.mark.parametrize(
    ("code", "category", "bell"),
    [
        (0, SUCCESS, Bell.SILENT),
        (200, SUCCESS, Bell.SILENT),
        (299, SUCCESS, Bell.SILENT),
        (300, SERVER, Bell.MISSED),
        (400, CLIENT, Bell.MISSED),
        (403, EXPECTED, Bell.SILENT),
        (486, EXPECTED, Bell.SILENT),
        (487, EXPECTED, Bell.MISSED),
        (499, CLIENT, Bell.MISSED),
        (599, SERVER, Bell.MISSED),
        (600, EXPECTED, Bell.SILENT),
        (603, SUCCESS, Bell.SILENT),
        (700, SERVER, Bell.MISSED),
        (7, SERVER, Bell.MISSED),
        (-1, SERVER, Bell.MISSED),
        (2**64, SERVER, Bell.MISSED),
    ],
)
def test_a_pair_that_is_not_known_goes_by_its_code_or_class(code: int, category: EndCategory, bell: Bell) -> None:
    """The bell is silent where a call has ended plainly, or was refused."""
    reason = end_reason(code, 77)
    assert (reason.category, reason.bell) == (category, bell)


@given(st.integers(), st.integers())
def test_any_pair_is_a_reason(code: int, subcode: int) -> None:
    """With both numbers as they came, and words."""
    reason = end_reason(code, subcode)
    assert (reason.code, reason.subcode) == (code, subcode)
    assert reason.meaning.endswith(".")


@given(st.integers(0, 700), st.integers(0, 20_000) | st.sampled_from([540000, 540487, 560000, 560486]))
def test_pairs_like_those_of_a_service_are_reasons(code: int, subcode: int) -> None:
    """A known one is the same object each time."""
    assert ((code, subcode) in END_REASONS) is (end_reason(code, subcode) is end_reason(code, subcode))
