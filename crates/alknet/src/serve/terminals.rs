//! The terminals of a node: their operations and their protocol, as the configuration wants them.

use std::sync::{Arc, Mutex, PoisonError};

use alknet_call::{NameTaken, Overlay, Registry};
use alknet_core::{IdentityProvider, MemoryIdentities, OwnershipStore, ProtocolHandler};
use alknet_tty::{Terminals, TtyConfig, TtyHandler};
use tokio_util::task::AbortOnDropHandle;

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
    pub(super) fn new(
        section: &Section<TtyConfig>,
        registry: &Arc<Registry>,
        ownership: &Arc<dyn OwnershipStore>,
        identities: &Arc<MemoryIdentities>,
    ) -> Result<Self, NameTaken> {
        let terminals = Terminals::new(section.settings.clone(), ownership.clone());
        let identities: Arc<dyn IdentityProvider> = identities.clone();
        let orphans = tokio::spawn(alknet_tty::end_orphans(terminals.clone(), identities));
        let service = Self {
            handler: Arc::new(TtyHandler::new(terminals.clone())),
            terminals,
            registry: registry.clone(),
            operations: Mutex::default(),
            _orphans: AbortOnDropHandle::new(orphans),
        };
        service.switch(section.enable)?;
        Ok(service)
    }

    /// Applies a changed section.
    pub(super) fn apply(&self, section: &Section<TtyConfig>) {
        self.terminals.configure(section.settings.clone());
        if let Err(error) = self.switch(section.enable) {
            tracing::error!("the operations of terminals could not be added: {error}");
        }
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

    /// What serves `alknet/tty`.
    pub(super) fn handler(&self) -> Arc<dyn ProtocolHandler> {
        self.handler.clone()
    }

    /// Ends all terminals.
    pub(super) async fn shutdown(&self) {
        let left = self.terminals.shutdown().await;
        if left > 0 {
            tracing::warn!("{left} terminals could not be ended");
        }
    }
}
