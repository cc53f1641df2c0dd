"""Chromium with a service's page open, and what its page says when it is asked by the protocol of the browser's own tools."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, perf_counter, sleep
from typing import Any

from websockets.sync.client import ClientConnection, connect

from bench.framework import Missing
from bench.processes import cpu_seconds, end

_ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0"),
)
_PATIENCE = 30.0  # seconds
_WATCH = """
delays = [];
new MutationObserver((changes) => {
  for (const { addedNodes } of changes)
    for (const row of addedNodes) {
      const moment = row.querySelector?.("time");
      if (moment) delays.push(Date.now() - Date.parse(moment.dateTime));
    }
}).observe(document.getElementById("push-rows"), { childList: true });
"""


class Page:
    """The page in the browser."""

    def __init__(self, socket: ClientConnection, process: int) -> None:
        self._socket = socket
        self._process = process
        self._number = 0
        deadline = monotonic() + _PATIENCE
        while not self._evaluate('document.getElementById("moment")?.textContent.startsWith("Live") ?? false'):
            assert monotonic() < deadline, "the page is not live"
            sleep(0.1)
        self._evaluate(_WATCH)
        self._begin()

    def found(self) -> tuple[list[float], float]:
        """Return how many ms after its answer each row since the last time was there, and the browser's share of a core."""
        share = (cpu_seconds(self._process) - self._cpu) / (perf_counter() - self._since)
        delays: list[float] = self._evaluate("delays.splice(0)")
        self._begin()
        return delays, share

    def _begin(self) -> None:
        self._since, self._cpu = perf_counter(), cpu_seconds(self._process)

    def _evaluate(self, expression: str) -> Any:
        self._number += 1
        asked = {"expression": expression, "returnByValue": True}
        self._socket.send(json.dumps({"id": self._number, "method": "Runtime.evaluate", "params": asked}))
        while (told := json.loads(self._socket.recv(_PATIENCE))).get("id") != self._number:
            pass
        if "error" in told:
            return None  # the browser was leaving one page for another
        assert "exceptionDetails" not in told["result"], told
        return told["result"]["result"].get("value")


@contextmanager
def looking_at(url: str) -> Iterator[Page]:
    """Have a page open in Chromium, which has a new profile, until the block is left.

    :raises Missing: it is not installed.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        raise Missing("Chromium is not installed: Debian's package is chromium")
    with TemporaryDirectory(prefix="tocsin-bench-") as folder:
        command = [program, *_ARGUMENTS, f"--user-data-dir={folder}", url]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: S603  # as found above
            try:
                with connect(_tools_of(Path(folder), url), max_size=None, proxy=None) as socket:
                    yield Page(socket, process.pid)
            finally:
                end(process)


def _tools_of(profile: Path, url: str) -> str:
    """Return where a page is asked."""
    deadline = monotonic() + _PATIENCE
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while monotonic() < deadline:
        try:
            port = (profile / "DevToolsActivePort").read_text(encoding="ascii").split()[0]
            with opener.open(f"http://127.0.0.1:{port}/json/list") as answer:
                found = [each for each in json.load(answer) if each["url"].startswith(url)]
        except (OSError, IndexError):
            found = []
        if found:
            return str(found[0]["webSocketDebuggerUrl"])
        sleep(0.1)
    raise AssertionError("the browser does not open the page")
