//! Re-export: operations of a spoke, served by a hub under a prefix of its own, to callers that the spoke does not know.
//!
//! The hub is the caller at the spoke, so there it owns what it spawns. Whose a resource is among the hub's own callers the
//! hub keeps in its own ownership store, under kinds with the prefix, and checks it there like any other. Only the spoke's
//! events are written to these books, in the spoke's order: what a spawn answered is the caller's as soon as the event is
//! here that says for whom it was spawned, and nothing is entered that has ended in the meantime. The claims in the spoke's
//! records are what a hub that was restarted knows its callers' resources by.

mod books;
mod export;
mod keeper;

use std::sync::Arc;

use alknet_core::{OwnershipStore, Scope};
use tokio::task::JoinSet;

use crate::peers::Peers;
use crate::{Access, OperationPattern, Registry, Reservation};

/// What a hub exports of one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// The id of the peer.
    pub peer: Arc<str>,
    /// Which operations, by the names that they have at the peer.
    pub operations: Vec<OperationPattern>,
    /// What stands before those names here.
    pub prefix: String,
    /// What a caller needs here. Empty: what the peer's own description asks for.
    pub required_scopes: Vec<Scope>,
}

/// Exports operations of peers for as long as it is there. While a peer is away its operations are UNAVAILABLE to those who
/// may call them.
pub struct Hub {
    _reservations: Vec<Reservation>,
    _keepers: JoinSet<()>,
}

impl Hub {
    /// Exports `exports` in `registry`, whose ownership store keeps the books. Needs a Tokio runtime.
    pub fn start(
        exports: Vec<Export>,
        registry: &Arc<Registry>,
        ownership: &Arc<dyn OwnershipStore>,
        peers: &Arc<Peers>,
    ) -> Self {
        let mut keepers = JoinSet::new();
        let reservations = exports.iter().flat_map(|export| export.reserve(registry)).collect();
        for export in exports {
            keepers.spawn(keeper::keep(export, Arc::downgrade(registry), ownership.clone(), peers.clone()));
        }
        Self { _reservations: reservations, _keepers: keepers }
    }
}

impl Export {
    fn reserve(&self, registry: &Registry) -> Vec<Reservation> {
        let prefixed = self.operations.iter().filter_map(|pattern| pattern.prefixed(&self.prefix).ok());
        prefixed.map(|pattern| registry.reserve(pattern, self.access())).collect()
    }

    /// What is asked of callers of what is not known yet.
    fn access(&self) -> Access {
        match self.required_scopes.is_empty() {
            true => Access::Identified,
            false => Access::Scopes(self.required_scopes.clone()),
        }
    }

    /// What a kind of resource of the peer's is called here.
    fn kind(&self, kind: &str) -> Arc<str> {
        format!("{}/{kind}", self.prefix).into()
    }
}

#[cfg(test)]
mod tests;
