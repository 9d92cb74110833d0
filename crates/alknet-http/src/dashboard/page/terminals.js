
// What the bearer owns: terminals with what can be done about them, and everything else by its name.

// The prefixes under which there are terminals: "/" for the node's own, "/worker/" for those of a spoke.
function terminalPrefixes(services) {
  const lists = services.filter(({ name }) => name.endsWith("/tty/list"));
  return lists.map(({ name }) => name.slice(0, -"tty/list".length));
}

async function readTerminals(calls, services) {
  const may = new Set(services.map(({ name }) => name));
  const lists = terminalPrefixes(services).map(async (prefix) => {
    const { terminals } = await calls.call(prefix + "tty/list");
    return terminals.map((terminal) => ({ ...terminal, prefix, mayEnd: may.has(prefix + "tty/kill") }));
  });
  // A spoke that is away takes only its own terminals with it.
  const settled = await Promise.allSettled(lists);
  return settled.flatMap((list) => list.value ?? []);
}

function terminalColumns(calls) {
  return [
    { title: "Terminal", kind: "code", cell: (terminal) => terminal.prefix.slice(1) + terminal.id },
    { title: "Program", kind: "code", cell: (terminal) => terminal.command },
    { title: "Process", kind: "number", cell: (terminal) => terminal.pid },
    { title: "Size", kind: "number", cell: (terminal) => `${terminal.cols} × ${terminal.rows}` },
    { title: "Runs for", kind: "number", cell: (terminal) => duration(Math.max(0, Date.now() / 1000 - terminal.started)) },
    { title: "Output", kind: "number", cell: (terminal) => bytes(terminal.output_bytes) },
    { title: "Viewers", kind: "number", cell: (terminal) => terminal.attachments },
    { title: "Action", cell: (terminal) => (terminal.mayEnd ? endButton(calls, terminal) : "") },
  ];
}

function endButton(calls, { id, command, prefix }) {
  const end = async () => {
    try {
      await calls.call(prefix + "tty/kill", { id });
      news(`The terminal ${id} has ended.`);
    } catch (error) {
      news(`The terminal ${id} could not be ended: ${error.message}`);
    }
  };
  const press = () => ask("End this terminal?", `${command} in the terminal ${id} is killed, with what it has not saved.`, "End it", end);
  return { label: "End", name: `End the terminal ${id}`, press };
}

function showTerminals(calls, terminals) {
  const key = (terminal) => terminal.prefix + terminal.id;
  table(section("terminals", 6, "Your terminals"), terminalColumns(calls), terminals, key, "You have none.");
}

const RESOURCE_COLUMNS = [
  { title: "Resource", kind: "code", cell: (resource) => resource.id },
  { title: "Type", cell: (resource) => resource.type },
  { title: "For", cell: (resource) => (resource.claim ? JSON.stringify(resource.claim) : "you") },
];

function showResources(resources) {
  const key = (resource) => `${resource.type} ${resource.id}`;
  table(section("resources", 3, "What you own", true), RESOURCE_COLUMNS, [...resources.values()], key, "You own nothing here.");
}

// Keeps up with what the bearer owns; `changed` is told of each change.
function watchResources(calls, changed) {
  const owned = new Map();
  const key = ({ type, id }) => `${type} ${id}`;
  const event = ({ snapshot, recorded, revoked }) => {
    if (snapshot) owned.clear();
    for (const resource of snapshot ?? []) owned.set(key(resource), resource);
    if (recorded) owned.set(key(recorded), recorded);
    if (revoked) owned.delete(key(revoked));
    showResources(owned);
    changed();
  };
  calls.subscribe("/resources/watch", {}, event, () => {});
}
