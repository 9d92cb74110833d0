//! Puts a node together: the one place where configuration, vault and handlers meet.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

use alknet_call::builtin::{self, BuiltinSources, NodeFacts};
use alknet_call::{Access, CallError, ErrorCode, OperationContext, OperationName, OperationSpec, Peers, Registry};
use alknet_core::{
    BindError, CertificateError, CertificateFiles, Certificates, Endpoint, EndpointConfig, Fingerprint,
    HandlerRegistry, Identity, InvalidKey, MemoryIdentities, MemoryOwnership, Peer, PeerConflict, Scope,
};
use tokio::sync::Mutex;

use super::fleet::Fleet;
use super::overview;
use super::pairing::entries;
use super::parts::{self, Basis, Ground, Part, PrepareError, call_handler};
use super::reload::{ReloadError, ReloadReport};
use crate::config::{Config, PeerEntry, PeerId};
use crate::environment::Environment;
use crate::pairing::{self, Clock, Desk, PairingError, Store};
use crate::secrets::SecretFiles;
use crate::vault::{self, OpenVaultError};

/// A node that runs.
pub struct Node {
    /// As it was read last; the lock makes reloads take turns.
    pub(super) config: Mutex<Config>,
    /// What is in force of the settings that only a start applies.
    pub(super) started_with: Config,
    pub(super) environment: Environment,
    pub(super) certificates: Arc<Certificates>,
    pub(super) identities: Arc<MemoryIdentities>,
    pub(super) ground: Ground,
    pub(super) parts: Vec<Arc<dyn Part>>,
    pub(super) fleet: Arc<std::sync::Mutex<Fleet>>,
    pub(super) desk: Desk,
    pub(super) handlers: Arc<HandlerRegistry>,
    pub(super) endpoint: Endpoint,
    name: String,
    fingerprint: Fingerprint,
}

impl Node {
    /// Opens the vault, binds the port and serves. Needs a Tokio runtime.
    ///
    /// # Errors
    /// Whatever keeps the node from starting; nothing is left running then.
    pub fn start(config: Config, environment: Environment) -> Result<Arc<Self>, StartError> {
        let opened = vault::open(&config, &environment)?;
        opened.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let key = vault::node_key(&opened.vault)?;
        let fingerprint = key.fingerprint();
        let (desk, ledger) = Desk::open(Store::new(config.state_dir(&environment)), Clock::system())?;
        let entries = entries(&config.peers, &ledger, fingerprint);
        let identities = Arc::new(MemoryIdentities::new(peers(&entries, fingerprint))?);
        let certificates = Arc::new(Certificates::load(certificate_files(&config, &environment))?);
        let ownership = Arc::new(MemoryOwnership::default());
        let ground = Ground {
            operations: Arc::new(Registry::new().with_ownership(ownership.clone())),
            ownership,
            identities: identities.clone(),
            peers: Peers::new(),
        };
        let parts = ground.parts();
        let call = call_handler(&config, &ground);
        let basis = Basis { config: &config, environment: &environment, call: &call };
        let ready = parts::prepare(&parts, &basis, Some(&opened.vault))?;
        // The vault is open for no longer than this takes.
        drop(opened);
        let handlers = Arc::new(HandlerRegistry::new());
        for part in ready {
            (part.apply)()?;
            if let Some(wanted) = part.handler.filter(|wanted| wanted.is_enabled) {
                handlers.add(wanted.handler)?;
            }
        }
        let fleet = Fleet::new(key.clone(), &ground);
        let mut endpoint =
            EndpointConfig::new(config.endpoint.listen.clone(), key, handlers.clone(), identities.clone());
        endpoint.limits = config.endpoint.limits.clone();
        endpoint.certificates = certificates.clone();
        let node = Arc::new(Self {
            name: config.node.name.to_string(),
            endpoint: Endpoint::bind(endpoint)?,
            started_with: config.clone(),
            config: Mutex::new(config),
            environment,
            certificates,
            identities,
            ground,
            parts,
            fleet: Arc::new(std::sync::Mutex::new(fleet)),
            desk,
            handlers,
            fingerprint,
        });
        node.register_operations()?;
        node.fleet().apply(&node.started_with, &entries, &call);
        Ok(node)
    }

