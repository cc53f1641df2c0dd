// Takes every step of a hub with the library "azure-sb", one JSON object a line.
// Argument: {"connection_string", "hub", "uris": [the first device's channel, the second's]}.
'use strict';

const azure = require('azure-sb');
const { step } = require('./steps.js');

const { connection_string, hub, uris: [first, second] } = JSON.parse(process.argv[2]);
const service = azure.createNotificationHubService(hub, connection_string);

/** Calls a method that takes a callback; what the callback got after the error. */
const called = (object, name, ...args) => new Promise((resolve, reject) =>
  object[name](...args, (error, ...results) => error ? reject(error) : resolve(results)));
const hubCall = (name, ...args) => called(service, name, ...args);
const wns = (name, ...args) => called(service.wns, name, ...args);

const shown = ({ _: { ContentRootElement }, RegistrationId, ETag, ExpirationTime, Tags, ChannelUri, BodyTemplate, WnsHeaders }) =>
  ({ kind: ContentRootElement, id: RegistrationId, etag: ETag, expires: ExpirationTime, tags: Tags, uri: ChannelUri, body: BodyTemplate, headers: WnsHeaders });
const registration = async (call) => shown((await call)[0]);
const listed = async (call) => ({ found: (await call)[0].map(shown) });
const sent = async (call) => {
  const [{ statusCode, headers: { location } }] = await call;
  return { status: statusCode, location };
};

(async () => {
  const { id } = await step('registration id', async () => ({ id: (await hubCall('createRegistrationId'))[0] }));
  await step('registration put', () => registration(wns('createOrUpdateNativeRegistration', id, first, ['news', 'first'])));
  const { id: made } = await step('registration made', () => registration(wns('createNativeRegistration', first, 'twice')));
  await step('template made', () => registration(wns(
    'createToastText01Registration', second, ['news', 'second'], { text1: '$(message)' })));
  await step('raw template made', () => registration(wns(
    'createRawTemplateRegistration', second, 'forecasts', '{"text": "$(message)"}', { headers: { 'X-WNS-Type': 'wns/raw' } })));
  await step('registration got', () => registration(hubCall('getRegistration', id)));
  await step('registration updated', async () => {
    const [got] = await hubCall('getRegistration', id);
    got.Tags += ',sport';
    return registration(hubCall('updateRegistration', got));
  });
  await step('all listed', () => listed(hubCall('listRegistrations', { top: 3 })));
  await step('listed by tag', () => listed(hubCall('listRegistrationsByTag', 'news')));
  await step('listed by channel', () => listed(wns('listRegistrationsByChannel', first)));

  await step('installation put', () => sent(hubCall('createOrUpdateInstallation',
    { installationId: 'i-2', platform: 'wns', pushChannel: second, tags: ['weather'] })));
  await step('installation got', async () => (await hubCall('getInstallation', 'i-2'))[0]);
  await step('installation patched', () => sent(hubCall('patchInstallation', 'i-2', [{ op: 'add', path: '/tags', value: 'storms' }])));
  await step('installation got again', async () => (await hubCall('getInstallation', 'i-2'))[0]);

  await step('raw sent', () => sent(wns('sendRaw', 'first && !second', 'raw to the first')));
  await step('toast sent', () => sent(wns('sendToastText01', ['sport', 'unused'], { text1: 'Grüße' })));
  await step('tile sent', () => sent(wns('sendTileSquareText04', 'weather', { text1: 'two' })));
  await step('badge sent', () => sent(wns('sendBadge', 'sport', 7)));
  await step('sent to all', () => sent(wns('sendRaw', null, 'raw to all')));
  await step('template sent', () => sent(hubCall('send', 'second || forecasts', { message: 'Tom & "Ann"' })));
  await step('sent with headers', () => sent(wns('sendRaw', 'sport', 'with a time to live', { headers: { 'X-WNS-TTL': 600 } })));

  // What is deleted has no tag: what was sent may be on its way to the others still.
  await step('another installation put', () => sent(hubCall('createOrUpdateInstallation',
    { installationId: 'i-3', platform: 'wns', pushChannel: second })));
  const { id: template } = await step('another template made', () => registration(wns(
    'createToastText01Registration', second, null, { text1: 'never' })));
  await step('installation deleted', () => sent(hubCall('deleteInstallation', 'i-3')));
  await step('template deleted', () => sent(hubCall('deleteRegistration', template)));
  await step('registration deleted', () => sent(hubCall('deleteRegistration', made)));
  await step('registration got without one', () => registration(hubCall('getRegistration', made)));
  await step('installation got without one', async () => (await hubCall('getInstallation', 'i-3'))[0]);
})();
