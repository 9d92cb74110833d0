//! The operations `peers/…` of a node.
//!
//! | operation | scope | input | output |
//! | --- | --- | --- | --- |
//! | `peers/join` | none, but a key | `token` | `id`, `name` (the node's), `scopes`, `resources` |
//! | `peers/invite` | `node:admin` | `id`, and optional `scopes`, `resources`, `expires_seconds`, `address`, `unless_known` | `id`, `known`, `link`, … |
//! | `peers/invitations` | `node:admin` | | `{"invitations": [{"id", "scopes", "resources", "expires", …}, …]}` |
//! | `peers/uninvite` | `node:admin` | `id` | `{}` |
//! | `peers/add` | `node:admin` | `id`, `fingerprint`, and optional `address`, `scopes`, `resources`, `connect` | `{}` |
//! | `peers/remove` | `node:admin` | `id` | `{}` |
//! | `peers/joined` | `node:admin` | | `{"peers": [{"id", "fingerprints", "scopes", …}, …]}` |

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use alknet_call::{CallError, ErrorCode, NameTaken, OperationContext, OperationSpec, Registry};
use alknet_core::{Fingerprint, Scope, TokenHash};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{DEFAULT_LIFETIME, Invitation, JoinToken, PairingError, PairingLink, choose_address, specs};
use crate::config::{Address, Parsed, PeerEntry, PeerId};
use crate::serve::Node;

/// Registers them.
pub(crate) fn register(registry: &Registry, node: &Arc<Node>) -> Result<(), NameTaken> {
    let node = Registration { registry, node: Arc::downgrade(node) };
    node.add(specs::join(), join)?;
    node.add(specs::invite(), async |node, _, input| invite(node, input).await)?;
    node.add(specs::invitations(), async |node, _, _: Value| invitations(node).await)?;
    node.add(specs::uninvite(), async |node, _, input| uninvite(node, input).await)?;
    node.add(specs::add(), async |node, _, input| add(node, input).await)?;
    node.add(specs::remove(), async |node, _, input| remove(node, input).await)?;
    node.add(specs::joined(), async |node, _, _: Value| joined(node).await)
}

struct Registration<'r> {
    registry: &'r Registry,
    /// The registry belongs to the node, so a strong reference would keep both for ever.
    node: Weak<Node>,
}

impl Registration<'_> {
    fn add<I, F, R>(&self, spec: OperationSpec, run: F) -> Result<(), NameTaken>
    where
        I: DeserializeOwned + Send,
        F: Fn(Arc<Node>, OperationContext, I) -> R + Copy + Send + Sync + 'static,
        R: Future<Output = Result<Value, CallError>> + Send,
    {
        let node = self.node.clone();
        self.registry.register(spec, move |context: OperationContext, input: Value| {
            let node = node.upgrade();
            async move {
                let node = node.ok_or_else(|| CallError::new(ErrorCode::Unavailable, "the node shuts down"))?;
                let input =
                    serde_json::from_value(input).map_err(|error| CallError::invalid_input(error.to_string()))?;
                run(node, context, input).await
            }
        })
    }
}

#[derive(Deserialize)]
struct JoinInput {
    token: String,
}

async fn join(node: Arc<Node>, context: OperationContext, input: JoinInput) -> Result<Value, CallError> {
    let key = context.peer.fingerprint.ok_or(PairingError::NoKey)?;
    let remote = context.peer.remote.map(tracing::field::display);
    let token = TokenHash::of(&input.token);
    if !node.desk().may_open(&token) {
        tracing::debug!(%key, remote, "somebody wants to join with a token that is not good");
        return Err(PairingError::Refused.into());
    }
    let peer = node.change_peers(move |ledger, known| ledger.join(&token, key, known)).await?;
    tracing::info!(peer = peer.id.as_str(), %key, remote, "a peer has joined");
    Ok(json!({
        "id": peer.id.as_str(),
        "name": node.name(),
        "scopes": texts(&peer.scopes),
        "resources": peer.resources,
    }))
}

#[derive(Deserialize)]
struct InviteInput {
    id: Parsed<PeerId>,
    #[serde(default)]
    scopes: Vec<Parsed<Scope>>,
    #[serde(default)]
    resources: BTreeMap<String, Vec<String>>,
    expires_seconds: Option<u64>,
    address: Option<Parsed<Address>>,
    #[serde(default)]
    unless_known: bool,
}

