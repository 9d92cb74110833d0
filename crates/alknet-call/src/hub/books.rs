//! Whose the resources of a peer are among our own callers.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alknet_core::{OwnershipRecord, OwnershipStore};
use serde_json::Value;
use tokio::sync::Notify;

use super::Export;

/// How many ids are remembered after they were seen, for answers that come later than the event of the same spawn.
const REMEMBERED: usize = 4096;

/// How long the answer of a spawn waits for the event of it. Both leave the peer at the same time.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) struct Books {
    export: Export,
    ownership: Arc<dyn OwnershipStore>,
    seen: Mutex<Seen>,
    news: Notify,
}

#[derive(Default)]
struct Seen {
    ids: HashSet<(Arc<str>, Arc<str>)>,
    order: VecDeque<(Arc<str>, Arc<str>)>,
}

/// A resource as the peer's events describe it, under its kind here.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Resource {
    kind: Arc<str>,
    id: Arc<str>,
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
    pub(super) fn new(export: Export, ownership: Arc<dyn OwnershipStore>) -> Self {
        Self { export, ownership, seen: Mutex::default(), news: Notify::new() }
    }

    pub(super) fn export(&self) -> &Export {
        &self.export
    }

    pub(super) fn ownership(&self) -> &Arc<dyn OwnershipStore> {
        &self.ownership
    }

    /// Reads an event of the peer's `resources/watch`.
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
        let kind = self.export.kind(json.get("type")?.as_str()?);
        let claim = json.get("claim").cloned().unwrap_or_default();
        Some(Resource { kind, id: json.get("id")?.as_str()?.into(), claim })
    }

    /// Enters what the peer tells.
    pub(super) async fn enter(&self, news: News) {
        match news {
            News::Snapshot(resources) => self.reconcile(resources).await,
            News::Recorded(resource) => self.record(resource).await,
            News::Revoked(resource) => {
                self.ownership.revoke(&resource.kind, &resource.id).await;
                self.remember(&resource);
            }
        }
        self.news.notify_waiters();
    }

    /// Makes the books say what the peer says.
    async fn reconcile(&self, resources: Vec<Resource>) {
        let there: HashSet<_> = resources.iter().map(|resource| (resource.kind.clone(), resource.id.clone())).collect();
        let prefix = self.export.kind("");
        for record in self.ownership.watch(None).snapshot {
            let is_ours = record.kind.starts_with(&*prefix);
            if is_ours && !there.contains(&(record.kind.clone(), record.id.clone())) {
                self.ownership.revoke(&record.kind, &record.id).await;
            }
        }
        for resource in resources {
            self.record(resource).await;
        }
    }

    async fn record(&self, resource: Resource) {
        // What this node spawned there for itself, or before it had callers, is nobody's here.
        if let Some(owner) = resource.claim.get("id").and_then(Value::as_str) {
            let further = resource.claim.get("forwarded_for").map(Value::to_string);
            let record = OwnershipRecord::new(resource.kind.clone(), resource.id.clone(), owner).with_claim(further);
            // That it is there already says the same.
            let _ = self.ownership.record(record).await;
        }
        self.remember(&resource);
    }

    fn remember(&self, resource: &Resource) {
        let mut seen = self.seen();
        let key = (resource.kind.clone(), resource.id.clone());
        if seen.ids.insert(key.clone()) {
            seen.order.push_back(key);
        }
        if seen.order.len() > REMEMBERED
            && let Some(oldest) = seen.order.pop_front()
        {
            seen.ids.remove(&oldest);
        }
    }

    /// Waits until the peer has told of this resource, for a while.
    pub(super) async fn told_of(&self, kind: &Arc<str>, id: &str) {
        let key = (kind.clone(), Arc::from(id));
        let told = async {
            loop {
                let news = self.news.notified();
                if self.seen().ids.contains(&key) {
                    return;
                }
                news.await;
            }
        };
        if tokio::time::timeout(PATIENCE, told).await.is_err() {
            tracing::warn!(
                peer = &*self.export.peer,
                kind = &**kind,
                id,
                "the peer has not told of what was spawned there"
            );
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
