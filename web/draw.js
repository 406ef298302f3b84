// Masks and prompts onto canvases.
import {parseRle, rasterize} from "/rle.js";

/** The colours of the command line's overlays (src/imaging/overlay.cc): steps of the golden angle. */
function colour(index) {
  const hue = (0.58 + 0.618033988749895 * index) % 1;
  return [0, 1, 2].map((c) => {
    const place = ((hue + (3 - c) / 3) % 1) * 6;
    const light = place < 1 ? 1 : place < 2 ? 2 - place : place < 4 ? 0 : place < 5 ? place - 4 : 1;
    return Math.round(30 + 225 * light);
  });
}

/** Draws masks over one another, large ones first; colours by index. `alpha` of 255. */
export function drawMasks(canvas, masks, alpha) {
  const context = canvas.getContext("2d");
  const {width, height} = canvas;
  const image = context.createImageData(width, height);
  const order = masks.map((_, i) => i).sort((a, b) => masks[b].area - masks[a].area);
  for (const i of order) {
    const [red, green, blue] = colour(i);
    const pixels = rasterize(parseRle(masks[i].segmentation), width, height);
    for (let p = 0; p < pixels.length; p++) {
      if (!pixels[p]) continue;
      const x = p % width;
      const border = x === 0 || x === width - 1 || !pixels[p - 1] || !pixels[p + 1] ||
        !pixels[p - width] || !pixels[p + width];
      image.data.set([red, green, blue, border ? 255 : alpha], 4 * p);
    }
  }
  context.putImageData(image, 0, 0);
}

/** Points (a ring on the object, a cross beside it) and a box, in pixels of the picture; `scale` to those of the canvas. */
export function drawMarks(canvas, scale, points, box) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  const size = 6 * devicePixelRatio;
  const stroke = (colour, width) => {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.stroke();
  };
  for (const [x, y, label] of points) {
    const u = (x + 0.5) * scale, v = (y + 0.5) * scale;
    context.beginPath();
    if (label) {
      context.arc(u, v, size, 0, 7);
      context.fillStyle = "#1fa64a";
      context.fill();
    } else {
      context.moveTo(u - size, v - size);
      context.lineTo(u + size, v + size);
      context.moveTo(u - size, v + size);
      context.lineTo(u + size, v - size);
      stroke("#d3222a", size * 0.8);
    }
    stroke("#ffffff", 2);
  }
  if (!box) return;
  context.beginPath();
  context.rect(box[0] * scale, box[1] * scale, (box[2] - box[0] + 1) * scale, (box[3] - box[1] + 1) * scale);
  stroke("#000000", 4);
  stroke("#ffffff", 2);
}
