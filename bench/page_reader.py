"""Who has the page of a service open, as a browser does, but draws nothing: ``python -m bench.page_reader URL``."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from datetime import datetime
from http.client import HTTPConnection, HTTPResponse
from threading import Thread
from time import perf_counter, time
from urllib.parse import quote, urlsplit

from bench.receiving import say

_PLACE = re.compile(r'data-place="([^"]*)"')
_MOMENT = re.compile(r'<time datetime=\\"([^"\\]+)\\"')  # in JSON
_PATIENCE = 30.0


def load(url: str) -> tuple[str, float]:
    """Return the page, and how many seconds the service took to answer with it."""
    connection = _connected(url)
    connection.connect()
    begin = perf_counter()
    connection.request("GET", "/")
    answer = connection.getresponse()
    text = answer.read().decode()
    took = perf_counter() - begin
    connection.close()
    assert answer.status == 200, text
    return text, took


def events(url: str, place: str) -> Iterator[str]:
    """Return the lines of what the service tells a page that has seen so much."""
    connection = _connected(url)
    connection.request("GET", f"/_tocsin/page/events?after={quote(place)}", headers={"Accept": "text/event-stream"})
    answer: HTTPResponse = connection.getresponse()
    assert answer.status == 200, answer.read()
    while line := answer.readline():
        yield line.decode().rstrip("\n")


def _connected(url: str) -> HTTPConnection:
    return HTTPConnection(urlsplit(url).netloc, timeout=_PATIENCE)


class Reader:
    """Reads what comes, and notes how long after its answer each row was there."""

    def __init__(self, url: str) -> None:
        found = _PLACE.search(load(url)[0])
        assert found, "the page has no place"
        self._lines = events(url, found[1])
        self._delays: list[float] = []
        next(self._lines)

    def read(self) -> None:
        """Read until the service ends."""
        for line in self._lines:
            if line.startswith('data: {"rows"'):
                now = time()
                self._delays += [
                    (now - datetime.fromisoformat(each).timestamp()) * 1000 for each in _MOMENT.findall(line)
                ]

    def found(self) -> list[float]:
        """Return the delays of all rows since the last time, in ms."""
        delays, self._delays = self._delays, []
        return delays


def main(url: str) -> None:
    """Have the page open until the input ends; tell of it whenever a line comes."""
    reader = Reader(url)
    Thread(target=reader.read, daemon=True).start()
    say({})
    for _ in sys.stdin:
        say({"delays": reader.found()})


if __name__ == "__main__":
    main(sys.argv[1])
