// What the Continue extensions talk to models with: node continue-adapters.cjs URL KEY MODEL PROMPT
// SCENARIO. The loop is ours; requests and streams are the library's.
const { constructLlmApi } = require("@continuedev/openai-adapters");
const { url, key, model, prompt, aborter, drive, tools } = require("./driver.cjs");

const api = constructLlmApi({ provider: "openai", apiKey: key, apiBase: `${url}/` });
const messages = [{ role: "user", content: prompt }];
const offered = tools.map(({ run, ...each }) => ({ type: "function", function: each }));

// One message of the stream. Like the extension it appends fragments without an id to the last call.
async function next() {
  const request = { model, messages, stream: true, ...(offered.length && { tools: offered }) };
  let content = "";
  const calls = [];
  for await (const chunk of api.chatCompletionStream(request, aborter.signal)) {
    const delta = chunk.choices[0]?.delta;
    content += delta?.content ?? "";
    for (const { id, function: { name, arguments: piece } } of delta?.tool_calls ?? []) {
      if (id) calls.push({ id, type: "function", function: { name, arguments: "" } });
      calls.at(-1).function.arguments += piece ?? "";
    }
  }
  return { content, calls };
}

drive(async () => {
  for (;;) {
    const { content, calls } = await next();
    if (!calls.length) return content;
    messages.push({ role: "assistant", content, tool_calls: calls });
    for (const call of calls) {
      const { run } = tools.find(({ name }) => name === call.function.name);
      const result = run(JSON.parse(call.function.arguments));
      messages.push({ role: "tool", tool_call_id: call.id, content: result });
    }
  }
});
