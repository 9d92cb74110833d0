//! Re-export: operations of a spoke, served by a hub under a prefix of its own, to callers that the spoke does not know.
//!
//! The hub is the caller at the spoke, so there it owns what it spawns. Whose a resource is among the hub's own callers the
//! hub keeps in its own ownership store, under kinds with the prefix, and checks it there like any other. Only the spoke's
//! events are written to these books, in the spoke's order: what a spawn answered is the caller's as soon as the event is
//! here that says for whom it was spawned, and nothing is entered that has ended in the meantime. The claims in the spoke's
//! records are what a hub that was restarted knows its callers' resources by.
//!
//! A spoke is believed in what it says of its own resources, and in nothing else: what it can do to the books stays under
//! its prefix, among the kinds that its exported operations name, and within limits.

mod books;
mod export;
mod keeper;
mod mount;
mod orphans;

use std::sync::Arc;

use alknet_core::{OwnershipStore, Scope};
use tokio::task::JoinSet;

use crate::peers::Peers;
use crate::{OperationPattern, Registry};
use mount::Mount;
pub use orphans::end_orphans;

/// What a hub exports of one peer. A peer can have several, with other scopes or another prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// The id of the peer.
    pub peer: Arc<str>,
    /// Which operations, by the names that they have at the peer. Those that every node has (`resources/list` and the
    /// like) are not exported.
    pub operations: Vec<OperationPattern>,
    /// What stands before those names here, and before the kinds of their resources: one word or several.
    pub prefix: String,
    /// What a caller needs here. Empty: what the peer's own description asks for.
    pub required_scopes: Vec<Scope>,
}

/// Exports operations of peers for as long as it is there. While a peer is away its operations are UNAVAILABLE to those who
/// may call them.
///
/// An operation is not exported, which the log says, if one caller would be shown by it what is another's: if it works on
/// all resources of its caller, or lists resources, and does not say where in its output they stand.
pub struct Hub {
    _keepers: JoinSet<()>,
}

impl Hub {
    /// Exports `exports` in `registry`, whose ownership store, `ownership`, keeps the books. What [`check`](Self::check)
    /// refuses is left out, and named in the log. Needs a Tokio runtime.
    pub fn start(
        exports: Vec<Export>,
        registry: &Arc<Registry>,
        ownership: &Arc<dyn OwnershipStore>,
        peers: &Arc<Peers>,
    ) -> Self {
        let (mounts, refused) = Mount::of(exports);
        refused.iter().for_each(|error| tracing::error!(%error, "an export is left out"));
        let mut keepers = JoinSet::new();
        for mount in mounts {
            // Not in the task: who calls before that has run once is not to be told that there is nothing.
            let away = mount.reserve(registry);
            keepers.spawn(keeper::keep(mount, away, Arc::downgrade(registry), ownership.clone(), peers.clone()));
        }
        Self { _keepers: keepers }
    }

    /// Whether [`start`](Self::start) can export all of these.
    ///
    /// # Errors
    /// For the first whose prefix is none, or overlaps with that of another peer.
    pub fn check(exports: &[Export]) -> Result<(), InvalidExport> {
        Mount::of(exports.to_vec()).1.into_iter().next().map_or(Ok(()), Err)
    }
}

/// An export that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidExport {
    /// The prefix cannot stand before names.
    #[error(
        "\"{prefix}\" cannot stand before the operations of the peer \"{peer}\": a prefix is a word of a-z, 0-9, - and _, \
         or several with slashes between them, and a name with it has at most 8 words"
    )]
    Prefix {
        /// Whose operations.
        peer: Arc<str>,
        /// The prefix.
        prefix: String,
    },
    /// Two peers cannot have one prefix, and no prefix can stand under another.
    #[error(
        "the prefix \"{prefix}\" for the peer \"{peer}\" and the prefix \"{other_prefix}\" for the peer \"{other}\" overlap: \
         give each peer a prefix of its own"
    )]
    PrefixTaken {
        /// The one peer.
        peer: Arc<str>,
        /// Its prefix.
        prefix: String,
        /// The peer whose exports come first.
        other: Arc<str>,
        /// Its prefix.
        other_prefix: String,
    },
}

#[cfg(test)]
mod tests;
