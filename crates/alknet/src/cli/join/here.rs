//! What becomes of the node that was joined, on this side.

use alknet_core::{NodeKey, Scope};
use anyhow::Context as _;
use serde_json::json;

use super::{JoinArgs, Welcome};
use crate::cli::Invocation;
use crate::cli::apply::by_node_or;
use crate::cli::report::UsageError;
use crate::config::{Config, PeerEntry, PeerId};
use crate::pairing::{Addition, Clock, Known, PairingError, PairingLink, Store, all_peers};

/// This node, and what it knows of the other one.
pub(super) struct Here {
    pub(super) key: NodeKey,
    configured: Vec<PeerEntry>,
    pub(super) store: Store,
    peers: Vec<PeerEntry>,
    /// Whom it knows the other node as.
    known_as: Option<PeerId>,
}

/// What became of the other node's entry.
pub(super) struct Stored {
    pub(super) id: PeerId,
    pub(super) scopes: Vec<Scope>,
    /// The configuration has it, so there was nothing to store.
    pub(super) configured: bool,
    /// A running node has it in force.
    pub(super) in_force: bool,
}

impl Here {
    /// Looks for what would be in the way, before the token is shown.
    pub(super) fn new(
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
    pub(super) fn store(
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
