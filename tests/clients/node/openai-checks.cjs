// The official Node SDK against a served team: node openai-checks.cjs URL KEY.
// What it checks is the same as in ../python_client.py.
const assert = require("node:assert/strict");
const OpenAI = require("openai");
const { VERSION } = require("openai/version");

const [baseURL, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 20_000 });
const messages = [{ role: "user", content: "Why is the sky blue?" }];
const ANSWER = "Because air scatters blue light most.";

const checks = {
  async "the teams are models"() {
    const names = [];
    for await (const model of client.models.list()) names.push(model.id);
    assert.deepEqual(names.slice(0, 1), ["trio"]);
    assert.equal((await client.models.retrieve("trio-single")).owned_by, "massgen");
  },

  async "a completion is OpenAI's, with the run's usage"() {
    const completion = await client.chat.completions.create({ model: "trio", messages });
    const [choice] = completion.choices;
    assert.equal(completion.object, "chat.completion");
    assert.equal(choice.message.content, ANSWER);
    assert.equal(choice.finish_reason, "stop");
    const { prompt_tokens, completion_tokens, total_tokens } = completion.usage;
    assert.ok(prompt_tokens > 0 && completion_tokens > 0);
    assert.equal(total_tokens, prompt_tokens + completion_tokens);
    assert.equal(completion.massgen.winner, "ada");
    assert.match(completion._request_id, /^req_/);
  },

  async "a stream brings the deliberation, then the message, then the usage"() {
    const stream = await client.chat.completions.create({
      model: "trio", messages, stream: true, stream_options: { include_usage: true },
    });
    let told = "", said = "", usage, reason;
    for await (const chunk of stream) {
      assert.equal(chunk.object, "chat.completion.chunk");
      usage = chunk.usage ?? usage;
      for (const { delta, finish_reason } of chunk.choices) {
        if (delta.reasoning_content) assert.equal(said, "", "all deliberation comes first");
        told += delta.reasoning_content ?? "";
        said += delta.content ?? "";
        reason = finish_reason ?? reason;
      }
    }
    assert.equal(said, ANSWER);
    assert.equal(reason, "stop");
    assert.ok(usage.total_tokens > 0);
    for (const line of ["ada answered.", "cleo voted for ada", "The team chose ada (votes: ada 3)."])
      assert.ok(told.includes(line), `${line} in ${told}`);
  },

  async "the streaming helper adds up to the completion"() {
    const stream = client.chat.completions.stream({ model: "trio", messages });
    const pieces = [];
    stream.on("content", (piece) => pieces.push(piece));
    const completion = await stream.finalChatCompletion();
    assert.equal(completion.choices[0].message.content, ANSWER);
    assert.equal(pieces.join(""), ANSWER);
    assert.ok(pieces.length > 1);
  },

  async "a stream can be left"() {
    const stream = await client.chat.completions.create({ model: "trio", messages, stream: true });
    for await (const chunk of stream) {
      assert.equal(chunk.choices[0].delta.role, "assistant");
      break;
    }
    assert.ok(stream.controller.signal.aborted);
  },

  async "a tool of the client is called, and its result is used"() {
    const asked = [];
    const read = ({ path }) => (asked.push(path), "blue");
    const parameters = { type: "object", properties: { path: { type: "string" } } };
    for (const stream of [false, true]) {
      const runner = client.chat.completions.runTools({
        model: "tooled", messages, stream,
        tools: [{ type: "function", function: { name: "read", description: "Read a file",
          function: read, parse: JSON.parse, parameters } }],
      });
      assert.equal(await runner.finalContent(), "The file says blue.");
    }
    assert.deepEqual(asked, ["sky.txt", "sky.txt"]);
  },

  async "an unknown model is OpenAI's 404"() {
    await refused({ model: "nobody", messages }, OpenAI.NotFoundError, 404, "model_not_found");
  },

  async "a wrong value is OpenAI's 400 with its param"() {
    const request = { model: "trio", messages, temperature: "hot" };
    const error = await refused(request, OpenAI.BadRequestError, 400, "invalid_type");
    assert.equal(error.param, "temperature");
    assert.equal(error.type, "invalid_request_error");
  },

  async "a wrong key is OpenAI's 401"() {
    const stranger = new OpenAI({ baseURL, apiKey: "a-wrong-key-0123456789", maxRetries: 0 });
    const error = await caught(() => stranger.models.list());
    assert.ok(error instanceof OpenAI.AuthenticationError);
    assert.equal(error.code, "invalid_api_key");
  },

  async "a provider's rate limit is one, with its wait"() {
    const request = { model: "limited", messages };
    const error = await refused(request, OpenAI.RateLimitError, 429, "rate_limit_exceeded");
    assert.equal(error.headers.get("retry-after"), "7");
  },

  async "a message that breaks off is an error of the stream, once"() {
    let said = "";
    const error = await caught(async () => {
      const stream = await client.chat.completions.create({
        model: "broken", messages, stream: true,
      });
      for await (const chunk of stream) said += chunk.choices[0]?.delta.content ?? "";
    });
    assert.ok(error instanceof OpenAI.APIError, String(error));
    assert.equal(error.code, "coordination_failed");
    assert.ok(ANSWER.startsWith(said) && said !== ANSWER);
  },
};

async function caught(action) {
  try {
    await action();
  } catch (error) {
    return error;
  }
  assert.fail("there was no error");
}

async function refused(request, kind, status, code) {
  const error = await caught(() => client.chat.completions.create(request));
  assert.ok(error instanceof kind, `${error}`);
  assert.equal(error.status, status);
  assert.equal(error.code, code);
  return error;
}

async function main() {
  console.log(`  openai ${VERSION}, Node ${process.versions.node}`);
  for (const [name, check] of Object.entries(checks)) {
    await check();
    console.log(`  ok: ${name}`);
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
