//! The records by owner.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Bound;
use std::sync::Arc;

use super::sync::{PoisonError, RwLock, broadcast};
use super::watchers::Watchers;
use super::{OwnershipEvent, OwnershipRecord, shard};

/// What each owner has, in shards by owner. What an owner costs here depends on what it has, not on what others have.
pub(super) struct Owners {
    hasher: RandomState,
    shards: Box<[RwLock<Shard>]>,
}

#[derive(Default)]
struct Shard {
    /// Never an empty set: who owns nothing is not in here.
    records: HashMap<Arc<str>, BTreeSet<Owned>>,
    watchers: Watchers,
}

impl Owners {
    pub(super) fn new(shards: usize) -> Self {
        Self { hasher: RandomState::new(), shards: (0..shards).map(|_| RwLock::default()).collect() }
    }

    pub(super) fn any(&self, owner: &str, kind: &str) -> bool {
        let shard = self.shard(owner).read().unwrap_or_else(PoisonError::into_inner);
        shard.records.get(owner).is_some_and(|owned| of_kind(owned, kind).next().is_some())
    }

    pub(super) fn list(&self, owner: &str, kind: Option<&str>) -> Vec<Arc<OwnershipRecord>> {
        let shard = self.shard(owner).read().unwrap_or_else(PoisonError::into_inner);
        let owned = shard.records.get(owner);
        match kind {
            None => all_of(owned),
            Some(kind) => owned.map(|owned| of_kind(owned, kind).cloned().collect()).unwrap_or_default(),
        }
    }

    /// Adds the record and tells the owner's watchers, after `publish` has made it known to the checks. Gives the record
    /// as it is kept: its owner and kind share their memory with the owner's other records.
    pub(super) fn add(
        &self,
        record: OwnershipRecord,
        publish: impl FnOnce(&Arc<OwnershipRecord>),
    ) -> Arc<OwnershipRecord> {
        let mut shard = self.shard(&record.owner).write().unwrap_or_else(PoisonError::into_inner);
        let record = Arc::new(shard.share(record));
        publish(&record);
        shard.records.entry(record.owner.clone()).or_default().insert(Owned(record.clone()));
        shard.watchers.tell(&record.owner, || OwnershipEvent::Recorded(record.clone()));
        record
    }

    /// Takes the record out and tells the owner's watchers.
    pub(super) fn remove(&self, record: &Arc<OwnershipRecord>) {
        let mut shard = self.shard(&record.owner).write().unwrap_or_else(PoisonError::into_inner);
        if let Some(owned) = shard.records.get_mut(&record.owner) {
            owned.remove(&**record as &dyn Key);
            if owned.is_empty() {
                shard.forget(&record.owner);
            }
        }
        shard.watchers.tell(&record.owner, || OwnershipEvent::Revoked(record.clone()));
    }

    /// What the owner has, and every change from then on: both belong to one moment, since changes are made and told in
    /// the same section of the lock.
    pub(super) fn watch(&self, owner: &str) -> (Vec<Arc<OwnershipRecord>>, broadcast::Receiver<OwnershipEvent>) {
        let mut shard = self.shard(owner).write().unwrap_or_else(PoisonError::into_inner);
        (all_of(shard.records.get(owner)), shard.watchers.subscribe(owner))
    }

    /// How many owners there are, and how many channels.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        let shards = self.shards.iter().map(|shard| shard.read().unwrap());
        shards.fold((0, 0), |(owners, channels), shard| {
            (owners + shard.records.len(), channels + shard.watchers.channels())
        })
    }

    fn shard(&self, owner: &str) -> &RwLock<Shard> {
        shard(&self.shards, self.hasher.hash_one(owner))
    }
}

impl Shard {
    /// The record with the texts that the owner's other records have already: less memory, and closer together.
    fn share(&self, mut record: OwnershipRecord) -> OwnershipRecord {
        if let Some((owner, owned)) = self.records.get_key_value(&record.owner) {
            record.owner = owner.clone();
            let other = of_kind(owned, &record.kind).next().map(|other| other.kind.clone());
            record.kind = other.unwrap_or(record.kind);
        }
        record
    }

    fn forget(&mut self, owner: &str) {
        self.records.remove(owner);
        if self.records.capacity() > 16 && self.records.len() * 8 < self.records.capacity() {
            self.records.shrink_to(self.records.len() * 2);
        }
    }
}

fn all_of(owned: Option<&BTreeSet<Owned>>) -> Vec<Arc<OwnershipRecord>> {
    owned.into_iter().flatten().map(|Owned(record)| record.clone()).collect()
}

fn of_kind<'a>(owned: &'a BTreeSet<Owned>, kind: &'a str) -> impl Iterator<Item = &'a Arc<OwnershipRecord>> {
    let first = (kind, "");
    let range = owned.range::<dyn Key, _>((Bound::Included(&first as &dyn Key), Bound::Unbounded));
    range.map(|Owned(record)| record).take_while(move |record| *record.kind == *kind)
}

/// A record among those of its owner, in the order of kind and id.
struct Owned(Arc<OwnershipRecord>);

/// What [`Owned`] is ordered by. As a trait, so that a set of records can be asked with borrowed texts.
trait Key {
    fn key(&self) -> (&str, &str);
}

impl Key for OwnershipRecord {
    fn key(&self) -> (&str, &str) {
        (&self.kind, &self.id)
    }
}

impl Key for (&str, &str) {
    fn key(&self) -> (&str, &str) {
        *self
    }
}

impl<'a> Borrow<dyn Key + 'a> for Owned {
    fn borrow(&self) -> &(dyn Key + 'a) {
        &*self.0
    }
}

impl Ord for dyn Key + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for dyn Key + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for dyn Key + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for dyn Key + '_ {}

impl Ord for Owned {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.key().cmp(&other.0.key())
    }
}

impl PartialOrd for Owned {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Owned {
    fn eq(&self, other: &Self) -> bool {
        self.0.key() == other.0.key()
    }
}

impl Eq for Owned {}
