// Sends one notification of each type with the library "wns", and prints what it reports, one JSON object a line.
'use strict';

const wns = require('wns');

const { uri, client_id, client_secret } = JSON.parse(process.argv[2]);
const options = () => ({ client_id, client_secret });

const report = (type) => (error, result) => {
  const { statusCode, headers, newAccessToken } = error || result;
  console.log(JSON.stringify({
    type,
    error: error ? error.message : null,
    status: statusCode,
    notification: headers && headers['x-wns-notificationstatus'],
    token: typeof newAccessToken,
  }));
};

wns.sendToastText01(uri, 'Grüße', options(), report('toast'));
wns.sendTileSquareText02(uri, 'one', 'two', options(), report('tile'));
wns.sendBadge(uri, 7, options(), report('badge'));
wns.sendRaw(uri, JSON.stringify({ key: 'value' }), options(), report('raw'));
