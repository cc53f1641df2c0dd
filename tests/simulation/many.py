"""Runs many seeds, in one process or in several."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from time import perf_counter

from tests.progress import progress
from tests.simulation.report import Summary
from tests.simulation.script import draw
from tests.simulation.seeds import run

CHUNK = 25
"""Seeds that a process runs at a time."""


def run_seeds(seeds: Sequence[int], jobs: int = 1) -> Summary:
    """Run these seeds and add up what they did."""
    began = perf_counter()
    summary = Summary()
    if jobs == 1:
        summary = _chunk(progress(seeds, "seeds"))
    else:
        # A process that begins with nothing of this one's state.
        with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
            chunks = [seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK)]
            for part in progress(pool.map(_chunk, chunks), f"{CHUNK} seeds each", len(chunks)):
                summary.merge(part)
    summary.real = perf_counter() - began
    return summary


def _chunk(seeds: Iterable[int]) -> Summary:
    summary = Summary()
    for seed in seeds:
        summary.add(run(draw(seed)))
    return summary
