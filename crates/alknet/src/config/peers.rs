//! `[[peers]]`: who may come, and whom this node dials.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use alknet_core::{Fingerprint, Identity, Peer, Scope, TokenHash};
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::reader::{Place, Reader};
use super::text::{Address, OneOrMany, Parsed, PeerId};

/// An entry of `[[peers]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerEntry {
    /// Its stable id.
    pub id: PeerId,
    /// Its keys.
    pub fingerprints: Vec<Fingerprint>,
    /// Hashes of its tokens.
    pub tokens: Vec<TokenHash>,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// On which named things, by resource type.
    pub resources: BTreeMap<String, Vec<String>>,
    /// Where this node dials it.
    pub address: Option<Address>,
    /// Whether this node stays connected with it, so that it can call this node's operations from where no one can dial.
    pub connect: bool,
    /// A disabled peer is nobody, and is not dialed.
    pub enabled: bool,
}

impl PeerEntry {
    /// As core's identity provider takes it.
    pub fn to_peer(&self) -> Peer {
        Peer {
            identity: Arc::new(Identity {
                id: self.id.to_arc(),
                scopes: self.scopes.clone(),
                resources: self.resources.clone(),
            }),
            fingerprints: self.fingerprints.clone(),
            tokens: self.tokens.clone(),
            enabled: self.enabled,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PeerKeys {
    id: Spanned<Parsed<PeerId>>,
    #[serde(default)]
    fingerprints: Vec<Spanned<Parsed<Fingerprint>>>,
    token_sha256: Option<Spanned<OneOrMany<TokenHash>>>,
    #[serde(default)]
    scopes: Vec<Parsed<Scope>>,
    #[serde(default)]
    resources: BTreeMap<String, Vec<String>>,
    address: Option<Parsed<Address>>,
    #[serde(default)]
    connect: bool,
    #[serde(default = "yes")]
    enabled: bool,
}

fn yes() -> bool {
    true
}

pub(super) fn read<'t>(reader: &mut Reader<'t>, document: &mut DeTable<'t>) -> Vec<PeerEntry> {
    let Some(peers) = document.remove("peers") else { return Vec::new() };
    let span = peers.span();
    let DeValue::Array(entries) = peers.into_inner() else {
        let message = "peers is a list: write [[peers]], in two brackets, above each peer";
        reader.problem(&span, "peers".to_owned(), message);
        return Vec::new();
    };
    let mut owners = Owners::default();
    let entries = entries.into_iter().enumerate();
    entries.filter_map(|(index, entry)| entry_in(reader, &mut owners, index, entry)).collect()
}

fn entry_in<'t>(
    reader: &mut Reader<'t>,
    owners: &mut Owners,
    index: usize,
    entry: Spanned<DeValue<'t>>,
) -> Option<PeerEntry> {
    let place = Place::entry("peers", index);
    let keys: PeerKeys = reader.section(&place, entry, &[])?;
    let id = keys.id.get_ref().0.clone();
    let mut report = |key: &str, span: Range<usize>, problem: Option<String>| {
        problem.into_iter().for_each(|message| reader.problem(&span, format!("{}.{key}", place.key), message));
    };
    report("id", keys.id.span(), owners.claim_id(&id));
    for key in &keys.fingerprints {
        report("fingerprints", key.span(), owners.claim_fingerprint(key.get_ref().0, &id));
    }
    let tokens = keys.token_sha256.map(tokens).unwrap_or_default();
    for (token, span) in &tokens {
        report("token_sha256", span.clone(), owners.claim_token(*token, &id));
    }
    Some(PeerEntry {
        id,
        fingerprints: keys.fingerprints.into_iter().map(|fingerprint| fingerprint.into_inner().0).collect(),
        tokens: tokens.into_iter().map(|(token, _)| token).collect(),
        scopes: keys.scopes.into_iter().map(|scope| scope.0).collect(),
        resources: keys.resources,
        address: keys.address.map(|address| address.0),
        connect: keys.connect,
        enabled: keys.enabled,
    })
}

fn tokens(keys: Spanned<OneOrMany<TokenHash>>) -> Vec<(TokenHash, Range<usize>)> {
    let span = keys.span();
    match keys.into_inner() {
        OneOrMany::One(token) => vec![(token, span)],
        OneOrMany::Many(list) => list.into_iter().map(|token| (token.get_ref().0, token.span())).collect(),
    }
}

/// Who was the first to have something that only one peer can have.
#[derive(Default)]
struct Owners {
    ids: HashSet<PeerId>,
    fingerprints: HashMap<Fingerprint, PeerId>,
    tokens: HashMap<TokenHash, PeerId>,
}

impl Owners {
    fn claim_id(&mut self, id: &PeerId) -> Option<String> {
        let taken = !self.ids.insert(id.clone());
        taken.then(|| format!("a second peer with the id \"{id}\"; give each its own"))
    }

    fn claim_fingerprint(&mut self, fingerprint: Fingerprint, id: &PeerId) -> Option<String> {
        let first = self.fingerprints.insert(fingerprint, id.clone())?;
        Some(match first == *id {
            true => format!("peer \"{id}\" has the fingerprint {fingerprint} twice; remove one"),
            false => format!("peer \"{first}\" has the fingerprint {fingerprint}, too; a key names one peer"),
        })
    }

    fn claim_token(&mut self, token: TokenHash, id: &PeerId) -> Option<String> {
        let first = self.tokens.insert(token, id.clone())?;
        Some(match first == *id {
            true => format!("peer \"{id}\" has this token twice; remove one"),
            false => format!("peer \"{first}\" has this token, too; a token names one peer"),
        })
    }
}
