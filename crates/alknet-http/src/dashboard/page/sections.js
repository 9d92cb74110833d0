
// What is shown of the node. Each section is there if the bearer may call what it is made of.

const is = (value) => (value ? "yes" : "no");

function showNode(info) {
  setText(at("name"), info.name);
  document.title = `${info.name} · alknet`;
  setText(at("about"), `alknet ${info.version} · ${info.fingerprint} · you are ${info.caller.id}`);
}

// Figures that are worth a glance: [name, text].
function showGlance(figures) {
  const into = section("glance", 1, "At a glance");
  into.list ||= into.appendChild(make("dl", { className: "figures" }));
  const wanted = new Set(figures.map(([name]) => name));
  for (const old of [...into.list.children]) if (!wanted.has(old.dataset.name)) old.remove();
  for (const [name, text] of figures) {
    let figure = [...into.list.children].find((old) => old.dataset.name === name);
    if (!figure) {
      figure = into.list.appendChild(make("div", {}, make("dt", {}, name), make("dd")));
      figure.dataset.name = name;
    }
    setText(figure.lastElementChild, text);
  }
}

const HANDLER_COLUMNS = [
  { title: "Handler", cell: (handler) => handler.name },
  { title: "ALPNs", cell: (handler) => handler.alpns.join(", ") },
  {
    title: "State",
    kind: "tight",
    cell: ({ serves, built }) => (serves ? { text: "serving", kind: "good" } : built ? "off" : "not in this build"),
  },
];

function showHandlers(handlers) {
  table(section("handlers", 2, "Handlers", true), HANDLER_COLUMNS, handlers, (handler) => handler.name, "There are none.");
}

// Whoever may not ask for the handlers sees at least what is served.
function showAlpns(alpns) {
  const columns = [{ title: "ALPN", cell: (alpn) => alpn }];
  table(section("handlers", 2, "Served", true), columns, alpns, (alpn) => alpn, "Nothing is served.");
}

const PEER_COLUMNS = [
  { title: "Peer", cell: (peer) => peer.id },
  { title: "From", cell: (peer) => peer.from },
  {
    title: "Connected",
    kind: "tight",
    cell: (peer) => (peer.connected ? { text: peer.transport ?? "yes", kind: "good" } : peer.enabled === false ? "disabled" : "no"),
  },
  { title: "For", kind: "number", cell: (peer) => duration(peer.since) },
  { title: "Operations", kind: "number", cell: (peer) => peer.operations ?? "" },
  { title: "Scopes", cell: (peer) => (peer.scopes ?? []).join(", ") },
];

// Those of the configuration, those that have joined, and those that are connected or should be, as one list.
function mergePeers(configured, joined, known) {
  const peers = new Map();
  const entry = (id) => peers.get(id) ?? peers.set(id, { id, from: id === "self" ? "this node's key" : "" }).get(id);
  for (const peer of joined) Object.assign(entry(peer.id), { from: "joined", scopes: peer.scopes, enabled: true });
  for (const peer of configured) Object.assign(entry(peer.id), { from: "configuration", scopes: peer.scopes, enabled: peer.enabled });
  for (const peer of known) {
    const { connected, transport, operations, since_seconds: since } = peer;
    Object.assign(entry(peer.id), { connected, transport, operations: connected ? operations : undefined, since });
  }
  return [...peers.values()].sort((one, other) => (one.id < other.id ? -1 : 1));
}

function showPeers(peers) {
  table(section("peers", 4, "Peers"), PEER_COLUMNS, peers, (peer) => peer.id, "No peers are known.");
}

const CONNECTION_COLUMNS = [
  { title: "Connection", cell: (connection) => connection.id },
  { title: "ALPN", kind: "tight", cell: (connection) => connection.alpn },
  { title: "Peer, by its key", cell: (connection) => connection.peer ?? "none" },
  { title: "Over", kind: "tight", cell: (connection) => connection.transport },
  { title: "From", kind: "tight", cell: (connection) => connection.remote ?? "" },
  { title: "For", kind: "number", cell: (connection) => duration(connection.since_seconds) },
];

function showConnections({ connections, total }) {
  const into = section("connections", 5, "Connections");
  table(into, CONNECTION_COLUMNS, connections, (connection) => connection.id, "Nobody is connected.");
  into.more ||= into.appendChild(make("p", { className: "quiet" }));
  setText(into.more, total > connections.length ? `The newest ${connections.length} of ${count.format(total)}.` : "");
}

const OPERATION_COLUMNS = [
  { title: "Operation", kind: "code", cell: (operation) => operation.name },
  { title: "Kind", cell: (operation) => operation.kind },
  { title: "Description", cell: (operation) => operation.description.split("\n")[0] },
];

function showOperations(services) {
  const into = section("operations", 8, "Operations that you may call");
  if (!into.filter) {
    into.filter = make("input", { type: "search", id: "operations-filter" });
    into.filter.oninput = () => showOperations(into.services);
    into.querySelector(".bar").append(make("label", {}, "Filter", into.filter));
  }
  into.services = services;
  const word = into.filter.value.trim().toLowerCase();
  const matching = services.filter(({ name, description }) => `${name} ${description}`.toLowerCase().includes(word));
  table(into, OPERATION_COLUMNS, matching, (operation) => operation.name, "None matches.");
}

const METRIC_COLUMNS = [
  { title: "Metric", kind: "code", cell: (metric) => metric.name },
  { title: "Labels", cell: (metric) => Object.entries(metric.labels).map((pair) => pair.join("=")).join(" ") },
  { title: "Value", kind: "number", cell: (metric) => count.format(metric.value) },
  { title: "Meaning", cell: (metric) => metric.help },
];

// Counters that are still nothing say nothing.
function showMetrics(metrics) {
  const counted = metrics.filter((metric) => metric.kind === "gauge" || metric.value > 0);
  const key = (metric) => metric.name + JSON.stringify(metric.labels);
  table(section("metrics", 9, "Metrics"), METRIC_COLUMNS, counted, key, "Nothing has been counted.");
}
