"""Sends what notificationhubs-rest-python can send, which knows no registrations; prints one JSON object a step.

The argument is a JSON object: connection_string, hub, uris, of which the second is sent to directly, and tag, which a device
has.
"""

import json
import sys
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from io import StringIO

from notificationhubs_rest_python.NotificationHub import (  # type: ignore[import-not-found]  # the test installs it
    AzureNotificationHub,
)

told = json.loads(sys.argv[1])
tag, uri = told["tag"], told["uris"][1]
hub = AzureNotificationHub(told["connection_string"], told["hub"])


def step(name: str, payload: str, tags: object = tag, *, direct: bool = False, **named: object) -> None:
    """Send a notification to Windows, and print its name, the error that the library reported or null, and the status."""
    status, error = None, None
    try:
        status = hub.send_windows_notification(direct, payload, tags, **named)[0]
    except Exception as raised:  # noqa: BLE001  # the library raises nothing narrower
        error = str(raised)
    print(json.dumps({"step": name, "error": error, "status": status}))


def toast(text: str, attributes: str = "") -> str:
    """Return a toast; the library tells its type only where it has no attributes."""
    return f'<toast{attributes}><visual><binding template="ToastText01"><text id="1">{text}</text></binding></visual></toast>'


TILE = '<tile><visual><binding template="TileSquareText04"><text id="1">two</text></binding></visual></tile>'

step("toast sent", toast("Grüße"))
step("toast sent without a type", toast("Łódź", ' launch="mail"'))
step("tile sent", TILE)
step("badge sent without a type", '<badge value="7"/>')
step("text sent without a type", "what is this?")
step("sent to a set of tags", toast("to a set"), {tag, "unused"})
step("sent to all", toast("to all"), "")
step("sent to one channel", toast("to one"), "", direct=True, device_handle=uri)
step("scheduled soon", toast("on time"), scheduled_time=datetime.now(UTC) + timedelta(seconds=2))
status, _ = hub.send_template_notification({"message": "Tom & Łucja"}, tag)
print(json.dumps({"step": "template sent", "error": None, "status": status}))

# The settings of the library are of its class: from here on, it asks for a test, prints what it gets, and raises nothing.
debugged = AzureNotificationHub(told["connection_string"], told["hub"], 1)
with redirect_stdout(StringIO()) as printed:
    status, _ = debugged.send_windows_notification(False, toast("as a test"), tag)  # noqa: FBT003  # its own signature
answer = printed.getvalue().partition("--- RESPONSE ---")[2]
print(json.dumps({"step": "test sent", "error": None, "status": status, "answer": answer}))
