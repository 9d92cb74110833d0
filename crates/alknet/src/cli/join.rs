//! `alknet join`.

use std::io::Read as _;
use std::path::Path;

use alknet_call::{CallClient, CallError, CallOptions, ClientError, ErrorCode};
use alknet_core::{Alpn, NodeKey, Scope};
use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::Invocation;
use super::apply::by_node_or;
use super::dial::{DialArgs, block_on};
use super::report::UsageError;
use crate::client::Resolved;
use crate::config::{Config, PeerEntry, PeerId};
use crate::pairing::{Addition, Clock, Known, PairingError, PairingLink, Store, all_peers};
use crate::{secrets, vault};

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

/// This node, and what it knows of the other one.
struct Here {
    key: NodeKey,
    configured: Vec<PeerEntry>,
    store: Store,
    peers: Vec<PeerEntry>,
    /// Whom it knows the other node as.
    known_as: Option<PeerId>,
}

/// What became of the other node's entry.
struct Stored {
    id: PeerId,
    scopes: Vec<Scope>,
    /// The configuration has it, so there was nothing to store.
    configured: bool,
    /// A running node has it in force.
    in_force: bool,
}

impl Here {
    /// Looks for what would be in the way, before the token is shown.
    fn new(
        link: &PairingLink,
        config: &Config,
        key: NodeKey,
        args: &JoinArgs,
        invocation: &Invocation,
    ) -> anyhow::Result<Self> {
        let own = key.fingerprint();
        if link.fingerprint() == own {
            return Err(PairingError::OwnKey.into());
        }
        let peers = all_peers(config, &invocation.environment, own)?;
        let known = peers.iter().find(|peer| peer.fingerprints.contains(&link.fingerprint()));
        let known_as = known.map(|peer| peer.id.clone());
        let store = Store::new(config.state_dir(&invocation.environment));
        let here = Self { key, configured: config.peers.clone(), store, known_as, peers };
        match (&args.name, &here.known_as) {
            (Some(name), Some(known)) if name != known => Err(PairingError::KeyKnown { id: known.clone() }.into()),
            (Some(name), None) => here.is_free(name).map(|()| here),
            _ => Ok(here),
        }
    }

    fn is_free(&self, name: &PeerId) -> anyhow::Result<()> {
        let taken = self.peers.iter().any(|peer| peer.id == *name);
        let message = || format!("there is another peer \"{name}\" here: choose another name with --as NAME");
        if taken { Err(UsageError(message()).into()) } else { Ok(()) }
    }

    /// What the other node is called here.
    fn name(&self, welcome: &Welcome, args: &JoinArgs) -> anyhow::Result<PeerId> {
        if let Some(name) = self.known_as.as_ref().or(args.name.as_ref()) {
            return Ok(name.clone());
        }
        let again = "this node is a peer there now; run the command again with --as NAME";
        let name: PeerId = welcome.name.parse().map_err(|error| UsageError(format!("{error}; {again}")))?;
        self.is_free(&name).context(again)?;
        Ok(name)
    }

    /// Makes the other node a peer of this one.
    fn store(
        &self,
        link: &PairingLink,
        welcome: &Welcome,
        args: &JoinArgs,
        invocation: &Invocation,
    ) -> anyhow::Result<Stored> {
        let id = self.name(welcome, args)?;
        if let Some(entry) = self.configured.iter().find(|peer| peer.id == id) {
            return Ok(Stored { id, scopes: entry.scopes.clone(), configured: true, in_force: true });
        }
        let before = self.peers.iter().find(|peer| peer.id == id).map(|peer| peer.scopes.clone());
        let scopes = Some(args.scopes.clone()).filter(|scopes| !scopes.is_empty());
        let addition = Addition {
            id: id.clone(),
            key: link.fingerprint(),
            address: Some(link.address().clone()),
            scopes: scopes.clone(),
            resources: None,
            connect: !args.no_connect,
        };
        let in_force = self.add(addition, invocation)?;
        Ok(Stored { id, scopes: scopes.or(before).unwrap_or_default(), configured: false, in_force })
    }

    /// Has the running node do it, or does it where none runs. Says whether one runs.
    fn add(&self, addition: Addition, invocation: &Invocation) -> anyhow::Result<bool> {
        let mut input = json!({
            "id": addition.id.as_str(),
            "fingerprint": addition.key.to_string(),
            "connect": addition.connect,
        });
        if let Some(input) = input.as_object_mut() {
            let address = addition.address.iter().map(|address| ("address".to_owned(), address.as_str().into()));
            let texts = |scopes: &Vec<Scope>| scopes.iter().map(Scope::as_str).collect::<Vec<_>>().into();
            let scopes = addition.scopes.iter().map(|scopes| ("scopes".to_owned(), texts(scopes)));
            input.extend(address.chain(scopes));
        }
        let (configured, own, now) = (self.configured.clone(), self.key.fingerprint(), Clock::system().now());
        let known = Known { configured, own, now };
        by_node_or(invocation, "/peers/add", &input, || {
            self.store.change(|ledger| ledger.add(addition, &known)).map(drop)
        })
        .context("this node is a peer there now, but that is not stored here: run the command again")
    }
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
