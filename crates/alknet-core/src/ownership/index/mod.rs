//! Who owns what, indexed by resource and by owner.
//!
//! There are two halves, each of many shards with a lock of their own: a [`Table`] by kind and id, which `owns` reads,
//! and [`Owners`], which lists what an owner has and tells its watchers. A change holds the turn of its resource from
//! beginning to end, so that both halves, the events and the cancellation follow in one order for each resource. The
//! table's own lock is held for the single insertion or removal only: a check never waits for an owner's list or a
//! watcher.
//!
//! Locks are taken in this order: turn, owner, table. No lock is held across an await.
//!
//! This module names its surroundings by `super` only, because `tests/ownership` compiles it a second time, with the
//! locks of a model checker ([`sync`]).

mod owners;
mod table;
mod watchers;

use std::sync::Arc;

use owners::Owners;
use table::Table;

use super::sync::{CancellationToken, broadcast};
use super::{OwnershipError, OwnershipEvent, OwnershipRecord, sync};

/// How many changes a watcher of everybody may be behind before it has to begin anew.
pub(super) const BACKLOG: usize = 1024;
/// The same for a watcher of one owner. The room is taken when the first watcher comes: 10 KiB for each watched owner.
pub(super) const OWNER_BACKLOG: usize = 256;

/// Both halves, and the watchers of everybody.
pub(super) struct Index {
    table: Table,
    owners: Owners,
    events: broadcast::Sender<OwnershipEvent>,
}

impl Index {
    /// An empty index whose halves have `shards` shards, a power of two.
    pub(super) fn new(shards: usize) -> Self {
        Self { table: Table::new(shards), owners: Owners::new(shards), events: broadcast::Sender::new(BACKLOG) }
    }

    pub(super) fn owns(&self, owner: &str, kind: &str, id: &str) -> bool {
        self.table.place(kind, id).is_owned_by(owner)
    }

    pub(super) fn owns_any(&self, owner: &str, kind: &str) -> bool {
        self.owners.any(owner, kind)
    }

    /// By kind and id.
    pub(super) fn owned(&self, owner: &str, kind: Option<&str>) -> Vec<Arc<OwnershipRecord>> {
        self.owners.list(owner, kind)
    }

    pub(super) fn revocation(&self, kind: &str, id: &str) -> CancellationToken {
        self.table.place(kind, id).revocation().unwrap_or_else(|| {
            let token = CancellationToken::new();
            token.cancel();
            token
        })
    }

    pub(super) fn record(&self, record: OwnershipRecord) -> Result<(), OwnershipError> {
        let (kind, id) = (record.kind.clone(), record.id.clone());
        let place = self.table.place(&kind, &id);
        let _turn = place.turn();
        if place.is_taken() {
            return Err(OwnershipError::Taken { kind: record.kind, id: record.id });
        }
        // The table before the event: who hears of the resource and asks for it must not be refused.
        let record = self.owners.add(record, |record| place.insert(record.clone()));
        // That nobody watches is no error.
        let _ = self.events.send(OwnershipEvent::Recorded(record));
        Ok(())
    }

    pub(super) fn revoke(&self, kind: &str, id: &str) -> Option<Arc<OwnershipRecord>> {
        let place = self.table.place(kind, id);
        // Held up to the cancellation, so that a second `revoke` cannot report "gone" before that is true everywhere.
        let _turn = place.turn();
        let (record, token) = place.remove()?;
        self.owners.remove(&record);
        let _ = self.events.send(OwnershipEvent::Revoked(record.clone()));
        if let Some(token) = token {
            token.cancel();
        }
        Some(record)
    }

    /// The state, by kind and id, and the changes that are not in it yet. For one owner the two meet exactly. For everybody
    /// the state is collected shard by shard while changes go on, so some of these may be in it already.
    pub(super) fn watch(
        &self,
        owner: Option<&str>,
    ) -> (Vec<Arc<OwnershipRecord>>, broadcast::Receiver<OwnershipEvent>) {
        if let Some(owner) = owner {
            return self.owners.watch(owner);
        }
        // Subscribed before the state is read: a change that the state lacks is sent later than this.
        let events = self.events.subscribe();
        let mut all = self.table.all();
        all.sort_unstable_by(|a, b| (&a.kind, &a.id).cmp(&(&b.kind, &b.id)));
        (all, events)
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> Sizes {
        let (owners, channels) = self.owners.sizes();
        Sizes { room: self.table.room(), owners, channels }
    }
}

/// What the index keeps memory for.
#[cfg(test)]
pub(super) struct Sizes {
    pub(super) room: usize,
    pub(super) owners: usize,
    pub(super) channels: usize,
}

/// Which of a power of two of shards a hash belongs to. The maps within the shards tell their entries apart by the
/// lowest and the seven highest bits; these are others, so that the entries of one shard still differ in those.
fn shard<T>(shards: &[T], hash: u64) -> &T {
    debug_assert!(shards.len().is_power_of_two());
    let place = (hash >> 40) as usize & (shards.len() - 1);
    #[expect(clippy::indexing_slicing, reason = "the mask keeps the place below the length")]
    &shards[place]
}
