"""Connection strings: read in any order, written in the one that every client reads, and never shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.hub.connection_string import (
    MAX_CONNECTION_STRING,
    ConnectionString,
    read_connection_string,
    write_connection_string,
)

READ = {
    "Endpoint=sb://push.example/;SharedAccessKeyName=n;SharedAccessKey=k=+/=": ("https://push.example/", "n", "k=+/="),
    "SharedAccessKey=k=;Endpoint=sb://push.example;SharedAccessKeyName=n": ("https://push.example/", "n", "k="),
    " endpoint = https://127.0.0.1:8443/a/ ; sharedaccesskey = k ; SHAREDACCESSKEYNAME = n ;; ": (
        "https://127.0.0.1:8443/a/",
        "n",
        "k",
    ),
    "Endpoint=http://[::1]:80/;EntityPath=h;SharedAccessKeyName=n;SharedAccessKey=k": ("http://[::1]:80/", "n", "k"),
}


@pytest.mark.parametrize("text", READ)
def test_a_connection_string_is_read_in_any_order(text: str) -> None:
    """Without its key in what is shown of it."""
    url, name, key = READ[text]
    read = read_connection_string(text)
    assert read == ConnectionString(url, name, key)
    assert repr(read) == f"ConnectionString(url={url!r}, key_name={name!r})"


def test_a_connection_string_is_written_as_every_client_reads_it() -> None:
    """Three parts in this order, with a slash behind the host."""
    assert write_connection_string("https://push.example:8443", "n", "k==") == (
        "Endpoint=sb://push.example:8443/;SharedAccessKeyName=n;SharedAccessKey=k=="
    )
    assert write_connection_string("http://127.0.0.1:80/", "n", "k") == (
        "Endpoint=http://127.0.0.1:80/;SharedAccessKeyName=n;SharedAccessKey=k"
    )


REST = ";SharedAccessKeyName=n;SharedAccessKey=s3cret"
REFUSED = {
    "": "lacks Endpoint and SharedAccessKeyName and SharedAccessKey: it is Endpoint=sb://host/",
    "s3cret": "a part of the connection string has no '='",
    "Endpoint=sb://h/;SharedAccessKeyName=n;s3cret": "a part of the connection string has no '='",
    "Endpoint=sb://h/;SharedAccessKeyName=;SharedAccessKey=s3cret": "lacks SharedAccessKeyName",
    "Endpoint=sb://h/;SharedAccessKeyName=n": "lacks SharedAccessKey:",
    f"Endpoint=sb://h/;SharedAccessKey=s3cret{REST}": "has SharedAccessKey twice",
    "Endpoint=sb://h/;SharedAccessKeyName=\x1b[2J;SharedAccessKey=s3cret": "cannot be printed",
    f"Endpoint={REST}": "lacks Endpoint",
    f"Endpoint=push.example{REST}": "Endpoint of the connection string is such as sb://push.example/",
    f"Endpoint=amqp://push.example/{REST}": "Endpoint of the connection string is",
    f"Endpoint=sb:///{REST}": "Endpoint of the connection string is",
    f"Endpoint=sb://s3cret@push.example/{REST}": "Endpoint of the connection string is",
    f"Endpoint=sb://h/?s3cret{REST}": "Endpoint of the connection string is",
    f"Endpoint=sb://h/#s3cret{REST}": "Endpoint of the connection string is",
    f"Endpoint=sb://h:0/{REST}": "Endpoint of the connection string is",
    f"Endpoint=sb://h:99999/{REST}": "Endpoint of the connection string is",
    f"Endpoint=sb://[/{REST}": "Endpoint of the connection string is",
    f"Endpoint=sb://h\\s3cret/{REST}": "Endpoint of the connection string is",
    f"Endpoint=sb://☃/{REST}": "Endpoint of the connection string is",
    "s3cret" * MAX_CONNECTION_STRING: f"up to {MAX_CONNECTION_STRING} characters",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_connection_string_is_refused_without_showing_it(text: str) -> None:
    """Any part of it may be the key."""
    with pytest.raises(InvalidArgument) as refused:
        read_connection_string(text)
    assert REFUSED[text] in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_what_is_no_text_is_refused() -> None:
    """As elsewhere."""
    with pytest.raises(InvalidArgument, match="a connection string must be text, not NoneType"):
        read_connection_string(None)  # type: ignore[arg-type]


PLAIN = st.from_regex(r"[!-:<-~]{1,60}", fullmatch=True)


@given(st.from_regex(r"https?://[a-z0-9.-]{1,30}(:[1-9][0-9]{0,3})?", fullmatch=True), PLAIN, PLAIN)
def test_what_is_written_is_read(url: str, name: str, key: str) -> None:
    """Whatever stands in the key."""
    assert read_connection_string(write_connection_string(url, name, key)) == ConnectionString(f"{url}/", name, key)
