// Sends pushes with the library "web-push", and prints what it reports; pushes.js says how.
'use strict';

const webPush = require('web-push');
const { sendAll, subject } = require('./pushes.js');

sendAll(async ({ to, key, coding, text }) => {
  const vapidDetails = key && { subject, publicKey: key.public, privateKey: key.private };
  const { statusCode } = await webPush.sendNotification(to, text, {
    contentEncoding: coding, urgency: 'high', topic: 'news', ...key && { vapidDetails },
  });
  return { status: statusCode };
});
