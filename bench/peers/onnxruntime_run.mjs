// onnxruntime as a child that runs ONNX files: one request a line on the standard input, one line of JSON back.
//   node bench/peers/onnxruntime_run.mjs THREADS FOLDER_OF_NODE_MODULES
// {"model": FILE, "inputs": {NAME: [FILE, "float32" or "int64", EXTENTS]}, "outputs": {NAME: FILE}} -> {"seconds": ...}; what was
// read once is kept, and only the outputs named are written.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import path from "node:path";

const [threads, modules] = process.argv.slice(2);
const ort = createRequire(path.resolve(modules, "package.json"))("onnxruntime-node");
const sessions = new Map(), tensors = new Map();

async function kept(map, key, make) {
  if (!map.has(key)) map.set(key, await make());
  return map.get(key);
}

function openSession(model) {
  return ort.InferenceSession.create(model, { executionProviders: ["cpu"], intraOpNumThreads: Number(threads),
    interOpNumThreads: 1, graphOptimizationLevel: "all" });
}

function readTensor([file, type, extents]) {
  const bytes = new Uint8Array(readFileSync(file));
  const values = type === "int64" ? new BigInt64Array(bytes.buffer) : new Float32Array(bytes.buffer);
  return new ort.Tensor(type, values, extents);
}

async function run({ model, inputs, outputs }) {
  const session = await kept(sessions, model, () => openSession(model));
  const feeds = {};
  for (const [name, input] of Object.entries(inputs)) feeds[name] = await kept(tensors, input[0], () => readTensor(input));
  const begin = process.hrtime.bigint();
  const results = await session.run(feeds);
  const seconds = Number(process.hrtime.bigint() - begin) * 1e-9;
  for (const [name, file] of Object.entries(outputs ?? {})) writeFileSync(file, results[name].data);
  return { seconds };
}

console.log(JSON.stringify({ version: ort.env.versions?.node ?? ort.env.versions?.common }));
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await run(JSON.parse(line))));
}
