// The page of `tenon serve`: clicks, boxes, everything, files, two tabs. The argument is a JSON file:
// {url, shots, scenes: [{picture, clicks: [{point, rle, png, iou}], everything}]}, masks from the command line.
import assert from "node:assert/strict";
import {readFileSync} from "node:fs";
import {join} from "node:path";
import {expectNone, launch, openPage, until} from "./browser.mjs";

const task = JSON.parse(readFileSync(process.argv[2], "utf8"));
const complaints = [];
const browser = await launch();

async function openTab(context, scene) {
  const page = await openPage(context, complaints);
  await page.goto(task.url);
  await until(page, () => document.getElementById("model").textContent !== "");
  await page.setInputFiles("#file", scene.picture);
  await page.locator("#view").waitFor();
  return page;
}

/** The point of the screen over a pixel of the picture. */
async function over(page, [x, y]) {
  const frame = await page.locator("#marks").boundingBox();
  const [width, height] = (await page.textContent("#size")).split(" × ").map(Number);
  return [frame.x + (x + 0.5) * frame.width / width, frame.y + (y + 0.5) * frame.height / height];
}

async function click(page, point, {shift = false} = {}) {
  const [x, y] = await over(page, point);
  if (shift) await page.keyboard.down("Shift");
  await page.mouse.click(x, y);
  if (shift) await page.keyboard.up("Shift");
}

/** Pixels of the canvas that a mask covers, and how many colours it has. */
const covered = (page) => page.evaluate(() => {
  const canvas = document.getElementById("masks");
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const colours = new Set();
  let count = 0;
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 3] === 0) continue;
    count++;
    if (data[i + 3] === 255) colours.add(`${data[i]},${data[i + 1]},${data[i + 2]}`);
  }
  return [count, colours.size];
});

async function download(page, button) {
  const [file] = await Promise.all([page.waitForEvent("download"), page.click(button)]);
  return readFileSync(await file.path());
}

const settled = (page, area) =>
  until(page, (wanted) => document.getElementById("area").textContent === String(wanted) &&
    !document.getElementById("png").disabled, area);

/** A click gives the mask of the command line: on the canvas and in both files. */
async function checkClick(page, wanted) {
  await click(page, wanted.point);
  await settled(page, wanted.area);
  assert.deepEqual(await covered(page), [wanted.area, 1]);
  assert.equal(Number(await page.textContent("#iou")), Number(wanted.iou.toFixed(3)));
  const [record] = JSON.parse(await download(page, "#rle"));
  assert.deepEqual(record.segmentation, wanted.segmentation);
  assert.ok((await download(page, "#png")).equals(readFileSync(wanted.png)), "another PNG than the command line's");
  await page.click("#clear");
  await until(page, () => document.getElementById("area").textContent === "–");
}

async function clear(page) {
  if (await page.isEnabled("#clear")) await page.click("#clear");
}

async function seconds(page, id) {
  const [value, unit] = (await page.textContent(id)).split(" ");
  return unit === "ms" ? Number(value) / 1000 : Number(value);
}

const [first, second] = task.scenes;
const context = await browser.newContext({viewport: {width: 1280, height: 900}, acceptDownloads: true});
const page = await openTab(context, first);
for (const wanted of first.clicks) await checkClick(page, wanted);
const trip = await seconds(page, "#trip"), latency = await seconds(page, "#latency");
assert.ok(latency > 0 && latency <= trip && trip < 5, `${latency} s of ${trip} s`);
console.log(`masks in ${latency} s, ${trip} s with the way there and back`);

// A preview under the pointer, which is no mask yet.
await page.mouse.move(...await over(page, first.clicks[0].point));
await until(page, (area) => document.getElementById("area").textContent === String(area), first.clicks[0].area);
assert.equal((await covered(page))[0], first.clicks[0].area);
assert.ok(await page.isDisabled("#png"));
await page.mouse.move(1, 1);
await until(page, () => document.getElementById("area").textContent === "–");

// A second point beside the object, then a box; undone and cleared.
await click(page, first.clicks[0].point);
await settled(page, first.clicks[0].area);
const requests = [];
page.on("request", (request) => { if (request.method() === "POST") requests.push(request.postDataJSON()); });
await click(page, [2, 3], {shift: true});
await until(page, () => document.getElementById("status").textContent.startsWith("Click to add"));
const [x0, y0, x1, y1] = first.clicks[0].box;
await page.mouse.move(...await over(page, [x0, y0]));
await page.mouse.down();
await page.mouse.move(...await over(page, [x1, y1]), {steps: 4});
await page.screenshot({path: join(task.shots, "box.png")});
await page.mouse.up();
await page.waitForTimeout(300);
const point = [...first.clicks[0].point, 1];
assert.deepEqual(requests[0], {points: [point, [2, 3, 0]]});
assert.deepEqual(requests.at(-1), {points: [point, [2, 3, 0]], box: [x0, y0, x1, y1]});
await page.click("#undo");
await page.waitForTimeout(100);
await page.click("#clear");

// Everything, in colours; how far it is, is shown until it is there.
const said = await page.evaluateHandle(() => {
  const texts = [];
  new MutationObserver(() => texts.push(document.getElementById("status").textContent))
    .observe(document.getElementById("status"), {childList: true});
  return texts;
});
await page.selectOption("#grid", "16");
await page.click("#everything");
await page.locator("#progress").waitFor();
await page.screenshot({path: join(task.shots, "everything_half.png")});
await until(page, () => /^\d+ masks/.test(document.getElementById("status").textContent));
const steps = (await said.jsonValue()).map((text) => /: (\d+) of (\d+) clicks/.exec(text)).filter(Boolean);
assert.ok(steps.length > 0 && steps.every(([, done, all]) => Number(done) < 256 && all === "256"), "no progress was shown");
assert.ok(await page.isHidden("#progress"));
await page.selectOption("#grid", "8");
await page.click("#everything");
await until(page, (count) => document.getElementById("count").textContent === String(count), first.everything);
assert.ok((await covered(page))[1] >= Math.min(first.everything, 2), "one colour for several masks");
assert.equal(JSON.parse(await download(page, "#rle")).length, first.everything);
assert.equal((await download(page, "#png")).subarray(1, 4).toString(), "PNG");
await page.screenshot({path: join(task.shots, "everything_light.png")});

// Two tabs at once, each with its own picture.
const other = await openTab(context, second);
for (let i = 0; i < 2; i++) {
  await Promise.all([clear(page), clear(other)]);
  await Promise.all([
    click(page, first.clicks[i].point).then(() => settled(page, first.clicks[i].area)),
    click(other, second.clicks[i].point).then(() => settled(other, second.clicks[i].area)),
  ]);
  assert.deepEqual([await covered(page), await covered(other)], [[first.clicks[i].area, 1], [second.clicks[i].area, 1]]);
}
await page.bringToFront();
await page.emulateMedia({colorScheme: "dark"});
await page.screenshot({path: join(task.shots, "click_dark.png")});

expectNone(complaints);
// A file that is no picture: one message, and the picture before stays.
await page.setInputFiles("#file", {name: "no.png", mimeType: "image/png", buffer: Buffer.from("no picture")});
await until(page, () => document.getElementById("status").classList.contains("bad"));
assert.match(await page.textContent("#status"), /known format/);
assert.ok(await page.isVisible("#view"));
await browser.close();
console.log("page: no complaint in two tabs");
