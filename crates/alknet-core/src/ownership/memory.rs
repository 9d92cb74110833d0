//! The default ownership store: records in memory.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::index::Index;
use super::{OwnershipError, OwnershipProvider, OwnershipRecord, OwnershipStore, OwnershipWatch};
use crate::{BoxFuture, Identity};

/// So many that threads rarely meet in one, and that with a million records one that grows has to move a few thousand
/// entries only; so few that they take no more than 24 KiB when they are empty.
const SHARDS: usize = 128;

/// Ownership in memory; it is gone with the process, as is what was spawned.
///
/// A check ([`owns`](OwnershipProvider::owns)) is one lookup in a hash table, behind a lock that is held for reading
/// only; it allocates nothing and waits for nobody but a change in the same one of 128 shards, for as long as one entry
/// is inserted or removed, which now and then moves the entries of that shard. Hashes are keyed at random, so that nobody can choose ids that collide. What an owner has is
/// found in time that depends on what that owner has; [`watch`](OwnershipStore::watch) without an owner walks the whole
/// store. A watcher of one owner may be 256 changes of that owner behind, a watcher of everybody 1024 changes, before
/// it gets [`Missed`](super::OwnershipEvent::Missed).
///
/// The futures of [`record`](OwnershipStore::record) and [`revoke`](OwnershipStore::revoke) do everything when they are
/// first polled and never wait: one that is dropped has done all or nothing.
pub struct MemoryOwnership {
    index: Index,
}

impl Default for MemoryOwnership {
    fn default() -> Self {
        Self { index: Index::new(SHARDS) }
    }
}

impl OwnershipProvider for MemoryOwnership {
    fn owns(&self, identity: &Identity, kind: &str, id: &str, _action: &str) -> bool {
        self.index.owns(&identity.id, kind, id)
    }

    fn owns_any(&self, identity: &Identity, kind: &str) -> bool {
        self.index.owns_any(&identity.id, kind)
    }

    fn owned_resources(&self, identity: &Identity, kind: Option<&str>) -> Vec<Arc<OwnershipRecord>> {
        self.index.owned(&identity.id, kind)
    }

    fn revocation(&self, kind: &str, id: &str) -> CancellationToken {
        self.index.revocation(kind, id)
    }
}

impl OwnershipStore for MemoryOwnership {
    fn record(&self, record: OwnershipRecord) -> BoxFuture<'_, Result<(), OwnershipError>> {
        Box::pin(async { self.index.record(record) })
    }

    fn revoke<'a>(&'a self, kind: &'a str, id: &'a str) -> BoxFuture<'a, Option<Arc<OwnershipRecord>>> {
        Box::pin(async { self.index.revoke(kind, id) })
    }

    fn watch(&self, owner: Option<&str>) -> OwnershipWatch {
        let (snapshot, events) = self.index.watch(owner);
        OwnershipWatch::new(snapshot, events, owner)
    }
}
