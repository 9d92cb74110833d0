//! Reloading: what changed, what was applied, and what needs a restart.

use std::sync::Arc;

use alknet_call::CallHandler;
use alknet_core::{CertificateError, PeerConflict};
use alknet_http::decoy::DecoyError;
use serde_json::{Value, json};

use super::Node;
use super::assembly::{ConfiguredHandlers, call_handler, certificate_files, configured_handlers, peers};
use super::imports::{PrepareError, Prepared, needs_vault};
use crate::config::{self, Config, ConfigErrors};
use crate::vault::{self, OpenVaultError};

/// What a reload did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReloadReport {
    /// How many peers are configured now.
    pub peers: usize,
    /// The ALPNs that are served now.
    pub alpns: Vec<String>,
    /// Changed settings that only a restart applies.
    pub restart_needed: Vec<String>,
}

impl ReloadReport {
    pub(super) fn log(&self) {
        tracing::info!("configuration reloaded: peers: {}, serving: {}", self.peers, self.alpns.join(", "));
        if !self.restart_needed.is_empty() {
            tracing::warn!("restart the node to apply the change of {}", self.restart_needed.join(", "));
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({ "peers": self.peers, "alpns": self.alpns, "restart_needed": self.restart_needed })
    }
}

/// Why the old configuration stays in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// The file is wrong.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// Two peers cannot be told apart.
    #[error(transparent)]
    Peers(#[from] PeerConflict),
    /// A certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The decoy has nothing to show.
    #[error(transparent)]
    Decoy(#[from] DecoyError),
    /// The vault that holds what imports call with does not open.
    #[error(transparent)]
    Vault(#[from] OpenVaultError),
    /// Something cannot be imported.
    #[error(transparent)]
    Imports(#[from] PrepareError),
    /// The file could not be read in the background.
    #[error("the configuration could not be read: {0}")]
    Background(#[from] tokio::task::JoinError),
}

pub(super) async fn reload(node: &Arc<Node>) -> Result<ReloadReport, ReloadError> {
    // Reloads take turns: the last one told is the one that counts.
    let mut current = node.config.lock().await;
    let file = current.file.clone();
    let task_node = node.clone();
    let next = tokio::task::spawn_blocking(move || -> Result<Next, ReloadError> {
        let new = config::load(&file)?;
        // What can fail comes first and each of it changes all or nothing, so that no half of a configuration is in force.
        let certificates = certificate_files(&new, &task_node.environment);
        alknet_core::MemoryIdentities::new(peers(&new, task_node.fingerprint()))?;
        let imports = prepare_imports(&task_node, &new)?;
        let call = call_handler(&new, &task_node.operations, &task_node.peers);
        let handlers = configured_handlers(&new, &task_node.operations, &call, &task_node.terminals)?;
        task_node.certificates.replace(certificates)?;
        Ok(Next { config: new, imports, call, handlers })
    })
    .await??;
    let Next { config: new, imports, call, handlers } = next;
    node.identities.set(peers(&new, node.fingerprint()))?;
    apply_handlers(node, &current, &new, &call, handlers);
    if let Err(error) = node.imports.apply(imports) {
        tracing::error!("not everything could be imported: {error}");
    }
    let report = ReloadReport {
        peers: new.peers.len(),
        alpns: node.handlers().alpns().iter().map(ToString::to_string).collect(),
        restart_needed: Config::restart_needed(&node.started_with, &new),
    };
    *current = new;
    Ok(report)
}

/// What is to come into force.
struct Next {
    config: Config,
    imports: Prepared,
    call: Arc<CallHandler>,
    handlers: ConfiguredHandlers,
}

/// Reads the descriptions again, also where the configuration has not changed: the files may have.
fn prepare_imports(node: &Node, new: &Config) -> Result<Prepared, ReloadError> {
    let opened = match needs_vault(new) {
        true => Some(vault::open(new, &node.environment)?),
        false => None,
    };
    Ok(Prepared::new(new, &node.environment, opened.as_ref().map(|opened| &opened.vault))?)
}

/// A handler whose section has not changed is left alone.
fn apply_handlers(node: &Node, old: &Config, new: &Config, call: &Arc<CallHandler>, handlers: ConfiguredHandlers) {
    node.terminals.apply(&new.tty);
    let call_changed = old.call != new.call;
    // HTTP carries the call protocol in its WebSocket.
    let changed = [call_changed, call_changed || old.http != new.http, old.tty.enable != new.tty.enable];
    for ((handler, enabled), changed) in handlers.into_iter().zip(changed) {
        let result = match (changed, enabled) {
            (false, _) => Ok(()),
            (true, true) => node.handlers().replace(handler),
            (true, false) => match handler.alpns().first() {
                Some(alpn) if node.handlers().handler(alpn.as_bytes()).is_some() => {
                    node.handlers().remove(alpn).map(drop)
                }
                _ => Ok(()),
            },
        };
        if let Err(error) = result {
            tracing::error!("a handler could not be changed: {error}");
        }
    }
    node.fleet().apply(new, call);
}
