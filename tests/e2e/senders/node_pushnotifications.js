// Sends one notification of each type with the library "node-pushnotifications", and prints what it reports.
'use strict';

const PushNotifications = require('node-pushnotifications');

const { uri, client_id, client_secret } = JSON.parse(process.argv[2]);

const send = async (type, notificationMethod, data) => {
  const push = new PushNotifications({ wns: { client_id, client_secret, notificationMethod } });
  const [{ success, failure, message }] = await push.send([{ id: uri, type: PushNotifications.WNS }], data);
  console.log(JSON.stringify({ type, success, failure, error: message[0].errorMsg || null }));
};

(async () => {
  await send('toast', 'sendToastText01', { text1: 'Grüße' });
  await send('tile', 'sendTileSquareText02', { text1: 'one', text2: 'two' });
  await send('badge', 'sendBadge', { value: 7 });
  await send('raw', 'sendRaw', { key: 'value' });
})();
