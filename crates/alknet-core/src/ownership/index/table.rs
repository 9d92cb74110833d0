//! The records by kind and id.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;

use super::sync::{CancellationToken, Mutex, MutexGuard, PoisonError, RwLock};
use super::{OwnershipRecord, shard};

/// A hash table in shards. Its hashes are keyed at random: at a hub, ids are chosen by remote parties.
pub(super) struct Table {
    hasher: RandomState,
    shards: Box<[Shard]>,
}

/// Fills a cache line, so that readers of neighbours do not disturb each other.
#[repr(align(64))]
#[derive(Default)]
struct Shard {
    turn: Mutex<()>,
    entries: RwLock<HashTable<Entry>>,
}

struct Entry {
    /// Kept, so that a table that grows or shrinks need not read every key while checks wait for it.
    hash: u64,
    /// As in the record. A lookup compares it while the record is still on its way from memory.
    id: Arc<str>,
    record: Arc<OwnershipRecord>,
    /// Made when somebody first asks for it.
    revocation: Option<CancellationToken>,
}

impl Table {
    pub(super) fn new(shards: usize) -> Self {
        Self { hasher: RandomState::new(), shards: (0..shards).map(|_| Shard::default()).collect() }
    }

    /// Where the record of this kind and id is, or would be.
    pub(super) fn place<'a>(&'a self, kind: &'a str, id: &'a str) -> Place<'a> {
        let hash = self.hasher.hash_one((kind, id));
        Place { shard: shard(&self.shards, hash), hash, kind, id }
    }

    /// For how many entries there is room.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.shards.iter().map(|shard| shard.entries.read().unwrap().num_buckets()).sum()
    }

    /// Every record, in no order, and not of one moment.
    pub(super) fn all(&self) -> Vec<Arc<OwnershipRecord>> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let entries = shard.entries.read().unwrap_or_else(PoisonError::into_inner);
            all.extend(entries.iter().map(|entry| entry.record.clone()));
        }
        all
    }
}

/// A kind and an id, hashed once. Each method but [`Place::turn`] holds the shard's lock by itself.
pub(super) struct Place<'a> {
    shard: &'a Shard,
    hash: u64,
    kind: &'a str,
    id: &'a str,
}

impl Place<'_> {
    pub(super) fn is_owned_by(&self, owner: &str) -> bool {
        self.look(|entry| *entry.record.owner == *owner).unwrap_or(false)
    }

    pub(super) fn is_taken(&self) -> bool {
        self.look(|_| ()).is_some()
    }

    /// None if there is no record.
    pub(super) fn revocation(&self) -> Option<CancellationToken> {
        if let Some(token) = self.look(|entry| entry.revocation.clone())? {
            return Some(token);
        }
        // Between the two locks it may have been made or the record revoked, so everything is looked up again.
        let mut entries = self.shard.entries.write().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.find_mut(self.hash, |entry| self.is(entry))?;
        Some(entry.revocation.get_or_insert_default().clone())
    }

    /// Waits until nobody else changes a record of this shard, and keeps others from it. Readers go on.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.shard.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Only in the shard's turn, and only if the place is not taken.
    pub(super) fn insert(&self, record: Arc<OwnershipRecord>) {
        let entry = Entry { hash: self.hash, id: record.id.clone(), record, revocation: None };
        let mut entries = self.shard.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.insert_unique(self.hash, entry, |entry| entry.hash);
    }

    /// Only in the shard's turn.
    pub(super) fn remove(&self) -> Option<(Arc<OwnershipRecord>, Option<CancellationToken>)> {
        let mut entries = self.shard.entries.write().unwrap_or_else(PoisonError::into_inner);
        let (entry, _) = entries.find_entry(self.hash, |entry| self.is(entry)).ok()?.remove();
        // Far above what is left and far below the next growth, so that no sequence of changes moves entries each time.
        if entries.num_buckets() > 16 && entries.len() * 8 < entries.num_buckets() {
            let room = entries.len() * 2;
            entries.shrink_to(room, |entry| entry.hash);
        }
        Some((entry.record, entry.revocation))
    }

    fn look<T>(&self, at: impl FnOnce(&Entry) -> T) -> Option<T> {
        let entries = self.shard.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.find(self.hash, |entry| self.is(entry)).map(at)
    }

    fn is(&self, entry: &Entry) -> bool {
        entry.hash == self.hash && *entry.id == *self.id && *entry.record.kind == *self.kind
    }
}
