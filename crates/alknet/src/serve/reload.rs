//! Reloading: what changed, what was applied, and what needs a restart.

use std::sync::Arc;

use alknet_call::CallHandler;
use alknet_core::{CertificateError, PeerConflict};
use serde_json::{Value, json};

use super::Node;
use super::assembly::{certificate_files, peers};
use super::pairing::entries;
use super::parts::{self, Basis, PrepareError, Ready, WantedHandler, call_handler};
use crate::config::{self, Config, ConfigErrors, PeerEntry};
use crate::pairing::{Ledger, PairingError};

/// What a reload did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReloadReport {
    /// How many peers there are now, configured and joined.
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
    /// The files of those that have joined cannot be used.
    #[error(transparent)]
    Pairing(#[from] PairingError),
    /// A certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A handler cannot be as the configuration wants it, or something cannot be imported.
    #[error(transparent)]
    Parts(#[from] PrepareError),
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
        let ledger = task_node.desk().store.read()?;
        let entries = entries(&new.peers, &ledger, task_node.fingerprint());
        alknet_core::MemoryIdentities::new(peers(&entries, task_node.fingerprint()))?;
        let call = call_handler(&new, &task_node.ground);
        let basis = Basis { config: &new, environment: &task_node.environment, call: &call };
        let parts = parts::prepare(&task_node.parts, &basis, None)?;
        task_node.certificates.replace(certificates)?;
        Ok(Next { config: new, ledger, entries, call, parts })
    })
    .await??;
    let Next { config: new, ledger, entries, call, parts } = next;
    node.identities.set(peers(&entries, node.fingerprint()))?;
    node.desk().follow(&ledger);
    let (handlers, operations): (Vec<_>, Vec<_>) = parts.into_iter().map(|part| (part.handler, part.apply)).unzip();
    let handlers = handlers.into_iter().flatten();
    handlers.filter(|wanted| (wanted.has_changed)(&current, &new)).for_each(|wanted| switch(node, wanted));
    // What is exported no longer makes room for what is imported.
    node.fleet().apply(&new, &entries, &call);
    for apply in operations {
        if let Err(error) = apply() {
            tracing::error!("not all operations could be added: {error}");
        }
    }
    let report = ReloadReport {
        peers: entries.len(),
        alpns: node.handlers().alpns().iter().map(ToString::to_string).collect(),
        restart_needed: Config::restart_needed(&node.started_with, &new),
    };
    *current = new;
    Ok(report)
}

/// What is to come into force.
struct Next {
    config: Config,
    ledger: Ledger,
    entries: Vec<PeerEntry>,
    call: Arc<CallHandler>,
    parts: Vec<Ready>,
}

/// Puts a handler in the place of the one before it, or takes that away.
fn switch(node: &Node, wanted: WantedHandler) {
    let result = match wanted.is_enabled {
        true => node.handlers().replace(wanted.handler),
        false => match wanted.handler.alpns().first() {
            Some(alpn) if node.handlers().handler(alpn.as_bytes()).is_some() => node.handlers().remove(alpn).map(drop),
            _ => Ok(()),
        },
    };
    if let Err(error) = result {
        tracing::error!("a handler could not be changed: {error}");
    }
}
