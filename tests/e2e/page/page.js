// Uses the page of a service as people do, in Chromium: told what by its one argument, in JSON; reports one line of JSON a step.
"use strict";

const { barriers, barriersOfAll, report, told, using } = require("./looking.js");

// Press Tab until that element has the focus, as who has no mouse.
const tabTo = async (page, selector) => {
  for (let presses = 1; presses <= 40; presses += 1) {
    await page.keyboard.press("Tab");
    const there = await page.evaluate((wanted) => document.activeElement?.matches(wanted) ?? false, selector);
    if (there) return presses;
  }
  throw new Error(`Tab does not lead to ${selector}`);
};

const answerOf = async (page, words) => {
  await page.locator("#answer", { hasText: words }).waitFor();
  return page.locator("#answer").innerText();
};

const newestOf = async (page, words) => {
  const row = page.locator("#push-rows tr", { hasText: words }).first();
  await row.waitFor();
  return row.innerText();
};

const steps = {
  async sends(page) {
    await page.goto(told.url);
    await page.locator("#moment", { hasText: "Live" }).waitFor();
    await page.selectOption("#channel", told.channel);
    await page.fill("#title", "Ann");
    await page.fill("#body", "Lunch?");
    await page.click("#send button");
    const answer = await answerOf(page, "200 OK");
    report("sends", { answer, row: await newestOf(page, "toast"), focused: await page.evaluate(() => document.activeElement.id) });
  },

  async is_refused(page) {
    await page.fill("#tag", "a tag with blanks");
    await page.click("#send button");
    const answer = await answerOf(page, "refused");
    report("is_refused", { answer, row: await newestOf(page, "X-WNS-Tag"), url: page.url() });
  },

  async pauses(page) {
    await page.fill("#tag", "");
    await page.click("#pause");
    const before = await page.locator("#push-rows tr").count();
    await page.click("#send button");
    await page.locator("#news", { hasText: "1 more row waits" }).waitFor();
    const paused = await page.locator("#push-rows tr").count();
    await page.click("#pause");
    await page.waitForFunction((n) => document.querySelectorAll("#push-rows tr").length === n, before + 1);
    report("pauses", { came: paused - before });
  },

  has_no_barriers: (page) => barriersOfAll(page, "page"),

  async needs_no_mouse(page) {
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.goto(told.url);
    await page.locator("#moment", { hasText: "Live" }).waitFor();
    await page.keyboard.press("Tab");
    const first = await page.evaluate(() => document.activeElement.textContent);
    await page.keyboard.press("Enter"); // skips to the form
    await tabTo(page, "#type");
    await page.keyboard.type("raw");
    await tabTo(page, "#body");
    await page.keyboard.type("no mouse");
    await tabTo(page, "#send button");
    const seen = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    await page.keyboard.press("Enter");
    report("needs_no_mouse", { first, seen, answer: await answerOf(page, "200 OK") });
  },

  async needs_no_script(page, context) {
    const browser = context.browser();
    const still = await browser.newContext({ javaScriptEnabled: false });
    const plain = await still.newPage();
    await plain.goto(told.url);
    const rows = await plain.locator("#push-rows tr").count();
    const moment = await plain.locator("#moment").innerText();
    await plain.selectOption("#type", "raw");
    await plain.fill("#body", "no script");
    await plain.click("#send button");
    report("needs_no_script", {
      rows, moment, answer: await answerOf(plain, "200 OK"), body: await plain.inputValue("#body"),
    });
    await still.close();
  },

  async asks_for_the_token(page) {
    await page.goto(told.locked);
    const locked = await barriers(page);
    await page.keyboard.type("not it");
    await page.keyboard.press("Enter");
    await page.locator("[role=alert]").waitFor();
    await page.fill("#token", told.token);
    await page.keyboard.press("Enter");
    await page.locator("#standing").waitFor();
    const cookies = await page.evaluate(() => document.cookie);
    const heading = await page.locator("h1").innerText();
    await page.click("text=Log out");
    await page.locator("#token").waitFor();
    report("asks_for_the_token", { barriers: locked, cookies, heading });
  },
};

using(steps);
