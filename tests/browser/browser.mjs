// What the browser tests share: Chromium, its two colour schemes, and a list of everything a page complains about.
import assert from "node:assert/strict";
import {createRequire} from "node:module";

const {chromium} = createRequire(`${process.env.TENON_BROWSER_MODULES}/`)("playwright-core");

export function launch() {
  return chromium.launch({
    executablePath: process.env.TENON_CHROMIUM,
    // Containers have no user namespaces for Chromium's own sandbox; pages here are ours.
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });
}

/** A page in the colour scheme; `complaints` collects errors of the console, of scripts and of loading. */
export async function openPage(context, complaints) {
  const page = await context.newPage();
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`script: ${error.message}`));
  page.on("requestfailed", (request) => complaints.push(`failed: ${request.url()} ${request.failure()?.errorText}`));
  page.on("response", (answer) => {
    if (answer.status() >= 400) complaints.push(`${answer.status()}: ${answer.url()}`);
  });
  return page;
}

/** Asks the page until it says yes. Not waitForFunction, which the page's content policy forbids. */
export async function until(page, condition, argument) {
  const deadline = Date.now() + 30_000;
  while (!await page.evaluate(condition, argument)) {
    const status = await page.textContent("#status");
    assert.ok(Date.now() < deadline, `waited in vain for ${condition} of ${argument}; the page says: ${status}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

export function expectNone(complaints) {
  assert.deepEqual(complaints, [], "a page complained");
}
