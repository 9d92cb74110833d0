//! The terminals of a node: their operations and their protocol, as the configuration wants them.

use std::sync::{Arc, Mutex, PoisonError};

use alknet_call::{NameTaken, Overlay, Registry};
use alknet_core::BoxFuture;
use alknet_tty::{Terminals, TtyConfig, TtyHandler};
use alknet_vault::Vault;
use tokio_util::task::AbortOnDropHandle;

use super::{Basis, Ground, Part, PartError, Ready, WantedHandler};
use crate::config::Section;

/// Terminals outlive a change of the configuration: one that switches them off only takes away the ways to them.
pub(super) struct TerminalService {
    terminals: Terminals,
    registry: Arc<Registry>,
    handler: Arc<TtyHandler>,
    operations: Mutex<Option<Overlay>>,
    _orphans: AbortOnDropHandle<()>,
}

impl TerminalService {
    pub(super) fn new(ground: &Ground) -> Self {
        let terminals = Terminals::new(TtyConfig::default(), ground.ownership.clone());
        let orphans = tokio::spawn(alknet_tty::end_orphans(terminals.clone(), ground.identities.clone()));
        Self {
            handler: Arc::new(TtyHandler::new(terminals.clone())),
            terminals,
            registry: ground.operations.clone(),
            operations: Mutex::default(),
            _orphans: AbortOnDropHandle::new(orphans),
        }
    }

    fn apply(&self, section: &Section<TtyConfig>) -> Result<(), NameTaken> {
        self.terminals.configure(section.settings.clone());
        self.switch(section.enable)
    }

    fn switch(&self, enable: bool) -> Result<(), NameTaken> {
        let mut operations = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        *operations = match (enable, operations.take()) {
            (true, None) => Some(self.registry.install(alknet_tty::bundles(&self.terminals))?),
            (true, installed) => installed,
            (false, _) => None,
        };
        Ok(())
    }
}

impl Part for TerminalService {
    fn prepare(self: Arc<Self>, basis: &Basis<'_>, _: Option<&Vault>) -> Result<Ready, PartError> {
        let section = basis.config.tty.clone();
        let handler = WantedHandler {
            handler: self.handler.clone(),
            is_enabled: section.enable,
            has_changed: |old, new| old.tty.enable != new.tty.enable,
        };
        Ok(Ready { handler: Some(handler), apply: Box::new(move || self.apply(&section)) })
    }

    /// Ends all terminals.
    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let left = self.terminals.shutdown().await;
            if left > 0 {
                tracing::warn!("{left} terminals could not be ended");
            }
        })
    }
}
