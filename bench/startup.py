"""How long it takes until ``tocsin listen`` has its channel, and what importing the package costs."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from time import perf_counter

from bench.framework import Contestant, Options, Report, Sample, measure
from bench.processes import ROOT, started

_BARE = ("-c", "pass")
_IMPORT = ("-c", "import tocsin")


def run(options: Options) -> Report:
    """Measure fresh processes on warm files."""
    report = Report("startup", "milliseconds from the start of a process")
    with options.state() as state:
        contestants = [
            Contestant("floor: python -c pass", lambda: {"ms": _process(_BARE)}, "floor"),
            Contestant("python -c 'import tocsin'", _import),
            Contestant("tocsin listen --json, to its channel line", partial(_listen, state)),
        ]
        for contestant in contestants if not options.quick else ():
            contestant.run()  # warms the files, and makes the state folder
        return measure(report, contestants, options.rounds)


def _import() -> Sample:
    """Time an import beside a bare process of the same moment."""
    bare = _process(_BARE)
    full = _process(_IMPORT)
    return {"ms": full, "ms over a bare Python": full - bare}


def _process(arguments: tuple[str, ...]) -> float:
    start = perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True)  # noqa: S603  # our own interpreter
    return (perf_counter() - start) * 1000


def _listen(state: Path) -> Sample:
    bare = _process(_BARE)
    start = perf_counter()
    with started("tocsin", "listen", "--json", "--state", str(state / "listen")) as process:
        process.line()
        full = (perf_counter() - start) * 1000
    return {"ms": full, "ms over a bare Python": full - bare}
