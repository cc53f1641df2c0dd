// Sends one push after another, and prints what was reported, one JSON object a push.
// Argument: a JSON array; each has to, the subscription, key, the sender's or null, coding and text.
'use strict';

exports.subject = 'mailto:push@contoso.example';

/** Sends all, each with `send`, which returns what it prints. */
exports.sendAll = async (send) => {
  for (const push of JSON.parse(process.argv[2])) {
    let line;
    try {
      line = await send(push);
    } catch ({ statusCode = null, body, message }) {
      line = { status: statusCode, words: body || message };
    }
    console.log(JSON.stringify(line));
  }
};

/** Posts what a library has built, as its documentation shows, and returns what it was answered. */
exports.post = async (endpoint, request) => {
  const response = await fetch(endpoint, request);
  return { status: response.status, words: await response.text(), bytes: request.body.byteLength };
};
