"""What a hub answers with, header by header."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from tocsin.protocol.hub.hub_refused import HubReason, HubRefused
from tocsin.service.hub.hub_answers import HubAnswer, refusal, send_answer, tracking_id_of


def told(answer: HubAnswer) -> dict[str, str]:
    """Return the headers that only this answer has."""
    return dict(answer.headers)


WAITING = [reason for reason in HubReason if reason.status in {429, 503}]
FOR_GOOD = [reason for reason in HubReason if reason not in WAITING]


@given(st.sampled_from(WAITING), st.none() | st.integers(0, 10**6))
def test_who_has_to_wait_is_told_how_long(reason: HubReason, wait: int | None) -> None:
    """Always a whole number of seconds from 1: without it, some clients never come again."""
    headers = told(refusal(HubRefused(reason, "Later.", wait)))
    assert int(headers["Retry-After"]) >= 1
    assert not wait or headers["Retry-After"] == str(wait)


@given(st.sampled_from(FOR_GOOD), st.text(max_size=99))
def test_what_is_refused_for_good_names_no_time(reason: HubReason, detail: str) -> None:
    """Else clients would come again; 401 alone says how to sign."""
    answer, status = refusal(HubRefused(reason, detail)), reason.status
    assert answer.status == status
    assert set(told(answer)) == ({"WWW-Authenticate"} if status == 401 else set())
    assert answer.media_type.startswith("application/xml")
    assert f"<Code>{status}</Code>".encode() in answer.body


def test_a_method_that_is_not_taken_is_answered_with_those_that_are() -> None:
    """RFC 9110 section 15.5.6."""
    assert told(refusal(HubRefused(HubReason.WRONG_METHOD, "Not so.", allowed=["GET", "POST"]))) == {
        "Allow": "GET, POST"
    }


@given(st.text(max_size=200) | st.from_regex("[A-Za-z0-9_.-]{1,130}", fullmatch=True))
def test_a_tracking_id_is_the_clients_where_it_can_be_shown(given_: str) -> None:
    """Plain ASCII, bounded; else it is a new one."""
    id_ = tracking_id_of(given_)
    assert re.fullmatch("[A-Za-z0-9_.-]{1,128}", id_)
    assert (id_ == given_) == bool(re.fullmatch("[A-Za-z0-9_.-]{1,128}", given_))


@pytest.mark.parametrize(
    ("answer", "framed"),
    [
        (HubAnswer(201), {"content-length": "0"}),
        (HubAnswer(204), {}),
        (HubAnswer(200, b"<x/>"), {"content-length": "4", "content-type": "application/xml; charset=utf-8"}),
    ],
)
async def test_an_answer_is_framed_by_what_it_has(answer: HubAnswer, framed: dict[str, str]) -> None:
    """A media type only where there is a body: clients read what has one; no length with 204."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await send_answer(send, answer, "id", close=False)
    headers = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    assert headers == framed | {"trackingid": "id", "x-ms-correlation-request-id": "id"}
    assert sent[1]["body"] == answer.body
