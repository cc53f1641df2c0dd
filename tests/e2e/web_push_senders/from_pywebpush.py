"""Sends pushes with pywebpush, and prints what it reports, one JSON object a push.

The argument is a JSON array; each has to, the subscription, key, the sender's or null, coding and text.
"""

import json
import sys

from pywebpush import WebPushException, webpush  # type: ignore[import-not-found]  # the test installs it

for push in json.loads(sys.argv[1]):
    signed = {}
    if push["key"] is not None:
        signed = {"vapid_private_key": push["key"]["private"], "vapid_claims": {"sub": "mailto:push@contoso.example"}}
    try:
        response = webpush(
            push["to"], push["text"], content_encoding=push["coding"], headers={"Urgency": "high"}, **signed
        )
    except WebPushException as error:
        print(json.dumps({"status": error.response.status_code, "words": error.message}))
    else:
        print(json.dumps({"status": response.status_code, "bytes": len(response.request.body or b"")}))
