//! `alknet join`.

mod here;

use std::io::Read as _;
use std::path::Path;

use alknet_call::{CallClient, CallError, CallOptions, ClientError, ErrorCode};
use alknet_core::{Alpn, NodeKey, Scope};
use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::Invocation;
use super::dial::{DialArgs, block_on};
use crate::client::Resolved;
use crate::config::PeerId;
use crate::pairing::PairingLink;
use crate::{secrets, vault};
use here::{Here, Stored};

/// More than any link has.
const MAX_INPUT: u64 = 4096;

#[derive(clap::Args)]
pub(super) struct JoinArgs {
    /// The link, as "alknet invite" prints it there; or a file that holds it, or - for standard input, so that it stands in
    /// no list of processes
    link: String,

    /// What to call the other node here [default: its own name]
    #[arg(long = "as", value_name = "NAME")]
    name: Option<PeerId>,

    /// What the other node may do here, as service:action; can be repeated [default: nothing that needs a scope]
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<Scope>,

    /// Stay connected, so that the other node can call this one where nobody could dial it (the default)
    #[arg(long, overrides_with = "no_connect")]
    connect: bool,

    /// Connect only when there is something to call
    #[arg(long)]
    no_connect: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    dial: DialArgs,
}

pub(super) fn run(args: JoinArgs, invocation: &Invocation) -> anyhow::Result<()> {
    let link = read_link(&args.link)?;
    let config = invocation.load_config()?;
    let key = vault::node_key(&vault::open(&config, &invocation.environment)?.vault)?;
    let here = Here::new(&link, &config, key, &args, invocation)?;
    let welcome = block_on(join(&link, &here.key, &args.dial))?;
    if welcome.before {
        invocation.output.note("the link was used up before, and this node is a peer there already");
    }
    let stored = here.store(&link, &welcome, &args, invocation)?;
    tell(&here, &welcome, &stored, &args, invocation)
}

fn read_link(argument: &str) -> anyhow::Result<PairingLink> {
    if PairingLink::is_meant_by(argument) {
        return Ok(argument.parse()?);
    }
    let text = if argument == "-" {
        let mut text = Zeroizing::new(String::with_capacity(MAX_INPUT as usize));
        std::io::stdin().take(MAX_INPUT).read_to_string(&mut text).context("standard input cannot be read")?;
        text
    } else {
        let secret = secrets::read_named(Path::new(argument))
            .with_context(|| format!("\"{argument}\" is neither a pairing link nor a file that holds one"))?;
        let text = std::str::from_utf8(&secret.contents).with_context(|| format!("{argument} is not text"))?;
        Zeroizing::new(text.to_owned())
    };
    Ok(text.trim().parse()?)
}

/// What the other node says to whoever has joined.
#[derive(Deserialize)]
struct Welcome {
    id: String,
    name: String,
    scopes: Vec<String>,
    /// It has been a peer there already, and the token was no good any more.
    #[serde(skip)]
    before: bool,
}

async fn join(link: &PairingLink, key: &NodeKey, dial: &DialArgs) -> anyhow::Result<Welcome> {
    let node = Resolved { destination: link.destination(), key: Some(key.clone()) };
    let dialed = dial.dial(&node, &Alpn::new(alknet_call::ALPN)?).await?;
    let client = CallClient::new(dialed.connection.clone());
    let welcome = welcome(&client, link, dial).await;
    dialed.close().await;
    welcome.with_context(|| format!("{} does not let this node in", node.destination.address))
}

/// Shows the token. Where that is refused, an earlier attempt may have got through without its answer.
async fn welcome(client: &CallClient, link: &PairingLink, dial: &DialArgs) -> anyhow::Result<Welcome> {
    let call = async |operation: &str, input: Value| {
        client.call_with(operation, &input, CallOptions::new().timeout(dial.patience())).await
    };
    let refusal = match call("/peers/join", json!({ "token": &*link.token().reveal() })).await {
        Ok(answer) => return serde_json::from_value(answer).context("the answer cannot be understood"),
        Err(refusal) => refusal,
    };
    let forbidden = matches!(refusal, ClientError::Remote(CallError { code: ErrorCode::Forbidden, .. }));
    match call("/node/info", json!({})).await {
        Ok(info) if forbidden => known_already(&info).context("the answer cannot be understood"),
        _ => Err(refusal.into()),
    }
}

fn known_already(info: &Value) -> serde_json::Result<Welcome> {
    let caller = &info["caller"];
    let answer = json!({ "id": caller["id"], "name": info["name"], "scopes": caller["scopes"] });
    Ok(Welcome { before: true, ..serde_json::from_value(answer)? })
}

fn tell(
    here: &Here,
    welcome: &Welcome,
    stored: &Stored,
    args: &JoinArgs,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let Stored { id, scopes, configured, in_force } = stored;
    if args.json {
        let scopes: Vec<_> = scopes.iter().map(Scope::as_str).collect();
        let there = json!({ "id": welcome.id, "scopes": welcome.scopes });
        let here = json!({ "id": id.as_str(), "scopes": scopes, "configured": configured, "in_force": in_force });
        return invocation.output.json(&json!({ "there": there, "here": here }));
    }
    let output = &invocation.output;
    let or_none = |list: Vec<&str>| if list.is_empty() { "none".to_owned() } else { list.join(", ") };
    let there = or_none(welcome.scopes.iter().map(String::as_str).collect());
    let printable = super::output::printable;
    let (name, there) = (printable(&welcome.id), printable(&there));
    output.line(format_args!("this node is \"{name}\" at \"{id}\" now (scopes there: {there})"))?;
    if *configured {
        output.note(format_args!("the configuration has \"{id}\" already, so its entry there is left as it is"));
        return Ok(());
    }
    output.note(format_args!("\"{id}\" is a peer here, by {}", here.store.peers_file().display()));
    match scopes.as_slice() {
        [] => output.note(format_args!(
            "\"{id}\" may call nothing here that needs a scope; to change that, run this again with --scope SERVICE:ACTION"
        )),
        scopes => output.note(format_args!(
            "\"{id}\" may use {} here",
            or_none(scopes.iter().map(Scope::as_str).collect())
        )),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_known_already_is_told_as_whom() {
        let info = json!({ "name": "hub", "caller": { "id": "worker", "scopes": ["tty:use"], "fingerprint": null } });
        let welcome = known_already(&info).unwrap();
        assert!(welcome.before && welcome.id == "worker" && welcome.name == "hub");
        assert!(known_already(&json!(null)).is_err());
    }
}
