//! Operations and names that come and go together.

use std::sync::{Arc, Weak};

use alknet_core::Identity;

use super::{Bundle, NameTaken, Operation, Shared};
use crate::{Access, OperationPattern, OperationSpec};

/// Operations that are registered for as long as this is there. Calls of theirs that run go on.
#[must_use = "the operations are removed when this is dropped"]
pub struct Overlay {
    shared: Weak<Shared>,
    operations: Vec<Arc<Operation>>,
}

impl Overlay {
    pub(super) fn install(shared: &Arc<Shared>, bundles: Vec<Bundle>) -> Result<Self, NameTaken> {
        let operations: Vec<_> = bundles.into_iter().map(Operation::of).collect();
        shared.insert(operations.clone())?;
        Ok(Self { shared: Arc::downgrade(shared), operations })
    }

    /// Puts other operations in the place of these, all or none; nobody sees the time between.
    ///
    /// # Errors
    /// When the name of one of them is another's, or two of them have one name; then these stay.
    pub fn replace(&mut self, bundles: Vec<Bundle>) -> Result<(), NameTaken> {
        let operations: Vec<_> = bundles.into_iter().map(Operation::of).collect();
        if let Some(shared) = self.shared.upgrade() {
            shared.try_change(|contents| {
                contents.remove(&self.operations);
                operations.iter().try_for_each(|operation| contents.insert(operation.clone()))
            })?;
        }
        self.operations = operations;
        Ok(())
    }

    /// The descriptions of the operations.
    pub fn specs(&self) -> impl Iterator<Item = &Arc<OperationSpec>> {
        self.operations.iter().map(|operation| &operation.spec)
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        if let (Some(shared), false) = (self.shared.upgrade(), self.operations.is_empty()) {
            shared.change(|contents| contents.remove(&self.operations));
        }
    }
}

/// Names that are kept for as long as this is there.
#[must_use = "the names are free again when this is dropped"]
pub struct Reservation {
    shared: Weak<Shared>,
    reserved: Arc<Reserved>,
}

pub(super) struct Reserved {
    names: OperationPattern,
    access: Access,
}

impl Reserved {
    pub(super) fn covers(&self, name: &str, identity: Option<&Identity>) -> bool {
        // What is no name names no operation that could be away.
        self.names.matches_text(name) && self.access.permits(identity) && crate::OperationName::is(name)
    }
}

impl Reservation {
    pub(super) fn new(shared: &Arc<Shared>, names: OperationPattern, access: Access) -> Self {
        let reserved = Arc::new(Reserved { names, access });
        shared.change(|contents| contents.reserved.push(reserved.clone()));
        Self { shared: Arc::downgrade(shared), reserved }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.change(|contents| contents.reserved.retain(|reserved| !Arc::ptr_eq(reserved, &self.reserved)));
        }
    }
}
