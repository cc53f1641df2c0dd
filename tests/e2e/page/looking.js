// How pages are looked at in Chromium: told what by the one argument of the program, in JSON; reports one line of JSON a step.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { chromium } = require("playwright-core");

const told = JSON.parse(process.argv[2]);
const AXE = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

const report = (step, fields) => console.log(JSON.stringify({ step, ...fields }));

// What keeps people from using the page. Playwright runs it past the policy of the page, which lets no script in.
const barriers = async (page) => {
  await page.evaluate(AXE);
  const { passes, violations } = await page.evaluate(() => window.axe.run());
  if (passes.length < 10) throw new Error("axe has not looked at the page");
  return violations.map(({ id, impact, nodes }) => ({ id, impact, where: nodes.map((node) => node.target.join(" ")) }));
};

// In light and dark, on a wide screen and a phone's; with a picture of each where pictures are wanted.
const barriersOfAll = async (page, name) => {
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [1280, 390]) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.setViewportSize({ width, height: 900 });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      report("has_no_barriers", { colorScheme, width, wide, barriers: await barriers(page) });
      if (told.pictures) {
        await page.screenshot({ path: path.join(told.pictures, `${name}-${colorScheme}-${width}.png`), fullPage: true });
      }
    }
  }
};

// Do all steps with one page, in a browser with a new folder for its data.
const using = async (steps) => {
  const browser = await chromium.launch({ executablePath: told.chromium, args: ARGUMENTS });
  try {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    context.setDefaultTimeout(20_000);
    const page = await context.newPage();
    page.on("pageerror", (error) => report("error", { words: error.message }));
    page.on("console", (said) => said.type() === "error" && report("error", { words: said.text() }));
    for (const step of Object.keys(steps)) await steps[step](page, context);
  } finally {
    await browser.close();
  }
};

module.exports = { barriers, barriersOfAll, report, told, using };
