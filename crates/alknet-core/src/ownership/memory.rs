//! The default ownership store: records in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::{OwnershipError, OwnershipEvent, OwnershipProvider, OwnershipRecord, OwnershipStore, OwnershipWatch};
use crate::{BoxFuture, Identity};

/// How many changes a watcher may be behind before it has to begin anew.
const BACKLOG: usize = 1024;

type Records = BTreeMap<(Arc<str>, Arc<str>), (Arc<OwnershipRecord>, CancellationToken)>;

/// Ownership in memory; it is gone with the process, as is what was spawned.
pub struct MemoryOwnership {
    records: Mutex<Records>,
    events: broadcast::Sender<OwnershipEvent>,
}

impl Default for MemoryOwnership {
    fn default() -> Self {
        Self { records: Mutex::default(), events: broadcast::Sender::new(BACKLOG) }
    }
}

impl MemoryOwnership {
    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, owner: Option<&str>, kind: Option<&str>) -> Vec<Arc<OwnershipRecord>> {
        let records = self.records();
        let all = records.values().map(|(record, _)| record);
        all.filter(|r| owner.is_none_or(|o| *r.owner == *o) && kind.is_none_or(|k| *r.kind == *k)).cloned().collect()
    }
}

impl OwnershipProvider for MemoryOwnership {
    fn owns(&self, identity: &Identity, kind: &str, id: &str, _action: &str) -> bool {
        self.records().get(&(kind.into(), id.into())).is_some_and(|(record, _)| record.owner == identity.id)
    }

    fn owns_any(&self, identity: &Identity, kind: &str) -> bool {
        !self.of(Some(&identity.id), Some(kind)).is_empty()
    }

    fn owned_resources(&self, identity: &Identity, kind: Option<&str>) -> Vec<Arc<OwnershipRecord>> {
        self.of(Some(&identity.id), kind)
    }

    fn revocation(&self, kind: &str, id: &str) -> CancellationToken {
        match self.records().get(&(kind.into(), id.into())) {
            Some((_, token)) => token.clone(),
            None => {
                let token = CancellationToken::new();
                token.cancel();
                token
            }
        }
    }
}

impl OwnershipStore for MemoryOwnership {
    fn record(&self, record: OwnershipRecord) -> BoxFuture<'_, Result<(), OwnershipError>> {
        Box::pin(async {
            let mut records = self.records();
            let key = (record.kind.clone(), record.id.clone());
            if records.contains_key(&key) {
                return Err(OwnershipError::Taken { kind: key.0, id: key.1 });
            }
            let record = Arc::new(record);
            records.insert(key, (record.clone(), CancellationToken::new()));
            // Sent under the lock, so that the events come in the order of the changes. Nobody may watch.
            let _ = self.events.send(OwnershipEvent::Recorded(record));
            Ok(())
        })
    }

    fn revoke<'a>(&'a self, kind: &'a str, id: &'a str) -> BoxFuture<'a, Option<Arc<OwnershipRecord>>> {
        Box::pin(async move {
            let mut records = self.records();
            let (record, token) = records.remove(&(kind.into(), id.into()))?;
            let _ = self.events.send(OwnershipEvent::Revoked(record.clone()));
            drop(records);
            token.cancel();
            Some(record)
        })
    }

    fn watch(&self, owner: Option<&str>) -> OwnershipWatch {
        let events = self.events.subscribe();
        OwnershipWatch::new(self.of(owner, None), events, owner)
    }
}
