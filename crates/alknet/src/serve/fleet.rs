//! The node among others: whom it stays connected with, and what of theirs it offers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alknet_call::builtin::PeerStatus;
use alknet_call::{Backoff, CallHandler, Connected, Hub, Peers, ReconnectingClient, Registry, end_orphans};
use alknet_core::{
    Alpn, AuthContext, DialError, Dialer, Fingerprint, IdentityProvider, NodeKey, OwnershipStore, ProtocolHandler as _,
    TransportChoice,
};
use tokio_util::task::AbortOnDropHandle;

use super::parts::Ground;
use crate::client::{NodeError, peer_destination};
use crate::config::{Config, PeerEntry, Reexport};

/// How long one attempt to connect may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connections that this node keeps, and exports of what is at their other ends.
pub(super) struct Fleet {
    peers: Arc<Peers>,
    dialer: Arc<Dialer>,
    identities: Arc<dyn IdentityProvider>,
    registry: Arc<Registry>,
    ownership: Arc<dyn OwnershipStore>,
    kept: BTreeMap<Arc<str>, Kept>,
    hub: Option<(Vec<Reexport>, Hub)>,
    _orphans: AbortOnDropHandle<()>,
}

/// A peer that the node stays connected with.
struct Kept {
    entry: PeerEntry,
    _client: ReconnectingClient,
    _entered: AbortOnDropHandle<()>,
    since: Instant,
}

impl Fleet {
    pub(super) fn new(key: NodeKey, ground: &Ground) -> Self {
        let Ground { operations: registry, ownership, identities, peers } = ground.clone();
        let dialer = Arc::new(Dialer::new(Some(key)).watchful());
        let orphans = tokio::spawn(end_orphans(Arc::downgrade(&registry), identities.clone()));
        let orphans = AbortOnDropHandle::new(orphans);
        Self { peers, dialer, identities, registry, ownership, kept: BTreeMap::new(), hub: None, _orphans: orphans }
    }

    /// Connects, disconnects and exports as the configuration and all peers are now. What has not changed is left alone.
    pub(super) fn apply(&mut self, config: &Config, peers: &[PeerEntry], handler: &Arc<CallHandler>) {
        let wanted: BTreeMap<Arc<str>, &PeerEntry> = peers
            .iter()
            .filter(|entry| config.keeps(entry))
            .map(|entry| (Arc::from(entry.id.as_str()), entry))
            .collect();
        self.kept.retain(|id, kept| wanted.get(id).is_some_and(|entry| **entry == kept.entry));
        // The handler serves one protocol.
        let alpn = handler.alpns().into_iter().next();
        for (id, entry) in wanted {
            if let (false, Some(alpn)) = (self.kept.contains_key(&id), alpn.clone()) {
                match self.keep(&id, entry, handler, alpn) {
                    Ok(kept) => drop(self.kept.insert(id, kept)),
                    Err(error) => tracing::warn!(peer = &*id, %error, "the peer cannot be dialed"),
                }
            }
        }
        let exports = &config.hub.reexport;
        if self.hub.as_ref().is_none_or(|(current, _)| current != exports) {
            // The old one goes first: both may have the same names.
            self.hub = None;
            let started = exports.iter().map(Reexport::to_export).collect();
            let hub = Hub::start(started, &self.registry, &self.ownership, &self.peers);
            self.hub = Some((exports.clone(), hub));
        }
    }

    fn keep(
        &self,
        id: &Arc<str>,
        entry: &PeerEntry,
        handler: &Arc<CallHandler>,
        alpn: Alpn,
    ) -> Result<Kept, NodeError> {
        let destination = Arc::new(peer_destination(entry)?);
        let (dialer, handler, identities) = (self.dialer.clone(), handler.clone(), self.identities.clone());
        // Whoever answers has shown one of these keys; without any, the system's roots vouch for a name, which is nobody
        // to authorize here.
        let fingerprints: Arc<[Fingerprint]> = entry.fingerprints.as_slice().into();
        let connect = move || -> alknet_core::BoxFuture<'static, Result<Connected, DialError>> {
            let (dialer, handler, destination) = (dialer.clone(), handler.clone(), destination.clone());
            let (auth, alpn) = (AuthContext::new(fingerprints.clone(), identities.clone()), alpn.clone());
            Box::pin(async move {
                let connection = dialer.dial(&destination, &alpn, TransportChoice::Auto, PATIENCE).await?;
                Ok(handler.serve(connection, auth))
            })
        };
        let client = ReconnectingClient::new(id.clone(), Backoff::default(), connect);
        let entered = tokio::spawn(enter(id.clone(), client.clone(), self.peers.clone()));
        Ok(Kept {
            entry: entry.clone(),
            _client: client,
            _entered: AbortOnDropHandle::new(entered),
            since: Instant::now(),
        })
    }

    /// The peers as `services/list-peers` shows them: those that are connected, and those that should be.
    pub(super) fn statuses(&self) -> Vec<PeerStatus> {
        let mut statuses = self.peers.statuses();
        for (id, kept) in &self.kept {
            if !statuses.iter().any(|status| status.id == **id) {
                statuses.push(PeerStatus {
                    id: id.to_string(),
                    connected: false,
                    transport: None,
                    operations: 0,
                    since: Some(kept.since),
                });
            }
        }
        statuses.sort_by(|one, other| one.id.cmp(&other.id));
        statuses
    }

    /// Ends all of it. The future says goodbye to the peers.
    pub(super) fn leave(&mut self) -> impl Future<Output = ()> + Send + use<> {
        self.hub = None;
        self.kept.clear();
        let dialer = self.dialer.clone();
        async move { dialer.close().await }
    }
}

/// Enters each connection of `client` among the peers for as long as it lasts.
async fn enter(id: Arc<str>, client: ReconnectingClient, peers: Arc<Peers>) {
    loop {
        if let Ok(current) = client.connected(Duration::MAX).await {
            let _entered = peers.enter(id.clone(), current.clone());
            current.closed().await;
        }
    }
}

impl Config {
    /// Whether the node stays connected with this peer: because the entry says so, or because it exports what is there.
    fn keeps(&self, entry: &PeerEntry) -> bool {
        let is_exported = self.hub.reexport.iter().any(|export| export.peer == entry.id);
        entry.enabled && entry.address.is_some() && (entry.connect || is_exported)
    }
}
