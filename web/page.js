import * as api from "/api.js";
import {drawMarks, drawMasks} from "/draw.js";

const at = (id) => document.getElementById(id);
// A canvas larger than this on a side shows no more on a screen and costs memory.
const MOST_SIDE = 2048;
// A press that moves further, in pixels of the screen, is a box.
const DRAG = 5;

let picture = null;      // {id, width, height, file}
let points = [];         // [x, y, label]
let box = null;          // [x0, y0, x1, y1]
let found = [];          // masks that are shown
let foundAll = false;    // by "everything"
let pressed = null;      // where a press began: {x, y, clientX, clientY}

// ---- what is asked: one request at a time, and of those that wait only the last one

let next = null, busy = false;
async function ask(job, {preview = false} = {}) {
  if (preview && next && !next.preview) return;
  next = Object.assign(job, {preview});
  if (busy) return;
  busy = true;
  while (next) {
    const now = next;
    next = null;
    try {
      await now();
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      say(error.message, true);
    }
  }
  busy = false;
}

/** work(id) for the picture; once more where the server has dropped it in the meantime. */
async function withPicture(work) {
  try {
    return await work(picture.id);
  } catch (error) {
    if (error.code !== "no_such_image") throw error;
    picture.id = (await api.upload(picture.file)).id;
    return work(picture.id);
  }
}

const prompt = () => (box ? {points, box} : {points});
const isPrompted = () => points.length > 0 || box !== null;

// ---- what is shown

function say(text, bad = false) {
  at("status").textContent = text;
  at("status").classList.toggle("bad", bad);
}

const milliseconds = (seconds) => (seconds < 1 ? `${(seconds * 1000).toFixed(1)} ms` : `${seconds.toFixed(2)} s`);

function show(masks, {preview = false, all = false} = {}) {
  foundAll = all && masks.length > 0;
  found = preview ? [] : masks;
  drawMasks(at("masks"), masks, preview ? 70 : 128);
  mark(box);
  const one = masks.length === 1 ? masks[0] : null;
  at("count").textContent = masks.length || "–";
  at("iou").textContent = one ? one.predicted_iou.toFixed(3) : "–";
  at("area").textContent = one ? one.area : "–";
  at("undo").disabled = points.length === 0 && !box;
  at("clear").disabled = found.length === 0 && !isPrompted();
  at("png").disabled = at("rle").disabled = found.length === 0;
}

/** Prompts, at the resolution of the screen. */
function mark(shownBox) {
  const canvas = at("marks"), frame = canvas.getBoundingClientRect();
  canvas.width = Math.max(1, Math.round(frame.width * devicePixelRatio));
  canvas.height = Math.max(1, Math.round(frame.height * devicePixelRatio));
  drawMarks(canvas, canvas.width / picture.width, points, shownBox);
}

function clear() {
  points = [];
  box = null;
  if (picture) show([]);
}

async function timed(work) {
  const begin = performance.now();
  const answer = await withPicture(work);
  at("latency").textContent = milliseconds(answer.seconds.masks);
  at("trip").textContent = milliseconds((performance.now() - begin) / 1000);
  return answer.masks;
}

// ---- pictures

async function open(file) {
  if (!file) return;
  say("Encoding the picture …");
  clear();
  const bitmap = await createImageBitmap(file).catch(() => null);
  const answer = await api.upload(file);
  if (!bitmap) throw new api.ApiError("The server reads this picture, but this browser cannot show it.");
  if (picture) api.drop(picture.id).catch(() => {});
  const shrink = Math.min(1, MOST_SIDE / Math.max(answer.width, answer.height));
  picture = {id: answer.id, width: answer.width, height: answer.height, file};
  for (const id of ["picture", "masks"]) {
    at(id).width = Math.max(1, Math.round(answer.width * shrink));
    at(id).height = Math.max(1, Math.round(answer.height * shrink));
  }
  at("picture").getContext("2d").drawImage(bitmap, 0, 0, at("picture").width, at("picture").height);
  // Small pictures are shown larger, in whole pixels; tall ones as high as the window has room.
  const larger = Math.max(1, Math.floor(640 / answer.width)) * at("picture").width;
  at("picture").style.width = `${Math.min(larger, 0.82 * innerHeight * answer.width / answer.height)}px`;
  at("drop").hidden = true;
  at("view").hidden = false;
  at("everything").disabled = at("other").disabled = false;
  at("size").textContent = `${answer.width} × ${answer.height}`;
  at("encode").textContent = milliseconds(answer.seconds.encode);
  show([]);
  say(["Click on an object.", ...answer.notes.map((note) => `Note: ${note}.`)].join(" "));
}

// ---- clicks

/** The pixel of the picture under the pointer. */
function place(event) {
  const frame = at("marks").getBoundingClientRect();
  const to = (client, begin, length, pixels) =>
    Math.min(pixels - 1, Math.max(0, Math.floor((client - begin) / length * pixels)));
  return {x: to(event.clientX, frame.left, frame.width, picture.width),
          y: to(event.clientY, frame.top, frame.height, picture.height)};
}

