"""A service under a mixed load for a long time: what it holds is watched, and every acknowledged id is looked for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

from aiohttp import ClientSession
from attrs import define, field

from bench.framework import Options, Report, Row, run_on
from bench.mixed_load import LONGEST, RAW_WHILE_AWAY, Account, App, Device, Mistakes, send
from bench.processes import Process, resident, started
from bench.soak import sample, summary
from tocsin import cli

DEVICES = 40
"""Half of them are there all the time, half come and go."""

SENDERS = 8
RATE = 400.0
"""Notifications a second of all senders together, unless it is said otherwise."""

_APPS = ("mail", "chat")
_MIB = 1024 * 1024
_PATIENCE = 60.0  # seconds for everything to arrive when all devices have come back
Series = dict[str, list[tuple[float, float]]]


def run(options: Options) -> Report:
    """Load a ``tocsin serve`` for so long; tell by how much each resource grows per hour, and what became of the ids."""
    seconds = options.minutes * 60 if not options.quick else 1.0
    rate = options.rate or RATE
    report = Report("mixed", f"tocsin serve under {rate:,.0f} notifications a second for {seconds / 60:.3g} minutes")
    per_channel = rate / DEVICES
    limit = max(50, int(4 * per_channel))
    limits = ["--channel-rate", f"{limit}", "--channel-burst", f"{limit}", "--app-rate", "0", "--address-rate", "0"]
    with options.state() as state:
        serve = ("serve", "--json", "--log-level", "error", "--state", str(state), *limits)
        with started("tocsin", *serve) as process:
            url = process.line()["url"]
            load = _Load(process, url, state, [_add(name, state, url) for name in _APPS], rate, 3 * limit)
            report.series = run_on(options.loops[0], partial(load.run, seconds))
    for name, points in report.series.items():
        report.rows.append(Row(name, "product", "", [summary(points)]))
    report.remarks += [*load.remarks(), "The slope is the least-squares line through the second half."]
    return report


@define(eq=False)
class _Load:
    """One run: the service's process, and all that happens to it."""

    process: Process
    url: str
    state: Path
    apps: list[App]
    rate: float
    flood: int
    account: Account = field(factory=Account)
    metrics: dict[str, float] = field(factory=dict)
    refusals: dict[int, int] = field(factory=dict)
    random: Random = field(factory=lambda: Random(1))  # noqa: S311  # the same load each time

    async def run(self, seconds: float) -> Series:
        """Load for so long, then have all devices come back, and demand that what was acknowledged has arrived."""
        recalled = asyncio.Event()
        longest = min(LONGEST, RAW_WHILE_AWAY / (self.rate / DEVICES))
        async with ClientSession() as http:
            devices = [self._device(number) for number in range(DEVICES + 2)]
            for device in devices:
                await device.enrol()
            *devices, gone, flooded = devices
            await gone.revoke()
            theirs = next(each for each in devices if each.app is not flooded.app)
            mistakes = Mistakes(http, flooded, gone, theirs, self.flood)
            async with asyncio.TaskGroup() as tasks:
                living = [
                    tasks.create_task(device.live(longest if device.number % 2 else None, recalled, self.random))
                    for device in devices
                ]
                stop = asyncio.Event()
                senders = [tasks.create_task(each) for each in self._senders(devices, stop)]
                working = [tasks.create_task(mistakes.make(min(0.5, seconds / 20)))]
                interval = min(5.0, seconds / 10)
                working.append(tasks.create_task(self._read_metrics(http, interval / 2)))
                series = await sample(self._gauges(), seconds, interval)
                stop.set()
                await asyncio.wait(senders)
                for task in working:
                    task.cancel()
                recalled.set()
                await self._all_arrived(http)
                for task in living:
                    task.cancel()
        self.refusals = dict(mistakes.statuses)
        return series

    def remarks(self) -> list[str]:
        """Say what became of the notifications."""
        account, ended = self.account, self._ended()
        others, refusals = _listed(account.others), _listed(self.refusals)
        return [
            f"{account.received:,} notifications were answered with received, and none of them was lost.",
            f"{len(account.may_go):,} of them did not arrive: a newer one replaced them while they waited, or their TTL ended.",
            f"What waited and ended, as the service counts it: {_listed(ended)}. Senders were also answered: {others}.",
            f"Mistakes were answered with {refusals}.",
        ]

    def _device(self, number: int) -> Device:
        url = f"ws{self.url.removeprefix('http')}/device"
        return Device(url, number, self.apps[number // 2 % len(self.apps)], self.account)

    def _senders(self, devices: list[Device], stop: asyncio.Event) -> list[Coroutine[Any, Any, None]]:
        """Give each sender devices of one app: every channel has one sender, so that its order is known."""
        senders = []
        for number in range(SENDERS):
            app = devices[number % 2 * 2].app
            ours = [each for each in devices if each.app is app][number // 2 :: SENDERS // 2]
            senders.append(send(app, ours, self.rate / SENDERS, self.account, self.random, stop))
        return senders

    def _gauges(self) -> dict[str, Callable[[], float]]:
        pid, store = self.process.pid, self.state / "service.db"
        wal = store.with_name("service.db-wal")
        return {
            "RSS MiB": lambda: resident(pid),
            "descriptors": lambda: sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
            "tasks": lambda: self.metrics.get("tocsin_tasks", 0.0),
            "store MiB": lambda: store.stat().st_size / _MIB,
            "WAL MiB": lambda: wal.stat().st_size / _MIB if wal.exists() else 0.0,
            "kept for devices away": lambda: self.metrics.get("tocsin_kept", 0.0),
            "devices": lambda: self.metrics.get("tocsin_devices", 0.0),
            "acknowledged": lambda: self.account.received,
            "acknowledged, to come": lambda: len(self.account.to_come),
        }

    async def _read_metrics(self, http: ClientSession, interval: float) -> None:
        while True:
            await self._look(http)
            await asyncio.sleep(interval)

    async def _look(self, http: ClientSession) -> None:
        async with http.get(f"{self.url}/metrics") as answer:
            text = await answer.text()
        lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        self.metrics = {name: float(value) for name, _, value in lines}

    async def _all_arrived(self, http: ClientSession) -> None:
        """Wait until nothing is kept any more, and demand that nothing is missing."""
        with_patience = asyncio.timeout(_PATIENCE)
        try:
            async with with_patience:
                while self.account.to_come or self.metrics.get("tocsin_kept"):
                    await asyncio.sleep(0.1)
                    await self._look(http)
        except TimeoutError:
            missing, kept = self.account.to_come, self.metrics.get("tocsin_kept")
            raise RuntimeError(
                f"{len(missing)} acknowledged notifications are lost: {list(missing.items())[:5]}; {kept:g} are kept still"
            ) from None
        ended = self._ended()
        gone = len(self.account.may_go)
        assert gone <= ended.get("replaced", 0) + ended.get("expired", 0), (gone, ended)

    def _ended(self) -> dict[str, int]:
        prefix = 'tocsin_stored_ended_total{as="'
        return {
            name.removeprefix(prefix).removesuffix('"}'): int(value)
            for name, value in self.metrics.items()
            if name.startswith(prefix)
        }


def _add(name: str, state: Path, url: str) -> App:
    """Register an app with the running service, as its operator does."""
    printed = StringIO()
    with redirect_stdout(printed):
        assert cli.main(["app", "add", name, "--json", "--state", str(state)]) == 0
    ids = json.loads(printed.getvalue())
    return App(ids["client_id"], ids["client_secret"], ids["remote_id"], f"{url}/accesstoken.srf")


def _listed(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{what} {count:,}" for what, count in sorted(counts.items()) if count) or "none"
