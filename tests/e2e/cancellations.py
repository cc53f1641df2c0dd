"""``python -m tests.e2e.cancellations``: cancel whole programs at every turn of their event loops."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.e2e.cancelled import programs
from tests.e2e.cancelling import How, sweep


def main() -> int:
    """Sweep, and print a line for each program and way of cancelling; 1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.cancellations", description=__doc__)
    parser.add_argument("--stride", type=int, default=1, help="cancel at every so many turns only (default: 1)")
    parser.add_argument("--program", action="append", help="one of them (default: all)")
    parser.add_argument("--how", action="append", type=How, help="task, again, timeout, scope or loop (default: all)")
    arguments = parser.parse_args()
    found = 0
    with tempfile.TemporaryDirectory() as folder, programs() as all_programs:
        for name, program in all_programs.items():
            if arguments.program and name not in arguments.program:
                continue
            for how in arguments.how or How:
                began = time.monotonic()
                result = sweep(program, how, Path(folder) / f"{name}-{how.value}", stride=arguments.stride)
                found += len(result.faults)
                seconds = time.monotonic() - began
                sys.stdout.write(
                    f"{name:18} {how.value:8} {result.runs:4} of {result.turns:4} turns,"
                    f" {len(result.faults)} with faults, {seconds:.1f} s\n"
                )
                for turn, faults in result.faults.items():
                    sys.stdout.write("".join(f"  turn {turn}: {fault[:2000]}\n" for fault in faults))
                sys.stdout.flush()
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