async fn invite(node: Arc<Node>, input: InviteInput) -> Result<Value, CallError> {
    let id = input.id.0;
    let chosen = choose_address(input.address.map(|address| address.0), node.addresses());
    let token = JoinToken::generate()?;
    let expires = node.desk().clock.now() + input.expires_seconds.unwrap_or(DEFAULT_LIFETIME.as_secs());
    let invitation = Invitation {
        id: id.clone(),
        scopes: input.scopes.into_iter().map(|scope| scope.0).collect(),
        resources: input.resources,
        token: token.hash(),
        expires,
    };
    let invited = node.change_peers(move |ledger, known| {
        // Whoever is there needs no link, and so no address for it.
        if input.unless_known && ledger.has(&invitation.id, known) {
            return Ok(None);
        }
        let (address, source) = chosen?;
        Ok(Some((ledger.invite(invitation, known)?, address, source)))
    });
    let Some((replaces, address, source)) = invited.await? else {
        return Ok(json!({ "id": id.as_str(), "known": true }));
    };
    tracing::info!(peer = id.as_str(), expires, "a peer is invited");
    let link = PairingLink::new(address.clone(), node.fingerprint(), token);
    let link = link.ok_or_else(|| CallError::internal("the node's key is no Ed25519 key"))?;
    Ok(json!({
        "id": id.as_str(),
        "known": false,
        "link": &*link.reveal(),
        "address": address.as_str(),
        "address_from": source.as_str(),
        "expires": expires,
        "replaces": replaces,
    }))
}

async fn invitations(node: Arc<Node>) -> Result<Value, CallError> {
    let now = node.desk().clock.now();
    let ledger = node.read_peers().await?;
    let describe = |invitation: &Invitation| {
        json!({
            "id": invitation.id.as_str(),
            "scopes": texts(&invitation.scopes),
            "resources": invitation.resources,
            "expires": invitation.expires,
            "expires_in_seconds": invitation.expires - now,
        })
    };
    Ok(json!({ "invitations": ledger.invitations.open(now).map(describe).collect::<Vec<_>>() }))
}

#[derive(Deserialize)]
struct IdInput {
    id: Parsed<PeerId>,
}

async fn uninvite(node: Arc<Node>, IdInput { id }: IdInput) -> Result<Value, CallError> {
    node.change_peers(move |ledger, known| ledger.uninvite(&id.0, known)).await?;
    Ok(json!({}))
}

async fn remove(node: Arc<Node>, IdInput { id }: IdInput) -> Result<Value, CallError> {
    let gone = id.0.clone();
    node.change_peers(move |ledger, _| ledger.remove(&id.0)).await?;
    tracing::info!(peer = gone.as_str(), "a peer that had joined was removed");
    Ok(json!({}))
}

#[derive(Deserialize)]
struct AddInput {
    id: Parsed<PeerId>,
    fingerprint: Parsed<Fingerprint>,
    address: Option<Parsed<Address>>,
    scopes: Option<Vec<Parsed<Scope>>>,
    resources: Option<BTreeMap<String, Vec<String>>>,
    #[serde(default)]
    connect: bool,
}

async fn add(node: Arc<Node>, input: AddInput) -> Result<Value, CallError> {
    let change = super::Addition {
        id: input.id.0,
        key: input.fingerprint.0,
        address: input.address.map(|address| address.0),
        scopes: input.scopes.map(|scopes| scopes.into_iter().map(|scope| scope.0).collect()),
        resources: input.resources,
        connect: input.connect,
    };
    node.change_peers(move |ledger, known| ledger.add(change, known)).await?;
    Ok(json!({}))
}

async fn joined(node: Arc<Node>) -> Result<Value, CallError> {
    let ledger = node.read_peers().await?;
    let describe = |peer: &PeerEntry| {
        json!({
            "id": peer.id.as_str(),
            "fingerprints": texts(&peer.fingerprints),
            "scopes": texts(&peer.scopes),
            "resources": peer.resources,
            "address": peer.address.as_ref().map(Address::as_str),
            "connect": peer.connect,
        })
    };
    Ok(json!({ "peers": ledger.joined.peers().iter().map(describe).collect::<Vec<_>>() }))
}

fn texts(items: &[impl ToString]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}
