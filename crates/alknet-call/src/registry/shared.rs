//! The contents of a registry, and what a call needs of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use alknet_core::{Identity, OwnershipProvider, OwnershipStore};
use arc_swap::ArcSwap;
use tokio::sync::{Semaphore, watch};

use super::bundle::Handler;
use super::metrics::Metrics;
use super::overlay::Reserved;
use super::{Admitted, Bundle, NameTaken, Provenance, ScopedEnvironment};
use crate::access::{check_caller, check_scopes, not_found};
use crate::{CallError, Capabilities, ErrorCode, OperationContext, OperationName, OperationSpec};

/// How many calls may go on by themselves after the ones that started them.
const MAX_DETACHED: usize = 1024;

/// What a call needs of the registry that it came from.
pub(crate) struct Shared {
    pub(super) contents: ArcSwap<Contents>,
    writers: Mutex<()>,
    pub(super) changes: watch::Sender<u64>,
    pub(super) ownership: OnceLock<Arc<dyn OwnershipStore>>,
    pub(super) metrics: Arc<Metrics>,
    pub(crate) detached: Arc<Semaphore>,
}

/// Swapped in as a whole.
#[derive(Default, Clone)]
pub(super) struct Contents {
    pub(super) operations: BTreeMap<OperationName, Arc<Operation>>,
    pub(super) reserved: Vec<Arc<Reserved>>,
}

/// An operation as it is registered.
pub(crate) struct Operation {
    pub(super) spec: Arc<OperationSpec>,
    pub(super) provenance: Provenance,
    authority: Option<Arc<Identity>>,
    environment: ScopedEnvironment,
    capabilities: Capabilities,
    pub(super) handler: Handler,
}

/// From where an operation is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// From outside: internal operations are not there.
    Outside,
    /// From another operation of this process.
    Composition,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            contents: ArcSwap::default(),
            writers: Mutex::default(),
            changes: watch::Sender::new(0),
            ownership: OnceLock::new(),
            metrics: Arc::default(),
            detached: Arc::new(Semaphore::new(MAX_DETACHED)),
        }
    }
}

impl Shared {
    /// Looks an operation up and checks its caller.
    pub(crate) fn admit(
        self: &Arc<Self>,
        name: &str,
        context: OperationContext,
        origin: Origin,
    ) -> Result<Admitted, CallError> {
        // Both questions are put to one state: an operation that takes the place of its reservation is never missed.
        let contents = self.contents.load();
        let admitted = match contents.operations.get(name) {
            Some(operation) => origin.check(&operation.spec, context.identity.as_deref()).map(|()| operation.clone()),
            None => Err(contents.absent(name, context.identity.as_deref())),
        };
        drop(contents);
        match admitted {
            Ok(operation) => Ok(Admitted::new(self.clone(), operation, context, origin)),
            Err(error) => {
                self.metrics.refuse(&error);
                Err(error)
            }
        }
    }

    pub(super) fn ownership(&self) -> Option<&dyn OwnershipProvider> {
        self.ownership.get().map(|store| -> &dyn OwnershipProvider { &**store })
    }

    pub(super) fn insert(&self, operations: Vec<Arc<Operation>>) -> Result<(), NameTaken> {
        self.try_change(|contents| operations.into_iter().try_for_each(|operation| contents.insert(operation)))
    }

    pub(super) fn change<T>(&self, edit: impl FnOnce(&mut Contents) -> T) -> T {
        let Ok(result) = self.try_change(|contents| Ok::<_, std::convert::Infallible>(edit(contents)));
        result
    }

    /// Makes a change, of which nobody sees anything if it fails.
    pub(super) fn try_change<T, E>(&self, edit: impl FnOnce(&mut Contents) -> Result<T, E>) -> Result<T, E> {
        // The contents are swapped in whole, so a writer that panicked has left nothing half done.
        let _turn = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut contents = Contents::clone(&self.contents.load());
        let result = edit(&mut contents)?;
        self.contents.store(Arc::new(contents));
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
        Ok(result)
    }
}

impl Contents {
    #[cold]
    fn absent(&self, name: &str, identity: Option<&Identity>) -> CallError {
        match self.reserved.iter().any(|reserved| reserved.covers(name, identity)) {
            true => CallError::new(
                ErrorCode::Unavailable,
                format!("the node that serves /{name} is not connected at present"),
            ),
            false => not_found(name),
        }
    }

    pub(super) fn insert(&mut self, operation: Arc<Operation>) -> Result<(), NameTaken> {
        let name = operation.spec.name.clone();
        if self.operations.contains_key(&name) {
            return Err(NameTaken(name));
        }
        self.operations.insert(name, operation);
        Ok(())
    }

    /// Removes these very operations, not others that have their names by now.
    pub(super) fn remove(&mut self, operations: &[Arc<Operation>]) {
        for operation in operations {
            if self.operations.get(&operation.spec.name).is_some_and(|there| Arc::ptr_eq(there, operation)) {
                self.operations.remove(&operation.spec.name);
            }
        }
    }
}

impl Operation {
    pub(super) fn of(bundle: Bundle) -> Arc<Self> {
        let Bundle { spec, handler, provenance, exported, authority, environment, capabilities } = bundle;
        let spec = Arc::new(Bundle::effective_spec(spec, provenance, exported));
        let authority = authority.map(|authority| authority.0);
        Arc::new(Self { spec, provenance, authority, environment, capabilities, handler })
    }

    /// Who it is towards the operations that it calls.
    pub(crate) fn authority(&self) -> Option<&Arc<Identity>> {
        self.authority.as_ref()
    }

    /// Whether it may call any.
    pub(crate) fn composes(&self) -> bool {
        !self.environment.is_empty()
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    /// Whether it may call this one.
    pub(crate) fn reaches(&self, name: &str) -> bool {
        self.environment.allows(name)
    }
}

impl Origin {
    pub(super) fn check(self, spec: &OperationSpec, identity: Option<&Identity>) -> Result<(), CallError> {
        match self {
            Self::Outside => check_caller(spec, identity),
            Self::Composition => check_scopes(spec, identity),
        }
    }
}
