//! The node follows what pairing changes.

use std::sync::Arc;

use alknet_core::Fingerprint;

use super::Node;
use super::assembly::peers;
use super::parts::call_handler;
use crate::config::PeerEntry;
use crate::pairing::{Desk, Known, Ledger, PairingError};

impl Node {
    pub(crate) fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Who has joined, and who may.
    pub(crate) async fn read_peers(&self) -> Result<Ledger, PairingError> {
        let store = self.desk.store.clone();
        tokio::task::spawn_blocking(move || store.read()).await?
    }

    /// Changes who has joined and who may, on disk and then in the node. When this answers, both are so.
    pub(crate) async fn change_peers<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Ledger, &Known) -> Result<T, PairingError> + Send + 'static,
    ) -> Result<T, PairingError> {
        let node = self.clone();
        // A task of its own: a caller who goes away must not leave the node behind what is on disk.
        tokio::spawn(async move { node.change_peers_and_follow(change).await }).await?
    }

    async fn change_peers_and_follow<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Ledger, &Known) -> Result<T, PairingError> + Send + 'static,
    ) -> Result<T, PairingError> {
        // Changes take turns with each other and with reloads.
        let config = self.config.lock().await;
        let (store, now) = (self.desk.store.clone(), self.desk.clock.now());
        let known = Known { configured: config.peers.clone(), own: self.fingerprint(), now };
        let changed = tokio::task::spawn_blocking(move || store.change(|ledger| change(ledger, &known)));
        let (result, ledger) = changed.await??;
        let entries = ledger.joined.merge(&config.peers, Some(self.fingerprint())).peers;
        if let Err(error) = self.identities.set(peers(&entries, self.fingerprint())) {
            tracing::error!(%error, "the peers that have joined are not in force");
        }
        self.fleet().apply(&config, &entries, &call_handler(&config, &self.ground));
        self.desk.follow(&ledger);
        Ok(result)
    }
}

/// All peers of the node; those that do not count are named in the log.
pub(super) fn entries(configured: &[PeerEntry], ledger: &Ledger, own: Fingerprint) -> Vec<PeerEntry> {
    let merged = ledger.joined.merge(configured, Some(own));
    merged.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    merged.peers
}
