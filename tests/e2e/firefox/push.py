"""Pushes with pywebpush as its documentation shows: the subscription as the browser gave it, and the sender's key."""

import json
import sys

from pywebpush import WebPushException, webpush  # type: ignore[import-not-found]  # it has an environment of its own

told = json.loads(sys.argv[1])
for text in told["texts"]:
    try:
        answer = webpush(
            told["subscription"],
            text or None,
            vapid_private_key=told["key"],
            vapid_claims={"sub": "mailto:sender@example.org"},
            ttl=3_600,
        )
        print(answer.status_code)
    except WebPushException as refused:
        print(refused.response.status_code)
