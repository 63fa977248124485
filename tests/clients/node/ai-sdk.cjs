// The Vercel AI SDK as it is used: node ai-sdk.cjs URL KEY MODEL PROMPT SCENARIO MODE.
// MODE: openai-compatible (streamText), openai (createOpenAI().chat), generate (generateText).
const { generateText, streamText, stepCountIs, tool, jsonSchema } = require("ai");
const { createOpenAI } = require("@ai-sdk/openai");
const { createOpenAICompatible } = require("@ai-sdk/openai-compatible");
const { url, key, model, prompt, aborter, drive, tools } = require("./driver.cjs");

const mode = process.argv[7];
const connection = { baseURL: url, apiKey: key, name: "massgen" };
const request = {
  model: mode === "openai" ? createOpenAI(connection).chat(model)
    : createOpenAICompatible({ ...connection, includeUsage: true })(model),
  prompt,
  abortSignal: aborter.signal,
  stopWhen: stepCountIs(5),
  tools: Object.fromEntries(tools.map(({ name, description, parameters, run }) => (
    [name, tool({ description, inputSchema: jsonSchema(parameters), execute: run })]))),
};

async function stream() {
  let text = "";
  for await (const part of streamText({ ...request, onError() {} }).fullStream) {
    if (part.type === "text-delta") text += part.text;
    if (part.type === "error") throw part.error;
    if (part.type === "abort") throw new Error("aborted");
  }
  return text;
}

drive(async () => mode === "generate" ? (await generateText(request)).text : stream());
