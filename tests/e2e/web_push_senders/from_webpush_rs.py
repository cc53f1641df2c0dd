"""Sends pushes with webpush-rs, which always has a key, and prints what it reports, one JSON object a push.

The argument is a JSON array; each has to, the subscription, key, the sender's, and text.
"""

import json
import re
import sys

from webpush_rs import send_one  # type: ignore[import-not-found]  # the test installs it

for push in json.loads(sys.argv[1]):
    endpoint, keys = push["to"]["endpoint"], push["to"]["keys"]
    said = push["key"]["private"], "mailto:push@contoso.example", push["text"].encode()
    try:
        print(json.dumps({"status": send_one(endpoint, keys["p256dh"], keys["auth"], *said)}))
    except RuntimeError as error:
        status = re.search(r"code ([0-9]{3})", str(error))  # 404 and 410 are returned, others are in words only
        print(json.dumps({"status": status and int(status[1]), "words": str(error)}))
