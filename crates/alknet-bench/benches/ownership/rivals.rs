//! The store, and what one would compare it to.

use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, RwLock};

use alknet_core::{Identity, MemoryOwnership, OwnershipRecord, OwnershipStore as _};
use futures_util::FutureExt as _;
use hashbrown::{Equivalent, HashMap};

/// Whom one can ask who owns what.
pub(crate) trait Ownership: Sync {
    fn owns(&self, identity: &Identity, kind: &str, id: &str) -> bool;

    fn put(&mut self, kind: Arc<str>, id: Arc<str>, owner: Arc<str>);

    /// Records and revokes until `is_over`, and gives how many pairs.
    fn change(&self, is_over: impl Fn() -> bool) -> u64;
}

/// New ids over and over; the texts are made anew as a handler would.
fn change(is_over: impl Fn() -> bool, mut pair: impl FnMut(&str)) -> u64 {
    let mut pairs = 0;
    while !is_over() {
        pair(&format!("spawned-{pairs:08}"));
        pairs += 1;
    }
    pairs
}

impl Ownership for MemoryOwnership {
    fn owns(&self, identity: &Identity, kind: &str, id: &str) -> bool {
        alknet_core::OwnershipProvider::owns(self, identity, kind, id, "write")
    }

    fn put(&mut self, kind: Arc<str>, id: Arc<str>, owner: Arc<str>) {
        self.record(OwnershipRecord::new(kind, id, owner)).now_or_never().unwrap().unwrap();
    }

    fn change(&self, is_over: impl Fn() -> bool) -> u64 {
        change(is_over, |id| {
            self.record(OwnershipRecord::new("tty", id, "owner-0000")).now_or_never().unwrap().unwrap();
            self.revoke("tty", id).now_or_never().unwrap().unwrap();
        })
    }
}

/// One table from kind and id to owner.
#[derive(Default)]
pub(crate) struct Plain<S>(HashMap<Key, Arc<str>, S>);

#[derive(PartialEq, Eq, Hash)]
struct Key(Arc<str>, Arc<str>);

#[derive(Hash)]
struct Borrowed<'a>(&'a str, &'a str);

impl Equivalent<Key> for Borrowed<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self.1 == *key.1 && *self.0 == *key.0
    }
}

impl<S: BuildHasher> Plain<S> {
    fn insert(&mut self, kind: Arc<str>, id: Arc<str>, owner: Arc<str>) {
        self.0.insert(Key(kind, id), owner);
    }
}

impl<S: BuildHasher + Default + Sync> Ownership for Plain<S> {
    fn owns(&self, identity: &Identity, kind: &str, id: &str) -> bool {
        self.0.get(&Borrowed(kind, id)).is_some_and(|owner| **owner == *identity.id)
    }

    fn put(&mut self, kind: Arc<str>, id: Arc<str>, owner: Arc<str>) {
        self.insert(kind, id, owner);
    }

    /// In a table of its own, since this one is read without a lock.
    fn change(&self, is_over: impl Fn() -> bool) -> u64 {
        let mut other = Self::default();
        change(is_over, |id| {
            other.insert("tty".into(), id.into(), "owner-0000".into());
            other.0.remove(&Borrowed("tty", id)).unwrap();
        })
    }
}

/// The same behind the one lock that it needs as soon as it is to change.
pub(crate) struct Locked<S>(RwLock<Plain<S>>);

impl<S> Locked<S> {
    pub(crate) fn new(plain: Plain<S>) -> Self {
        Self(RwLock::new(plain))
    }
}

impl<S: BuildHasher + Default + Send + Sync> Ownership for Locked<S> {
    fn owns(&self, identity: &Identity, kind: &str, id: &str) -> bool {
        self.0.read().unwrap().owns(identity, kind, id)
    }

    fn put(&mut self, kind: Arc<str>, id: Arc<str>, owner: Arc<str>) {
        self.0.get_mut().unwrap().insert(kind, id, owner);
    }

    fn change(&self, is_over: impl Fn() -> bool) -> u64 {
        change(is_over, |id| {
            self.0.write().unwrap().insert("tty".into(), id.into(), "owner-0000".into());
            self.0.write().unwrap().0.remove(&Borrowed("tty", id)).unwrap();
        })
    }
}
