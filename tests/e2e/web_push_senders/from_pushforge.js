// Sends pushes with the library "@pushforge/builder", and prints what it reports; pushes.js says how.
'use strict';

const { buildPushHTTPRequest } = require('@pushforge/builder');
const { post, sendAll, subject } = require('./pushes.js');

sendAll(async ({ to, key, text }) => {
  const { endpoint, headers, body } = await buildPushHTTPRequest({
    privateJWK: key.jwk,
    subscription: to,
    message: { payload: JSON.parse(text), adminContact: subject, options: { urgency: 'high', topic: 'news' } },
  });
  return post(endpoint, { method: 'POST', headers, body });
});
