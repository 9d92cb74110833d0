//! A store that takes its time.

use std::sync::Arc;

use alknet_core::{
    BoxFuture, Identity, MemoryOwnership, OwnershipError, OwnershipProvider, OwnershipRecord, OwnershipStore,
    OwnershipWatch,
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// An ownership store that can be told to take its time.
pub(crate) struct Gate {
    pub(crate) memory: MemoryOwnership,
    /// A record waits.
    pub(crate) asked: CancellationToken,
    open: Semaphore,
}

impl Default for Gate {
    fn default() -> Self {
        let open = Semaphore::new(Semaphore::MAX_PERMITS);
        Self { memory: MemoryOwnership::default(), asked: CancellationToken::new(), open }
    }
}

impl Gate {
    pub(crate) fn shut(&self) {
        self.open.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(crate) fn open(&self) {
        self.open.add_permits(1);
    }
}

impl OwnershipProvider for Gate {
    fn owns(&self, identity: &Identity, kind: &str, id: &str, action: &str) -> bool {
        self.memory.owns(identity, kind, id, action)
    }

    fn owns_any(&self, identity: &Identity, kind: &str) -> bool {
        self.memory.owns_any(identity, kind)
    }

    fn owned_resources(&self, identity: &Identity, kind: Option<&str>) -> Vec<Arc<OwnershipRecord>> {
        self.memory.owned_resources(identity, kind)
    }

    fn revocation(&self, kind: &str, id: &str) -> CancellationToken {
        self.memory.revocation(kind, id)
    }
}

impl OwnershipStore for Gate {
    fn record(&self, record: OwnershipRecord) -> BoxFuture<'_, Result<(), OwnershipError>> {
        Box::pin(async move {
            self.asked.cancel();
            let _passed = self.open.acquire().await.unwrap();
            self.memory.record(record).await
        })
    }

    fn revoke<'a>(&'a self, kind: &'a str, id: &'a str) -> BoxFuture<'a, Option<Arc<OwnershipRecord>>> {
        self.memory.revoke(kind, id)
    }

    fn watch(&self, owner: Option<&str>) -> OwnershipWatch {
        self.memory.watch(owner)
    }
}