const isDrag = (event) =>
  Math.hypot(event.clientX - pressed.clientX, event.clientY - pressed.clientY) > DRAG;

function boxTo(event) {
  const {x, y} = place(event);
  return [Math.min(x, pressed.x), Math.min(y, pressed.y), Math.max(x, pressed.x), Math.max(y, pressed.y)];
}

function findPrompted() {
  const wanted = prompt();
  ask(async () => {
    const masks = await timed((id) => api.masks(id, wanted));
    if (isPrompted()) show(masks);
  });
}

at("marks").addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  pressed = {...place(event), clientX: event.clientX, clientY: event.clientY};
  at("marks").setPointerCapture(event.pointerId);
});

at("marks").addEventListener("pointermove", (event) => {
  if (pressed) {
    if (isDrag(event)) mark(boxTo(event));
    return;
  }
  if (isPrompted() || foundAll) return;
  const {x, y} = place(event);
  ask(async () => {
    if (isPrompted() || foundAll) return;
    const masks = await timed((id) => api.masks(id, {points: [[x, y, 1]]}));
    if (!isPrompted()) show(masks, {preview: true});
  }, {preview: true});
});

at("marks").addEventListener("pointerleave", () => {
  if (isPrompted() || foundAll || pressed || !picture) return;
  ask(async () => { if (!isPrompted() && !foundAll) show([]); }, {preview: true});
});

at("marks").addEventListener("pointerup", (event) => {
  if (!pressed) return;
  if (isDrag(event)) box = boxTo(event);
  else points = [...points, [pressed.x, pressed.y, event.shiftKey ? 0 : 1]];
  pressed = null;
  mark(box);
  say("Click to add, shift-click to take away, drag a new box.");
  findPrompted();
});

at("marks").addEventListener("pointercancel", () => { pressed = null; });

at("marks").addEventListener("keydown", (event) => {
  if (event.key === "Escape") clear();
});

// ---- buttons

/** Shows how far "everything" of a picture is, until `over` says that it has come to its end. */
async function watch(id, over) {
  const begin = performance.now();
  for (;;) {
    await new Promise((done) => setTimeout(done, 250));
    // Where the picture has gone, the request itself says so.
    const answer = over() ? null : await api.image(id).catch(() => null);
    if (over() || !answer) break;
    if (!answer.everything) continue;
    const {done, all} = answer.everything;
    Object.assign(at("progress"), {hidden: false, max: all, value: done});
    const left = (performance.now() - begin) / 1000 * (all - done) / done;
    say(`Looking for everything: ${done} of ${all} clicks${done ? `, ${Math.ceil(left)} s left` : ""}.`);
  }
}

at("everything").addEventListener("click", () => {
  clear();
  say("Looking for everything …");
  ask(async () => {
    const settings = {points_per_side: Number(at("grid").value)};
    let over = false;
    const masks = await timed((id) => {
      watch(id, () => over);
      return api.everything(id, settings).finally(() => {
        over = at("progress").hidden = true;
      });
    });
    show(masks, {all: true});
    say(masks.length ? `${masks.length} masks.` : "No mask is certain enough.");
  });
});

at("undo").addEventListener("click", () => {
  if (points.length) points = points.slice(0, -1);
  else box = null;
  if (isPrompted()) findPrompted();
  else clear();
});

at("clear").addEventListener("click", clear);

function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** The picture with the masks on it, as it is on the screen. */
function drawn() {
  const canvas = document.createElement("canvas");
  canvas.width = at("picture").width;
  canvas.height = at("picture").height;
  for (const id of ["picture", "masks"]) canvas.getContext("2d").drawImage(at(id), 0, 0);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

at("png").addEventListener("click", async () => {
  if (foundAll) {
    save("masks.png", await drawn());
    return;
  }
  const wanted = {...prompt(), png: true};
  ask(async () => {
    const masks = await timed((id) => api.masks(id, wanted));
    const bytes = Uint8Array.from(atob(masks[0].png), (c) => c.charCodeAt(0));
    save("mask.png", new Blob([bytes], {type: "image/png"}));
  });
});

at("rle").addEventListener("click", () => {
  save("masks.json", new Blob([JSON.stringify(found)], {type: "application/json"}));
});

at("other").addEventListener("click", () => at("file").click());
at("file").addEventListener("change", () => {
  ask(() => open(at("file").files[0]).finally(() => { at("file").value = ""; }));
});

for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    at("stage").classList.toggle("over", kind === "dragover");
    const file = kind === "drop" ? event.dataTransfer.files[0] : null;
    if (file) ask(() => open(file));
  });
}

addEventListener("resize", () => { if (picture) mark(box); });
addEventListener("pagehide", () => { if (picture) api.drop(picture.id).catch(() => {}); });

api.health().then((server) => {
  at("model").textContent = `${server.model} on ${server.device}, Tenon ${server.version}`;
}, (error) => say(error.message, true));
