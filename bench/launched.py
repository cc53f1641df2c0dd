"""What a push launches in the bench ``agent``: it claims its payload, and reports when its first line ran, and when it had it."""

from time import perf_counter

FIRST = perf_counter()

import asyncio  # noqa: E402  # the first line is what is measured
import json  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

from tocsin import connect, get_activated_event_args  # noqa: E402

_APP = "contoso.mail"  # bench.load has it, too, but what that loads is not to be measured


async def main(socket: str, report: str) -> None:
    """Claim the payload, and write to the report."""
    async with connect(_APP, socket, command=[sys.executable, "-c", "pass"]):
        await get_activated_event_args()
        claimed = perf_counter()
    part = Path(report).with_suffix(".part")
    part.write_text(json.dumps({"first": FIRST, "claimed": claimed}), encoding="utf-8")
    part.rename(report)  # whole at once


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
