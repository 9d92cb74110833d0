//! `alknet peer`.

use std::collections::BTreeMap;

use alknet_core::{Fingerprint, Scope};
use clap::Subcommand;
use serde::Serialize;
use serde_json::json;

use super::Invocation;
use super::apply::{after_edit, by_node_or};
use crate::config::edit::Editor;
use crate::config::{Address, PeerEntry, PeerId};
use crate::pairing::{Joined, PairingError, Store};

#[derive(Subcommand)]
pub(super) enum PeerCommand {
    /// Add a peer to the configuration
    Add(AddArgs),
    /// List the peers, those of the configuration and those that have joined
    List(ListArgs),
    /// Remove a peer, with all it has
    Remove(RemoveArgs),
}

#[derive(clap::Args)]
pub(super) struct AddArgs {
    /// A stable name of its own
    id: PeerId,

    /// A key that it shows, as "alknet id" prints it there; can be repeated
    #[arg(long = "fingerprint", value_name = "FINGERPRINT")]
    fingerprints: Vec<Fingerprint>,

    /// What it may do, as service:action; can be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<Scope>,

    /// Where this node dials it
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<Address>,

    /// A named thing it may use; can be repeated
    #[arg(long = "resource", value_name = "TYPE=NAME", value_parser = resource)]
    resources: Vec<(String, String)>,
}

pub(super) fn resource(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((kind, name)) if !kind.is_empty() && !name.is_empty() => Ok((kind.to_owned(), name.to_owned())),
        _ => Err("write type=name, as in repo=site".to_owned()),
    }
}

#[derive(clap::Args)]
pub(super) struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(super) struct RemoveArgs {
    /// The peer
    id: PeerId,
}

pub(super) fn run(command: PeerCommand, invocation: &Invocation) -> anyhow::Result<()> {
    match command {
        PeerCommand::Add(args) => add(args, invocation),
        PeerCommand::List(args) => list(&args, invocation),
        PeerCommand::Remove(args) => remove(&args, invocation),
    }
}

fn add(args: AddArgs, invocation: &Invocation) -> anyhow::Result<()> {
    let mut resources = BTreeMap::<String, Vec<String>>::new();
    for (kind, name) in args.resources {
        resources.entry(kind).or_default().push(name);
    }
    let peer = PeerEntry {
        id: args.id,
        fingerprints: args.fingerprints,
        tokens: Vec::new(),
        scopes: args.scopes,
        resources,
        address: args.address,
        connect: false,
        enabled: true,
    };
    let mut editor = Editor::open(&invocation.config_file)?;
    editor.add_peer(&peer)?;
    let config = editor.save()?;
    invocation.output.note(format_args!("added \"{}\" to {}", peer.id, config.file.display()));
    after_edit(invocation);
    Ok(())
}

fn remove(args: &RemoveArgs, invocation: &Invocation) -> anyhow::Result<()> {
    let config = invocation.load_config()?;
    let store = Store::new(config.state_dir(&invocation.environment));
    let configured = config.peers.iter().any(|peer| peer.id == args.id);
    let joined = joined(&store, configured, invocation)?.peer(&args.id).is_some();
    // First, or what has joined would count as soon as the configuration has it no more.
    if joined {
        forget(&args.id, &store, invocation)?;
    }
    if joined && !configured { Ok(()) } else { remove_configured(args, invocation) }
}

/// Those that have joined; where only the configuration matters, what is wrong with their file is no reason to stop.
fn joined(store: &Store, lenient: bool, invocation: &Invocation) -> Result<Joined, PairingError> {
    match store.read() {
        Ok(ledger) => Ok(ledger.joined),
        Err(error) if lenient => {
            invocation.output.warning(format_args!("the peers that have joined are left out: {error}"));
            Ok(Joined::default())
        }
        Err(error) => Err(error),
    }
}

/// Has the running node remove a peer that has joined, or does it where none runs.
fn forget(id: &PeerId, store: &Store, invocation: &Invocation) -> anyhow::Result<()> {
    let input = json!({ "id": id.as_str() });
    let by_node = by_node_or(invocation, "/peers/remove", &input, || {
        store.change(|ledger| ledger.remove(id))?;
        invocation.output.note(format_args!("removed \"{id}\" from {}", store.peers_file().display()));
        Ok(())
    })?;
    if by_node {
        invocation.output.note(format_args!("the running node has removed \"{id}\", which had joined"));
    }
    Ok(())
}

fn remove_configured(args: &RemoveArgs, invocation: &Invocation) -> anyhow::Result<()> {
    let mut editor = Editor::open(&invocation.config_file)?;
    editor.remove_peer(&args.id)?;
    let config = editor.save()?;
    invocation.output.note(format_args!("removed \"{}\" from {}", args.id, config.file.display()));
    after_edit(invocation);
    Ok(())
}

#[derive(Serialize)]
struct PeerOutput<'c> {
    id: &'c str,
    fingerprints: Vec<String>,
    tokens: usize,
    scopes: Vec<&'c str>,
    resources: &'c BTreeMap<String, Vec<String>>,
    address: Option<&'c str>,
    connect: bool,
    enabled: bool,
    source: Source,
}

/// Where a peer comes from.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Source {
    Configuration,
    Joined,
}

fn list(args: &ListArgs, invocation: &Invocation) -> anyhow::Result<()> {
    let config = invocation.load_config()?;
    let store = Store::new(config.state_dir(&invocation.environment));
    let merged = joined(&store, true, invocation)?.merge(&config.peers, None);
    merged.warnings.iter().for_each(|warning| invocation.output.warning(warning));
    // Behind those of the configuration stand those that have joined.
    let source = |index| if index < config.peers.len() { Source::Configuration } else { Source::Joined };
    let peers = merged.peers.iter().enumerate().map(|(index, peer)| (peer, source(index)));
    if args.json {
        let peers = peers.map(|(peer, source)| PeerOutput {
            id: peer.id.as_str(),
            fingerprints: peer.fingerprints.iter().map(ToString::to_string).collect(),
            tokens: peer.tokens.len(),
            scopes: peer.scopes.iter().map(Scope::as_str).collect(),
            resources: &peer.resources,
            address: peer.address.as_ref().map(Address::as_str),
            connect: peer.connect,
            enabled: peer.enabled,
            source,
        });
        return invocation.output.json(&peers.collect::<Vec<_>>());
    }
    if merged.peers.is_empty() {
        let file = config.file.display();
        invocation.output.note(format_args!("there are no peers in {file}, and nobody has joined"));
        return Ok(());
    }
    let header = ["ID", "STATE", "TOKENS", "SCOPES", "ADDRESS", "FINGERPRINTS", "SOURCE"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(header).chain(peers.map(row)).collect();
    Ok(invocation.output.table(&rows)?)
}

fn row((peer, source): (&PeerEntry, Source)) -> [String; 7] {
    let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    let list = |list: Vec<String>| or_dash(list.join(","));
    [
        peer.id.to_string(),
        if peer.enabled { "enabled" } else { "disabled" }.to_owned(),
        peer.tokens.len().to_string(),
        list(peer.scopes.iter().map(ToString::to_string).collect()),
        or_dash(peer.address.as_ref().map(ToString::to_string).unwrap_or_default()),
        list(peer.fingerprints.iter().map(ToString::to_string).collect()),
        match source {
            Source::Configuration => "configuration",
            Source::Joined => "joined",
        }
        .to_owned(),
    ]
}
