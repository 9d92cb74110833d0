//! `alknet invite`.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use alknet_core::Scope;
use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Invocation;
use super::apply::ask;
use super::dial::block_on;
use super::peer::resource;
use super::qr;
use crate::client::duration;
use crate::config::{Address, PeerId};
use crate::pairing::MAX_LIFETIME;

#[derive(clap::Args)]
pub(super) struct InviteArgs {
    /// As whom the other node comes: a stable name of its own
    #[arg(required_unless_present_any = ["list", "revoke"])]
    id: Option<PeerId>,

    /// What it may do here, as service:action; can be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<Scope>,

    /// A named thing it may use; can be repeated
    #[arg(long = "resource", value_name = "TYPE=NAME", value_parser = resource)]
    resources: Vec<(String, String)>,

    /// How long the link is good for, as 90s, 30m, 1h or 7d; 30 days at most
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = lifetime)]
    expires: Duration,

    /// Where the other node reaches this one [default: where it listens, or this machine's address towards the internet]
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<Address>,

    /// Print a QR code of the link, too
    #[arg(long, conflicts_with = "json")]
    qr: bool,

    /// Do nothing if there is such a peer already
    #[arg(long)]
    unless_joined: bool,

    /// List the invitations that are open
    #[arg(long, conflicts_with_all = ["id", "scopes", "resources", "address", "qr", "unless_joined", "revoke"])]
    list: bool,

    /// Revoke the invitation of an id
    #[arg(long, value_name = "ID", conflicts_with_all = ["id", "scopes", "resources", "address", "qr", "unless_joined"])]
    revoke: Option<PeerId>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let units = [("s", 1), ("m", 60), ("h", 60 * 60), ("d", 24 * 60 * 60)];
    let seconds = units.iter().find_map(|(unit, seconds)| {
        let number = text.strip_suffix(unit).filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))?;
        number.parse::<u64>().ok()?.checked_mul(*seconds)
    });
    let lifetime =
        seconds.map(Duration::from_secs).filter(|time| (1..=MAX_LIFETIME.as_secs()).contains(&time.as_secs()));
    lifetime.ok_or_else(|| "write a time from 1s to 30d, as 90s, 30m, 1h or 7d".to_owned())
}

pub(super) fn run(args: InviteArgs, invocation: &Invocation) -> anyhow::Result<()> {
    match (&args.revoke, args.id.clone()) {
        (Some(id), _) => revoke(id, invocation),
        (None, Some(id)) => invite(&id, args, invocation),
        (None, None) => list(args.json, invocation),
    }
}

/// What `peers/invite` answers for an invitation that was made.
#[derive(Deserialize)]
struct Invited {
    link: String,
    address: String,
    address_from: String,
    replaces: bool,
}

fn invite(id: &PeerId, args: InviteArgs, invocation: &Invocation) -> anyhow::Result<()> {
    let mut resources = BTreeMap::<String, Vec<String>>::new();
    for (kind, name) in args.resources {
        resources.entry(kind).or_default().push(name);
    }
    let mut input = json!({
        "id": id.as_str(),
        "scopes": args.scopes.iter().map(Scope::as_str).collect::<Vec<_>>(),
        "resources": resources,
        "expires_seconds": args.expires.as_secs(),
        "unless_known": args.unless_joined,
    });
    if let (Some(input), Some(address)) = (input.as_object_mut(), &args.address) {
        input.insert("address".to_owned(), address.as_str().into());
    }
    let answer = block_on(ask(invocation, "/peers/invite", &input))?;
    if args.json {
        return invocation.output.json(&answer);
    }
    if answer.get("known") == Some(&Value::Bool(true)) {
        return Ok(());
    }
    let invited = serde_json::from_value(answer).context("the node does not say what became of the invitation")?;
    let Invited { link, address, address_from, replaces } = invited;
    let output = &invocation.output;
    // Before the code, which is to be whole on a console.
    let scopes: Vec<&str> = args.scopes.iter().map(Scope::as_str).collect();
    let scopes = if scopes.is_empty() { "no scopes".to_owned() } else { scopes.join(", ") };
    let time = duration(args.expires.as_secs());
    output.note(format_args!("one node can come as \"{id}\" ({scopes}) within {time}; there: alknet join LINK"));
    if replaces {
        output.warning(format_args!(
            "a peer has joined as \"{id}\" already: another node with this link takes its place"
        ));
    }
    if let Some(why) = explain(&address_from) {
        output.note(format_args!("the link says {address}, {why}; --address HOST:PORT says something else"));
    }
    if args.qr {
        let colors = std::io::stdout().is_terminal() && !invocation.environment.no_color;
        // In upper case the code is a third smaller.
        output.bytes(qr::draw(&link.to_uppercase(), colors)?.as_bytes())?;
    }
    Ok(output.line(link)?)
}

fn explain(source: &str) -> Option<&'static str> {
    match source {
        "listen" => Some("where the node listens"),
        "route" => Some("this machine's address towards the internet"),
        _ => None,
    }
}

fn list(json: bool, invocation: &Invocation) -> anyhow::Result<()> {
    let mut answer = block_on(ask(invocation, "/peers/invitations", &json!({})))?;
    let Some(Value::Array(invitations)) = answer.get_mut("invitations").map(Value::take) else {
        anyhow::bail!("the node does not say which invitations are open");
    };
    if json {
        return invocation.output.json(&invitations);
    }
    if invitations.is_empty() {
        invocation.output.note("no invitation is open");
        return Ok(());
    }
    let header = ["ID", "EXPIRES", "SCOPES"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(header).chain(invitations.iter().map(row)).collect();
    Ok(invocation.output.table(&rows)?)
}

fn row(invitation: &Value) -> [String; 3] {
    let scopes: Vec<_> = invitation["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    [
        invitation["id"].as_str().unwrap_or("-").to_owned(),
        format!("in {}", duration(invitation["expires_in_seconds"].as_u64().unwrap_or_default())),
        if scopes.is_empty() { "-".to_owned() } else { scopes.join(",") },
    ]
}

fn revoke(id: &PeerId, invocation: &Invocation) -> anyhow::Result<()> {
    block_on(ask(invocation, "/peers/uninvite", &json!({ "id": id.as_str() })))?;
    invocation.output.note(format_args!("the invitation of \"{id}\" is revoked"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_has_a_unit_and_an_end() {
        for (text, seconds) in [("90s", 90), ("30m", 1800), ("1h", 3600), ("30d", 2_592_000)] {
            assert_eq!(lifetime(text), Ok(Duration::from_secs(seconds)));
        }
        for wrong in ["", "1", "h", "0h", "31d", "-1h", "1.5h", "1 h", "99999999999999999999d", "213503982334602d"] {
            assert!(lifetime(wrong).is_err(), "{wrong}");
        }
    }
}
