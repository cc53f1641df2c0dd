"""The server of a notification hub, with the standard library alone: it sends a raw notification to a tag expression.

python examples/hub/send.py TAGS TEXT

HUB_SEND='Endpoint=sb://...' SSL_CERT_FILE=./push/dev-tls/ca.pem
"""

import base64
import hmac
import os
import sys
import time
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

parts = dict(part.split("=", 1) for part in os.environ["HUB_SEND"].split(";"))
url = parts["Endpoint"].replace("sb://", "https://") + "contoso-hub"

audience, end = quote(url.lower(), safe=""), int(time.time()) + 300
digest = hmac.digest(parts["SharedAccessKey"].encode(), f"{audience}\n{end}".encode(), "sha256")
signature = quote(base64.b64encode(digest), safe="")
headers = {
    "Authorization": f"SharedAccessSignature sr={audience}&sig={signature}&se={end}&skn={parts['SharedAccessKeyName']}",
    "ServiceBusNotification-Format": "windows",
    "ServiceBusNotification-Tags": sys.argv[1],  # such as: news && !sports
    "X-WNS-Type": "wns/raw",
    "Content-Type": "application/octet-stream",
}
request = Request(f"{url}/messages?api-version=2020-06", sys.argv[2].encode(), headers)  # noqa: S310 - the hub's own URL
try:
    with urlopen(request) as answer:  # noqa: S310 - as above
        print("the hub has taken it:", answer.status)
except HTTPError as refused:
    sys.exit(f"the hub says {refused.code}: {refused.read().decode()}")
