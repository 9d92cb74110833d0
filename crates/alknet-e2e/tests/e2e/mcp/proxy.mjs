// Stands between the conformance suite, which knows neither tokens nor certificates, and a node: adds a token, and calls
// the operations that were made for the suite by the names that it wants.
//
// usage: proxy.mjs URL PREFIX PORT, with the token in the first line of standard input. Prints its own address.
import http from "node:http";
import https from "node:https";
import readline from "node:readline";

const [target, prefix, port] = process.argv.slice(2);
const input = readline.createInterface({ input: process.stdin });
const token = (await input[Symbol.asyncIterator]().next()).value;
const agent = new https.Agent({ keepAlive: true, rejectUnauthorized: false });

const inbound = (text) => text.replace(/"name":"(test_|json_schema_)/g, `"name":"${prefix}$1`);
const outbound = (text) => text.replaceAll(`"name":"${prefix}`, '"name":"');

const server = http.createServer(async (request, response) => {
  let body = "";
  for await (const chunk of request.setEncoding("utf8")) body += chunk;
  body = Buffer.from(inbound(body));
  const headers = { ...request.headers, authorization: `Bearer ${token}` };
  if (body.length > 0) headers["content-length"] = body.length;
  const forwarded = https.request(target, { agent, method: request.method, headers }, (answer) => {
    const head = { ...answer.headers };
    delete head["content-length"];
    response.writeHead(answer.statusCode, head);
    response.flushHeaders();
    // Events are whole when there is an empty line behind them.
    let rest = "";
    answer.setEncoding("utf8");
    answer.on("data", (chunk) => {
      rest += chunk;
      const end = rest.lastIndexOf("\n\n");
      if (end < 0) return;
      response.write(outbound(rest.slice(0, end + 2)));
      rest = rest.slice(end + 2);
    });
    answer.on("end", () => response.end(outbound(rest)));
    answer.on("error", () => response.destroy());
  });
  forwarded.on("error", () => response.destroy());
  response.on("close", () => forwarded.destroy());
  forwarded.end(body);
});
server.listen(Number(port), "127.0.0.1", () => console.log(`http://localhost:${port}/mcp`));
