// Tells the page's server, and the pages that are open, what it got, and shows it.
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("push", (event) => event.waitUntil(take(event.data === null ? "" : event.data.text())));

async function take(text) {
  await fetch("seen", { method: "POST", body: text });
  for (const client of await self.clients.matchAll({ includeUncontrolled: true })) client.postMessage(text);
  await self.registration.showNotification("Tocsin", { body: text });
}

// The push server has forgotten the subscription: subscribe anew, as a site does, and tell the page's server.
self.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(renew(event.oldSubscription)));

async function renew(old) {
  const subscription = await self.registration.pushManager.subscribe(old.options);
  await fetch("subscribed", { method: "POST", body: JSON.stringify(subscription) });
}
