"""The load of ``wrk``: the same request again and again, or one that is made anew each time, to one target after the other."""

from __future__ import annotations

import json
import resource
import subprocess
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from bench.http_load import CONNECTIONS, Target
from bench.load import BODY
from bench.servers import program

_DONE = """
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('\\nfound {"requests": %d, "seconds": %f, "errors": %d, "p50": %f, "p99": %f, "p99.9": %f}\\n',
    summary.requests, summary.duration / 1e6, errors.status + errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency:percentile(99.9) / 1000))
end
"""

_ANEW = """
local ffi = require("ffi")
ffi.cdef("typedef struct { long seconds; long nanoseconds; } moment_t; int clock_gettime(int, moment_t *);")
local moment, monotonic = ffi.new("moment_t"), 1
local paths, turn = {}, 0
for path in io.lines(file) do paths[#paths + 1] = path end
local rest = string.rep(".", length - 21)
local random, most, line = math.random, 2^32 - 1, ""
local function trace()
  return string.format("traceparent: 00-%08x%08x%08x%08x-%08x%08x-01\\r\\n", random(0, most), random(0, most),
    random(0, most), random(0, most), random(0, most), random(0, most))
end
request = function()
  turn = turn % #paths + 1
  if made then line = trace() end
  ffi.C.clock_gettime(monotonic, moment)
  local stamp = string.format("%010d.%09d ", tonumber(moment.seconds), tonumber(moment.nanoseconds))
  return "POST " .. paths[turn] .. head .. (sent and line or "") .. "\\r\\n" .. stamp .. rest
end
"""

_MADE = """
local file = assert(io.open(path, "rb"))
local requests, turn = {}, 0
for number = 1, count do requests[number] = file:read(length) end
request = function()
  turn = turn % count + 1
  return requests[turn]
end
"""


class Trace(Enum):
    """A W3C ``traceparent``, another one in each request: whether it is made, and whether it is sent, in Lua."""

    NONE = "false, false"
    MADE = "true, false"
    """It costs the sender as much as if it were sent."""
    SENT = "true, true"


def wrk(target: Target, seconds: int, folder: Path, connections: int = CONNECTIONS) -> dict[str, Any]:
    """Post the same body again and again.

    :return: requests, seconds, errors, p50, p99 and p99.9 in ms, and the CPU seconds of wrk.
    :raises Missing: wrk is not installed.
    """
    headers = "".join(
        f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}\n" for name, value in target.headers.items()
    )
    script = f'wrk.method = "POST"\nwrk.body = string.rep("x", {BODY})\n{headers}'
    return _run(script, target.url, seconds, folder, connections)


def wrk_anew(
    targets: Sequence[Target], seconds: int, folder: Path, connections: int = CONNECTIONS, trace: Trace = Trace.NONE
) -> dict[str, Any]:
    """Post bodies that carry the moment of their sending, to one target after the other.

    :param targets: they differ in their paths only.
    :return: as of :func:`wrk`.
    :raises Missing: wrk is not installed.
    """
    paths = folder / "paths"
    heads = [target.head(BODY).decode().removeprefix("POST ").partition(" ") for target in targets]
    paths.write_text("".join(f"{path}\n" for path, _, _ in heads), encoding="utf-8")
    head = " " + heads[0][2].removesuffix("\r\n")  # without the empty line, so that a header can be added
    declared = f"local file, head, length = {json.dumps(str(paths))}, {json.dumps(head)}, {BODY}\n"
    script = f"{declared}local made, sent = {trace.value}\n{_ANEW}"
    return _run(script, targets[0].url, seconds, folder, connections)


def wrk_made(target: Target, count: int, seconds: int, folder: Path, connections: int = CONNECTIONS) -> dict[str, Any]:
    """Post so many bodies that are made before, one after the other, again and again.

    :return: as of :func:`wrk`.
    :raises Missing: wrk is not installed.
    """
    requests = [target.request(target.body(0.0)) for _ in range(count)]
    path = folder / "requests"
    path.write_bytes(b"".join(requests))
    declared = f"local path, count, length = {json.dumps(str(path))}, {count}, {len(requests[0])}\n"
    return _run(f"{declared}{_MADE}", target.url, seconds, folder, connections)


def _run(script: str, url: str, seconds: int, folder: Path, connections: int) -> dict[str, Any]:
    file = folder / "post.lua"
    file.write_text(script + _DONE, encoding="utf-8")
    command = [program("wrk", "wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(file), url]
    before = _cpu_of_ended()
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  # as found by program()
    line = next(line for line in done.stdout.splitlines() if line.startswith("found "))
    found: dict[str, Any] = json.loads(line.removeprefix("found "))
    return found | {"cpu": _cpu_of_ended() - before}


def _cpu_of_ended() -> float:
    """Return the CPU seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
