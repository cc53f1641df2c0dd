// Sends pushes with the library "@block65/webcrypto-web-push", and prints what it reports; pushes.js says how.
'use strict';

const { buildPushPayload } = require('@block65/webcrypto-web-push');
const { post, sendAll, subject } = require('./pushes.js');

sendAll(async ({ to, key, text }) => post(to.endpoint, await buildPushPayload(
  { data: text, options: { urgency: 'high', topic: 'news' } },
  { ...to, expirationTime: null },
  { subject, publicKey: key.public, privateKey: key.private },
)));
