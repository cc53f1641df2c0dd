"""An app that shows the progress of its channel request while its push service is away, and then comes back.

Why there is no connection is in the progress, in the log, in the status, and told to a handler.

python examples/channel_progress.py [STATE]
"""

import logging
import socket
import sys
import tempfile
from pathlib import Path

import tocsin

QUICK = tocsin.RetryPolicy(first=0.2, increment=0.2, longest=1.0)  # Windows waits 60, 120, ... 300 seconds


def free_port() -> int:
    """Find a port that no socket listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def main(state: Path) -> None:
    """Request a channel during an outage."""
    port = free_port()
    service = f"http://127.0.0.1:{port}"
    remote_id = "f80e541e-3606-48fb-935e-118a3c5f41f4"
    async with tocsin.embedded(app="contoso.chat", state=state / "app", service=service, retries=QUICK) as manager:
        manager.add_connection_changed(lambda connection: print("connected:", connection.connected, connection.text))
        operation = manager.create_channel(remote_id)
        async for progress in operation:
            print(progress)
            if progress.retry_count == 2:
                break
        print("the service comes back")
        # It knows another app only, so the request ends with a critical error: that is a result too.
        async with tocsin.embedded(app="contoso.mail", state=state / "service", port=port):
            result = await operation
    print(f"{result.status.name}: {result}")


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stdout, format="log: %(message)s")
    tocsin.run(main, Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()))
