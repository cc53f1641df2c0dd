"""Two nodes over one PostgreSQL: durable posts a second for devices that are away, at few and at a million channels, beside pgbench."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench import device_channels
from bench.framework import Contestant, Options, Report, Sample, in_ms, measure, ratio
from bench.http_load import CONNECTIONS, Target, closed_loop
from bench.load import BODY
from bench.postgres import bytes_a_row, pgbench, postgres
from bench.processes import Process, cpu_seconds, started
from bench.wrk import wrk_anew

COUNTS: Final = (1_000, 100_000, 1_000_000)
"""Channels, each of a device of its own, none of which is connected."""

NODES: Final = 2
BATCH: Final = 64
"""Rows of a statement of the floor."""

_USED: Final = 150_000  # channels that one sender posts to, by chance, of all that there are
_WARM: Final = 2_000  # posts before the clock starts

_COLUMNS: Final = (
    "sequence, id, channel, app, type, tag, grp, priority, received, expires, ends, suppress, device, body"
)
_INSERT: Final = f"""\\set first random(1, 1000000000000)
INSERT INTO tocsin.stored ({_COLUMNS})
SELECT :first::bigint * {BATCH} + n, md5((:first::bigint + n)::text), left(md5(n::text || :first::bigint::text), 16), 'bench', 'raw', '', '', 1,
1e9, NULL, 4e9, false, encode(sha256((:first::bigint * 7 + n)::text::bytea), 'hex'), decode(repeat('2e', {BODY}), 'hex')
FROM generate_series(0, {BATCH - 1}) AS n;
"""  # noqa: S608  # constants
_ERASE: Final = f"DELETE FROM tocsin.stored WHERE sequence >= :first::bigint * {BATCH} AND sequence < (:first::bigint + 1) * {BATCH};\n"  # noqa: S608  # as above


def run(options: Options) -> Report:
    """Measure all by turns, each with a database of its own."""
    report = Report(
        "nodes",
        f"{BODY}-byte POSTs of wrk with {CONNECTIONS} connections to each of {NODES} nodes over one PostgreSQL, for devices that"
        " are away: each is on disk before its answer",
    )
    counts = COUNTS if not options.quick else (10,)
    contestants = [
        Contestant(f"floor: the same rows by pgbench, {BATCH} a statement", partial(_floor, options, _INSERT), "floor"),
        Contestant("pgbench, inserted and deleted", partial(_floor, options, _INSERT + _ERASE), "floor"),
        Contestant("the same posts, answered and not stored", partial(_answered, options), "floor"),
        *(Contestant(_name(count), partial(_stored, options, count)) for count in counts),
    ]
    measure(report, contestants, options.rounds)
    rows = {row.name: row for row in report.rows}
    if _name(COUNTS[0]) in rows:
        few = rows[_name(COUNTS[0])]
        for count in COUNTS[1:]:
            times = ratio(rows[_name(count)], few, "CPU of all µs")
            report.remarks.append(f"With {count:,} channels a post takes {times:.2f} of the CPU with {COUNTS[0]:,}.")
    report.remarks.append("Nodes, PostgreSQL and wrk share the machine; fsync is on.")
    return report


def _name(channels: int) -> str:
    return f"tocsin, {NODES} nodes, {channels:,} channels"


def _floor(options: Options, script: str) -> Sample:
    with options.state() as folder, postgres(options) as database:
        asyncio.run(device_channels.prefill_engine(database.url, 10))
        before = cpu_seconds(database.pid)
        seconds = options.sized(5, 1)
        rate = BATCH * pgbench(database, script, seconds, folder)
        used = cpu_seconds(database.pid) - before
    return {"posts/s": rate, "database CPU µs": 1e6 * used / (rate * seconds)}


def _answered(options: Options) -> Sample:
    """Two services for themselves: what is posted may not wait, and its devices are away."""
    with ExitStack() as stack:
        folders, nodes, targets = [stack.enter_context(options.state()) for _ in range(NODES)], [], []
        channels = options.sized(COUNTS[0], 10)
        for folder in folders:
            asyncio.run(device_channels.prefill(folder, channels))
            nodes.append(stack.enter_context(started("bench.serving", "tocsin", str(folder), options.loops[0])))
            targets.append(device_channels.targets(nodes[-1].line(), channels))
        return _posted(options, _named(nodes), targets, folders)


def _stored(options: Options, channels: int) -> Sample:
    with ExitStack() as stack:
        database = stack.enter_context(postgres(options))
        asyncio.run(device_channels.prefill_engine(database.url, channels))
        folders = [stack.enter_context(options.state()) for _ in range(NODES)]
        how = [("engine", str(folder), options.loops[0], database.url) for folder in folders]
        chance = random.Random(channels)  # noqa: S311  # which channels
        nodes, targets = [], []
        for each in how:  # one after the other: each gives itself another secret of the app
            nodes.append(stack.enter_context(started("bench.serving", *each)))
            some = chance.sample(range(channels), min(channels, _USED))
            targets.append(device_channels.targets(nodes[-1].line(), some, storable=True))
        for some_targets in targets:
            asyncio.run(closed_loop(some_targets[:_WARM], options.sized(_WARM, 10)))
        sample = _posted(options, {"database": database.pid, **_named(nodes)}, targets, folders)
        return sample | bytes_a_row(database, "channels", "devices", "stored")


def _named(nodes: Sequence[Process]) -> dict[str, int]:
    return {f"node {number}": node.pid for number, node in enumerate(nodes, 1)}


def _posted(
    options: Options, processes: Mapping[str, int], targets: Sequence[Sequence[Target]], folders: Sequence[Path]
) -> Sample:
    before = [cpu_seconds(pid) for pid in processes.values()]
    with ThreadPoolExecutor(NODES) as pool:
        seconds = options.sized(8, 1)
        found = list(pool.map(lambda each: wrk_anew(each[0], seconds, each[1]), zip(targets, folders, strict=True)))
    used = [cpu_seconds(pid) - began for pid, began in zip(processes.values(), before, strict=True)]
    assert not any(each["errors"] for each in found), found
    posts = sum(each["requests"] for each in found)
    senders = max(each["cpu"] for each in found)  # of both: each counts all that have ended meanwhile
    return {
        "posts/s": sum(each["requests"] / each["seconds"] for each in found),
        "CPU of all µs": 1e6 * (sum(used) + senders) / posts,
        **{f"{name} CPU µs": 1e6 * cpu / posts for name, cpu in zip(processes, used, strict=True)},
        "senders CPU µs": 1e6 * senders / posts,
        **in_ms("answer", _worse(found)),
    }


def _worse(found: Sequence[dict[str, Any]]) -> dict[str, float]:
    return {each: max(one[each] for one in found) for each in ("p50", "p99", "p99.9")}
