#!/usr/bin/env bash
# A POST that offers HTTP/2 (curl --http2, Java's HttpClient over http://) reaches an application without its body (Kludex/uvicorn#2722).
#
# Seen with uvicorn 0.54.0 and httptools 0.9.0 on Linux, Python 3.11: the application gets 0 of 5 bytes, and the client
# its answer with 200. With h11 0.16.0 in the place of httptools, or without the offer, it gets all 5. RFC 9110 §7.8 lets
# a server ignore the offer, and then the request is one like any other.
set -euo pipefail
curl --version | grep -q HTTP2 || { echo "needs a curl that can offer HTTP/2"; exit 1; }
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install -q uvicorn==0.54.0 httptools==0.9.0 h11==0.16.0
cat >counting.py <<'EOF'
"""Answers with the number of bytes that a request's body had."""


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    count, more = 0, True
    while more:
        event = await receive()
        count += len(event.get("body", b""))
        more = event.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
    await send({"type": "http.response.body", "body": str(count).encode()})
EOF

counted() {  # parser, curl's option
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    venv/bin/python -m uvicorn counting:app --http "$1" --port "$port" --log-level critical &
    server=$!
    curl -s "$2" --retry 50 --retry-connrefused --retry-delay 0 --retry-max-time 10 -d hello "http://127.0.0.1:$port/"
    kill "$server"
    wait "$server" 2>/dev/null || true
}

[ "$(counted h11 --http2)" = 5 ] || { echo "h11 loses it too"; exit 1; }
[ "$(counted httptools --http1.1)" = 5 ] || { echo "it is lost without the offer too"; exit 1; }
[ "$(counted httptools --http2)" = 0 ] || { echo "CHANGED: the body arrives"; exit 1; }
echo "as described: no byte of the body arrives where HTTP/2 was offered"
