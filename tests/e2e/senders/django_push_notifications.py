"""Sends one notification of each type with django-push-notifications, and prints what it reports."""

import json
import sys

import django  # type: ignore[import-not-found]  # the test installs it
from django.conf import settings  # type: ignore[import-not-found]

wns = json.loads(sys.argv[1])
settings.configure(
    INSTALLED_APPS=["push_notifications"],
    PUSH_NOTIFICATIONS_SETTINGS={
        "WNS_PACKAGE_SECURITY_ID": wns["client_id"],
        "WNS_SECRET_KEY": wns["client_secret"],
        "WNS_ACCESS_URL": wns["token_url"],
    },
)
django.setup()

from push_notifications.wns import (  # type: ignore[import-not-found]  # noqa: E402  # it reads the settings
    WNSError,
    wns_send_message,
)

TILE = {"visual": {"children": {"binding": {"attrs": {"template": "TileSquareText02"}, "children": {}}}}}
MESSAGES: dict[str, dict[str, object]] = {
    "toast": {"message": "Grüße"},
    "tile": {"xml_data": {"tile": {"children": TILE}}},
    "badge": {"xml_data": {"badge": {"attrs": {"value": "7"}}}},
    "raw": {"raw_data": json.dumps({"key": "value"})},
}

for kind, message in MESSAGES.items():
    try:
        print(json.dumps({"type": kind, "reply": wns_send_message(wns["uri"], **message), "error": None}))
    except WNSError as error:
        print(json.dumps({"type": kind, "reply": None, "error": str(error)}))
