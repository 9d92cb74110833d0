//! Who owns what was spawned at run time: **the spawner owns, a proxy shares, teardown revokes.**
//!
//! A handler that spawns something (a terminal, a container) records who spawned it, and revokes the record when the thing
//! ends. Authorization asks the [`OwnershipProvider`]; only the handler that manages the life cycle writes to the
//! [`OwnershipStore`]. Records live as long as the process.
//!
//! ```
//! use alknet_core::{MemoryOwnership, OwnershipProvider, OwnershipRecord, OwnershipStore};
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let alice = alknet_core::Identity { id: "alice".into(), scopes: vec![], resources: Default::default() };
//! let store = MemoryOwnership::default();
//! store.record(OwnershipRecord::new("tty", "t-1", "alice")).await?;
//! assert!(store.owns(&alice, "tty", "t-1", "write"));
//! store.revoke("tty", "t-1").await;
//! assert!(!store.owns(&alice, "tty", "t-1", "write"));
//! # Ok::<(), alknet_core::OwnershipError>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod index;
mod memory;
mod sync;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

pub use memory::MemoryOwnership;

use crate::{BoxFuture, Identity};

/// That something is somebody's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnershipRecord {
    /// What kind of thing it is, as in `resource_type`: `tty`, `container`, …
    pub kind: Arc<str>,
    /// Which one. Never used a second time within a process.
    pub id: Arc<str>,
    /// The id of the identity that spawned it.
    pub owner: Arc<str>,
    /// For whom the owner said that it spawned it: the `forwarded_for` of the call, as JSON text. No authority follows
    /// from it; it is shown to the owner only, so that a proxy that was restarted knows whose things it holds.
    pub claim: Option<Arc<str>>,
}

impl OwnershipRecord {
    /// A record without a claim.
    pub fn new(kind: impl Into<Arc<str>>, id: impl Into<Arc<str>>, owner: impl Into<Arc<str>>) -> Self {
        Self { kind: kind.into(), id: id.into(), owner: owner.into(), claim: None }
    }

    /// Adds for whom the owner spawned it.
    #[must_use]
    pub fn with_claim(mut self, claim: Option<impl Into<Arc<str>>>) -> Self {
        self.claim = claim.map(Into::into);
        self
    }
}

/// Answers who owns what. Sync and on the hot path: an implementation answers from memory.
pub trait OwnershipProvider: Send + Sync + 'static {
    /// Whether `identity` may do `action` with this resource because it owns it. What is not there, nobody owns.
    fn owns(&self, identity: &Identity, kind: &str, id: &str, action: &str) -> bool;

    /// Whether `identity` owns anything of this kind.
    fn owns_any(&self, identity: &Identity, kind: &str) -> bool;

    /// What `identity` owns of this kind, or of all kinds, by kind and id.
    fn owned_resources(&self, identity: &Identity, kind: Option<&str>) -> Vec<Arc<OwnershipRecord>>;

    /// Is cancelled when the resource is revoked, before that `revoke` returns; already is if there is none. Whoever holds
    /// something open on a resource waits for it, and asks for it **before** the check with `owns`: then no revocation can
    /// slip in between the two unnoticed.
    fn revocation(&self, kind: &str, id: &str) -> CancellationToken;
}

/// The writing side of an [`OwnershipProvider`].
pub trait OwnershipStore: OwnershipProvider {
    /// Records that a resource is somebody's, once it exists. From when this returns its owner passes the check.
    ///
    /// # Errors
    /// When there is a record of that kind and id; then nothing changes.
    fn record(&self, record: OwnershipRecord) -> BoxFuture<'_, Result<(), OwnershipError>>;

    /// Takes the record away, because the resource has ended. From when this returns no check passes for it. Gives the
    /// record; none if there was none, which is no error: several parties may see a thing end.
    fn revoke<'a>(&'a self, kind: &'a str, id: &'a str) -> BoxFuture<'a, Option<Arc<OwnershipRecord>>>;

    /// What `owner` owns at this moment (everybody, if none is given), and every change from then on.
    fn watch(&self, owner: Option<&str>) -> OwnershipWatch;
}

/// A change in an [`OwnershipStore`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnershipEvent {
    /// A resource was spawned.
    Recorded(Arc<OwnershipRecord>),
    /// A resource has ended.
    Revoked(Arc<OwnershipRecord>),
    /// The watcher was too slow and has missed changes: it has to watch anew.
    Missed,
}

/// The changes that a watcher sees, from a state on.
pub struct OwnershipWatch {
    /// The state at the beginning, by kind and id. A change that came in the same moment may be both in here and among
    /// the events; in the order of the events the last one is right.
    pub snapshot: Vec<Arc<OwnershipRecord>>,
    events: broadcast::Receiver<OwnershipEvent>,
    owner: Option<Arc<str>>,
}

impl OwnershipWatch {
    /// A watch that begins with `snapshot` and goes on with those of `events` that are about `owner`.
    pub fn new(
        snapshot: Vec<Arc<OwnershipRecord>>,
        events: broadcast::Receiver<OwnershipEvent>,
        owner: Option<&str>,
    ) -> Self {
        Self { snapshot, events, owner: owner.map(Into::into) }
    }

    /// The next change; none when the store is gone.
    pub async fn next(&mut self) -> Option<OwnershipEvent> {
        loop {
            let event = match self.events.recv().await {
                Ok(event) => event,
                Err(broadcast::error::RecvError::Lagged(_)) => OwnershipEvent::Missed,
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            let concerns = match (&event, &self.owner) {
                (OwnershipEvent::Recorded(record) | OwnershipEvent::Revoked(record), Some(owner)) => {
                    record.owner == *owner
                }
                _ => true,
            };
            if concerns {
                return Some(event);
            }
        }
    }
}

/// Why something cannot be recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OwnershipError {
    /// An id names one resource.
    #[error("there is a {kind} \"{id}\" already; an id names one resource")]
    Taken {
        /// The kind.
        kind: Arc<str>,
        /// The id.
        id: Arc<str>,
    },
}
