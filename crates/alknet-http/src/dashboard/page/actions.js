
// What the bearer can do here.

async function reloadConfiguration(calls) {
  at("reload").disabled = true;
  try {
    const { peers, alpns, restart_needed: restart } = await calls.call("/config/reload");
    const later = restart.length ? ` Restart the node to apply ${restart.join(", ")}.` : "";
    news(`The configuration was reloaded: ${peers} peers, serving ${alpns.join(", ")}.${later}`);
  } catch (error) {
    news(`The configuration was not reloaded: ${error.message}`);
  } finally {
    at("reload").disabled = false;
  }
}

function labelled(label, properties) {
  const input = make("input", properties);
  return [make("label", {}, label, input), input];
}

// Inviting a peer, where the node can.
function showPairing(calls) {
  const into = section("pairing", 7, "Invite a peer");
  if (into.form) return (into.form.invite = (peer) => invite(calls, peer, into));
  const [idLabel, id] = labelled("Name of the peer", { required: true, maxLength: 64, autocomplete: "off", spellcheck: false });
  const [scopesLabel, scopes] = labelled("Scopes, as in tty:use", { autocomplete: "off", spellcheck: false });
  into.form = make("form", {}, idLabel, scopesLabel, make("button", {}, "Make a link"));
  into.form.invite = (peer) => invite(calls, peer, into);
  into.form.onsubmit = (event) => {
    event.preventDefault();
    into.form.invite({ id: id.value.trim(), scopes: scopes.value.split(/[\s,]+/).filter(Boolean) });
  };
  into.link = make("div", { className: "pairing", hidden: true });
  into.append(into.form, into.link);
}

async function invite(calls, peer, into) {
  try {
    const { link, expires } = await calls.call("/peers/invite", peer);
    // Letters are the same in both cases there, and capitals make a smaller code.
    const picture = qrPicture(link.toUpperCase(), `A code with the pairing link for ${peer.id}`);
    const copy = make("button", { type: "button" }, "Copy the link");
    copy.onclick = async () => {
      // Over plain HTTP from elsewhere there is no clipboard, and a browser may ask first.
      const copied = await navigator.clipboard?.writeText(link).then(() => true, () => false);
      news(copied ? "The link was copied." : "The browser does not let the page copy; mark the link instead.");
    };
    const until = expires ? ` It opens once, until ${new Date(expires * 1000).toLocaleString()}.` : "";
    const command = make("p", { className: "code" }, `alknet join ${link}`);
    const beside = make("div", {}, command, make("p", { className: "quiet" }, `Whoever has this link first is ${peer.id}.${until}`), copy);
    into.link.replaceChildren(...[picture, beside].filter(Boolean));
    into.link.hidden = false;
    news(`There is a link for ${peer.id}.`);
  } catch (error) {
    news(`There is no link for ${peer.id}: ${error.message}`);
  }
}
