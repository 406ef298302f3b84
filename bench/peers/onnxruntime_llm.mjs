// onnxruntime as a child that answers one line of JSON for each line of token ids: the seconds of one run and the likeliest
// next token.
//   node bench/peers/onnxruntime_llm.mjs MODEL.onnx THREADS FOLDER_OF_NODE_MODULES
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import path from "node:path";

const [model, threads, modules] = process.argv.slice(2);
const ort = createRequire(path.resolve(modules, "package.json"))("onnxruntime-node");
const session = await ort.InferenceSession.create(model, {
  executionProviders: ["cpu"],
  intraOpNumThreads: Number(threads),
  interOpNumThreads: 1,
  graphOptimizationLevel: "all",
});

async function run(ids) {
  const tensor = (values) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);
  const feeds = { ids: tensor(ids), positions: tensor(ids.map((_, i) => i)) };
  const begin = process.hrtime.bigint();
  const logits = (await session.run(feeds)).logits.data;
  const seconds = Number(process.hrtime.bigint() - begin) * 1e-9;
  let best = 0;
  for (let i = 1; i < logits.length; ++i) if (logits[i] > logits[best]) best = i;
  return { seconds, token: best };
}

await run([1, 2, 3]);
console.log(JSON.stringify({ version: ort.env.versions?.node ?? ort.env.versions?.common }));
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await run(line.split(",").map(Number))));
}
