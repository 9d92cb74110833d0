//! The live set of operations, and the one way to run one.

mod bundle;
mod guard;
mod handler;
mod metrics;
mod overlay;
mod run;
mod shared;

use std::sync::Arc;

use alknet_core::{Identity, OwnershipStore};
use serde_json::Value;
use tokio::sync::watch;

pub use bundle::{Bundle, CompositionAuthority, Provenance, ScopedEnvironment};
#[doc(hidden)]
pub use guard::RunGuard;
pub use handler::{EventStream, OperationHandler, SubscriptionHandler};
pub use metrics::{Metric, MetricKind, MetricSource};
pub use overlay::{Overlay, Reservation};
pub use run::{Admitted, Grant, Run, Started};
pub(crate) use shared::{Operation, Origin, Shared};

use crate::{Access, CallError, OperationContext, OperationName, OperationPattern, OperationSpec};

/// The operations of a node. They can be added and removed while it serves; calls that run go on. A reader takes no lock.
#[derive(Default)]
pub struct Registry {
    shared: Arc<Shared>,
}

impl Registry {
    /// A registry without operations, in which nobody owns anything but what their peer's entry lists.
    pub fn new() -> Self {
        Self::default()
    }

    /// Has `ownership` say who owns what. A registry keeps the first store that it is given.
    #[must_use]
    pub fn with_ownership(self, ownership: Arc<dyn OwnershipStore>) -> Self {
        self.shared.ownership.get_or_init(|| ownership);
        self
    }

    /// What says who owns what, for the handlers that spawn things.
    pub fn ownership(&self) -> Option<&Arc<dyn OwnershipStore>> {
        self.shared.ownership.get()
    }

    /// Adds a call of this program's.
    ///
    /// # Errors
    /// When there is an operation of that name.
    pub fn register(&self, spec: OperationSpec, handler: impl OperationHandler) -> Result<(), NameTaken> {
        self.add(Bundle::call(spec, handler))
    }

    /// Adds an operation.
    ///
    /// # Errors
    /// When there is one of that name.
    pub fn add(&self, bundle: Bundle) -> Result<(), NameTaken> {
        self.shared.insert(vec![Operation::of(bundle)])
    }

    /// Adds operations that go together, all or none. They are there until the [`Overlay`] is dropped.
    ///
    /// # Errors
    /// When there is one of the name of any of them, or two of them have one name.
    pub fn install(&self, bundles: Vec<Bundle>) -> Result<Overlay, NameTaken> {
        Overlay::install(&self.shared, bundles)
    }

    /// Keeps names for operations that are away: to a caller that passes `access`, those that `names` matches and that
    /// are not registered are UNAVAILABLE; to anybody else they are not there. Until the [`Reservation`] is dropped.
    pub fn reserve(&self, names: OperationPattern, access: Access) -> Reservation {
        Reservation::new(&self.shared, names, access)
    }

    /// Removes an operation, `service/op`, and gives its description; none if it was not there.
    pub fn remove(&self, name: &str) -> Option<Arc<OperationSpec>> {
        self.shared.change(|contents| contents.operations.remove(name)).map(|operation| operation.spec.clone())
    }

    /// The description of an operation, `service/op`.
    pub fn spec(&self, name: &str) -> Option<Arc<OperationSpec>> {
        self.shared.contents.load().operations.get(name).map(|operation| operation.spec.clone())
    }

    /// Where an operation, `service/op`, comes from.
    pub fn provenance(&self, name: &str) -> Option<Provenance> {
        self.shared.contents.load().operations.get(name).map(|operation| operation.provenance)
    }

    /// The descriptions of all operations, by name.
    pub fn specs(&self) -> Vec<Arc<OperationSpec>> {
        self.shared.contents.load().operations.values().map(|operation| operation.spec.clone()).collect()
    }

    /// Changes value whenever an operation or a reservation has come or gone.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// Runs a call, `service/op`, for a caller from outside: checks that it may, and keeps to the time limit of
    /// `context`.
    ///
    /// # Errors
    /// Those of [`admit`](Self::admit) and [`Admitted::run`].
    pub async fn invoke(&self, name: &str, input: Value, context: OperationContext) -> Result<Value, CallError> {
        self.admit(name, context)?.run(input).await
    }

    /// Begins a subscription, `service/op`, for a caller from outside: checks that it may. It has no time limit: it ends
    /// when the stream is dropped.
    ///
    /// # Errors
    /// Those of [`admit`](Self::admit) and [`Admitted::subscribe`].
    pub fn subscribe(&self, name: &str, input: Value, context: OperationContext) -> Result<EventStream, CallError> {
        self.admit(name, context)?.subscribe(input)
    }

    /// The first half of running an operation: whether the caller may, as far as that does not depend on the input. So
    /// the input of who may not is never parsed.
    ///
    /// # Errors
    /// NOT_FOUND, UNAUTHENTICATED or FORBIDDEN as [`check_caller`](crate::access::check_caller) has them, UNAVAILABLE for
    /// a [reserved](Self::reserve) name.
    pub fn admit(&self, name: &str, context: OperationContext) -> Result<Admitted, CallError> {
        self.shared.admit(name, context, Origin::Outside)
    }

    /// Whether a run that was granted would be granted to `identity` now: for runs that go on while the identity of their
    /// caller changes.
    ///
    /// # Errors
    /// As [`check`](crate::access::check).
    pub fn still_allowed(&self, grant: &Grant, identity: Option<&Identity>) -> Result<(), CallError> {
        grant.check(identity, self.shared.ownership())
    }
}

/// Two operations of one name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is an operation {0} already; remove it first")]
pub struct NameTaken(pub OperationName);

#[cfg(test)]
mod tests;
