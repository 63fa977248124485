// The official Node SDK as it is used: node openai.cjs URL KEY MODEL PROMPT SCENARIO MODE.
// MODE: stream, whole (both with a tool loop of their own), runTools (the SDK's).
const OpenAI = require("openai");
const { url, key, model, prompt, aborter, drive, tools, all } = require("./driver.cjs");

const client = new OpenAI({ baseURL: url, apiKey: key });
const completions = client.chat.completions;
const messages = [{ role: "user", content: prompt }];
const options = { signal: aborter.signal };
const mode = process.argv[7];

const offered = tools.map(({ run, ...each }) => ({ type: "function", function: each }));
const request = offered.length ? { model, tools: offered } : { model };

async function next() {
  if (mode === "whole") return completions.create({ ...request, messages }, options);
  return completions.stream({ ...request, messages }, options).finalChatCompletion();
}

async function loop() {
  for (;;) {
    const [{ message }] = (await next()).choices;
    if (!message.tool_calls?.length) return message.content;
    messages.push(message);
    for (const call of message.tool_calls) {
      const { run } = tools.find(({ name }) => name === call.function.name);
      const content = run(JSON.parse(call.function.arguments));
      messages.push({ role: "tool", tool_call_id: call.id, content });
    }
  }
}

function runTools() { // always with tools: without any the SDK sends an empty list, a 400
  const runnable = all.map(({ run, ...each }) => (
    { type: "function", function: { ...each, function: run, parse: JSON.parse } }));
  return completions.runTools({ model, messages, tools: runnable, stream: true }, options)
    .finalContent();
}

drive(mode === "runTools" ? runTools : loop);
