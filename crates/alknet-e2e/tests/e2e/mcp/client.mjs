// The official SDK for TypeScript against a node, its second major version, or its first one.
//
// usage: client.mjs URL SDK SCENARIO, with the token in the first line of standard input. SDK is `v1`, `v2-legacy` or
// `v2-2026-07-28`. It fails with a stack, or prints what the scenario says.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import readline from "node:readline";

const [url, sdk, scenario] = process.argv.slice(2);
const require = createRequire(path.join(process.cwd(), "package.json"));
const load = async (name) => import(pathToFileURL(require.resolve(name)));
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const line = async () => (await lines.next()).value;
const say = (fields) => console.log(JSON.stringify(fields));

const requestInit = { headers: { Authorization: `Bearer ${await line()}` } };
const about = { name: "test", version: "1" };
let news;
const changed = new Promise((resolve) => (news = resolve));

async function connect() {
  if (sdk === "v1") {
    const { Client } = await load("@modelcontextprotocol/sdk/client/index.js");
    const { StreamableHTTPClientTransport } = await load("@modelcontextprotocol/sdk/client/streamableHttp.js");
    const client = new Client(about, { listChanged: { tools: { onChanged: (_, tools) => news(tools) } } });
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
    return [client, (request, options) => client.callTool(request, undefined, options)];
  }
  const { Client, StreamableHTTPClientTransport } = await load("@modelcontextprotocol/client");
  const mode = sdk === "v2-legacy" ? "legacy" : { pin: sdk.slice("v2-".length) };
  const listChanged = { tools: { onChanged: (_, tools) => news(tools) } };
  const client = new Client(about, { versionNegotiation: { mode }, listChanged });
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
  return [client, (request, options) => client.callTool(request, options)];
}

const [client, call] = await connect();
const tool = (name, args, options) => call({ name, arguments: args }, options);

const scenarios = {
  async terminal() {
    const { tools } = await client.listTools();
    assert.ok(tools.some((tool) => tool.name === "tty.spawn" && tool.outputSchema));
    const spawned = await tool("tty.spawn", { command: "/bin/cat" });
    const { id } = spawned.structuredContent;
    assert.deepEqual(JSON.parse(spawned.content[0].text), spawned.structuredContent);
    const bad = await tool("tty.spawn", { command: 5 });
    assert.ok(bad.isError && bad.content[0].text.includes("/command"));
    const declared = await tool("tty.spawn", { command: "/no/such/program" });
    assert.equal(declared._meta["alknet/error"].code, "SPAWN_FAILED");
    await assert.rejects(tool("config.reload", {}), (error) => error.code === -32602);
    await tool("tty.write", { id, text: "hello\n" });
    const progress = [];
    const onprogress = ({ message }) => {
      progress.push(JSON.parse(message));
      if (progress.length === 1) tool("tty.kill", { id });
    };
    const attached = await tool("tty.attach", { id }, { onprogress });
    assert.equal(attached.structuredContent.ended, "end");
    assert.deepEqual(attached.structuredContent.events, progress);
    say({ done: true });
  },

  async cancelled() {
    const { id } = (await tool("tty.spawn", { command: "/bin/cat" })).structuredContent;
    await tool("tty.write", { id, text: "x\n" });
    const abort = new AbortController();
    await assert.rejects(tool("tty.attach", { id }, { signal: abort.signal, onprogress: () => abort.abort() }));
    say({ id });
    await line();
    await tool("tty.kill", { id });
  },

  async changes() {
    say({ tools: (await client.listTools()).tools.length });
    say({ tools: (await changed).length });
  },
};

await scenarios[scenario]();
await client.close();
process.exit(0);
