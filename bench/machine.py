"""What machine it is, and how long its disk takes."""

from __future__ import annotations

import os
import platform
import sqlite3
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.framework import percentile

_BLOCK = 4096  # bytes


def describe(folder: Path, writes: int = 200) -> dict[str, Any]:
    """Describe this machine, with the time that its disk takes to keep 4 KiB, in the given folder."""
    p50, p99 = fsync_times(folder, writes)
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "file_system": _file_system(folder),
        "fsync_p50_ms": round(p50, 3),
        "fsync_p99_ms": round(p99, 3),
    }


def sentence(machine: dict[str, Any]) -> str:
    """Say it in a line."""
    return (
        f"{machine['cpu']}, {machine['cores']} cores (load {machine['load']}), Linux {machine['kernel']},"
        f" Python {machine['python']}, SQLite {machine['sqlite']}, {machine['file_system']},"
        f" fsync p50 {machine['fsync_p50_ms']} ms, p99 {machine['fsync_p99_ms']} ms"
    )


def fsync_times(folder: Path, writes: int) -> tuple[float, float]:
    """Append blocks of 4 KiB to a file, each followed by ``fdatasync``; return p50 and p99 in milliseconds."""
    path = folder / f"tocsin-bench-fsync-{os.getpid()}"
    times = []
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        for _ in range(writes):
            start = perf_counter()
            os.write(file, bytes(_BLOCK))
            os.fdatasync(file)
            times.append((perf_counter() - start) * 1000)
    finally:
        os.close(file)
        path.unlink()
    return percentile(times, 50), percentile(times, 99)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _file_system(folder: Path) -> str:
    """Return the type of the file system that holds the folder."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return "unknown file system"
    holding = [(mount[1], mount[2]) for mount in mounts if folder.resolve().is_relative_to(mount[1])]
    return max(holding, key=lambda mount: len(mount[0]), default=("", "unknown file system"))[1]
