//! What the node imports from services that are no nodes, as the configuration wants it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alknet_call::{Bundle, Capabilities, NameTaken, Overlay, Registry};
use alknet_http::{FromOpenApi, HttpClient, OutboundConfig, OutboundError};
use alknet_vault::Vault;
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use super::{Basis, Ground, Part, PartError, Ready};
use crate::config::{Config, ImportName};
use crate::environment::Environment;
#[cfg(feature = "mcp")]
use crate::import::mcp::Follower;
use crate::import::{self, ImportError, Keyring, KeyringError, Plan};
use crate::secrets::SecretFiles;

/// How long to wait before a description is asked for again that could not be had: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// The imports that are in force.
pub(super) struct Imports {
    registry: Arc<Registry>,
    sources: Mutex<BTreeMap<ImportName, Source>>,
}

struct Source {
    operations: Arc<Mutex<Overlay>>,
    /// Asks for the description until it is there, or follows what the server has.
    _task: Option<AbortOnDropHandle<()>>,
    #[cfg(feature = "mcp")]
    follower: Option<Arc<Follower>>,
}

/// Imports as a configuration has them, with everything done that can fail.
struct Prepared {
    client: Option<HttpClient>,
    sources: Vec<(ImportName, Described)>,
}

enum Described {
    Now(FromOpenApi),
    Remote(Plan),
    #[cfg(feature = "mcp")]
    Mcp {
        follower: Arc<Follower>,
        /// The operations that it has at once, if an earlier import knew what the server lists.
        known: Option<Vec<Bundle>>,
    },
}

impl Part for Imports {
    fn needs_vault(&self, config: &Config) -> bool {
        config.imports.iter().any(|import| !import.credentials.is_empty())
    }

    /// Reads the descriptions again, also where the configuration has not changed: the files may have.
    fn prepare(self: Arc<Self>, basis: &Basis<'_>, vault: Option<&Vault>) -> Result<Ready, PartError> {
        let prepared = Prepared::new(basis.config, basis.environment, vault, &self).map_err(PartError::new)?;
        Ok(Ready { handler: None, apply: Box::new(move || self.apply(prepared)) })
    }
}

impl Prepared {
    /// Reads the descriptions that are files, and takes from `vault` what their operations call with. Blocks.
    fn new(
        config: &Config,
        environment: &Environment,
        vault: Option<&Vault>,
        present: &Imports,
    ) -> Result<Self, PrepareError> {
        let mut prepared = Self { client: None, sources: Vec::new() };
        if config.imports.is_empty() {
            return Ok(prepared);
        }
        let client = HttpClient::new(&outbound(config, environment))?;
        let keyring = vault.map(|vault| Keyring::read(config, environment, vault)).transpose()?;
        for import in &config.imports {
            let capabilities = match &keyring {
                Some(keyring) => keyring.capabilities(import)?,
                None => Capabilities::default(),
            };
            #[cfg(feature = "mcp")]
            if let Some(follower) = Follower::of(import, capabilities.clone(), &client)? {
                let known = present.known(&import.name, &follower);
                prepared.sources.push((import.name.clone(), Described::Mcp { follower: Arc::new(follower), known }));
                continue;
            }
            #[cfg(not(feature = "mcp"))]
            let _ = present;
            let Some(plan) = Plan::of(config, import, capabilities)? else { continue };
            let described = match plan.is_remote() {
                true => Described::Remote(plan),
                false => Described::Now(plan.read_file(&client)?),
            };
            prepared.sources.push((import.name.clone(), described));
        }
        prepared.client = Some(client);
        Ok(prepared)
    }
}

/// The settings of the client, with its files where they are.
fn outbound(config: &Config, environment: &Environment) -> OutboundConfig {
    let mut outbound = config.http.settings.outbound.clone();
    outbound.ca_bundle = outbound.ca_bundle.map(|path| config.beside(&path));
    if let Some(certificate) = &mut outbound.client_certificate {
        certificate.certificate = config.beside(&certificate.certificate);
        certificate.key = SecretFiles::of(config, environment).locate(&certificate.key);
    }
    outbound
}

