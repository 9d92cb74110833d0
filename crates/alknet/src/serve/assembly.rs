//! Puts a node together: the one place where configuration, vault and handlers meet.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

use alknet_call::builtin::{self, BuiltinSources, NodeFacts};
use alknet_call::{
    Access, CallError, CallHandler, ErrorCode, OperationContext, OperationName, OperationSpec, Peers, Registry,
};
use alknet_core::{
    BindError, CertificateError, CertificateFiles, Certificates, Endpoint, EndpointConfig, Fingerprint,
    HandlerRegistry, Identity, InvalidKey, MemoryIdentities, MemoryOwnership, OwnershipStore, Peer, PeerConflict,
    ProtocolHandler, Scope,
};
use alknet_http::decoy::{Decoy, DecoyError};
use alknet_http::{ApiInfo, Exporter, HttpHandler};
use tokio::sync::Mutex;

use super::fleet::Fleet;
use super::imports::{Imports, PrepareError, Prepared};
use super::reload::{ReloadError, ReloadReport};
use super::terminals::TerminalService;
use crate::config::{Config, PeerId};
use crate::environment::Environment;
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
    pub(super) operations: Arc<Registry>,
    pub(super) peers: Arc<Peers>,
    pub(super) fleet: Arc<std::sync::Mutex<Fleet>>,
    pub(super) terminals: TerminalService,
    pub(super) imports: Imports,
    handlers: Arc<HandlerRegistry>,
    endpoint: Endpoint,
    name: String,
    fingerprint: Fingerprint,
}

impl Node {
    /// Opens the vault, binds the port and serves. Needs a Tokio runtime.
    ///
    /// # Errors
    /// Whatever keeps the node from starting; nothing is left running then.
    pub fn start(config: Config, environment: Environment) -> Result<Arc<Self>, StartError> {
        // The vault is open for no longer than this takes.
        let (key, prepared) = {
            let opened = vault::open(&config, &environment)?;
            opened.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
            (vault::node_key(&opened.vault)?, Prepared::new(&config, &environment, Some(&opened.vault))?)
        };
        let fingerprint = key.fingerprint();
        let identities = Arc::new(MemoryIdentities::new(peers(&config, fingerprint))?);
        let certificates = Arc::new(Certificates::load(certificate_files(&config, &environment))?);
        let ownership: Arc<dyn OwnershipStore> = Arc::new(MemoryOwnership::default());
        let operations = Arc::new(Registry::new().with_ownership(ownership.clone()));
        let peers = Peers::new();
        let terminals = TerminalService::new(&config.tty, &operations, &ownership, &identities)?;
        let handlers = Arc::new(HandlerRegistry::new());
        let call = call_handler(&config, &operations, &peers);
        for (handler, enabled) in configured_handlers(&config, &operations, &call, &terminals)? {
            if enabled {
                handlers.add(handler)?;
            }
        }
        let imports = Imports::new(&operations);
        let fleet = Fleet::new(key.clone(), identities.clone(), operations.clone(), ownership, peers.clone());
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
            operations,
            peers,
            fleet: Arc::new(std::sync::Mutex::new(fleet)),
            terminals,
            imports,
            handlers,
            fingerprint,
        });
        node.register_operations()?;
        node.imports.apply(prepared)?;
        node.fleet().apply(&node.started_with, &call);
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
        builtin::register(&self.operations, BuiltinSources { facts, peers })?;
        // The registry belongs to the node, so a strong reference would keep both for ever.
        let node = Arc::downgrade(self);
        let spec = OperationSpec::new(OperationName::from_static("config/reload"))
            .with_description("Reads the configuration again: peers, tokens, certificates and handlers")
            .with_access(Access::Scopes(vec![Scope::node_admin()]));
        self.operations.register(spec, move |_: OperationContext, _| reload_operation(node.clone()))?;
        Ok(())
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
        self.terminals.shutdown().await;
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
        Err(error @ ReloadError::Config(_)) => Err(CallError::invalid_input(error.to_string())),
        Err(error) => Err(CallError::internal(error)),
    }
}

/// What serves calls, on connections that come and on those that the node dials itself.
pub(super) fn call_handler(config: &Config, operations: &Arc<Registry>, peers: &Arc<Peers>) -> Arc<CallHandler> {
    Arc::new(CallHandler::new(operations.clone(), config.call.settings.clone()).with_watcher(peers.clone()))
}

/// Handlers, each with whether the configuration wants it.
pub(super) type ConfiguredHandlers = [(Arc<dyn ProtocolHandler>, bool); 3];

/// Every handler that this binary has, and whether the configuration wants it. The order is the order of preference when
/// a client offers several ALPNs.
pub(super) fn configured_handlers(
    config: &Config,
    operations: &Arc<Registry>,
    call: &Arc<CallHandler>,
    terminals: &TerminalService,
) -> Result<ConfiguredHandlers, DecoyError> {
    Ok([
        (call.clone(), config.call.enable),
        (http_handler(config, operations, call)?, config.http.enable),
        (terminals.handler(), config.tty.enable),
    ])
}

fn http_handler(
    config: &Config,
    operations: &Arc<Registry>,
    call: &Arc<CallHandler>,
) -> Result<Arc<HttpHandler>, DecoyError> {
    let settings = &config.http.settings;
    let about = ApiInfo::new(format!("Operations of the node {}", config.node.name));
    let mut handler =
        HttpHandler::builder(operations.clone(), settings.clone()).describe(Exporter::new(operations.clone(), &about));
    if config.call.enable {
        handler = handler.calls(call.clone());
    }
    if let (Some(decoy), true) = (&settings.decoy, config.http.enable) {
        let mut decoy = decoy.clone();
        decoy.folder = decoy.folder.map(|folder| config.beside(&folder));
        handler = handler.decoy(Decoy::new(&decoy)?);
    }
    Ok(Arc::new(handler.build()))
}

/// The configured peers, and the node itself unless they name its key already.
pub(super) fn peers(config: &Config, own: Fingerprint) -> Vec<Peer> {
    let mut peers = config.peers();
    if !peers.iter().any(|peer| peer.fingerprints.contains(&own)) {
        let scopes = vec![Scope::node_admin(), Scope::metrics_read()];
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
    /// The decoy has nothing to show.
    #[error(transparent)]
    Decoy(#[from] DecoyError),
    /// Something cannot be imported.
    #[error(transparent)]
    Imports(#[from] PrepareError),
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
