#!/usr/bin/env bash
# webpush-rs leaves the port out of the audience that its VAPID token names, so that the token is for another origin.
#
# Seen with webpush-rs 0.1.4 on Linux, Python 3.11: for an endpoint of http://127.0.0.1:PORT the claim aud is
# http://127.0.0.1. RFC 8292 section 2 wants the origin of the push resource there, to which the port belongs where it is not
# that of the scheme (RFC 6454 section 6.2), so a push service on such a port that compares the two refuses each push.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install -q webpush-rs==0.1.4 cryptography==50.0.2
cat >try.py <<'EOF'
import base64
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from webpush_rs import send_one

tokens = []


class PushService(BaseHTTPRequestHandler):
    def do_POST(self):
        tokens.append(self.headers["Authorization"].partition("t=")[2].partition(",")[0])
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.end_headers()

    def log_message(self, *arguments):
        pass


def text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


server = HTTPServer(("127.0.0.1", 0), PushService)
threading.Thread(target=server.serve_forever, daemon=True).start()
origin = f"http://127.0.0.1:{server.server_port}"
device, sender = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
p256dh = text(device.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))
private = text(sender.private_numbers().private_value.to_bytes(32, "big"))
assert send_one(f"{origin}/push", p256dh, text(os.urandom(16)), private, "mailto:a@b.example", b"hello") == 201
claims = tokens[0].split(".")[1]
audience = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["aud"]
assert audience != origin, "CHANGED: the audience has the port"
assert audience == "http://127.0.0.1", audience
print(f"as described: the endpoint is of {origin}, and the token for {audience}")
EOF
venv/bin/python try.py