impl Source {
    fn new(operations: Arc<Mutex<Overlay>>, task: Option<JoinHandle<()>>) -> Self {
        Self {
            operations,
            _task: task.map(AbortOnDropHandle::new),
            #[cfg(feature = "mcp")]
            follower: None,
        }
    }
}

impl Imports {
    pub(super) fn new(ground: &Ground) -> Self {
        Self { registry: ground.operations.clone(), sources: Mutex::default() }
    }

    /// Puts imports into force, in the place of those before. A source whose description is still to be fetched keeps the
    /// operations that it had until then.
    fn apply(&self, prepared: Prepared) -> Result<(), NameTaken> {
        let Prepared { client, sources } = prepared;
        self.sources().retain(|name, _| sources.iter().any(|(wanted, _)| wanted == name));
        for (name, described) in sources {
            let source = match described {
                Described::Now(import) => {
                    import::log(&name, &import);
                    Source::new(self.install(&name, Some(import.bundles()))?, None)
                }
                Described::Remote(plan) => {
                    let operations = self.install(&name, None)?;
                    let task = client.clone().map(|client| tokio::spawn(fetch(plan, client, operations.clone())));
                    Source::new(operations, task)
                }
                #[cfg(feature = "mcp")]
                Described::Mcp { follower, known } => {
                    let reserved = follower.reserve(&self.registry);
                    let operations = self.install(&name, Some(known.unwrap_or_default()))?;
                    let task = tokio::spawn(follower.clone().follow(operations.clone(), reserved));
                    Source { follower: Some(follower), ..Source::new(operations, Some(task)) }
                }
            };
            self.sources().insert(name, source);
        }
        Ok(())
    }

    /// The operations of an MCP server that is imported already, as a new configuration wants them.
    #[cfg(feature = "mcp")]
    fn known(&self, name: &ImportName, follower: &Follower) -> Option<Vec<Bundle>> {
        let earlier = self.sources().get(name)?.follower.clone()?;
        Some(follower.import.inherit(&earlier.import)?.bundles())
    }

    /// The operations of a source: new ones if there are, else those that it has.
    fn install(&self, name: &ImportName, bundles: Option<Vec<Bundle>>) -> Result<Arc<Mutex<Overlay>>, NameTaken> {
        let present = self.sources().get(name).map(|source| source.operations.clone());
        match (present, bundles) {
            (Some(operations), None) => Ok(operations),
            (Some(operations), Some(bundles)) => {
                operations.lock().unwrap_or_else(PoisonError::into_inner).replace(bundles)?;
                Ok(operations)
            }
            (None, bundles) => Ok(Arc::new(Mutex::new(self.registry.install(bundles.unwrap_or_default())?))),
        }
    }

    fn sources(&self) -> std::sync::MutexGuard<'_, BTreeMap<ImportName, Source>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks for a description until it is there, or turns out to be of no use.
async fn fetch(plan: Plan, client: HttpClient, operations: Arc<Mutex<Overlay>>) {
    let (mut wait, longest) = RETRY;
    loop {
        match plan.fetch(&client).await {
            Ok(import) => {
                match operations.lock().unwrap_or_else(PoisonError::into_inner).replace(import.bundles()) {
                    Ok(()) => import::log(plan.name(), &import),
                    Err(error) => tracing::error!(import = plan.name().as_str(), "nothing is imported: {error}"),
                }
                return;
            }
            Err(error) if error.is_temporary() => {
                tracing::warn!("{error}; the next attempt is in {} s", wait.as_secs());
            }
            Err(error) => return tracing::error!("{error}"),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(longest);
    }
}

/// Why imports cannot be put into force.
#[derive(Debug, thiserror::Error)]
enum PrepareError {
    /// The HTTP client cannot be made.
    #[error("[http.outbound]: {0}")]
    Client(#[from] OutboundError),
    /// A secret is missing.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// A description cannot be read.
    #[error(transparent)]
    Import(#[from] ImportError),
}
