// COCO's run lengths: down the columns, the first of zeros; six bits a character, from the fourth
// run on as the difference to the run before the last.

/** {size: [height, width], counts: text} -> {width, height, runs} */
export function parseRle(rle) {
  const runs = [];
  for (let at = 0; at < rle.counts.length;) {
    let value = 0, shift = 0, more = true;
    while (more) {
      const c = rle.counts.charCodeAt(at++) - 48;
      value |= (c & 31) << shift;
      more = (c & 32) !== 0;
      shift += 5;
      if (!more && (c & 16)) value |= -1 << shift;
    }
    if (runs.length > 2) value += runs[runs.length - 2];
    runs.push(value);
  }
  return {height: rle.size[0], width: rle.size[1], runs};
}

/** Pixels of the mask, 0 or 1 each, in rows, at the size `width` x `height`: the nearest ones. */
export function rasterize({width: fullWidth, height: fullHeight, runs}, width, height) {
  const columns = new Uint8Array(fullWidth * fullHeight);
  let at = 0;
  runs.forEach((length, i) => {
    if (i % 2) columns.fill(1, at, at + length);
    at += length;
  });
  const pixels = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const row = Math.min(fullHeight - 1, Math.floor((y + 0.5) * fullHeight / height));
    for (let x = 0; x < width; x++) {
      const column = Math.min(fullWidth - 1, Math.floor((x + 0.5) * fullWidth / width));
      pixels[y * width + x] = columns[column * fullHeight + row];
    }
  }
  return pixels;
}
