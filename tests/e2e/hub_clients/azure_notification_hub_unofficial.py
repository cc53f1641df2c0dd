"""Takes every step of a hub with azure-notification-hub-unofficial; prints what each returned, one JSON object a line.

The argument is a JSON object: connection_string, hub, and uris, the first device's channel and the second's. The library
makes no registrations, and says nothing of a schedule's id, so that it cannot cancel what it scheduled.
"""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from azure_notification_hub import (  # type: ignore[import-not-found]  # the test installs it
    AzureNHError,
    NotificationHubsClient,
    create_template_notification,
    create_windows_badge_notification,
    create_windows_raw_notification,
    create_windows_tile_notification,
    create_windows_toast_body,
    create_windows_toast_notification,
)

told = json.loads(sys.argv[1])
client = NotificationHubsClient(told["connection_string"], told["hub"])


def step(name: str, call: Callable[..., Any], *arguments: object, **named: object) -> Any:
    """Take one step, and print its name, the error that the library reported or null, and what it returned."""
    result: Any = None
    error = None
    try:
        result = call(*arguments, **named)
    except AzureNHError as raised:
        error = {"status": raised.status_code, "message": raised.body}
    print(json.dumps({"step": name, "error": error, "result": result}))
    return result


raw = create_windows_raw_notification
toast = create_windows_toast_notification(create_windows_toast_body("Grüße", launch="mail"))
tile = create_windows_tile_notification(
    '<tile><visual><binding template="TileSquareText04"><text id="1">two</text></binding></visual></tile>'
)
badge = create_windows_badge_notification('<badge value="7"/>')
template = create_template_notification({"message": "Ann", "count": 3})

for number, uri in enumerate(told["uris"], 1):
    installation = {
        "installationId": f"i-{number}",
        "platform": "wns",
        "pushChannel": uri,
        "tags": ["news", f"n{number}"],
        "templates": {"greeting": {"body": '{"text": "$(message)"}', "headers": {"X-WNS-Type": "wns/raw"}}},
    }
    step("installation put", client.create_or_update_installation, installation)
step("installation got", client.get_installation, "i-1")
step("installation patched", client.update_installation, "i-1", [{"op": "add", "path": "/tags", "value": "sport"}])
step("installation got again", client.get_installation, "i-1")
found = step("all listed", client.list_registrations, top=10) or []
for registration in found[:1]:
    step("registration got", client.get_registration, registration["RegistrationId"])

step("raw sent", client.send_notification, raw("raw to the first"), "sport && !n2")
step("toast sent", client.send_notification, toast, "(sport || unused) && news")
step("tile sent", client.send_notification, tile, "$InstallationId:{i-2}")
step("badge sent", client.send_notification, badge, "news")
step("sent to all", client.send_broadcast_notification, raw("raw to all"), ttl=600, urgency="high")
step("template sent", client.send_notification, template, "news")
step("test sent", client.send_notification, raw("raw as a test"), "sport", test_send=True)
step("sent to a wrong expression", client.send_notification, raw("never sent"), "sport AND news")

soon = datetime.now(UTC) + timedelta(seconds=2)
later = soon.replace(tzinfo=None) + timedelta(hours=1)
step("scheduled", client.schedule_notification, later, raw("not yet sent"), "sport")
step("scheduled soon", client.schedule_notification, soon, raw("sent on time"), "sport")
step("schedule cancelled without one", client.cancel_scheduled_notification, "none-such")
step("state got without one", client.get_notification_outcome_details, "none-such")

# What is deleted has no tag: what was sent may be on its way to the others still.
another = {"installationId": "i-3", "platform": "wns", "pushChannel": told["uris"][1]}
step("another installation put", client.create_or_update_installation, another)
step("installation deleted", client.delete_installation, "i-3")
step("installation got without one", client.get_installation, "i-3")
step("registration deleted without one", client.delete_registration, "none-such")
step("feedback container", client.get_feedback_container_url)
