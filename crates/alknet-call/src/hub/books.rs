//! Whose the resources of a peer are among our own callers.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alknet_core::{OwnershipRecord, OwnershipStore};
use serde_json::Value;
use tokio::sync::Notify;

use super::mount::Mount;
use crate::peers::MAX_FORWARDED_FOR;

/// How many resources of one peer are kept. Further ones are nobody's here.
const MAX_RESOURCES: usize = 64 * 1024;

/// The longest kind and the longest id of a resource, in bytes. One that is named longer is nobody's here.
const MAX_KIND: usize = 64;
const MAX_ID: usize = 512;

/// How many resources are remembered after their end, for answers that come later than it.
pub(super) const MAX_ENDED: usize = 1024;

/// How long the answer of a spawn waits for the event of it. Both leave the peer at the same time.
const PATIENCE: Duration = Duration::from_secs(2);

/// A kind, as it is called here, and an id.
type Key = (Arc<str>, Arc<str>);

/// The part of our ownership store that is about one peer's resources. There is one writer: who follows the peer's events.
pub(super) struct Books {
    mount: Mount,
    ownership: Arc<dyn OwnershipStore>,
    limit: usize,
    entries: Mutex<Entries>,
    news: Notify,
}

#[derive(Default)]
struct Entries {
    /// The kinds that are followed, as they are called here.
    kinds: HashSet<Arc<str>>,
    /// What the peer has told of and not told the end of, and our record of it. None for what is nobody's here: what this
    /// node spawned there for itself, or for a stranger.
    there: HashMap<Key, Option<OwnershipRecord>>,
    /// What has ended last.
    ended: VecDeque<Key>,
    /// No snapshot has come yet over this connection.
    is_new: bool,
    /// That there is too much was said in the log.
    is_full: bool,
}

/// A resource as the peer's events describe it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Resource {
    key: Key,
    claim: Value,
}

/// What the peer tells of what we own there.
#[derive(Debug, PartialEq)]
pub(super) enum News {
    Snapshot(Vec<Resource>),
    Recorded(Resource),
    Revoked(Resource),
}

impl Books {
    /// Goes on with what the store holds under the prefix.
    pub(super) fn new(mount: Mount, ownership: Arc<dyn OwnershipStore>) -> Self {
        let prefix = mount.kind("");
        let records = ownership.watch(None).snapshot.into_iter().filter(|record| record.kind.starts_with(&*prefix));
        let there =
            records.map(|record| ((record.kind.clone(), record.id.clone()), Some(OwnershipRecord::clone(&record))));
        let entries = Mutex::new(Entries { there: there.collect(), ..Entries::default() });
        Self { mount, ownership, limit: MAX_RESOURCES, entries, news: Notify::new() }
    }

    pub(super) fn mount(&self) -> &Mount {
        &self.mount
    }

    pub(super) fn ownership(&self) -> &Arc<dyn OwnershipStore> {
        &self.ownership
    }

    /// From here on follows resources of these kinds, as they are called here, over a new connection. Its snapshot says what
    /// becomes of those that there were.
    pub(super) fn follow(&self, kinds: HashSet<Arc<str>>) {
        let mut entries = self.entries();
        entries.kinds = kinds;
        entries.is_new = true;
        entries.is_full = false;
    }

    /// Reads an event of the peer's `resources/watch`. None if it is not understood, or about what is not followed.
    pub(super) fn read(&self, event: &Value) -> Option<News> {
        if let Some(resources) = event.get("snapshot") {
            return Some(News::Snapshot(resources.as_array()?.iter().filter_map(|one| self.resource(one)).collect()));
        }
        if let Some(resource) = event.get("recorded") {
            return Some(News::Recorded(self.resource(resource)?));
        }
        Some(News::Revoked(self.resource(event.get("revoked")?)?))
    }

    fn resource(&self, json: &Value) -> Option<Resource> {
        let text = |field: &str, max| json.get(field)?.as_str().filter(|text| text.len() <= max);
        let (kind, id) = (self.mount.kind(text("type", MAX_KIND)?), text("id", MAX_ID)?);
        let kind = self.entries().kinds.get(&kind)?.clone();
        Some(Resource { key: (kind, id.into()), claim: json.get("claim").cloned().unwrap_or_default() })
    }

