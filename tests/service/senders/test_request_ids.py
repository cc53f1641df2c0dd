"""What tells a request from all others."""

from __future__ import annotations

import re

from tocsin.service.senders.request_ids import RequestIds

HEADERS = re.compile(
    r"X-WNS-Msg-ID: ([0-9A-F]{16})\r\nX-WNS-Debug-Trace: (\S+)\r\nMS-CV: ([A-Za-z0-9+/]{21}[AQgw]\.0)\r\n"
)


def test_no_two_requests_have_the_same() -> None:
    """Ids and new vectors differ, however many are made at a time, and stand in the headers of every answer."""
    request_ids = RequestIds()
    given = [request_ids.next(None) for _ in range(1_000)]
    found = [HEADERS.fullmatch(headers.decode()) for _, headers in given]
    assert [each and each[1] for each in found] == [id for id, _ in given]  # noqa: A001 - the field's name
    assert [each and each[2] for each in found] == [request_ids.trace_of(id) for id, _ in given]  # noqa: A001 - as above
    assert len({id for id, _ in given}) == len({each and each[3] for each in found}) == 1_000  # noqa: A001 - as above


def test_a_trace_names_the_start_and_the_request() -> None:
    """All requests of one start begin with the same eight digits, those of another with others."""
    one, other = RequestIds(), RequestIds()
    starts = [each.trace_of("ID").removesuffix("-ID") for each in (one, one, other)]
    assert starts[0] == starts[1] != starts[2]
    assert all(re.fullmatch("[0-9a-f]{8}", start) for start in starts)


def test_the_senders_vector_goes_on() -> None:
    """It is extended by one operation, in the place of a new one."""
    request_ids = RequestIds()
    id, headers = request_ids.next("A" * 22 + ".7")  # noqa: A001 - the field's name
    lines = headers.decode().split("\r\n")
    assert lines == [
        f"X-WNS-Msg-ID: {id}",
        f"X-WNS-Debug-Trace: {request_ids.trace_of(id)}",
        f"MS-CV: {'A' * 22}.7.0",
        "",
    ]
