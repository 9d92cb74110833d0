
// Elements, and tables that change in place, so that neither the focus nor the place of a reader is lost.

const at = (id) => document.getElementById(id);

function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in element) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setClass(element, name) {
  if (element.className !== name) element.className = name;
}

// A section with a heading, made when it is first wanted. `order` is its place on the page.
function section(name, order, title, half = false) {
  const found = at(name);
  if (found) return found;
  const heading = make("h2", { id: name + "-title" }, title);
  const made = make("section", { id: name, className: half ? "half" : "" }, make("div", { className: "bar" }, heading));
  made.setAttribute("aria-labelledby", heading.id);
  made.dataset.order = order;
  const behind = [...at("main").children].find((other) => Number(other.dataset.order) > order);
  at("main").insertBefore(made, behind || null);
  return made;
}

// Shows rows as a table in a section. `columns` are {title, kind, cell}: `cell` makes a text, or {text, kind}, or a button
// {label, name, press} of a row. The first column names the row.
function table(into, columns, rows, key, none) {
  if (!into.table) {
    // The roles are those that the elements have, and keep them where a narrow screen shows a row as lines.
    const heads = columns.map(({ title, kind }) => {
      return make("th", { scope: "col", role: "columnheader", className: kind === "number" ? kind : "" }, title);
    });
    into.rows = make("tbody", { role: "rowgroup" });
    const head = make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...heads));
    const drawn = make("table", { role: "table" }, head, into.rows);
    drawn.setAttribute("aria-labelledby", into.id + "-title");
    into.table = make("div", { className: "scroll", tabIndex: 0 }, drawn);
    into.table.setAttribute("role", "group");
    into.table.setAttribute("aria-labelledby", into.id + "-title");
    into.none = make("p", { className: "empty" }, none);
    into.append(into.table, into.none);
  }
  into.none.hidden = rows.length > 0;
  into.table.hidden = rows.length === 0;
  const present = new Map([...into.rows.children].map((row) => [row.dataset.key, row]));
  const isFirst = !into.wasFilled;
  into.wasFilled = true;
  let place = into.rows.firstElementChild;
  for (const row of rows) {
    const name = String(key(row));
    let drawn = present.get(name);
    present.delete(name);
    if (!drawn) {
      drawn = make("tr", { role: "row", className: isFirst ? "" : "new" });
      drawn.dataset.key = name;
      drawn.append(...columns.map(emptyCell));
    }
    if (drawn === place) place = place.nextElementSibling;
    else into.rows.insertBefore(drawn, place);
    columns.forEach((column, index) => fill(drawn.children[index], column, row));
  }
  for (const gone of present.values()) remove(gone);
}

// The first one names the row.
function emptyCell({ title }, index) {
  const cell = index === 0 ? make("th", { scope: "row", role: "rowheader" }) : make("td", { role: "cell" });
  cell.dataset.title = title;
  return cell;
}

function fill(cell, { kind, cell: content }, row) {
  const wanted = content(row);
  if (wanted && wanted.press) {
    const button = cell.firstElementChild || cell.appendChild(make("button", { type: "button", className: "danger" }));
    setText(button, wanted.label);
    button.setAttribute("aria-label", wanted.name);
    button.onclick = wanted.press;
    return;
  }
  const { text, kind: own } = typeof wanted === "object" && wanted ? wanted : { text: wanted };
  setText(cell, String(text ?? ""));
  setClass(cell, [kind, own].filter(Boolean).join(" "));
}

// Takes a row away. Whoever was in it comes to the table.
function remove(row) {
  const region = row.closest(".scroll");
  const hadFocus = row.contains(document.activeElement);
  row.remove();
  if (hadFocus) (region && !region.hidden ? region : at("main")).focus();
}

function news(text) {
  setText(at("news"), text);
}

// Asks before something that cannot be undone.
function ask(title, text, yes, then) {
  setText(at("question-title"), title);
  setText(at("question-text"), text);
  setText(at("question-yes"), yes);
  at("question-no").onclick = () => at("question").close();
  at("question-yes").onclick = () => {
    at("question").close();
    then();
  };
  at("question").showModal();
}

const count = new Intl.NumberFormat("en");

function duration(seconds) {
  if (seconds == null) return "";
  const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${Math.floor(seconds % 60)} s` : `${Math.floor(seconds)} s`;
}

function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (number >= 1024 && unit < units.length - 1) {
    number /= 1024;
    unit += 1;
  }
  return `${unit ? number.toFixed(1) : number} ${units[unit]}`;
}
