// Committed reports open without a complaint, light and dark. Arguments: files.
import assert from "node:assert/strict";
import {pathToFileURL} from "node:url";
import {expectNone, launch, openPage} from "./browser.mjs";

const browser = await launch();
for (const file of process.argv.slice(2)) {
  for (const colorScheme of ["light", "dark"]) {
    const complaints = [];
    const context = await browser.newContext({colorScheme, offline: true});
    const page = await openPage(context, complaints);
    await page.goto(pathToFileURL(file).href);
    const [words, ground, text] = await page.evaluate(() => [
      document.body.innerText.split(/\s+/).length, getComputedStyle(document.body).backgroundColor,
      getComputedStyle(document.body).color]);
    assert.ok(words > 50, `${file} shows ${words} words`);
    assert.notEqual(ground, text);
    // Nothing sticks out sideways on a laptop's screen.
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${file} is too wide`);
    expectNone(complaints);
    await context.close();
    console.log(`${file} ${colorScheme}: ${words} words, text ${text} on ${ground}`);
  }
}
await browser.close();
