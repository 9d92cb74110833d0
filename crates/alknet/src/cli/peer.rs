//! `alknet peer`.

use std::collections::BTreeMap;

use alknet_core::{Fingerprint, Scope};
use clap::Subcommand;
use serde::Serialize;

use super::Invocation;
use super::apply::after_edit;
use crate::config::edit::Editor;
use crate::config::{Address, PeerEntry, PeerId};

#[derive(Subcommand)]
pub(super) enum PeerCommand {
    /// Add a peer to the configuration
    Add(AddArgs),
    /// List the peers
    List(ListArgs),
    /// Remove a peer from the configuration, with all it has
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

fn resource(text: &str) -> Result<(String, String), String> {
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
    enabled: bool,
}

fn list(args: &ListArgs, invocation: &Invocation) -> anyhow::Result<()> {
    let config = invocation.load_config()?;
    if args.json {
        let peers = config.peers.iter().map(|peer| PeerOutput {
            id: peer.id.as_str(),
            fingerprints: peer.fingerprints.iter().map(ToString::to_string).collect(),
            tokens: peer.tokens.len(),
            scopes: peer.scopes.iter().map(Scope::as_str).collect(),
            resources: &peer.resources,
            address: peer.address.as_ref().map(Address::as_str),
            enabled: peer.enabled,
        });
        return invocation.output.json(&peers.collect::<Vec<_>>());
    }
    if config.peers.is_empty() {
        invocation.output.note(format_args!("there are no peers in {}", config.file.display()));
        return Ok(());
    }
    let header = ["ID", "STATE", "TOKENS", "SCOPES", "ADDRESS", "FINGERPRINTS"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(header).chain(config.peers.iter().map(row)).collect();
    Ok(invocation.output.table(&rows)?)
}

fn row(peer: &PeerEntry) -> [String; 6] {
    let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    let joined = |list: Vec<String>| or_dash(list.join(","));
    [
        peer.id.to_string(),
        if peer.enabled { "enabled" } else { "disabled" }.to_owned(),
        peer.tokens.len().to_string(),
        joined(peer.scopes.iter().map(ToString::to_string).collect()),
        or_dash(peer.address.as_ref().map(ToString::to_string).unwrap_or_default()),
        joined(peer.fingerprints.iter().map(ToString::to_string).collect()),
    ]
}
