#!/usr/bin/env node
// Compares build/golden/chat_expected/expected.json (tools/make_chat_template_vectors.py) with npm's @huggingface/jinja, an
// implementation of chat templates that shares no code with jinja2.
//
//     npm install --prefix /some/folder @huggingface/jinja
//     node tools/check_chat_templates.mjs /some/folder
//
// Prints what differs; exit 1 where that is not in kKnown, with its reason.
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const folder = join(root, "tests/golden/chat_templates");
const require = createRequire(pathToFileURL(join(resolve(process.argv[2] ?? "."), "x.js")));
const { Template } = require("@huggingface/jinja");

// Where the two disagree, jinja2 counts: it is what transformers runs.
const kKnown = {
  "command_r_tool_use tools": "npm: no element of a dict by a key that is no string",
  "hermes_tools tools": "npm: no element of a dict by a key that is no string",
  "nemotron edge": "npm: no map over what is undefined",
  "nemotron tools": "npm: map applies no filters",
  "qwen_3_coder tools": "npm: |string of values other than text is JSON, not Python",
  "smollm_3 plain": "npm: lstrip ignores the characters it is given",
  "smollm_3 tools": "npm: no |string of dicts",
  "xlam": "npm: no tag with",
};

// It formats the present time; its one use is made to stand still, as in the Python tool.
const kNow = new Date(2026, 2, 7, 14, 5, 9);
const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...given) {
    super(...(given.length ? given : [kNow]));
  }
};

const tokens = { bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>", pad_token: "<pad>" };
const read = (name) => readFileSync(join(folder, name), "utf8");
const conversations = JSON.parse(read("conversations.json"));
const expected = JSON.parse(readFileSync(join(root, "build/golden/chat_expected/expected.json"), "utf8"));

function render(source, conversation) {
  try {
    const { messages, tools = null, documents = null, variables = {} } = conversation;
    const add_generation_prompt = conversation.add_generation_prompt ?? true;
    const text = new Template(source).render({
      messages, tools, documents, add_generation_prompt, ...tokens, ...variables });
    return { text };
  } catch (error) {
    return { error: error.message };
  }
}

let same = 0, known = 0, failed = 0;
for (const file of readdirSync(folder).filter((name) => name.endsWith(".jinja")).sort()) {
  const name = file.slice(0, -".jinja".length);
  for (const [conversation, wanted] of Object.entries(expected[name])) {
    const got = render(read(file), conversations[conversation]);
    const agrees = wanted.error !== undefined ? got.error !== undefined : got.text === wanted.text;
    const reason = kKnown[`${name} ${conversation}`] ?? kKnown[name];
    if (agrees) {
      ++same;
    } else if (reason) {
      ++known;
      console.log(`known: ${name}, ${conversation}: ${reason}`);
    } else {
      ++failed;
      console.log(`${name}, ${conversation}:\n  jinja2 ${JSON.stringify(wanted)}\n  npm    ${JSON.stringify(got)}`);
    }
  }
}
console.log(`${same} the same, ${known} differ for known reasons, ${failed} differ`);
process.exit(failed ? 1 : 0);
