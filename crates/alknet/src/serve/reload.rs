//! Reloading: what changed, what was applied, and what needs a restart.

use std::sync::Arc;

use alknet_core::{CertificateError, PeerConflict};
use serde_json::{Value, json};

use super::Node;
use super::assembly::{call_handler, certificate_files, configured_handlers, peers};
use crate::config::{self, Config, ConfigErrors};

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
    /// The file could not be read in the background.
    #[error("the configuration could not be read: {0}")]
    Background(#[from] tokio::task::JoinError),
}

pub(super) async fn reload(node: &Arc<Node>) -> Result<ReloadReport, ReloadError> {
    // Reloads take turns: the last one told is the one that counts.
    let mut current = node.config.lock().await;
    let file = current.file.clone();
    let task_node = node.clone();
    let new = tokio::task::spawn_blocking(move || -> Result<Config, ReloadError> {
        let new = config::load(&file)?;
        // What can fail comes first and each of it changes all or nothing, so that no half of a configuration is in force.
        let certificates = certificate_files(&new, &task_node.environment);
        alknet_core::MemoryIdentities::new(peers(&new, task_node.fingerprint()))?;
        task_node.certificates.replace(certificates)?;
        Ok(new)
    })
    .await??;
    node.identities.set(peers(&new, node.fingerprint()))?;
    apply_handlers(node, &current, &new);
    let report = ReloadReport {
        peers: new.peers.len(),
        alpns: node.handlers().alpns().iter().map(ToString::to_string).collect(),
        restart_needed: Config::restart_needed(&node.started_with, &new),
    };
    *current = new;
    Ok(report)
}

/// A handler whose section has not changed is left alone.
fn apply_handlers(node: &Node, old: &Config, new: &Config) {
    let call = call_handler(new, &node.operations, &node.peers);
    node.terminals.apply(&new.tty);
    let changed = [old.call != new.call, old.http != new.http, old.tty.enable != new.tty.enable];
    let handlers = configured_handlers(new, &node.operations, &call, &node.terminals);
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
    node.fleet().apply(new, &call);
}
