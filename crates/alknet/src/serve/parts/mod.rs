//! The parts of a node that a build may leave out. The list in [`Ground::parts`] is the one place that says which there are; the
//! assembly and a reload know only what is common to them.

#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http")]
mod imports;
#[cfg(feature = "tty")]
mod terminals;

use std::error::Error;
use std::sync::Arc;

use alknet_call::{CallHandler, NameTaken, Peers, Registry};
use alknet_core::{BoxFuture, IdentityProvider, OwnershipStore, ProtocolHandler};
use alknet_vault::Vault;

use crate::config::Config;
use crate::environment::Environment;
use crate::vault::{self, OpenVaultError};

/// What the parts of a node stand on.
#[derive(Clone)]
pub(super) struct Ground {
    pub(super) operations: Arc<Registry>,
    pub(super) ownership: Arc<dyn OwnershipStore>,
    pub(super) identities: Arc<dyn IdentityProvider>,
    pub(super) peers: Arc<Peers>,
}

/// What a part makes its handler and its operations of.
pub(super) struct Basis<'a> {
    pub(super) config: &'a Config,
    pub(super) environment: &'a Environment,
    pub(super) call: &'a Arc<CallHandler>,
}

/// A part of the node. It is made once, and lives as long as the node.
pub(super) trait Part: Send + Sync {
    /// Whether what the configuration wants of it takes secrets of the vault.
    fn needs_vault(&self, config: &Config) -> bool {
        let _ = config;
        false
    }

    /// Does everything that can fail, and changes nothing. Blocks.
    fn prepare(self: Arc<Self>, basis: &Basis<'_>, vault: Option<&Vault>) -> Result<Ready, PartError>;

    /// Ends whatever still runs.
    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// A part as a configuration wants it.
pub(super) struct Ready {
    /// What serves its ALPNs, if it has any.
    pub(super) handler: Option<WantedHandler>,
    /// Puts the rest of it into force.
    pub(super) apply: Box<dyn FnOnce() -> Result<(), NameTaken> + Send>,
}

/// A handler, and whether the configuration wants it.
pub(super) struct WantedHandler {
    pub(super) handler: Arc<dyn ProtocolHandler>,
    pub(super) is_enabled: bool,
    /// Whether it differs between an old configuration and a new one. One that does not is left alone.
    pub(super) has_changed: fn(&Config, &Config) -> bool,
}

impl Ready {
    fn with_handler(handler: WantedHandler) -> Self {
        Self { handler: Some(handler), apply: Box::new(|| Ok(())) }
    }
}

impl Ground {
    /// The parts of this build. The order of their handlers is the order of preference when a client offers several ALPNs.
    pub(super) fn parts(&self) -> Vec<Arc<dyn Part>> {
        Vec::from([
            Arc::new(Calls) as Arc<dyn Part>,
            #[cfg(feature = "http")]
            Arc::new(http::Http::new(self)),
            #[cfg(feature = "http")]
            Arc::new(imports::Imports::new(self)),
            #[cfg(feature = "tty")]
            Arc::new(terminals::TerminalService::new(self)),
        ])
    }
}

/// Does everything that can fail with a configuration, and changes nothing. `open` is the vault, if somebody has opened it;
/// else that is done here if a part needs it. Blocks.
pub(super) fn prepare(
    parts: &[Arc<dyn Part>],
    basis: &Basis<'_>,
    open: Option<&Vault>,
) -> Result<Vec<Ready>, PrepareError> {
    let opened = match open.is_none() && parts.iter().any(|part| part.needs_vault(basis.config)) {
        true => Some(vault::open(basis.config, basis.environment)?),
        false => None,
    };
    let vault = open.or(opened.as_ref().map(|opened| &opened.vault));
    parts.iter().map(|part| Ok(part.clone().prepare(basis, vault)?)).collect()
}

/// What serves calls, on connections that come and on those that the node dials itself.
pub(super) fn call_handler(config: &Config, ground: &Ground) -> Arc<CallHandler> {
    let handler = CallHandler::new(ground.operations.clone(), config.call.settings.clone());
    Arc::new(handler.with_watcher(ground.peers.clone()))
}

/// Calls, which every build has.
struct Calls;

impl Part for Calls {
    fn prepare(self: Arc<Self>, basis: &Basis<'_>, _: Option<&Vault>) -> Result<Ready, PartError> {
        Ok(Ready::with_handler(WantedHandler {
            handler: basis.call.clone(),
            is_enabled: basis.config.call.enable,
            has_changed: |old, new| old.call != new.call,
        }))
    }
}

/// Why a part cannot be as the configuration wants it.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct PartError(Box<dyn Error + Send + Sync>);

impl PartError {
    #[cfg(feature = "http")]
    fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}

/// Why a configuration cannot be put into force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// The vault that holds what a part needs does not open.
    #[error(transparent)]
    Vault(#[from] OpenVaultError),
    /// A part cannot be as the configuration wants it.
    #[error(transparent)]
    Part(#[from] PartError),
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use alknet_core::{MemoryIdentities, MemoryOwnership};

    use super::*;
    use crate::handlers::{self, HandlerInfo};

    fn served_by_the_parts() -> Vec<String> {
        let ground = Ground {
            operations: Arc::new(Registry::new()),
            ownership: Arc::new(MemoryOwnership::default()),
            identities: Arc::new(MemoryIdentities::new(Vec::new()).unwrap()),
            peers: Peers::new(),
        };
        let config = crate::config::parse("", Path::new("alknet.toml")).unwrap();
        let call = call_handler(&config, &ground);
        let basis = Basis { config: &config, environment: &Environment::default(), call: &call };
        let ready = prepare(&ground.parts(), &basis, None).unwrap();
        let handlers = ready.into_iter().filter_map(|ready| ready.handler);
        handlers.flat_map(|wanted| wanted.handler.alpns()).map(|alpn| alpn.to_string()).collect()
    }

    #[tokio::test]
    async fn what_is_said_of_this_build_is_what_it_serves() {
        let said: Vec<_> = handlers::built().flat_map(|handler: &HandlerInfo| handler.alpns.iter().copied()).collect();
        assert_eq!(served_by_the_parts(), said);
    }
}
