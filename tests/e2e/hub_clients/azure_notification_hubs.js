// Takes every step of a hub with the library "@azure/notification-hubs", one JSON object a line.
// Argument: {"connection_string", "hub", "uris": [the first device's channel, the second's]}.
'use strict';

const hubs = require('@azure/notification-hubs');
const { step } = require('./steps.js');

const { connection_string, hub, uris: [first, second] } = JSON.parse(process.argv[2]);
const client = new hubs.NotificationHubsClient(connection_string, hub);

const TEMPLATE = '<toast><visual><binding template="ToastText01"><text id="1">$(message)</text></binding></visual></toast>';
const TOAST = '<toast launch="mail"><visual><binding template="ToastText01"><text id="1">Grüße</text></binding></visual></toast>';
const TILE = '<tile><visual><binding template="TileSquareText04"><text id="1">two</text></binding></visual></tile>';
const raw = (body) => hubs.createWindowsRawNotification({ body });

/** What a registration says of itself. */
const shown = ({ kind, registrationId, etag, tags, channelUri, expirationTime, bodyTemplate, templateName, wnsHeaders, pushVariables }) =>
  ({ kind, id: registrationId, etag, tags, uri: channelUri, expires: expirationTime, body: bodyTemplate, template: templateName, headers: wnsHeaders, variables: pushVariables });

const pages = async (list) => {
  const lengths = [];
  const found = [];
  for await (const page of list.byPage()) {
    lengths.push(page.length);
    found.push(...page.map(shown));
  }
  return { pages: lengths, found };
};

const messages = [];
const sent = ({ notificationId, trackingId, correlationId, location, successCount, failureCount, results, state }) => {
  if (location && location.includes('/messages/')) messages.push(notificationId);
  return { id: notificationId, tracking: trackingId, correlation: correlationId, location, success: successCount, failure: failureCount, results, state };
};

(async () => {
  const { id } = await step('registration id', async () => ({ id: await client.createRegistrationId() }));
  await step('registration put', async () => shown(await client.createOrUpdateRegistration(
    hubs.createWindowsRegistrationDescription({ registrationId: id, channelUri: first, tags: ['news', 'first'] }))));
  const made = await step('template made', async () => shown(await client.createRegistration(
    hubs.createWindowsTemplateRegistrationDescription({
      channelUri: second, tags: ['news', 'second'], templateName: 'greeting', bodyTemplate: TEMPLATE,
      wnsHeaders: { 'X-WNS-Type': 'wns/toast' }, pushVariables: { town: 'Łódź' },
    }))));
  await step('registration got', async () => shown(await client.getRegistration(id)));
  await step('registration updated', async () => {
    const registration = await client.getRegistration(id);
    registration.tags.push('sport');
    return shown(await client.updateRegistration(registration));
  });
  await step('all listed', () => pages(client.listRegistrations({ top: 1 })));
  await step('listed by tag', () => pages(client.listRegistrationsByTag('news')));
  await step('listed by channel', () => pages(client.listRegistrationsByChannel({ kind: 'windows', channelUri: first })));

  await step('installation put', async () => sent(await client.createOrUpdateInstallation(hubs.createWindowsInstallation({
    installationId: 'i-1', userId: 'ann', pushChannel: second, tags: ['weather'],
    templates: { forecast: { body: '{"text": "$(message)"}', headers: { 'X-WNS-Type': 'wns/raw' }, tags: ['forecasts'] } },
  }))));
  await step('installation got', () => client.getInstallation('i-1'));
  await step('installation patched', async () => sent(await client.updateInstallation('i-1', [
    { op: 'add', path: '/tags', value: 'storms' },
    { op: 'replace', path: '/userId', value: 'bob' },
  ])));
  await step('installation got again', () => client.getInstallation('i-1'));

  await step('raw sent', async () => sent(await client.sendNotification(raw('raw to the first'), { tagExpression: 'first && !second' })));
  await step('toast sent', async () => sent(await client.sendNotification(
    hubs.createWindowsToastNotification({ body: TOAST, headers: { 'X-WNS-Tag': 'greeting' } }), { tagExpression: '(sport || unused) && news' })));
  await step('tile sent', async () => sent(await client.sendNotification(
    hubs.createWindowsTileNotification({ body: TILE }), { tagExpression: '$InstallationId:{i-1}' })));
  await step('badge sent', async () => sent(await client.sendNotification(
    hubs.createWindowsBadgeNotification({ body: hubs.createWindowsBadgeNotificationBody({ value: 7 }) }),
    { tagExpression: hubs.createTagExpression(['first', 'storms']) })));
  await step('sent to all', async () => sent(await client.sendBroadcastNotification(raw('raw to all'))));
  await step('sent to one channel', async () => sent(await client.sendNotification(raw('raw to a channel'), { deviceHandle: second })));
  await step('batch sent', async () => sent(await client.sendNotification(raw('raw to a batch\r\n--nh'), { deviceHandle: [first, second] })));
  await step('template sent', async () => sent(await client.sendNotification(
    hubs.createTemplateNotification({ body: JSON.stringify({ message: 'Tom & "Ann"' }) }), { tagExpression: 'second || forecasts' })));
  await step('test sent', async () => sent(await client.sendNotification(raw('raw as a test'), { tagExpression: 'sport', enableTestSend: true })));

  const details = async (id) => {
    const { wnsOutcomeCounts, ...rest } = await client.getNotificationOutcomeDetails(id);
    return { ...rest, outcomes: wnsOutcomeCounts };
  };
  const { id: message } = await step('sent once more', async () => sent(await client.sendNotification(raw('looked after'), { tagExpression: 'sport' })));
  await step('state got', () => details(message));

  const { id: far } = await step('scheduled', async () => sent(await client.scheduleNotification(
    new Date(Date.now() + 3600e3), raw('never sent'), { tagExpression: 'first' })));
  await step('schedule cancelled', async () => sent(await client.cancelScheduledNotification(far)));
  await step('scheduled soon', async () => sent(await client.scheduleNotification(
    new Date(Date.now() + 2e3), raw('sent on time'), { tagExpression: 'first' })));
  await step('scheduled for all', async () => sent(await client.scheduleBroadcastNotification(
    new Date(Date.now() + 2e3), raw('sent to all on time'))));

  for (const id of messages) {  // what is deleted below is a target of some
    while (!(await client.getNotificationOutcomeDetails(id)).endTime);
  }
  await step('installation deleted', async () => sent(await client.deleteInstallation('i-1')));
  await step('template deleted', async () => sent(await client.deleteRegistration(made.id, { etag: made.etag })));
  await step('registration got without one', () => client.getRegistration(made.id));
  await step('installation got without one', () => client.getInstallation('i-1'));
  await step('feedback container', async () => ({ url: await client.getFeedbackContainerUrl() }));
  await step('jobs', async () => ({ jobs: await client.listNotificationHubJobs() }));
})();
