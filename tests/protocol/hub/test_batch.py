"""Batches: a notification goes through byte by byte, and what is hostile is refused in words and in a moment."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.hub.batch import MAX_BATCH, MAX_DEVICES, Batch, read_batch
from tocsin.protocol.hub.hub_refused import HubRefused

URI = "https://127.0.0.1:8443/w/?token=AwYAAA%2bk8x+Yg%3d%3d&x=1"
TYPE = 'multipart/mixed; boundary = "b"'
DEVICES = (
    b"Content-type: application/json\r\nContent-Disposition: inline; name=devices\r\n\r\n" + json.dumps([URI]).encode()
)
TOAST = b"Content-type: application/xml\r\nContent-Disposition: inline; name=notification\r\n\r\n<toast/>"


def batch(*parts: bytes, boundary: bytes = b"b", end: bytes = b"\r\n") -> bytes:
    """Write parts with a boundary, as @azure/notification-hubs does."""
    mark = b"--" + boundary
    return b"".join(mark + end + part + end for part in parts) + mark + b"--"


RECORDED = {
    "@azure/notification-hubs": (
        'multipart/mixed; boundary = "nh-boundary-b143629a-37b7-4a79-b9df-76b41568d9a4"',
        batch(TOAST, DEVICES, boundary=b"nh-boundary-b143629a-37b7-4a79-b9df-76b41568d9a4"),
    ),
    ".NET": (
        'multipart/mixed; boundary="nh-batch-multipart-boundary"',
        b'--nh-batch-multipart-boundary\r\nContent-Type: application/xml; charset=utf-8\r\nContent-Disposition: inline; name="notification"'
        b"\r\n\r\n<toast/>\r\n--nh-batch-multipart-boundary\r\nContent-Type: application/json; charset=utf-8\r\n"
        b'Content-Disposition: inline; name="devices"\r\n\r\n["%s"]\r\n--nh-batch-multipart-boundary--\r\n'
        % URI.encode(),
    ),
    "the documents": (
        "multipart/mixed; boundary=simple-boundary",
        batch(TOAST.replace(b"; name", b";name"), DEVICES, boundary=b"simple-boundary") + b"\r\n",
    ),
    "devices first, a preamble and an epilogue": (
        "Multipart/Mixed;charset=utf-8;BOUNDARY=b",
        b"read this with MIME\r\n"
        + batch(DEVICES.replace(b"name=devices", b"name = Devices ; x=y"), TOAST)
        + b"\r\n--b\r\nmore",
    ),
    "lines that end with LF": (TYPE, batch(TOAST.replace(b"\r", b""), DEVICES.replace(b"\r", b""), end=b"\n")),
}


@pytest.mark.parametrize("client", RECORDED)
def test_what_clients_send_is_read(client: str) -> None:
    """Whatever the spelling of the boundary and of the headers."""
    assert read_batch(*RECORDED[client]) == Batch(b"<toast/>", (URI,))


def test_each_channel_counts_once() -> None:
    """In the order in which they are named; and none is shown."""
    others = ["https://b/", URI, "https://b/", "https://a/"]
    read = read_batch(TYPE, batch(TOAST, DEVICES.partition(b"[")[0] + json.dumps(others).encode()))
    assert read.devices == ("https://b/", URI, "https://a/")
    assert "token" not in repr(read)


def test_an_empty_line_in_the_content_is_none_behind_the_headers() -> None:
    """Though it ends otherwise than the lines of the headers."""
    content = b"<toast>\r\n\r\n</toast>"
    sent = batch(TOAST.replace(b"\r", b"").replace(b"<toast/>", content), DEVICES.replace(b"\r", b""), end=b"\n")
    assert read_batch(TYPE, sent).notification == content


def named(content: bytes) -> bytes:
    """Write a batch with other devices."""
    return batch(TOAST, DEVICES.partition(b"[")[0] + content)


REFUSED = {
    "no batch": ("application/xml", b"<toast/>", 400, "Content-Type names no boundary: a batch is multipart/mixed"),
    "no type": ("", batch(TOAST, DEVICES), 400, "Content-Type names no boundary"),
    "no boundary": ("multipart/mixed", batch(TOAST, DEVICES), 400, "Content-Type names no boundary"),
    "long boundary": (
        f"multipart/mixed; boundary={'b' * 71}",
        batch(TOAST, DEVICES),
        400,
        "Content-Type names no boundary",
    ),
    "empty": (TYPE, b"", 400, "does not end with its boundary"),
    "another boundary": (TYPE, batch(TOAST, DEVICES, boundary=b"c"), 400, "does not end with its boundary"),
    "a longer boundary": (TYPE, batch(TOAST, DEVICES, boundary=b"bc"), 400, "does not end with its boundary"),
    "cut off": (TYPE, batch(TOAST, DEVICES)[:-2], 400, "does not end with its boundary"),
    "three parts": (TYPE, batch(TOAST, DEVICES, TOAST), 400, "or that of another part"),
    "a million parts": (TYPE, b"--b\r\n" * 200_000, 400, "has more than two parts"),
    "one part": (TYPE, batch(TOAST), 400, "The batch has 1 of its two parts"),
    "no part": (TYPE, b"--b--", 400, "The batch has 0 of its two parts"),
    "the same part twice": (TYPE, batch(TOAST, TOAST), 400, "another name, none, or that of another part"),
    "another name": (
        TYPE,
        batch(TOAST, DEVICES.replace(b"devices", b"gadgets")),
        400,
        "A part of the batch has another name",
    ),
    "a longer name": (
        TYPE,
        batch(TOAST, DEVICES.replace(b"devices", b"devices2")),
        400,
        "A part of the batch has another",
    ),
    "a file's name": (
        TYPE,
        batch(TOAST, DEVICES.replace(b"name", b"filename")),
        400,
        "A part of the batch has another",
    ),
    "no name": (TYPE, batch(TOAST, b"\r\n" + DEVICES.partition(b"\r\n\r\n")[2]), 400, "A part of the batch has"),
    "no empty line": (TYPE, batch(TOAST, b"Content-Disposition: inline; name=devices"), 400, "has no empty line"),
    "an object": (TYPE, named(b'{"a":"b"}'), 400, "is a JSON list of channel URIs"),
    "numbers": (TYPE, named(b"[1]"), 400, "is a JSON list of channel URIs"),
    "none": (TYPE, named(b"[]"), 400, "is a JSON list of channel URIs"),
    "no JSON": (TYPE, named(b"[" + URI.encode() + b"]"), 400, "is a JSON list of channel URIs"),
    "no UTF-8": (TYPE, named(b'["\xff"]'), 400, "is a JSON list of channel URIs"),
    "nested": (TYPE, named(b"[" * 500_000), 400, "is a JSON list of channel URIs"),
    "many digits": (TYPE, named(b"[" + b"1" * 500_000 + b"]"), 400, "is a JSON list of channel URIs"),
    "half of a character": (
        TYPE,
        named(b'["https://a/\\ud800"]'),
        400,
        "A channel of the batch is the URI of a channel",
    ),
    "no URI": (TYPE, named(b'["https://a/", "s3cret"]'), 400, "A channel of the batch is the URI of a channel"),
    "1,001 devices": (
        TYPE,
        named(json.dumps([f"https://a/{number}" for number in range(MAX_DEVICES + 1)]).encode()),
        413,
        "The batch names 1001 channels; 1000 are taken at most.",
    ),
    "as many devices as fit": (TYPE, named(b'["a"' + b',"a"' * 200_000 + b"]"), 413, "The batch names 200001 channels"),
    "a million devices": (TYPE, named(b'["a"' + b',"a"' * 999_999 + b"]"), 413, f"{MAX_BATCH} are read at most"),
    "a head that is all blanks": (
        TYPE,
        batch(b"Content-Disposition:" + b" ;name" * 150_000 + b"\r\n\r\n", DEVICES),
        400,
        "A part of the batch has another name",
    ),
    "a type that is all blanks": ("multipart/mixed;" + " boundary" * 5_000, b"", 400, "names no boundary"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_batch_is_refused_in_a_moment(name: str) -> None:
    """In a sentence, with none of its channels."""
    content_type, body, status, words = REFUSED[name]
    start = time.perf_counter()
    with pytest.raises(HubRefused) as refused:
        read_batch(content_type, body)
    assert time.perf_counter() - start < 2.0  # far above what it takes
    assert (refused.value.status, words in refused.value.detail) == (status, True), refused.value.detail
    assert "s3cret" not in refused.value.detail
    assert len(refused.value.detail) < 400


CONTENTS = st.lists(
    st.sampled_from([b"\r\n", b"\n", b"\r", b"--b", b"--", b"b", b" ", b"\x00", b"\xff", b"--bc", b"\r\n\r\n"])
)


@given(CONTENTS.map(b"".join) | st.binary(max_size=60))
def test_a_notification_goes_through_byte_by_byte(content: bytes) -> None:
    """Whatever is in it, other than its boundary, which a client chooses so that it is not."""
    sent = batch(TOAST.removesuffix(b"<toast/>") + content, DEVICES, boundary=b"boundary-that-is-nowhere")
    read = read_batch("multipart/mixed; boundary=boundary-that-is-nowhere", sent)
    assert read == Batch(content, (URI,))


@given(st.binary(max_size=200), st.text(max_size=40))
def test_whatever_comes_is_read_or_refused(body: bytes, content_type: str) -> None:
    """By no other error."""
    for sent, kind in (
        (body, content_type),
        (batch(body, DEVICES), TYPE),
        (batch(TOAST, body), f"{TYPE}{content_type}"),
    ):
        with pytest.raises(HubRefused):
            read_batch(kind, sent)


def test_a_content_keeps_the_line_end_that_is_not_the_batchs() -> None:
    """In a batch whose lines end with a line feed, a carriage return before the boundary is the notification's."""
    parts = (
        b"--b\nContent-Disposition: inline; name=notification\n\nbody\r\n--b\nContent-Disposition: inline; name=devices"
        b'\n\n["https://h/w/?token=t"]\n--b--\n'
    )
    assert read_batch("multipart/mixed; boundary=b", parts).notification == b"body\r"
