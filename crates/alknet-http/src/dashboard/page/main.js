
// From the token in the page to a page that keeps up with the node.

const EVERY = 2000;
const EVERY_WHEN_HIDDEN = 60000;
const SERVICES_EVERY = 5;

const meta = document.querySelector("meta[name=session]");
const token = meta.content;
meta.remove();
// The link is used up. What stands there instead says what to do to whoever comes back by it.
history.replaceState(null, "", "/dashboard#to-open-this-again-run-alknet-dashboard");

let calls = null;
let services = [];
let round = 0;
let timer = 0;
let attempts = 0;
let over = false;

function state(text, kind) {
  setText(at("state"), text);
  setClass(at("state"), kind);
}

function connect() {
  clearTimeout(timer);
  const current = new Calls(token, () => opened(current), (isRevoked) => closed(current, isRevoked));
  calls = current;
}

async function opened(current) {
  attempts = 0;
  round = 0;
  state("Live", "good");
  try {
    await readServices(current);
  } catch {
    // The next round asks again, or there is a new connection.
    round = SERVICES_EVERY - 1;
  }
  if (may("/resources/watch")) watchResources(current, () => refreshTerminals(current));
  tick(current);
}

async function closed(current, isRevoked) {
  if (current !== calls || over) return;
  if (isRevoked || (attempts > 0 && (await isRefused()))) return end();
  attempts += 1;
  state("Not connected, trying again", "bad");
  timer = setTimeout(connect, Math.min(10000, 500 * 2 ** attempts));
}

// A browser does not tell why a WebSocket was refused. An answer over plain HTTP does: without a valid token it is 401, or that
// of a web server that knows of no node.
async function isRefused() {
  try {
    const answer = await fetch("/node/info", { method: "POST", headers: { Authorization: "Bearer " + token } });
    return answer.status !== 200 && answer.status < 500 && answer.status !== 429;
  } catch {
    return false;
  }
}

// Nothing of the node stays on the screen of somebody whom it does not know any more.
function end() {
  over = true;
  clearTimeout(timer);
  calls.close();
  state("Ended", "bad");
  setText(at("name"), "This dashboard has ended");
  setText(at("about"), "");
  document.title = "alknet";
  at("question").close();
  at("reload").hidden = true;
  at("news").textContent = "";
  document.querySelector("footer").hidden = true;
  at("main").replaceChildren(make("p", {}, "Its time is over, or your access was taken back. For a new one, run ", make("code", {}, "alknet dashboard"), "."));
}

const may = (name) => services.some((service) => service.name === name);

async function readServices(current) {
  const answer = await current.call("/services/list");
  services = answer.services;
  showOperations(services);
  at("reload").hidden = !may("/config/reload");
  if (may("/peers/invite")) showPairing(current);
  const needs = { peers: "/node/peers", connections: "/node/connections", metrics: "/metrics/list", pairing: "/peers/invite", resources: "/resources/watch" };
  for (const [name, operation] of Object.entries(needs)) if (!may(operation)) at(name)?.remove();
  if (terminalPrefixes(services).length === 0) at("terminals")?.remove();
}

async function refreshTerminals(current) {
  if (terminalPrefixes(services).length === 0) return;
  const terminals = await readTerminals(current, services);
  if (!over && current === calls) showTerminals(current, terminals);
}

// Calls what the bearer may call, and gives nothing for what it may not.
const read = (current, name) => (may(name) ? current.call(name) : Promise.resolve(null));

async function refresh(current) {
  if (round++ % SERVICES_EVERY === SERVICES_EVERY - 1) await readServices(current);
  const names = ["/node/info", "/node/handlers", "/node/peers", "/peers/joined", "/services/list-peers", "/node/connections", "/metrics/list"];
  const [info, handlers, configured, joined, known, connections, metrics] = await Promise.all(names.map((name) => read(current, name)));
  if (over || current !== calls) return;
  showNode(info);
  if (handlers) showHandlers(handlers.handlers);
  else showAlpns(info.alpns);
  if (configured) showPeers(mergePeers(configured.peers, joined?.peers ?? [], known?.peers ?? []));
  if (connections) showConnections(connections);
  if (metrics) showMetrics(metrics.metrics);
  showGlance(figures(info, known, metrics));
  await refreshTerminals(current);
}

function figures(info, known, metrics) {
  const sum = (name) => metrics.metrics.filter((metric) => metric.name === name).reduce((total, { value }) => total + value, 0);
  const all = [["Up for", duration(info.uptime_seconds)]];
  if (info.connections != null) all.push(["Connections", count.format(info.connections)]);
  if (known) all.push(["Peers connected", count.format(known.peers.filter((peer) => peer.connected).length)]);
  all.push(["Operations for you", count.format(services.length)]);
  if (metrics) {
    all.push(["Runs so far", count.format(sum("alknet_runs_started_total"))]);
    all.push(["Running now", count.format(sum("alknet_runs_running"))]);
    all.push(["HTTP requests", count.format(sum("alknet_http_requests_total"))]);
  }
  return all;
}

async function tick(current) {
  clearTimeout(timer);
  if (over || current !== calls) return;
  try {
    await refresh(current);
  } catch (error) {
    // What was allowed a moment ago may not be any more.
    if (["FORBIDDEN", "NOT_FOUND"].includes(error.code)) round = SERVICES_EVERY - 1;
    else if (error.code === "UNAUTHENTICATED") return end();
    else if (error.code !== "UNAVAILABLE") news(error.message);
  }
  if (over || current !== calls) return;
  clearTimeout(timer);
  timer = setTimeout(() => tick(current), document.hidden ? EVERY_WHEN_HIDDEN : EVERY);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && calls && !over) tick(calls);
});

// A reload would lose the page, as the link is used up; what is wanted by it is a new connection.
document.addEventListener("keydown", (event) => {
  const isReload = event.key === "F5" || ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "r");
  if (!isReload || over) return;
  event.preventDefault();
  const old = calls;
  calls = null;
  old?.close();
  connect();
});

at("reload").onclick = () => reloadConfiguration(calls);
connect();
