// Uses the page of an agent, which 'tocsin open' serves, as people do; pushes to apps of the agent meanwhile.
"use strict";

const { barriersOfAll, report, told, using } = require("./looking.js");

const push = async ({ token_url, client_id, client_secret, uri }, type, body) => {
  const form = { grant_type: "client_credentials", client_id, client_secret, scope: "notify.windows.com" };
  const { access_token } = await (await fetch(token_url, { method: "POST", body: new URLSearchParams(form) })).json();
  const headers = {
    Authorization: `Bearer ${access_token}`, "X-WNS-Type": `wns/${type}`,
    "Content-Type": type === "raw" ? "application/octet-stream" : "text/xml",
  };
  const answer = await fetch(uri, { method: "POST", headers, body });
  if (answer.headers.get("x-wns-status") !== "received") throw new Error(`not received: ${answer.status}`);
};

const rowOf = async (page, app, outcome) => {
  const row = page.locator("#push-rows tr", { hasText: app }).filter({ hasText: outcome }).first();
  await row.waitFor();
  return row.innerText();
};

const steps = {
  async is_let_in(page) {
    await page.goto(told.address);
    await page.locator("#moment", { hasText: "Live" }).waitFor();
    report("is_let_in", {
      url: page.url(), heading: await page.locator("h1").innerText(), cookies: await page.evaluate(() => document.cookie),
    });
  },

  async lets_no_other_in(page, context) {
    const other = await (await context.browser().newContext()).newPage();
    const answers = [];
    for (const url of [told.address, page.url()]) answers.push((await other.goto(url)).status());
    report("lets_no_other_in", { answers, words: await other.locator("body").innerText() });
    await other.context().close();
  },

  async shows_outcomes(page) {
    await push(told.mail, "raw", "hello");
    const handled = await rowOf(page, "contoso.mail", "handled");
    await push(told.mail, "toast", "<no toast>");
    const dead = await rowOf(page, "contoso.mail", "dead");
    await push(told.calendar, "raw", "wake up");
    const launched = await rowOf(page, "contoso.calendar", "launched");
    await rowOf(page, "contoso.calendar", "handled");
    await page.locator("#dead-rows tr", { hasText: "unreadable" }).waitFor();
    report("shows_outcomes", { handled, dead, launched, apps: await page.locator("#app-rows").innerText() });
  },

  has_no_barriers: (page) => barriersOfAll(page, "agent"),

  async needs_no_mouse(page) {
    await page.reload();
    await page.locator("#moment", { hasText: "Live" }).waitFor();
    await page.keyboard.press("Tab");
    const first = await page.evaluate(() => document.activeElement.textContent);
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab"); // behind where that leads
    report("needs_no_mouse", { first, next: await page.evaluate(() => document.activeElement.id) });
  },
};

using(steps);