    fn register_operations(self: &Arc<Self>) -> Result<(), StartError> {
        let (name, fingerprint, started) = (self.name.clone(), self.fingerprint, Instant::now());
        let (handlers, status) = (self.handlers.clone(), self.endpoint.status());
        let facts = move || NodeFacts {
            name: name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            fingerprint,
            alpns: handlers.alpns(),
            listen: status.local_addresses().to_vec(),
            started,
            connections: status.connections(),
        };
        let fleet = self.fleet.clone();
        let peers = move || fleet.lock().unwrap_or_else(PoisonError::into_inner).statuses();
        builtin::register(&self.ground.operations, BuiltinSources { facts, peers })?;
        // The registry belongs to the node, so a strong reference would keep both for ever.
        let node = Arc::downgrade(self);
        let spec = OperationSpec::new(OperationName::from_static("config/reload"))
            .with_description("Reads the configuration again: peers, tokens, certificates and handlers")
            .with_access(Access::Scopes(vec![Scope::node_admin()]));
        self.ground.operations.register(spec, move |_: OperationContext, _| reload_operation(node.clone()))?;
        pairing::operations::register(&self.ground.operations, self)?;
        overview::register(self)
    }

    /// The addresses that it listens on.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.endpoint.local_addresses()
    }

    /// Connections at this moment.
    pub fn connections(&self) -> usize {
        self.endpoint.connections()
    }

    /// Who serves what.
    pub fn handlers(&self) -> &HandlerRegistry {
        &self.handlers
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of its key.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Stops accepting, lets the handlers finish, and closes what is left after `drain`. Says whether all had finished.
    pub async fn shutdown(&self, drain: Duration) -> bool {
        let farewell = self.fleet().leave();
        let drained = self.endpoint.shutdown(drain).await;
        farewell.await;
        for part in &self.parts {
            part.shutdown().await;
        }
        drained
    }

    pub(super) fn fleet(&self) -> std::sync::MutexGuard<'_, Fleet> {
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn reload_operation(node: Weak<Node>) -> Result<serde_json::Value, CallError> {
    let Some(node) = node.upgrade() else { return Err(CallError::new(ErrorCode::Unavailable, "the node shuts down")) };
    match node.reload().await {
        Ok(report) => {
            report.log();
            Ok(report.to_json())
        }
        Err(error @ ReloadError::Background(_)) => Err(CallError::internal(error)),
        // Whoever may reload may know what is wrong with what the configuration names.
        Err(error) => Err(CallError::invalid_input(format!("{:#}", anyhow::Error::from(error)))),
    }
}

/// The peers, and the node itself unless they name its key already.
pub(super) fn peers(entries: &[PeerEntry], own: Fingerprint) -> Vec<Peer> {
    let mut peers: Vec<Peer> = entries.iter().map(PeerEntry::to_peer).collect();
    if !peers.iter().any(|peer| peer.fingerprints.contains(&own)) {
        let scopes = vec![Scope::node_admin(), Scope::metrics_read(), Scope::dashboard_use()];
        let identity = Arc::new(Identity { id: PeerId::OWN.into(), scopes, resources: Default::default() });
        peers.push(Peer { identity, fingerprints: vec![own], tokens: Vec::new(), enabled: true });
    }
    peers
}

pub(super) fn certificate_files(config: &Config, environment: &Environment) -> Vec<CertificateFiles> {
    let secrets = SecretFiles::of(config, environment);
    let files = config.endpoint.certificates.iter();
    files
        .map(|f| CertificateFiles { certificate: config.beside(&f.certificate), key: secrets.locate(&f.key) })
        .collect()
}

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The vault does not open.
    #[error(transparent)]
    Vault(#[from] OpenVaultError),
    /// The node key cannot be used.
    #[error(transparent)]
    Key(#[from] InvalidKey),
    /// Two peers cannot be told apart.
    #[error(transparent)]
    Peers(#[from] PeerConflict),
    /// The files of those that have joined cannot be used.
    #[error(transparent)]
    Pairing(#[from] PairingError),
    /// A certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Two handlers want one ALPN.
    #[error(transparent)]
    Handlers(#[from] alknet_core::RegistryError),
    /// The port is not to be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Two operations have one name.
    #[error(transparent)]
    Operations(#[from] alknet_call::NameTaken),
    /// A handler cannot be as the configuration wants it, or something cannot be imported.
    #[error(transparent)]
    Parts(#[from] PrepareError),
}

impl Node {
    /// Reads the configuration again and applies what has changed, without dropping a connection of anybody who is still
    /// welcome.
    ///
    /// # Errors
    /// When the new configuration cannot be used; then the old one stays in force as a whole.
    pub async fn reload(self: &Arc<Self>) -> Result<ReloadReport, ReloadError> {
        super::reload::reload(self).await
    }
}