    /// Enters what the peer tells.
    pub(super) async fn enter(&self, news: News) {
        match news {
            News::Snapshot(resources) => self.reconcile(resources).await,
            News::Recorded(resource) => self.record(resource).await,
            News::Revoked(resource) => self.revoke(&resource.key).await,
        }
        self.news.notify_waiters();
    }

    /// Makes the books say what the peer says.
    async fn reconcile(&self, resources: Vec<Resource>) {
        let gone: Vec<_> = {
            let there: HashSet<_> = resources.iter().map(|resource| &resource.key).collect();
            self.entries().there.keys().filter(|key| !there.contains(key)).cloned().collect()
        };
        for key in gone {
            self.revoke(&key).await;
        }
        self.entries().begin();
        for resource in resources {
            self.record(resource).await;
        }
    }

    async fn record(&self, resource: Resource) {
        let record = resource.record();
        let known = self.entries().there.get(&resource.key).cloned();
        match known {
            Some(known) if known == record => return,
            // What bore this id is gone, and whoever had it does not get what bears it now.
            Some(_) => self.revoke(&resource.key).await,
            None => {}
        }
        if self.is_full() {
            return;
        }
        let entered = match record {
            Some(record) => self.keep(&record).await.then_some(record),
            None => None,
        };
        self.entries().there.insert(resource.key, entered);
    }

    async fn keep(&self, record: &OwnershipRecord) -> bool {
        if self.ownership.record(record.clone()).await.is_ok() {
            return true;
        }
        // Under our prefix nobody else writes, so this is from before: an earlier hub's, which had not quite ended yet.
        self.ownership.revoke(&record.kind, &record.id).await;
        let result = self.ownership.record(record.clone()).await;
        result.inspect_err(|error| tracing::warn!(peer = &*self.mount.peer, %error, "a resource is left out")).is_ok()
    }

    async fn revoke(&self, key: &Key) {
        let known = self.entries().there.get(key).cloned();
        // First the store, so that whoever hears of the end finds it there.
        if let Some(Some(record)) = &known {
            self.ownership.revoke(&record.kind, &record.id).await;
        }
        let mut entries = self.entries();
        entries.there.remove(key);
        entries.ended.push_back(key.clone());
        if entries.ended.len() > MAX_ENDED {
            entries.ended.pop_front();
        }
    }

    /// Waits until the peer has told of this resource, for a while.
    pub(super) async fn told_of(&self, kind: &Arc<str>, id: &str) {
        let key = (kind.clone(), Arc::from(id));
        let told = async {
            loop {
                let news = self.news.notified();
                if self.entries().knows(&key) {
                    return;
                }
                news.await;
            }
        };
        if tokio::time::timeout(PATIENCE, told).await.is_err() {
            tracing::warn!(
                peer = &*self.mount.peer,
                kind = &**kind,
                id = crate::wire::quoted(id),
                "the peer has not told of what was spawned there"
            );
        }
    }

    /// Whether there is no room for another resource. The log says it once.
    fn is_full(&self) -> bool {
        let mut entries = self.entries();
        let is_full = entries.there.len() >= self.limit;
        if is_full && !std::mem::replace(&mut entries.is_full, true) {
            tracing::warn!(
                peer = &*self.mount.peer,
                "the peer has more than {} resources; the others are nobody's here",
                self.limit
            );
        }
        is_full
    }

    #[cfg(test)]
    pub(super) fn with_limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// How many resources there are, and how many ended ones are remembered.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        let entries = self.entries();
        (entries.there.len(), entries.ended.len())
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// The peer may have been restarted since it told of an end, and an id is unique only as long as it runs.
    fn begin(&mut self) {
        if std::mem::take(&mut self.is_new) {
            self.ended.clear();
        }
    }

    fn knows(&self, key: &Key) -> bool {
        self.there.contains_key(key) || self.ended.contains(key)
    }
}

impl Resource {
    /// What is entered of it: whose it is, and for whom that one in turn has it. None for what is nobody's here.
    fn record(&self) -> Option<OwnershipRecord> {
        let owner = self.claim.get("id")?.as_str()?;
        let further = self.claim.get("forwarded_for").filter(|further| !further.is_null()).map(Value::to_string);
        let length = owner.len() + further.as_ref().map_or(0, String::len);
        let (kind, id) = self.key.clone();
        (length <= MAX_FORWARDED_FOR).then(|| OwnershipRecord::new(kind, id, owner).with_claim(further))
    }
}
