// What the drivers of the Node libraries share: their arguments, their tools, and how they end.
const fs = require("node:fs");
const { once } = require("node:events");

const [url, key, model, prompt, scenario] = process.argv.slice(2);
const text = { type: "string" };
const tools = [
  {
    name: "read_file",
    description: "Returns the text of a file.",
    parameters: { type: "object", properties: { path: text }, required: ["path"] },
    run: ({ path }) => fs.readFileSync(path, "utf8"),
  },
  {
    name: "write_file",
    description: "Writes a file.",
    parameters: {
      type: "object", properties: { path: text, content: text }, required: ["path", "content"],
    },
    run: ({ path, content }) => (fs.writeFileSync(path, content), "written"),
  },
];
const aborter = new AbortController();

// Asks, and prints the message. On SIGINT the request is aborted by aborter.signal; libraries end
// it with an error or with what came so far.
async function drive(ask) {
  process.on("SIGINT", () => aborter.abort());
  let said = "";
  try {
    said = await ask();
  } catch (error) {
    if (!aborter.signal.aborted) {
      console.error(error);
      process.exitCode = 1;
      return;
    }
  }
  process.stdout.write(`${aborter.signal.aborted ? "cancelled" : said}\n`);
  process.stdin.resume();
  await once(process.stdin, "end");
}

const asked = { url, key, model, prompt };
module.exports = { ...asked, aborter, drive, tools: scenario === "question" ? [] : tools, all: tools };
