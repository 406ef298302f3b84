// The HTTP API of docs/http.md.

/** An answer other than 2xx, with the server's message and its code. */
export class ApiError extends Error {
  constructor(message, code = "") {
    super(message);
    this.code = code;
  }
}

async function call(path, options) {
  const answer = await fetch(path, options).catch(() => {
    throw new ApiError("The server cannot be reached.");
  });
  const text = await answer.text();
  const document = text ? JSON.parse(text) : null;
  if (!answer.ok) throw new ApiError(document?.error?.message ?? `HTTP ${answer.status}`, document?.error?.code);
  return document;
}

const json = (body) => ({
  method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body),
});

export const health = () => call("/health");
/** file: Blob -> {id, width, height, seconds: {decode, encode}} */
export const upload = (file) => call("/v1/images", {
  method: "POST", headers: {"Content-Type": "application/octet-stream"}, body: file,
});
export const drop = (id) => call(`/v1/images/${id}`, {method: "DELETE", keepalive: true});
/** -> {width, height, everything: null or {done, all} clicks} */
export const image = (id) => call(`/v1/images/${id}`);
/** prompt: {points: [[x, y, label]], box: [x0, y0, x1, y1]} -> {masks, seconds} */
export const masks = (id, prompt) => call(`/v1/images/${id}/masks`, json(prompt));
export const everything = (id, settings) => call(`/v1/images/${id}/everything`, json(settings));
